"""The entry points that this package replaces: whose method stands where, and upstream's own.

Needs upstream's public names only, so that it works where the engine cannot be used.
"""

from __future__ import annotations

from typing import Any

from langgraph.pregel import Pregel as UpstreamPregel

METHODS = vars(UpstreamPregel)
# by name, everything that may stand for an entry point: upstream's own method, then ours
genuine: dict[str, tuple[Any, ...]] = {}
# what `install` has replaced, by name
installed: dict[str, Any] = {}


def foreign(value: Any) -> bool:
    """Whether a function is not upstream's own, as its place of definition tells."""
    return hasattr(value, "__wrapped__") or not value.__module__.startswith("langgraph.")


def is_genuine(name: str) -> bool:
    """Whether upstream's `Pregel` has its own method there, or this package's, and no other's."""
    value = METHODS[name]
    return value in genuine.get(name, ()) or not foreign(value)


def stands_in(**methods: Any) -> None:
    """Declare this package's methods, by the names of the entry points they replace."""
    for name, method in methods.items():
        own = () if foreign(METHODS[name]) else (METHODS[name],)
        genuine[name] = (*own, method)


def stock_method(name: str, own: Any) -> Any:
    """The method that runs a graph on upstream's engine.

    Args:
        own: upstream's own method of that name.

    Returns:
        The wrapper that another tool has put around it, so that an accelerated graph calls it
        too; but not one put around this package's method, which would call it again.
    """
    value = METHODS[name]
    return own if name in installed or value in genuine[name] else value
