"""What is timed: a workload, and the case that it makes at one size."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langgraph.pregel import Pregel

Graph = Pregel[Any, Any, Any, Any]


def same_type_and_value(returned: Any, expected: Any) -> bool:
    """Whether two results are equal and of one type: `True` is not 1 here."""
    return type(returned) is type(expected) and bool(operator.eq(returned, expected))


@dataclass(frozen=True)
class Case:
    """A graph and one run of it, or work of another part than the engine.

    Args:
        graph: the graph, compiled by upstream. None: no graph is run, which is checked.
        run: one run of the graph it is given, returning what can be compared. A coroutine
            function is awaited on an event loop that lasts as long as the measurement.
        expect: what `run` must return.
        units: how many units (steps, tasks, ...) one run has; times are divided by it.
        floor: the same work without an engine, timed beside the two where given. It may be a
            coroutine function too.
        shorter: a run of the same graph with fewer units. Its time is taken off, which leaves
            the cost of the units that it lacks, without that of starting and ending a run.
        same: whether what `run` returned is what was expected.
        prepare: called before each run, and not timed; `run` is given what it returns in place
            of a graph. Not for a coroutine function.
    """

    graph: Graph | None
    run: Callable[[Any], Any]
    expect: Any
    units: int
    floor: Callable[[], Any] | None = None
    shorter: Case | None = None
    same: Callable[[Any, Any], bool] = same_type_and_value
    prepare: Callable[[], Any] | None = None


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
    at_least: float | None = None
    within: float | None = None
    axis: str | None = None
