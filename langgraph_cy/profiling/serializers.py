"""Serializers of measured savers: what they take of the time that a saver's call takes.

A serializer offers no place to measure it. So `dumps_typed` is replaced on its class, which says
nothing and changes nothing outside of a measured call, and put back when nothing is measured.
"""

from __future__ import annotations

import threading
from typing import Any

from langgraph_cy.locks import fork_safe
from langgraph_cy.profiling.run_trace import measured_dump

_lock = fork_safe(threading.Lock())
_replaced: dict[type[Any], tuple[Any, Any]] = {}  # class -> what it had, and what it has now


def _is_method(function: Any) -> bool:
    """Whether it gets the serializer as its first argument, as what replaces it does."""
    return (
        callable(function)
        and hasattr(function, "__get__")
        and not isinstance(function, (staticmethod, classmethod))
    )


def measure(serde: Any) -> None:
    """Have a serializer's `dumps_typed` measured until `restore`."""
    for owner in type(serde).__mro__:
        if "dumps_typed" in vars(owner):
            break
    else:
        return
    with _lock:
        function = vars(owner)["dumps_typed"]
        if owner not in _replaced and _is_method(function):
            made = measured_dump(function)
            try:
                owner.dumps_typed = made  # type: ignore[attr-defined]
            except TypeError:  # of a class that C code has made
                return
            _replaced[owner] = (function, made)


def restore() -> None:
    """Put back what `measure` has replaced, unless somebody else has replaced it since."""
    with _lock:
        while _replaced:
            owner, (function, made) = _replaced.popitem()
            if vars(owner).get("dumps_typed") is made:
                owner.dumps_typed = function
