"""Whatever is written and read again is what upstream makes of it, whoever writes and reads."""

import copy
import json
import warnings
from ipaddress import IPv6Network
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint import CheckpointDecodeError, OrjsonSerializer
from langgraph_cy.checkpoint.messages import known_classes
from langgraph_cy.checkpoint.networks import goes_through

from .serializer_sameness import assert_same
from .serializer_settings import PROPERTY, REPEATED
from .serializer_values import (
    ALLOWED,
    MESSAGES,
    anything,
    leaves,
    message_lists,
    messages,
    odd,
    plain,
)

pytestmark = REPEATED
STOCK = JsonPlusSerializer(allowed_msgpack_modules=ALLOWED)
OURS = OrjsonSerializer(allowed_msgpack_modules=ALLOWED)


def outcome(function: Any, *args: Any) -> tuple[type | None, Any]:
    """What a call returns, or the type of what it raises; with the warnings, by category."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            error, result = None, function(*args)
        except Exception as raised:
            error, result = type(raised), str(raised)
    return error, (result, sorted({warning.category.__name__ for warning in caught}))


def check(value: Any) -> str | None:
    """Compare all ways to write and read a value; returns the tag it got."""
    error, (stored, warned) = outcome(STOCK.dumps_typed, value)
    own_error, (own, own_warned) = outcome(OURS.dumps_typed, value)
    assert own_error is error
    assert own_warned == warned
    if error is not None:
        assert own == stored
        return None
    expected = STOCK.loads_typed(stored)
    assert own[0] == "json" or own == stored
    assert_same(OURS.loads_typed(own), expected)
    assert_same(STOCK.loads_typed(own), expected)
    assert_same(OURS.loads_typed(stored), expected)
    # from now on with the fragments that are kept
    assert outcome(OURS.dumps_typed, value)[1][0] == own
    tag, parts = outcome(OURS.dumps_parts, value)[1][0]
    assert (tag, b"".join(parts) if isinstance(parts, tuple) else parts) == own
    return own[0]


@PROPERTY
@given(plain)
def test_plain_values(value: Any) -> None:
    tag = check(value)
    assert tag == ("null" if value is None else "json")
    if value is not None:
        written = OURS.dumps_typed(value)[1]
        assert written == orjson.dumps(value)
        assert_same(OURS.loads_typed(("json", written)), json.loads(written))


@pytest.mark.parametrize("value", [[0.1] * 16, {"a": [[-0.0, 1e300] * 20]}, [float("nan")] * 20])
def test_many_floats_are_upstreams(value: Any) -> None:
    assert check(value) == "msgpack"
    assert check([1.5, 2]) == "json"


def test_many_floats_in_a_message() -> None:
    embedding = [0.1, -0.0, 1e-300, 5e-324] * 20
    assert check([HumanMessage("x", additional_kwargs={"embedding": embedding})]) == "json"
    check([HumanMessage("x", additional_kwargs={"embedding": [*embedding, float("inf")]})])


def in_message(value: Any) -> Any:
    """What is written for a value within a message."""
    written = OURS.dumps_typed([HumanMessage("x", additional_kwargs={"value": value})])[1]
    return json.loads(written)[0]["kwargs"]["additional_kwargs"]["value"]


@pytest.mark.parametrize("odd_one", ['"', "\\", "\n", "\x00", "\x1f"])
def test_escapes_at_every_place(odd_one: str) -> None:
    for length in range(1, 50):
        for place in range(length):
            text = "x" * place + odd_one + "y" * (length - place - 1)
            assert in_message(text) == text
            assert in_message(text * 2) == text * 2


def test_integers_of_every_length() -> None:
    numbers = [*range(1200), *(10**i + j for i in range(19) for j in (-1, 0, 1, 37))]
    numbers += [2**i + j for i in range(29, 64) for j in (-1, 0, 1)]
    numbers += [-number for number in numbers if number <= 2**63]
    assert in_message(numbers) == numbers


def test_dicts_of_every_kind() -> None:
    class Split:
        def __init__(self) -> None:
            self.b, self.a, self.c = 1, [2], "3"

    removed = {str(i): i for i in range(40)}
    for i in range(0, 40, 3):
        del removed[str(i)]
    general: dict[Any, Any] = {1: 2, "a": 3, "b": 4}
    del general[1]
    emptied = {"a": 1}
    del emptied["a"]
    for value in (vars(Split()), removed, general, emptied, {}, {str(i): i for i in range(400)}):
        check(value)
        assert list(in_message(value).items()) == list(value.items())
    message = HumanMessage("x", additional_kwargs={})
    message.__dict__["content"] = message.__dict__.pop("content")
    check([message, Split().__dict__])


@PROPERTY
@given(anything)
def test_any_values(value: Any) -> None:
    check(value)


@settings(PROPERTY, max_examples=max(1, PROPERTY.max_examples // 4))
@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
@given(data=st.data())
def test_messages(cls: type, data: Any) -> None:
    check(data.draw(MESSAGES[cls]))


def test_every_class_of_messages_is_known() -> None:
    assert set(known_classes()) == set(MESSAGES)


@PROPERTY
@given(message_lists)
def test_lists_of_messages(value: Any) -> None:
    check(value)


@PROPERTY
@given(messages, st.data())
def test_messages_with_anything_in_a_field(message: Any, data: Any) -> None:
    """Fields can be set to anything, and extras can be of any name."""
    name = data.draw(
        st.sampled_from([*type(message).model_fields, "content_blocks", "lc", "self", "more"])
    )
    value = data.draw(
        st.one_of(leaves, odd, plain, messages, st.lists(messages, max_size=2), st.just([()]))
    )
    how = data.draw(st.sampled_from(["fields", "extra", "delete", "reorder"]))
    message = copy.copy(message)
    if how == "extra":
        message.__pydantic_extra__ = {**(message.__pydantic_extra__ or {}), name: value}
    elif how == "delete":
        message.__dict__.pop(name, None)
    elif how == "reorder":
        message.__dict__[name] = message.__dict__.pop(name, value)
    else:
        message.__dict__[name] = value
    if _is_endless(message):
        refuse(message)
    else:
        check(message)


def _is_endless(message: Any) -> bool:
    """Whether upstream's reading makes a list of all addresses of a network, which ends the
    process when the memory is full.
    """
    cls = type(message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fields = message.model_dump()
    return any(
        isinstance(value, IPv6Network) and goes_through(cls.__module__, cls.__name__, name)
        for name, value in fields.items()
    )


def refuse(message: Any) -> None:
    typed = outcome(STOCK.dumps_typed, message)[1][0]
    assert outcome(OURS.dumps_typed, message)[1][0] == typed
    with pytest.raises(CheckpointDecodeError, match="without an end"):
        OURS.loads_typed(typed)


@PROPERTY
@given(messages, st.data())
def test_messages_with_anything_within(message: Any, data: Any) -> None:
    """What pydantic validated once may have been changed in place since."""
    message = copy.deepcopy(message)
    containers = list(_containers(message.__dict__))
    found = data.draw(st.sampled_from(containers))
    value = data.draw(st.one_of(leaves, odd, plain, messages, st.just({"name": "n"})))
    if isinstance(found, dict):
        key = data.draw(st.sampled_from([*found, "lc", "extras", "type", "index", "new", 1]))
        if data.draw(st.booleans()):
            found.pop(key, None)
        else:
            found[key] = value
    else:
        found.append(value)
    check(message)


CALLS = {
    "tool_calls": {"name": "n", "args": {}, "id": "1", "type": "tool_call"},
    "invalid_tool_calls": {
        "type": "invalid_tool_call", "id": "1", "name": "n", "args": "{", "error": "e"},
    "tool_call_chunks": {
        "name": "n", "args": "{}", "id": "1", "index": 0, "type": "tool_call_chunk"},
}


@pytest.mark.parametrize(
    ("field", "key"), [(field, key) for field, call in CALLS.items() for key in call]
)
def test_a_call_without_one_of_its_keys(field: str, key: str) -> None:
    """AIMessage adds the key, or can't be made any more; both when it is read."""
    for cls in AIMessage, AIMessageChunk:
        if field in cls.model_fields:
            message = cls("", **{field: [dict(CALLS[field])]})
            assert check(message) == "json"
            del getattr(message, field)[0][key]
            check(message)
            path = [*cls.__module__.split("."), cls.__name__]
            text = orjson.dumps(
                {"lc": 2, "type": "constructor", "id": path, "kwargs": message.__dict__})
            assert_same(OURS.loads_typed(("json", text)), STOCK.loads_typed(("json", text)))


def _containers(value: Any) -> Any:
    if type(value) is dict:
        if value and "content" not in value and "page_content" not in value:
            yield value
        for each in value.values():
            yield from _containers(each)
    elif type(value) is list:
        yield value
        for each in value:
            yield from _containers(each)
    yield {}
