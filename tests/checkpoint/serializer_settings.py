"""How many examples the property tests of the serializer try: 1,000 times LGCY_EXAMPLES."""

import os

import pytest
from hypothesis import HealthCheck, settings

SCALE = float(os.environ.get("LGCY_EXAMPLES", "1"))
PROPERTY = settings(
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=max(1, round(1000 * min(SCALE, 1))),
    derandomize=settings.default.derandomize and SCALE <= 1,
    suppress_health_check=list(HealthCheck),
)
# Of a module: more than 1,000 are tried a thousand at a time, since hypothesis remembers those of
# a test, with all that was drawn for them, until it has ended.
REPEATED = pytest.mark.usefixtures("round_of_examples")


@pytest.fixture(params=range(round(SCALE)) if SCALE > 1 else None)
def round_of_examples() -> None:
    """Repeats a test with other examples."""
