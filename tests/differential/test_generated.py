"""Generated graphs: stock and the compiled engine show the same.

LGCY_EXAMPLES scales the number of examples: 2 runs twice as many, 0.1 a tenth. A failure
prints the case, and a blob to replay it with `@reproduce_failure`.
"""

from hypothesis import assume, given, seed, settings

from .compare import check_case
from .description import Case
from .examples import COMMON, SCALE
from .strategies import cases


@settings(COMMON, max_examples=max(1, round(1000 * SCALE)))
@seed(122200)
@given(cases())
def test_fixed_seed(case: Case) -> None:
    assume(check_case(case))


@settings(COMMON, max_examples=max(1, round(100 * SCALE)))
@given(cases())
def test_random_seed(case: Case) -> None:
    assume(check_case(case))
