"""What a profile has measured, put together: runs, their supersteps, and nodes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langgraph_cy.profiling.recorder import Outcome, Part, clock

PARTS: dict[int, str] = {
    Part.OPEN: "open",
    Part.LOAD: "load checkpoint",
    Part.INPUT: "apply input",
    Part.PLAN: "plan",
    Part.CACHE: "look in cache",
    Part.RUN: "run",
    Part.RETRY: "wait for retry",
    Part.DISPATCH: "hand out tasks",
    Part.WAIT: "wait for tasks",
    Part.COMMIT: "take over writes",
    Part.APPLY: "reduce",
    Part.STREAM: "make chunks",
    Part.CHECKPOINT: "make checkpoint",
    Part.SERIALISE: "serialise",
    Part.SAVE: "save",
    Part.SAVE_WAIT: "wait for saver",
    Part.CONSUMER: "consumer",
    Part.FINISH: "finish",
    Part.STOCK: "stock's engine",
    Part.OTHER: "engine (other)",
}
# the application's time, a saver's or a consumer's; DISPATCH and WAIT are shared
_NOT_ENGINE = (
    *(Part.RUN, Part.RETRY, Part.DISPATCH, Part.WAIT, Part.SERIALISE, Part.SAVE, Part.SAVE_WAIT),
    *(Part.CONSUMER, Part.STOCK),
)
NO_STEP = -2  # of an event that belongs to no superstep


class Event(NamedTuple):
    """One measured interval; all times in nanoseconds.

    Attributes:
        queued: of a task, since when it could have begun; of a saver's call, how long of it the
            serializer took.
        closed: of a task, when its writes had been taken over; 0 of a part that is only a stretch
            of its task.
        failed: how many attempts failed before.
    """

    kind: int
    run: int
    step: int
    label: int
    task: int
    thread: int
    queued: int
    start: int
    end: int
    closed: int
    outcome: int
    failed: int

    @property
    def spent(self) -> int:
        """Nanoseconds."""
        return self.end - self.start


@dataclass
class Superstep:
    """One superstep of a run.

    Attributes:
        began, ended: nanoseconds.
        tasks: how many ran.
        parts: nanoseconds by `Part`.
        serialised, saved: nanoseconds that a saver took beside the run.
        critical: what the superstep waited for: (what, nanoseconds), which add up to its length.
        labels: of the tasks' nodes, one for each.
    """

    number: int
    began: int
    ended: int
    parts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    tasks: int = 0
    serialised: int = 0
    saved: int = 0
    critical: list[tuple[str, int]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)

    @property
    def spent(self) -> int:
        """Nanoseconds."""
        return self.ended - self.began


@dataclass
class Run:
    """One run.

    Attributes:
        path: the graph's name, after the graphs and nodes that it ran in.
        above: number of the run that it was a part of, 0 without one.
        reason: why stock's engine ran it, None if it did not.
        outcome: an `Outcome`; error: the type of what it raised.
        parts: nanoseconds by `Part`, which add up to the length of the run.
        segments: events of the parts; tasks: of tasks beside the run's thread, pauses between
            attempts, and saver calls beside it.
    """

    number: int
    scope: int
    path: str
    above: int
    task_above: int
    thread: int
    asynchronous: bool
    reason: str | None
    began: int
    ended: int
    outcome: int
    error: str | None
    parts: dict[int, int]
    segments: list[Event] = field(default_factory=list)
    beside: list[Event] = field(default_factory=list)
    steps: list[Superstep] = field(default_factory=list)

    @property
    def spent(self) -> int:
        """Nanoseconds."""
        return self.ended - self.began

    @property
    def under_way(self) -> bool:
        """Whether the profile ended before the run did."""
        return self.outcome == Outcome.UNDER_WAY

    @property
    def ending(self) -> str:
        """How the run ended, in words."""
        words = Outcome(self.outcome).name.lower().replace("_", " ")
        return f"{words}: {self.error}" if self.error else words


@dataclass
class Node:
    """What became of the tasks of one node.

    Attributes:
        graph: path of the graph that it is a node of.
        tasks: how many have run; alone: in the thread of their run.
        errors: how many failed for good; failed: attempts that were followed by another.
        cached: tasks whose writes were in the cache.
        queued, run, longest, committed: nanoseconds of all tasks, the longest of one.
        reduced, serialised, saved: its share of what its supersteps took; each task has an equal
            share.
    """

    graph: str
    name: str
    scope: int
    tasks: int
    alone: int
    errors: int
    failed: int
    cached: int
    queued: int
    run: int
    longest: int
    committed: int
    reduced: float = 0
    serialised: float = 0
    saved: float = 0


class Record:
    """What a recorder has measured.

    Args:
        recorder: a `Recorder`.

    Attributes:
        began, ended: of the profile, nanoseconds.
        runs: in the order in which they began.
        nodes: those that ran, the longest first.
        parts: nanoseconds by `Part`, of all runs that were no part of another.
        left_out: events, and `runs_left_out` runs, that there was no room for.
    """

    def __init__(self, recorder: Any) -> None:
        catalog = recorder.catalog
        self.began: int = recorder.began
        self.ended: int = recorder.ended or clock()
        self.limit: int = recorder.limit
        self.left_out: int = recorder.left_out
        self.runs_left_out: int = recorder.runs_left_out
        self.scopes: list[Any] = [] if catalog is None else list(catalog.scopes)
        self.labels: list[tuple[int, str]] = [] if catalog is None else list(catalog.labels)
        self.threads: list[str] = [] if catalog is None else list(catalog.threads)
        self.parts: dict[int, int] = _by_part(recorder.part_totals())
        self.runs = [self._run(state) for state in recorder.run_states()]
        by_number = {run.number: run for run in self.runs}
        for event in map(Event._make, recorder.events()):
            run = by_number.get(event.run)
            if run is not None:
                (run.segments if event.kind < Part.PARTS else run.beside).append(event)
        for run in self.runs:
            run.steps = supersteps(run, self)
        totals = recorder.node_totals() if catalog is not None else {}
        nodes = {
            label: Node(
                self.scopes[self.labels[label][0]].path,
                self.labels[label][1],
                self.labels[label][0],
                **total,
            )
            for label, total in totals.items()
        }
        self._share(nodes)
        self.nodes = sorted(nodes.values(), key=lambda node: -node.run)

    def _run(self, state: dict[str, Any]) -> Run:
        path = self.scopes[state["scope"]].path
        return Run(path=path, **{**state, "parts": _by_part(state["parts"])})

    def _share(self, nodes: dict[int, Node]) -> None:
        """Share what supersteps took among their tasks."""
        for run in self.runs:
            for step in run.steps:
                for label in step.labels:
                    node = nodes[label]
                    node.reduced += step.parts[Part.APPLY] / step.tasks
                    own = step.parts[Part.SERIALISE]
                    node.serialised += (own + step.serialised) / step.tasks
                    node.saved += (step.parts[Part.SAVE] + step.saved) / step.tasks

    def name_of(self, label: int) -> str:
        """The name of a node."""
        return self.labels[label][1]

    @property
    def engine(self) -> int:
        """Nanoseconds of the engine's own, in the runs of `measured`.

        While tasks run beside the run's thread, its handing out and its waiting are theirs.
        """
        spent = sum(spent for part, spent in self.parts.items() if part not in _NOT_ENGINE)
        between = self.parts.get(Part.DISPATCH, 0) + self.parts.get(Part.WAIT, 0)
        beside = sum(_covered(run.beside) for run in self.runs if not run.above)
        return spent + max(0, between - beside)

    @property
    def measured(self) -> int:
        """Nanoseconds of all runs that were no part of another."""
        return sum(self.parts.values())

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain dicts and lists, with the names of parts and outcomes."""
        return {
            "wall": self.ended - self.began,
            "runs_wall": self.measured,
            "engine": self.engine,
            "parts": _named(self.parts),
            "events_left_out": self.left_out,
            "runs_left_out": self.runs_left_out,
            "runs": [
                {
                    "number": run.number,
                    "graph": run.path,
                    "above": run.above,
                    "thread": self.threads[run.thread],
                    "asynchronous": run.asynchronous,
                    "engine": "compiled" if run.reason is None else "stock",
                    "reason": run.reason,
                    "began": run.began - self.began,
                    "wall": run.spent,
                    "outcome": Outcome(run.outcome).name.lower(),
                    "error": run.error,
                    "parts": _named(run.parts),
                    "supersteps": [
                        {
                            "step": step.number,
                            "began": step.began - self.began,
                            "wall": step.spent,
                            "tasks": step.tasks,
                            "parts": _named(step.parts),
                            "critical_path": [list(part) for part in step.critical],
                        }
                        for step in run.steps
                    ],
                }
                for run in self.runs
            ],
            "nodes": [
                {
                    "graph": node.graph,
                    "node": node.name,
                    "tasks": node.tasks,
                    "cached": node.cached,
                    "errors": node.errors,
                    "retries": node.failed,
                    "queue": node.queued,
                    "run": node.run,
                    "longest_run": node.longest,
                    "take_over": node.committed,
                    "reduce": round(node.reduced),
                    "serialise": round(node.serialised),
                    "save": round(node.saved),
                }
                for node in self.nodes
            ],
        }


