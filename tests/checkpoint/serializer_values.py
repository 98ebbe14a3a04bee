"""Values of every kind that checkpoints hold, for hypothesis."""

import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import re
import uuid
import zoneinfo
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    RemoveMessage,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langgraph.types import Command, Interrupt, Send
from pydantic import BaseModel


class Color(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str):
    """A subclass of a builtin, which has to stay out of the fast path."""


class Point(NamedTuple):
    x: int
    y: Any


@dataclasses.dataclass
class Record:
    name: str
    value: Any = None


class Model(BaseModel):
    name: str
    value: Any = None


class OwnMessage(HumanMessage):
    """A subclass of a message."""


ALLOWED = [Color, Level, Word, Point, Record, Model, OwnMessage]

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(['"', "\\", "\n\t\r\b\f", "\x00\x1f\x7f", "é", "日本", "🎉", "x" * 600, "l"]),
    st.text(st.characters(max_codepoint=255), min_size=7, max_size=30),
)
integers = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.integers(-300, 300),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, -(2**63)]),
)
floats = st.floats(allow_nan=False, allow_infinity=False)
keys = texts.filter(lambda text: text != "lc")  # it would make an envelope
leaves = st.one_of(st.none(), st.booleans(), integers, floats, texts)
plain = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=12,
)
mappings = st.dictionaries(texts | st.sampled_from(["tool_calls", "lc"]), plain, max_size=3)

# what JSON does not represent, or not exactly
odd = st.one_of(
    st.sampled_from([float("nan"), float("inf"), -float("inf"), Color.RED, Level.HIGH, Word("w")]),
    st.binary(max_size=8),
    st.binary(max_size=8).map(bytearray),
    st.frozensets(st.integers(), max_size=3).filter(
        lambda values: all(-(2**63) <= value < 2**64 for value in values)
    ),
    st.sets(texts, max_size=3),
    st.lists(leaves, max_size=3).map(deque),
    st.uuids(),
    st.datetimes(timezones=st.sampled_from([None, datetime.timezone.utc])),
    st.dates(),
    st.times(),
    st.timedeltas(),
    st.decimals(allow_nan=False),
    st.sampled_from(
        [
            pathlib.Path("/a/b"),
            re.compile("a+", re.IGNORECASE),
            ipaddress.ip_address("10.0.0.1"),
            ipaddress.ip_network("2001:db8::/32"),
            zoneinfo.ZoneInfo("Europe/Berlin"),
            datetime.timezone.utc,
            uuid.UUID(int=0),
            decimal.Decimal("1.50"),
            Send("node", {"a": 1}),
            Command(goto="node", update={"a": 1}),
            Interrupt(value="v", id="i"),
            ValueError("x"),
        ]
    ),
    st.builds(Point, st.integers(-5, 5), leaves),
    st.builds(Record, texts, leaves),
    st.builds(Model, name=texts, value=leaves),
    st.builds(OwnMessage, texts),
    st.sampled_from(["f8", "i4", "?", "U3", "datetime64[s]"]).map(lambda t: np.zeros((2, 3), t)),
    st.just(np.arange(6.0).reshape(2, 3).T),
    st.just(np.array([np.nan, -0.0])),
    st.just(np.float64(1.5)),
    st.dictionaries(st.integers(-5, 5), leaves, min_size=1, max_size=2),
    st.dictionaries(st.tuples(st.integers(-5, 5)), leaves, min_size=1, max_size=2),
    st.sampled_from(
        [
            {"lc": 1, "type": "constructor", "id": ["a", "b"], "kwargs": {}},
            {"lc": 2, "type": "constructor", "id": ["builtins", "set"], "kwargs": {}},
            {"lc": 1, "type": "secret", "id": ["HOME"]},
            {"lc": None},
            {"\ud800": 1},
            "\udfff",
        ]
    ),
)

