"""A profile as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from langgraph_cy.profiling.record import PARTS, Record
from langgraph_cy.tables import aligned

_MOST_ROWS = 50


def duration(spent: float) -> str:
    """Nanoseconds in the unit that suits them."""
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if spent >= size:
            return f"{spent / size:.2f} {unit}"
    return f"{spent / 1e3:.1f} us"


def notes(record: Record) -> list[str]:
    """What a reader of the numbers has to know."""
    made = []
    if record.left_out or record.runs_left_out:
        made.append(
            f"The limit of {record.limit:,} was reached: {record.left_out:,} events and "
            f"{record.runs_left_out:,} runs are in the totals only, and in no timeline, superstep "
            "or share. Raise it with profile(limit=...)."
        )
    if any(run.under_way for run in record.runs):
        made.append("A run that was still under way is measured until the profile ended.")
    return made


def text(record: Record) -> str:
    """All tables, with what a reader has to know."""
    compiled = sum(run.reason is None for run in record.runs)
    lines = [
        f"{len(record.runs) + record.runs_left_out:,} runs in "
        f"{duration(record.ended - record.began)}; {duration(record.measured)} in runs that are no "
        f"part of another. {compiled:,} on the compiled engine."
    ]
    lines += notes(record)
    lines += ["", "Where the time of these runs went", *parts(record)]
    if record.nodes:
        lines += ["", "Nodes", *nodes(record)]
    slowest = sorted(
        ((step.spent, run, step) for run in record.runs for step in run.steps),
        key=lambda item: -item[0],
    )
    if slowest:
        lines += ["", f"The longest of {len(slowest):,} supersteps, and what they waited for"]
        lines += _table(
            ("graph", "superstep", "tasks", "time", "critical path"),
            [
                (
                    run.path,
                    str(step.number),
                    str(step.tasks),
                    duration(spent),
                    critical(step.critical),
                )
                for spent, run, step in slowest[:_MOST_ROWS]
            ],
        )
    stock = [run for run in record.runs if run.reason is not None]
    if stock:
        lines += ["", "Runs on stock's engine"]
        lines += _table(
            ("graph", "reason", "time"),
            [(run.path, run.reason or "", duration(run.spent)) for run in stock[:_MOST_ROWS]],
        )
    return "\n".join(lines) + "\n"


def critical(path: Sequence[tuple[str, int]]) -> str:
    """What a superstep waited for, in a line: the three longest, in their order."""
    longest = sorted(path, key=lambda part: -part[1])[:3]
    return ", ".join(
        f"{name} {duration(spent)}" for name, spent in path if (name, spent) in longest
    )


def parts(record: Record) -> list[str]:
    """The table of parts, the longest first."""
    whole = record.measured or 1
    return _table(
        ("part", "time", "share"),
        [
            (PARTS[part], duration(spent), f"{spent / whole:.1%}")
            for part, spent in sorted(record.parts.items(), key=lambda item: -item[1])
        ]
        + [
            ("all", duration(record.measured), "100.0%"),
            ("the engine's own", duration(record.engine), f"{record.engine / whole:.1%}"),
        ],
    )


def nodes(record: Record) -> list[str]:
    """The table of nodes, the longest first."""
    return _table(
        (
            *("graph", "node", "tasks", "cached", "errors", "retries", "run", "a task", "longest"),
            *("queue", "reduce", "serialise", "save"),
        ),
        [
            (
                node.graph,
                node.name,
                *(f"{n:,}" for n in (node.tasks, node.cached, node.errors, node.failed)),
                duration(node.run),
                duration(node.run / max(1, node.tasks)),
                duration(node.longest),
                duration(node.queued),
                duration(node.reduced),
                duration(node.serialised),
                duration(node.saved),
            )
            for node in record.nodes
        ],
        left=2,
    )


def _table(heading: Sequence[str], body: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of a table; numbers to the right.

    Args:
        left: how many columns are text. So are those of `_TEXT`.
    """
    columns = []
    for place, column in enumerate(zip(heading, *body, strict=True)):
        text = place < left or heading[place] in _TEXT
        width = 0 if text else max(map(len, column))
        columns.append([cell.rjust(width) for cell in column])
    return aligned(list(zip(*columns, strict=True)))


_TEXT = ("critical path", "reason")
