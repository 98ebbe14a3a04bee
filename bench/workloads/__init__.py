"""What is timed. Importing this package fills the registries, in the order of the table.

Each workload is a function from a size to a `Case`. A curve is a workload timed at several sizes,
to show whether the cost of one unit depends on that size.
"""

# isort: off
from bench.registry import CURVES, WORKLOADS
from bench.workloads import loops, fan_out, features, state, serializer
from bench.workloads import memory, sqlite, postgres, curves

# isort: on

__all__ = [
    "CURVES",
    "WORKLOADS",
    "curves",
    "fan_out",
    "features",
    "loops",
    "memory",
    "postgres",
    "serializer",
    "sqlite",
    "state",
]
