"""Where a timeline shows what: rows of intervals that don't overlap, or lie within each other."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass, field

from langgraph_cy.profiling.record import PARTS, Event, Record, Run
from langgraph_cy.profiling.recorder import Part

RUN, STEPS, PARTS_ROW, TASKS, SAVES = "run", "supersteps", "parts", "tasks", "saver"


@dataclass(frozen=True)
class Interval:
    """One bar.

    Attributes:
        start, spent: nanoseconds, from the clock's zero.
        kind: a `Part`, or -1 of a run, -2 of a superstep.
        name: what it is.
        step: number of the superstep, None without one.
        details: what else there is to know: (name, value), nanoseconds where it is an int.
    """

    start: int
    spent: int
    kind: int
    name: str
    step: int | None = None
    details: tuple[tuple[str, int | str], ...] = ()


@dataclass
class Row:
    """A row of bars.

    Attributes:
        kind: `RUN`, `STEPS`, `PARTS_ROW`, `TASKS` or `SAVES`.
        depth: how many runs it lies in.
    """

    kind: str
    label: str
    depth: int
    bars: list[Interval] = field(default_factory=list)


def rows(record: Record) -> list[Row]:
    """The rows of a timeline, those of a run together, those of runs in it below."""
    children: dict[int, list[Run]] = defaultdict(list)
    known = {run.number for run in record.runs}
    for run in record.runs:
        children[run.above if run.above in known else 0].append(run)
    return _stacked(children[0], children, record, 0)


def _stacked(
    runs: list[Run], children: dict[int, list[Run]], record: Record, depth: int
) -> list[Row]:
    """The rows of runs: those that follow each other share rows, others lie below each other."""
    stacks: dict[tuple[int, int], list[Row]] = {}
    ends: dict[tuple[int, int], int] = {}
    for run in sorted(runs, key=lambda run: run.began):
        place = 0
        while ends.get((run.thread, place), run.began) > run.began:
            place += 1
        ends[run.thread, place] = run.ended
        stack = stacks.setdefault((run.thread, place), [])
        _merge(stack, _block(run, children, record, depth))
    return [row for stack in stacks.values() for row in stack]


def _merge(stack: list[Row], block: list[Row]) -> None:
    """Add the rows of a run to those of runs before it, like to like."""
    places: dict[tuple[str, str, int], list[Row]] = defaultdict(list)
    for row in stack:
        places[row.kind, "" if row.kind == RUN else row.label, row.depth].append(row)
    for row in block:
        like = places[row.kind, "" if row.kind == RUN else row.label, row.depth]
        if like:
            first = like.pop(0)
            first.bars += row.bars
            if row.label not in first.label.split(", "):
                first.label += f", {row.label}"
        else:
            stack.append(row)


def _block(run: Run, children: dict[int, list[Run]], record: Record, depth: int) -> list[Row]:
    """The rows of one run."""
    details: list[tuple[str, int | str]] = [("outcome", run.ending)]
    details.append(("thread", record.threads[run.thread]))
    if run.reason is not None:
        details.append(("on stock's engine", run.reason))
    made = [
        Row(RUN, run.path, depth, [Interval(run.began, run.spent, -1, run.path, None, (*details,))])
    ]
    if run.steps:
        bars = [
            Interval(
                step.began,
                step.spent,
                -2,
                f"superstep {step.number}",
                step.number,
                (("tasks", str(step.tasks)), *step.critical),
            )
            for step in run.steps
        ]
        made.append(Row(STEPS, "supersteps", depth, bars))
    steps = {step.number for step in run.steps}
    bars = [_part(event, steps, record) for event in run.segments]
    made.append(Row(PARTS_ROW, "driver", depth, bars))
    tasks = [event for event in run.beside if event.kind == Part.TASK]
    for label, lane in _lanes(tasks, run, record):
        bars = []
        for event in lane:
            bars.append(_task(event, record))
            if event.closed > event.end:
                spent = event.closed - event.end
                bars.append(Interval(event.end, spent, Part.COMMIT, PARTS[Part.COMMIT], event.step))
        made.append(Row(TASKS, label, depth, bars))
    saves = [event for event in run.beside if event.kind == Part.TASK_SAVE]
    for label, lane in _lanes(saves, run, record):
        bars = [
            Interval(
                event.start,
                event.spent,
                Part.SAVE,
                PARTS[Part.SAVE],
                event.step,
                (("of which serialise", event.queued),),
            )
            for event in lane
        ]
        made.append(Row(SAVES, f"saver · {label}", depth, bars))
    return made + _stacked(children[run.number], children, record, depth + 1)


def _part(event: Event, steps: set[int], record: Record) -> Interval:
    name = PARTS[event.kind]
    if event.label >= 0:
        name = record.name_of(event.label)
        if event.kind == Part.RETRY:
            name += ": wait for retry"
    step = event.step if event.step in steps else None
    return Interval(event.start, event.spent, event.kind, name, step)


def _task(event: Event, record: Record) -> Interval:
    details: list[tuple[str, int | str]] = [("queue", event.start - event.queued)]
    if event.failed:
        details.append(("failed attempts", str(event.failed)))
    name = record.name_of(event.label)
    return Interval(event.start, event.spent, Part.RUN, name, event.step, (*details,))


def _lanes(events: list[Event], run: Run, record: Record) -> list[tuple[str, list[Event]]]:
    """Events that may overlap as lanes in which they don't: a thread's, or an event loop's."""
    events = sorted(events, key=lambda event: event.start)
    if not run.asynchronous:
        by_thread: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            by_thread[event.thread].append(event)
        return [(record.threads[thread], lane) for thread, lane in by_thread.items()]
    lanes: list[list[Event]] = []
    free: list[tuple[int, int]] = []  # (when, lane)
    for event in events:
        if free and free[0][0] <= event.start:
            _, number = heapq.heappop(free)
        else:
            number = len(lanes)
            lanes.append([])
        lanes[number].append(event)
        heapq.heappush(free, (max(event.closed, event.end), number))
    return [(f"asyncio {number}", lane) for number, lane in enumerate(lanes, 1)]
