"""Generated graphs: stock and the compiled engine show the same.

LGCY_EXAMPLES scales the number of examples: 2 runs twice as many, 0.1 a tenth. A failure
prints the case, and a blob to replay it with `@reproduce_failure`.
"""

import os

from hypothesis import HealthCheck, assume, given, seed, settings

from .compare import check_case
from .description import Case
from .strategies import cases

SCALE = float(os.environ.get("LGCY_EXAMPLES", "1"))
COMMON = settings(
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@settings(COMMON, max_examples=max(1, round(2000 * SCALE)))
@seed(122200)
@given(cases())
def test_fixed_seed(case: Case) -> None:
    assume(check_case(case))


@settings(COMMON, max_examples=max(1, round(200 * SCALE)))
@given(cases())
def test_random_seed(case: Case) -> None:
    assume(check_case(case))
