"""How many examples the property tests of the serializer try: 1,000 times LGCY_EXAMPLES."""

import os

from hypothesis import HealthCheck, settings

SCALE = float(os.environ.get("LGCY_EXAMPLES", "1"))
PROPERTY = settings(
    database=None,
    deadline=None,
    print_blob=True,
    max_examples=max(1, round(1000 * SCALE)),
    suppress_health_check=list(HealthCheck),
)
