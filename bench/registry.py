"""What a workload is, and the two tables that `workloads` fills."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.pregel import Pregel

Graph = Pregel[Any, Any, Any, Any]


@dataclass(frozen=True)
class Case:
    """A graph and one run of it.

    Args:
        graph: the graph, compiled by upstream.
        run: one run of the graph it is given, returning what can be compared. A coroutine
            function is awaited on an event loop that lasts as long as the measurement.
        expect: what `run` must return.
        units: how many units (steps, tasks, ...) one run has; times are divided by it.
        floor: the same work without an engine, timed beside the two where given. It may be a
            coroutine function too.
        shorter: a run of the same graph with fewer units. Its time is taken off, which leaves
            the cost of the units that it lacks, without that of starting and ending a run.
    """

    graph: Graph
    run: Callable[[Graph], Any]
    expect: Any
    units: int
    floor: Callable[[], Any] | None = None
    shorter: "Case | None" = None


@dataclass(frozen=True)
class Workload:
    """A family of cases by size.

    Args:
        name: as in `--only`.
        about: one line for `--list`.
        unit: the name of one unit of a case.
        make: from a size to a case; each call makes a graph of its own.
        sizes: the sizes that are timed: one, or for a curve several.
        tiny: a size for checking outputs only.
        at_least: the ratio of stock's time to the compiled engine's that is aimed at.
        within: how many times the floor the compiled engine may take, where there is an aim.
        axis: for a curve, what its sizes count.
    """

    name: str
    about: str
    unit: str
    make: Callable[[int], Case]
    sizes: tuple[int, ...]
    tiny: int
    at_least: float | None
    within: float | None
    axis: str | None


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
