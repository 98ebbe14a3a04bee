"""The two tables that `workloads` fills."""

from collections.abc import Callable

from langgraph_cy.cli.cases import Case, Graph, Workload

__all__ = ("CURVES", "WORKLOADS", "Case", "Graph", "Workload", "workload")


WORKLOADS: dict[str, Workload] = {}
CURVES: dict[str, Workload] = {}

Maker = Callable[[int], Case]


def workload(
    unit: str,
    *sizes: int,
    tiny: int,
    at_least: float | None = None,
    within: float | None = None,
    axis: str | None = None,
) -> Callable[[Maker], Maker]:
    """Register the decorated function by its name: as a curve where it has an axis."""

    def register(make: Maker) -> Maker:
        name, about = make.__name__, (make.__doc__ or "").strip()
        registry = CURVES if axis else WORKLOADS
        registry[name] = Workload(name, about, unit, make, sizes, tiny, at_least, within, axis)
        return make

    return register
