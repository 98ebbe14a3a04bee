"""What must hold after a kill, and once the thread is finished.

No engine can make a task's own side effects and the storing of its writes one act. So a task that
was done when the process was killed may run again, but only where its writes were not stored yet,
and how many such tasks there may be depends on the durability mode.
"""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_cy.drivers.saving import BACKLOG

from .journal import CALL, DONE, FINISH, RETURN, START, Line
from .stored import Stored


def after_kill(durability: str, lines: Sequence[Line], stored: Stored, whole: Stored) -> list[str]:
    """What is wrong with a thread whose process was killed.

    Args:
        lines: all of the thread's journal.
        stored: what was found.
        whole: what a thread that was never killed has stored in the end.
    """
    problems = readable(stored, whole)
    if durability == "exit":
        problems += _nothing_of_the_killed_run(lines, stored, whole)
    else:
        problems += _lag(lines, stored, 0 if durability == "sync" else BACKLOG)
    if durability == "sync":
        problems += _lost(lines, stored)
    return problems


def readable(stored: Stored, whole: Stored) -> list[str]:
    """What is wrong with what a thread has stored, wherever and however a run of it has ended."""
    problems = list(stored.problems)
    if stored.history != whole.history[: len(stored.history)]:
        problems.append("what is stored is not a beginning of what an undisturbed run stores")
    return problems


def _lag(lines: Sequence[Line], stored: Stored, allowed: int) -> list[str]:
    """Supersteps that were begun too far ahead of what is stored."""
    problems = []
    last = lines[-1].attempt if lines else 0
    begun: dict[str, int] = {}
    for line in lines:
        if line.event == START and line.attempt == last:
            begun[line.ns] = max(line.step, begun.get(line.ns, line.step))
    for ns, step in begun.items():
        behind = step - 1 - stored.last_step(ns)
        if behind > allowed:
            problems.append(
                f"superstep {step} of namespace {ns!r} was begun, but the last that is stored is "
                f"{stored.last_step(ns)}: {behind} checkpoints are lost, {allowed} may be"
            )
    return problems


def _lost(lines: Sequence[Line], stored: Stored) -> list[str]:
    """Tasks that were done before another superstep began, and are not stored."""
    problems = []
    for place, line in enumerate(lines):
        if line.event != DONE or line.label in stored.labels:
            continue
        later = [
            other
            for other in lines[place + 1 :]
            if other.attempt == line.attempt and other.superstep != line.superstep
        ]
        if later:
            problems.append(
                f"the writes of task {line.label!r} of superstep {line.step} in namespace "
                f"{line.ns!r} are lost, although {later[0].label or later[0].event!r} came later"
            )
    return problems


def _nothing_of_the_killed_run(lines: Sequence[Line], stored: Stored, whole: Stored) -> list[str]:
    """Of a run that `exit` stores when it ends, all is stored or nothing."""
    done = {line.label for line in lines if line.event == DONE}
    returned = {line.label for line in lines if line.event == DONE and _returned(line, lines)}
    problems = []
    if missing := returned - stored.labels:
        problems.append(f"lost, although the run had returned: {sorted(missing)}")
    if unknown := stored.labels - done:
        problems.append(f"stored, but not done: {sorted(unknown)}")
    if unexpected := stored.pending - whole.pending:
        problems.append(f"writes of a run that had not ended are stored: {sorted(unexpected)}")
    if nested := {ns for ns, _ in stored.supersteps if ns}:
        problems.append(f"checkpoints of subgraphs are stored: {sorted(nested)}")
    return problems


def _returned(line: Line, lines: Sequence[Line]) -> bool:
    """Whether the run that did a task returned."""
    later = [other for other in lines if other.attempt == line.attempt]
    events = [other.event for other in later[later.index(line) :] if other.event in (CALL, RETURN)]
    return events[:1] == [RETURN]


def ran_again(stored: Stored, lines: Sequence[Line], attempt: int) -> list[str]:
    """Tasks that ran in later attempts although they need not.

    Args:
        stored: what was found after an attempt that was killed.
        attempt: which attempt that was.
    """
    again = {line.label for line in lines if line.event == START and line.attempt > attempt}
    return [
        f"task {label!r} ran again after attempt {attempt}, although its writes were stored"
        for label in sorted(again & stored.labels)
    ]


def when_finished(lines: Sequence[Line], stored: Stored, whole: Stored) -> list[str]:
    """What is wrong with a thread that was killed, resumed, and is finished."""
    problems = list(stored.problems)
    if stored.history[-1:] != whole.history[-1:]:
        found = [state.values.get("log") for state in stored.history[-1:]]
        expected = [state.values["log"] for state in whole.history[-1:]]
        problems.append(f"the final state has the log {found}, not {expected}")
    elif stored.history != whole.history:
        problems.append("the history differs from that of an undisturbed run")
    done = {line.label for line in lines if line.event == DONE}
    if never := whole.labels - done:
        problems.append(f"never done: {sorted(never)}")
    return problems


def moment(lines: Sequence[Line], attempt: int) -> str:
    """Where a kill hit: "before", "in a task", "between tasks" or "after" a thread's work."""
    own = [line for line in lines if line.attempt == attempt]
    if not any(line.event == CALL for line in own):
        return "before"
    if any(line.event == FINISH for line in own):
        return "after"
    running = {line.label for line in own if line.event == START}
    running -= {line.label for line in own if line.event == DONE}
    return "in a task" if running else "between tasks"
