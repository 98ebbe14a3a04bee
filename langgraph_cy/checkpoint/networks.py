"""What would be made of every address of an IP network, which has no end to speak of.

Collections go through what they are made of, stored items through their namespace, and pydantic
through the content of a message, of which it makes a list. Some hundred bytes would so keep a
process busy until its memory is full.
"""

from __future__ import annotations

import importlib
from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.jsonplus import LC_REVIVER

__all__ = ("ITERATED", "goes_through", "refuse_endless")

# Names of arguments that some class goes through.
ITERATED = ("content", "content_blocks", "namespace")

_COLLECTIONS = {("builtins", "set"), ("builtins", "frozenset"), ("collections", "deque")}
_CONSTRUCTORS = (1, 2)  # versions of envelopes


def goes_through(module: str, name: str, argument: str | None) -> bool:
    """Whether making an instance goes through an argument, item by item.

    Args:
        module: of the class, which is imported.
        name: the class's.
        argument: the name of the argument, None if it is given without.
    """
    if (module, name) in _COLLECTIONS:
        return True
    if (module, name) == ("langgraph.store.base", "Item"):
        return argument == "namespace"
    try:
        cls = getattr(importlib.import_module(module), name)
    except Exception:  # reading meets the same
        return False
    if not isinstance(cls, type) or not issubclass(cls, BaseMessage):
        return False
    if issubclass(cls, ToolMessage):  # makes text of it
        return False
    if argument == "content":
        return not issubclass(cls, RemoveMessage)
    return argument is None or (argument == "content_blocks" and not issubclass(cls, AIMessage))


def refuse_endless(
    envelope: dict[str, Any], allowed: Collection[tuple[str, ...]] | Literal[True]
) -> None:
    """Refuse to construct what has no end.

    Args:
        envelope: a JSON object, with what is in it constructed already.
        allowed: the classes that are constructed beside the safe ones.

    Raises:
        ValueError: it would go through a network.
    """
    if envelope.get("lc") not in _CONSTRUCTORS or envelope.get("type") != "constructor":
        return
    path, args, kwargs = (envelope.get(name) for name in ("id", "args", "kwargs"))
    for each in (path, args):  # these are gone through whatever the class
        if not isinstance(each, (list, str, int, float, dict, type(None))):
            raise ValueError(f"an envelope with {type(each).__name__} for a list")
    given: list[tuple[str | None, Any]] = []
    if isinstance(args, list):
        given += [(None, each) for each in args]
    if isinstance(kwargs, dict):
        given += kwargs.items()
    names = [name for name, each in given if isinstance(each, (IPv4Network, IPv6Network))]
    if not names or not isinstance(path, list) or not path:
        return
    target = LC_REVIVER.import_mappings.get(tuple(path), tuple(path))
    module, cls = ".".join(target[:-1]), target[-1]
    if allowed is not True and (module, cls) not in SAFE_MSGPACK_TYPES and target not in allowed:
        return
    if any(goes_through(module, cls, name) for name in names):
        raise ValueError(f"{cls} of all addresses of a network")
