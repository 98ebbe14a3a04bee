"""What a thread has stored, as upstream's saver and upstream's graph read it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from langgraph.types import StateSnapshot

from .journal import Line

# Writes that do not say that a task has ended.
_NOT_RESULTS = {"__error__", "__error_source_node__", "__interrupt__", "__resume__"}


@dataclasses.dataclass(frozen=True)
class State:
    """A thread at one of its checkpoints, without ids and times."""

    source: str
    step: int
    values: dict[str, Any]
    tasks: tuple[str, ...]

    @classmethod
    def of(cls, snapshot: StateSnapshot) -> State:
        metadata: Any = snapshot.metadata or {}
        names = tuple(task.name for task in snapshot.tasks)
        return cls(metadata["source"], metadata["step"], snapshot.values, names)


@dataclasses.dataclass
class Stored:
    """What a thread has stored.

    Attributes:
        history: the root graph's checkpoints, oldest first.
        supersteps: after which supersteps of which namespaces there is a checkpoint.
        labels: tasks that must not run again: a checkpoint has their writes, or theirs are stored
            with the checkpoint that the thread goes on from.
        pending: tasks whose writes are stored with any checkpoint.
        partly: some tasks of the superstep to go on with have stored their writes, others not.
        problems: what is wrong with it by itself.
    """

    history: list[State]
    supersteps: set[tuple[str, int]]
    labels: set[str]
    pending: set[str]
    partly: bool
    problems: list[str]

    def last_step(self, ns: str) -> int:
        """The last superstep of a namespace that has a checkpoint; -2 where there is none."""
        return max((step for found, step in self.supersteps if found == ns), default=-2)


def read_stored(
    graph: Any, thread: str, lines: Sequence[Line], *, exits_late: bool = False
) -> Stored:
    """Read a thread, and check what has to hold wherever a run ends.

    Args:
        graph: on upstream's engine, with upstream's saver.
        lines: the thread's journal, which says whose task an id is.
        exits_late: checkpoints between the first and the last of a run were never stored.
    """
    config = {"configurable": {"thread_id": thread}}
    tuples = list(graph.checkpointer.list(config))
    problems = []
    by_ns: dict[str, dict[str, Any]] = defaultdict(dict)
    for found in reversed(tuples):
        by_ns[found.config["configurable"]["checkpoint_ns"]][found.checkpoint["id"]] = found
    for ns, checkpoints in by_ns.items():
        problems += _broken_links(ns, checkpoints, exits_late=exits_late)
    tasks = {line.task: line.label for line in lines if line.task}
    pending = {
        tasks[task_id]
        for found in tuples
        for task_id, channel, _ in found.pending_writes or ()
        if task_id in tasks and channel not in _NOT_RESULTS
    }
    labels: set[str] = set()
    partly = _add_labels(
        graph.checkpointer,
        graph.get_state(config, subgraphs=True),
        tasks,
        labels,
    )
    history = [State.of(snapshot) for snapshot in graph.get_state_history(config)]
    supersteps = {
        (ns, found.metadata["step"])
        for ns, checkpoints in by_ns.items()
        for found in checkpoints.values()
    }
    return Stored(history[::-1], supersteps, labels, pending, partly, problems)


def _broken_links(ns: str, checkpoints: dict[str, Any], *, exits_late: bool) -> list[str]:
    """What is wrong with the checkpoints of a namespace, given oldest first."""
    problems = []
    before, last_step = None, -2
    for id, found in checkpoints.items():
        parent = found.parent_config and found.parent_config["configurable"]["checkpoint_id"]
        step = found.metadata["step"]
        name = f"checkpoint {id} of superstep {step} in namespace {ns!r}"
        if parent is not None and parent not in checkpoints:
            problems.append(f"{name} has a parent that is not stored: {parent}")
        elif parent != before:
            problems.append(f"{name} does not follow the checkpoint before it")
        elif not exits_late and step != last_step + 1:
            problems.append(f"{name} leaves out supersteps")
        versions, values = (found.checkpoint[f"channel_{kind}"] for kind in ("versions", "values"))
        if missing := {"log", "inner_log"} & versions.keys() - values.keys():
            problems.append(f"{name} has no value of {sorted(missing)}")
        before, last_step = id, step
    return problems


def _add_labels(saver: Any, snapshot: StateSnapshot, tasks: dict[str, str], into: set[str]) -> bool:
    """Add the labels of what a snapshot, and those within it, need not do again.

    Returns:
        Whether some of its tasks have stored their writes and others have not.
    """
    if isinstance(snapshot.values, dict):
        into.update(snapshot.values.get("log", ()), snapshot.values.get("inner_log", ()))
    found = saver.get_tuple(snapshot.config)
    writes = (found.pending_writes or ()) if found else ()
    ended = {task_id for task_id, channel, _ in writes if channel not in _NOT_RESULTS}
    partly = False
    for task in snapshot.tasks:
        if task.id in ended:
            into.update([tasks[task.id]] if task.id in tasks else [])
        elif isinstance(task.state, StateSnapshot):
            partly = _add_labels(saver, task.state, tasks, into) or partly
    count = sum(task.id in ended for task in snapshot.tasks)
    return partly or 0 < count < len(snapshot.tasks)
