"""Calls of savers' methods that can be made on stock's savers and on ours."""

from collections.abc import Sequence
from typing import Any, NamedTuple


class Act(NamedTuple):
    """One call: a method's name as it is in synchronous savers, and its arguments."""

    method: str
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}


def config(thread: Any = "1", ns: str | None = "", id: str | None = None, **other: Any) -> Any:
    """A config; without what is None."""
    parts = {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": id}
    return {"configurable": {k: v for k, v in parts.items() if v is not None}, **other}


def apart(act: Act) -> list[Act]:
    """What stock has to do for an act."""
    if act.method != "put_superstep":
        return [act]
    writes, *put = act.arguments
    return [*(Act("put_writes", each) for each in writes), Act("put", tuple(put))]


def play(saver: Any, acts: Sequence[Act]) -> list[Any]:
    """Make the calls, and return what they return."""
    results = []
    for act in acts:
        for part in [act] if hasattr(saver, "put_superstep") else apart(act):
            result = getattr(saver, part.method)(*part.arguments, **part.keywords)
        results.append(list(result) if act.method == "list" else result)
    return results


async def aplay(saver: Any, acts: Sequence[Act]) -> list[Any]:
    """As `play`, with the asynchronous methods."""
    results = []
    for act in acts:
        for part in [act] if hasattr(saver, "aput_superstep") else apart(act):
            called = getattr(saver, f"a{part.method}")(*part.arguments, **part.keywords)
            result = [each async for each in called] if act.method == "list" else await called
        results.append(result)
    return results