def _by_part(totals: list[int]) -> dict[int, int]:
    return {part: spent for part, spent in enumerate(totals) if spent}


def _covered(events: list[Event]) -> int:
    """How long at least one task was running."""
    covered = last = 0
    for event in sorted(events, key=lambda event: event.start):
        if event.kind == Part.TASK:
            covered += max(0, event.end - max(last, event.start))
            last = max(last, event.end)
    return covered


def _named(parts: dict[int, int]) -> dict[str, int]:
    return {PARTS[part]: spent for part, spent in parts.items() if spent}


def supersteps(run: Run, record: Record) -> list[Superstep]:
    """The supersteps of a run in which tasks ran, with what each waited for."""
    steps: dict[int, Superstep] = {}
    tasks: dict[int, list[Event]] = defaultdict(list)
    parts: dict[int, list[Event]] = defaultdict(list)
    for event in run.segments:
        if event.step == NO_STEP:
            continue
        step = steps.setdefault(event.step, Superstep(event.step, event.start, event.end))
        step.ended = event.end
        step.parts[event.kind] += event.spent
        parts[event.step].append(event)
        if event.kind == Part.RUN and event.closed:
            step.labels.append(event.label)
    for event in run.beside:
        beside = steps.get(event.step)
        if beside is None:
            continue
        if event.kind == Part.TASK:
            tasks[event.step].append(event)
            beside.labels.append(event.label)
        elif event.kind == Part.TASK_SAVE:
            beside.serialised += event.queued
            beside.saved += event.spent - event.queued
    for step in steps.values():
        step.tasks = len(step.labels)
        step.critical = list(_critical(parts[step.number], tasks[step.number], run, record))
    return [step for step in steps.values() if step.tasks]


