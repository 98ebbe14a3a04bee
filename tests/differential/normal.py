"""What is compared: values as text, with ids renamed.

Checkpoint ids contain the time, task ids hash them, versions contain random digits. So ids are
compared up to renaming: each becomes the number of its first appearance, and two transcripts
are equal if the same ids stand in the same places. Where the order of lines is chance, an id
becomes a digest of the places in which it stands instead.
"""

import re
from ast import literal_eval
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any
from uuid import UUID
from zlib import crc32

from langchain_core.messages import BaseMessage
from langgraph.types import Interrupt
from pydantic import BaseModel

NULL_ID = "00000000-0000-0000-0000-000000000000"
_VARIES = re.compile(
    r"""(?P<fraction>(?<=\d{32})\.[\d.e-]+)
      | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:[+]00:00|Z)?)
      | (?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
             | \b(?!0{20})[0-9a-f]{32}\b)
      | (?P<address>0x[0-9a-f]{6,})""",
    re.VERBOSE,
)


_RENAMED = re.compile(r"<id [0-9a-f]+>")


def shape(value: Any) -> Any:
    """A value as nested tuples whose `repr` shows content, type and order; ids stay in it."""
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return value if type(value) in _PLAIN else (type(value).__name__, repr(value))
    if isinstance(value, str):
        return value if type(value) is str else (type(value).__name__, str(value))
    if isinstance(value, Mapping):
        return (type(value).__name__, *((shape(k), shape(v)) for k, v in value.items()))
    if isinstance(value, Interrupt):
        return ("Interrupt", shape(value.value), value.id)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        pairs = zip(value._fields, value, strict=True)
        return (type(value).__name__, *((name, shape(each)) for name, each in pairs))
    if isinstance(value, (list, tuple, deque)):
        return (type(value).__name__, *map(shape, value))
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, *sorted(repr(shape(each)) for each in value))
    if isinstance(value, BaseException):
        return (type(value).__name__, str(value))
    if isinstance(value, UUID):
        return ("UUID", str(value))
    if isinstance(value, BaseMessage):
        extra = (shape(value.additional_kwargs), shape(value.response_metadata))
        return (type(value).__name__, shape(value.content), value.id, value.name, *extra)
    if isinstance(value, BaseModel):
        return (type(value).__name__, *((k, shape(v)) for k, v in value.__dict__.items()))
    if is_dataclass(value) and not isinstance(value, type):
        return (
            type(value).__name__,
            *((f.name, shape(getattr(value, f.name))) for f in fields(value)),
        )
    if hasattr(type(value), "__slots__") and type(value).__module__ == "langgraph.types":
        return (type(value).__name__, *((n, shape(getattr(value, n))) for n in value.__slots__))
    return type(value).__name__


_PLAIN = (type(None), bool, int, float, bytes)


def public(config: Any) -> Any:
    """A config as others than the engine may read it."""
    if not isinstance(config, dict):
        return shape(config)
    return (
        "config",
        *((k, shape(config[k])) for k in ("tags", "metadata", "run_name", "recursion_limit")
          if k in config),
        *sorted(
            (k, shape(v))
            for k, v in config.get("configurable", {}).items()
            if not k.startswith("__pregel")
        ),
    )  # fmt: skip


def _rename(names: dict[str, str], found: re.Match[str]) -> str:
    kind, text = str(found.lastgroup), found.group()
    if kind in ("time", "address"):
        return f"<{kind}>"
    if text == NULL_ID:
        return text
    return names.setdefault(text, f"<{kind} {len(names)}>")


class Names:
    """Names for ids in the order in which they appear."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def rename(self, lines: Iterable[str]) -> list[str]:
        return [_VARIES.sub(partial(_rename, self.names), line) for line in lines]


def _blank(found: re.Match[str]) -> str:
    return NULL_ID if found.group() == NULL_ID else f"<{found.lastgroup}>"


def blank(line: str) -> str:
    """A line without its ids."""
    return _VARIES.sub(_blank, line)


def _label(labels: dict[str, str], found: re.Match[str]) -> str:
    return labels.get(found.group(), f"<{found.lastgroup}>")


def _settled(value: Any) -> Any:
    """A shape with the interrupts in each sequence of them sorted."""
    if not isinstance(value, tuple):
        return value
    value = tuple(map(_settled, value))
    interrupts = [each for each in value if isinstance(each, tuple) and each[:1] == ("Interrupt",)]
    if value[:1] in (("tuple",), ("list",)) and len(interrupts) == len(value) - 1:
        return (value[0], *sorted(interrupts, key=repr))
    return value


def settled(line: str) -> str:
    """A line with the interrupts in it sorted: they come in the order in which tasks end."""
    return repr(_settled(literal_eval(line))) if line.count("('Interrupt', ") > 1 else line


def unordered(aspects: dict[str, list[str]]) -> dict[str, list[str]]:
    """Lines sorted within each aspect, with ids named after the lines in which they stand."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for aspect, lines in aspects.items():
        for line in lines:
            found = [m.group() for m in _VARIES.finditer(line) if m.lastgroup == "id"]
            if found:
                blanked = settled(blank(line))
                for text in found:
                    places[text].append((aspect, blanked))
    labels = {
        text: text if text == NULL_ID else f"<id {crc32(repr(sorted(seen)).encode()):08x}>"
        for text, seen in places.items()
    }
    return {
        aspect: sorted(settled(_VARIES.sub(partial(_label, labels), line)) for line in lines)
        for aspect, lines in aspects.items()
    }


def without_labels(line: str) -> str:
    """A line with all ids that have been renamed alike."""
    return _RENAMED.sub("<id>", line)
