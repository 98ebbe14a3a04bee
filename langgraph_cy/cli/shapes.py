"""Values as trees that can be compared and shown: taken at once, before anybody changes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from inspect import isroutine
from typing import Any, NamedTuple
from uuid import UUID

from langgraph.types import Interrupt
from pydantic import BaseModel

_ERROR_TEXT = " text"
_LEAVES = (type(None), bool, int, float, complex, bytes, str)


class Unordered(list[Any]):
    """Values that come in no order."""


class Shape(NamedTuple):
    """A value with parts.

    Attributes:
        kind: its type, with its module where that is not Python's own.
        parts: of (how the part is reached from the value, the part's own shape).
        unordered: whether the order of the parts is no property of the value.
    """

    kind: str
    parts: tuple[tuple[str, Any], ...]
    unordered: bool = False


def shape_of(value: Any, within: tuple[int, ...] = ()) -> Any:
    """The shape of a value: a plain leaf, or a `Shape` that shares no container with it."""
    cls = type(value)
    if cls in _LEAVES:
        return value
    if id(value) in within:
        return Shape("a value within itself", (("", "<itself>"),))
    within = (*within, id(value))
    parts, unordered = _parts(value)
    if parts is None:
        return Shape(name_of(cls), (("", _text(value)),))
    return Shape(
        name_of(cls), tuple((label, shape_of(each, within)) for label, each in parts), unordered
    )


def name_of(cls: type) -> str:
    """A class by name, with its module where that is not Python's own."""
    plain = cls.__module__ in ("builtins", "collections")
    return cls.__qualname__ if plain else f"{cls.__module__}.{cls.__qualname__}"


def show(shape: Any, width: int = 160) -> str:
    """A shape in a line, cut where it is longer than `width`."""
    text = _shown(shape)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _parts(value: Any) -> tuple[Iterable[tuple[str, Any]] | None, bool]:
    """The parts of a value, with whether they come in no order; None where it has none."""
    if isinstance(value, Mapping):
        return [(f"[{key!r}]", each) for key, each in value.items()], False
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(f".{n}", each) for n, each in zip(value._fields, value, strict=False)], False
    if isinstance(value, Unordered):
        return [("", each) for each in value], True
    if isinstance(value, (list, tuple, deque)):
        # interrupts of one superstep come in the order in which its tasks end
        unordered = len(value) > 1 and all(isinstance(each, Interrupt) for each in value)
        return [(f"[{place}]", each) for place, each in enumerate(value)], unordered
    if isinstance(value, (set, frozenset)):
        return [("{}", each) for each in sorted(value, key=repr)], True
    if isinstance(value, BaseException):
        notes = ((" note", each) for each in getattr(value, "__notes__", ()))
        return [(_ERROR_TEXT, str(value)), *notes], False
    if isinstance(value, Enum):
        return [(".name", value.name)], False
    if isinstance(value, BaseModel):
        extra = value.__pydantic_extra__ or {}
        return [(f".{name}", each) for name, each in {**value.__dict__, **extra}.items()], False
    if is_dataclass(value) and not isinstance(value, type):
        return [(f".{f.name}", getattr(value, f.name, None)) for f in fields(value)], False
    if isinstance(value, (type, UUID)) or isroutine(value):
        return None, False
    representation: Any = type(value).__repr__
    if representation is object.__repr__ or type(value).__module__.startswith("langgraph."):
        return [(f".{name}", each) for name, each in _attributes(value)], False
    return None, False


def _attributes(value: Any) -> list[tuple[str, Any]]:
    names = [n for cls in type(value).__mro__ for n in vars(cls).get("__slots__", ())]
    slots = [(name, getattr(value, name)) for name in names if hasattr(value, name)]
    return [*slots, *getattr(value, "__dict__", {}).items()]


def _text(value: Any) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<no repr: {error!r}>"


def _shown(shape: Any) -> str:
    if not isinstance(shape, Shape):
        return repr(shape)
    if shape.kind == "dict":
        return (
            "{" + ", ".join(f"{label[1:-1]}: {_shown(each)}" for label, each in shape.parts) + "}"
        )
    items = ", ".join(_shown(each) for _, each in shape.parts)
    if shape.kind == "list":
        return f"[{items}]"
    if shape.kind == "tuple":
        return f"({items})"
    if shape.parts and shape.parts[0][0] == _ERROR_TEXT:
        return f"{shape.kind}: {shape.parts[0][1]}"
    if len(shape.parts) == 1 and not shape.parts[0][0]:
        return str(shape.parts[0][1])
    named = ", ".join(f"{label.lstrip('.')}={_shown(each)}" for label, each in shape.parts)
    return f"{shape.kind.rpartition('.')[2]}({named})"