def _critical(
    parts: list[Event], tasks: list[Event], run: Run, record: Record
) -> Iterable[tuple[str, int]]:
    """What a superstep waited for, in the order in which it did; adjacent likes as one.

    Of tasks beside the run's thread, those count that the last one to end waited for: on worker
    threads the tasks that its thread ran before it.
    """
    made: list[tuple[str, int]] = []
    began = beside = 0
    for event in parts:
        if event.kind in (Part.DISPATCH, Part.WAIT) and tasks:
            began = began or event.start
            beside += event.spent
            continue
        name = PARTS[event.kind]
        if event.kind == Part.RUN and event.label >= 0:
            name = f"run {record.name_of(event.label)}"
        if made and made[-1][0] == name:
            made[-1] = (name, made[-1][1] + event.spent)
        else:
            made.append((name, event.spent))
    if not beside:
        return made
    place = next((i for i, (name, _) in enumerate(made) if name == PARTS[Part.APPLY]), len(made))
    return made[:place] + _chain(tasks, began, beside, run, record) + made[place:]


def _chain(
    tasks: list[Event], began: int, left: int, run: Run, record: Record
) -> list[tuple[str, int]]:
    """The tasks that the end of a fan-out waited for, and what there was besides.

    Args:
        began: when the first was handed out.
        left: nanoseconds that the run's thread handed out and waited.
    """
    last = max(tasks, key=lambda task: task.closed)
    chain = [last]
    if not run.asynchronous:
        chain = [task for task in tasks if task.thread == last.thread]
        chain.sort(key=lambda task: task.start)
    made = []
    queue = min(max(0, chain[0].start - max(began, chain[0].queued)), left)
    made.append(("queue", queue))
    left -= queue
    ran: dict[str, list[int]] = {}
    for task in chain:
        spent = min(task.spent, left)
        ran.setdefault(record.name_of(task.label), []).append(spent)
        left -= spent
    for name, spans in ran.items():
        count = f" x {len(spans)}" if len(spans) > 1 else ""
        made.append((f"run {name}{count}", sum(spans)))
    made.append(("hand over", left))
    return [(name, spent) for name, spent in made if spent]