names = st.none() | texts
contents = st.one_of(
    texts,
    st.lists(
        st.one_of(
            texts,
            st.fixed_dictionaries({"type": st.just("text"), "text": texts}),
            st.dictionaries(texts, plain, max_size=2),
        ),
        max_size=3,
    ),
)
tool_calls = st.lists(
    st.fixed_dictionaries({"name": texts, "args": mappings, "id": names}), max_size=2
)
invalid_tool_calls = st.lists(
    st.fixed_dictionaries(
        {"name": names, "args": names, "id": names, "error": names},
        optional={"type": st.just("invalid_tool_call")},
    ),
    max_size=2,
)
tool_call_chunks = st.lists(
    st.fixed_dictionaries(
        {"name": names, "args": names | st.just('{"a": 1'), "id": names,
         "index": st.none() | st.integers(0, 9)}
    ),
    max_size=2,
)  # fmt: skip
counts = st.integers(0, 2**40)
usages = st.none() | st.fixed_dictionaries(
    {"input_tokens": counts, "output_tokens": counts, "total_tokens": counts},
    optional={
        "input_token_details": st.dictionaries(
            st.sampled_from(["audio", "cache_read", "cache_creation", "provider_own"]), counts
        ),
        "output_token_details": st.dictionaries(
            st.sampled_from(["reasoning", "audio", "provider_own"]), counts
        ),
        "provider_own": plain,
    },
)
extras = st.dictionaries(
    st.sampled_from(["extra", "other", "text", "lc_id", "model_fields_", "é"]), plain, max_size=2
)
additional = st.one_of(
    mappings,
    st.fixed_dictionaries(
        {
            "tool_calls": st.lists(
                st.one_of(
                    st.fixed_dictionaries(
                        {
                            "id": names,
                            "function": st.fixed_dictionaries(
                                {"name": names, "arguments": st.sampled_from(['{"a": 1}', "{", ""])}
                            ),
                        }
                    ),
                    mappings,
                ),
                max_size=2,
            )
        }
    ),
)


def _build(cls: type[BaseMessage], fields: dict[str, Any], more: dict[str, Any]) -> BaseMessage:
    return cls(**{**more, **fields})


def _of(cls: type[BaseMessage], **fields: Any) -> st.SearchStrategy[BaseMessage]:
    optional = {"name": names, "id": names, "response_metadata": mappings}
    optional["additional_kwargs"] = additional if issubclass(cls, AIMessage) else mappings
    if cls is not RemoveMessage:
        fields = {"content": contents, **fields}
    given = {key: each for key, each in fields.items() if not key.startswith("_")}
    optional = {key: each for key, each in optional.items() if key not in given}
    return st.builds(_build, st.just(cls), st.fixed_dictionaries(given, optional=optional), extras)


_AI = {
    "tool_calls": tool_calls,
    "invalid_tool_calls": invalid_tool_calls,
    "usage_metadata": usages,
}
_TOOL = {
    "tool_call_id": texts,
    "artifact": plain,
    "status": st.sampled_from(["success", "error"]),
}
MESSAGES: dict[type, st.SearchStrategy[Any]] = {
    HumanMessage: _of(HumanMessage),
    HumanMessageChunk: _of(HumanMessageChunk),
    SystemMessage: _of(SystemMessage),
    SystemMessageChunk: _of(SystemMessageChunk),
    AIMessage: _of(AIMessage, **_AI),
    AIMessageChunk: _of(
        AIMessageChunk,
        tool_call_chunks=tool_call_chunks,
        chunk_position=st.sampled_from([None, "last"]),
        **_AI,
    ),
    ToolMessage: _of(ToolMessage, **_TOOL),
    ToolMessageChunk: _of(ToolMessageChunk, **_TOOL),
    ChatMessage: _of(ChatMessage, role=texts),
    ChatMessageChunk: _of(ChatMessageChunk, role=texts),
    FunctionMessage: _of(FunctionMessage, name=texts),
    FunctionMessageChunk: _of(FunctionMessageChunk, name=texts),
    RemoveMessage: _of(RemoveMessage, id=names),
    Document: st.builds(Document, page_content=texts, metadata=mappings, id=names),
}
messages: st.SearchStrategy[AnyMessage] = st.one_of(*MESSAGES.values())
message_lists = st.lists(messages, max_size=5)

anything = st.recursive(
    st.one_of(leaves, messages, odd),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=3),
        st.builds(Record, texts, inner),
    ),
    max_leaves=8,
)
