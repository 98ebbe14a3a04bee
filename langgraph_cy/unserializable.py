"""Where in the state a value lies that a saver can't store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


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


def explained(error: Exception, saver: Any, method: str, arguments: Any) -> Exception:
    """The error of a saver's method, with a note on the value that could not be stored.

    Args:
        error: what the method has raised.
        method: its name; arguments: what it was called with.

    Returns:
        The same error. Where nothing among the arguments is to blame it gets no note.
    """
    serde = getattr(saver, "serde", None)
    if serde is None:
        return error
    for channel, value in _values(method, arguments):
        if not _stores(serde, value):
            path, part = culprit(serde, value, str(channel))
            note = (
                f"The value in channel {channel!r} can't be stored: {path} is "
                f"of type {type(part).__module__}.{type(part).__qualname__}"
            )
            if hasattr(error, "add_note"):
                error.add_note(note)
            else:  # before Python 3.11
                error.args = (f"{error.args[0] if error.args else ''}\n{note}", *error.args[1:])
            break
    return error
