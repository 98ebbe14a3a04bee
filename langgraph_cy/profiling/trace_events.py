"""A timeline in Chrome's Trace Event Format, which Perfetto and chrome://tracing open."""

from __future__ import annotations

from typing import Any

from langgraph_cy.profiling import layout
from langgraph_cy.profiling.record import PARTS, Record

_PROCESS = 1
_CATEGORIES = {-1: "run", -2: "superstep"}


def trace(record: Record) -> dict[str, Any]:
    """The JSON object of a trace; times in microseconds from the start of the profile.

    A run, its supersteps and their parts lie within each other on one track. Tasks and calls of a
    saver beside them have tracks of their own.
    """
    events: list[dict[str, Any]] = [_named("process_name", 0, "langgraph_cy")]
    track = 0
    for row in layout.rows(record):
        if row.kind not in (layout.STEPS, layout.PARTS_ROW):  # which lie within their run
            track += 1
            events.append(_named("thread_name", track, "  " * row.depth + row.label))
            events.append(
                {
                    "ph": "M",
                    "name": "thread_sort_index",
                    "pid": _PROCESS,
                    "tid": track,
                    "args": {"sort_index": track},
                }
            )
        for bar in row.bars:
            events.append(
                {
                    "ph": "X",
                    "name": bar.name,
                    "cat": _CATEGORIES.get(bar.kind) or PARTS[bar.kind],
                    "pid": _PROCESS,
                    "tid": track,
                    "ts": (bar.start - record.began) / 1000,
                    "dur": bar.spent / 1000,
                    "args": _arguments(bar),
                }
            )
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {"events_left_out": record.left_out},
    }


def _arguments(bar: layout.Interval) -> dict[str, Any]:
    made: dict[str, Any] = {} if bar.step is None else {"step": bar.step}
    for name, value in bar.details:
        made[name if isinstance(value, str) else f"{name} (us)"] = (
            value if isinstance(value, str) else value / 1000
        )
    return made


def _named(what: str, track: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": _PROCESS, "tid": track, "args": {"name": name}}
