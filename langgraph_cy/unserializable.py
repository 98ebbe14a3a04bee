"""Where in the state a value lies that a saver can't store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from langgraph_cy.notes import add_note


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What a container holds, each with its path."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"{path}[{key!r}]", item
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield f"{path}[{index}]", item
    elif isinstance(value, (set, frozenset)):
        for item in value:
            yield f"{path}{{...}}", item
    elif hasattr(value, "__dict__") and not isinstance(value, type):
        for name, item in vars(value).items():
            yield f"{path}.{name}", item


def _stores(serde: Any, value: Any) -> bool:
    try:
        serde.dumps_typed(value)
    except Exception:
        return False
    return True


def culprit(serde: Any, value: Any, path: str) -> tuple[str, Any]:
    """The innermost part of a value that the serializer refuses, with its path.

    Args:
        serde: the saver's serializer, which refuses `value`.
        path: of `value` itself.
    """
    seen = {id(value)}
    while True:
        for inner, part in _parts(value, path):
            if id(part) not in seen and not _stores(serde, part):
                seen.add(id(part))
                path, value = inner, part
                break
        else:
            return path, value


def _values(method: str, arguments: Any) -> Iterator[tuple[str, Any]]:
    """The channel values among the arguments of a saver's method."""
    if method in ("put", "aput"):
        yield from arguments[1]["channel_values"].items()
    elif method in ("put_writes", "aput_writes"):
        yield from arguments[1]


def _place(method: str, arguments: Any) -> tuple[str, str] | None:
    """What was about to be stored, and the thread that it belongs to."""
    try:
        config, _, third = arguments[:3]
        thread = f"thread {config['configurable']['thread_id']!r}"
        if method in ("put", "aput"):
            return f"the checkpoint of step {third.get('step')}", thread
        return f"writes of task {third!r}", thread
    except Exception:  # a saver's own idea of a config
        return None


def explained(error: Exception, saver: Any, method: str, arguments: Any) -> Exception:
    """The error of a saver's method, with notes on what could not be stored.

    Args:
        error: what the method has raised.
        method: its name; arguments: what it was called with.

    Returns:
        The same error.
    """
    serde = getattr(saver, "serde", None)
    for channel, value in () if serde is None else _values(method, arguments):
        if not _stores(serde, value):
            path, part = culprit(serde, value, str(channel))
            add_note(
                error,
                f"The value in channel {channel!r} can't be stored: {path} is "
                f"of type {type(part).__module__}.{type(part).__qualname__}. Keep it out of the "
                "state, in an UntrackedValue channel, or in a form that the serializer stores",
            )
            break
    if hasattr(error, "add_note"):  # else it would change the text of a saver's own error
        place = _place(method, arguments)
        said = "\n".join(getattr(error, "__notes__", ()))
        if place is not None and place[1] not in said:
            error.add_note(f"Raised while storing {place[0]} of {place[1]}")
    return error
