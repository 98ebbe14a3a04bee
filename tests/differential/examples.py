"""How many examples the generated tests play, and hypothesis' settings for all of them."""

import os

from hypothesis import HealthCheck, Phase, settings

SCALE = float(os.environ.get("LGCY_EXAMPLES", "1"))
COMMON = settings(
    database=None,
    deadline=None,
    print_blob=True,
    # the first failure ends a test: looking for a smaller one would take minutes
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
