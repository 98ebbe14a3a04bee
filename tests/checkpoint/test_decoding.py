"""JSON text is read as `json.loads` reads it, or left to upstream, which does."""

import json
import random
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint import OrjsonSerializer

from .serializer_sameness import assert_same
from .serializer_settings import PROPERTY, REPEATED

decoding = pytest.importorskip("langgraph_cy.checkpoint.decoding")
pytestmark = REPEATED
UNREAD = object()

digits = st.text("0123456789", min_size=1, max_size=21)
numbers = st.one_of(
    st.integers().map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.builds("{}.{}".format, digits, digits),
    st.builds("{}.{}e{}".format, digits, digits, st.integers(-330, 330)),
    st.text("0123456789.eE+-", min_size=1, max_size=12),
)
escapes = st.one_of(
    st.sampled_from([r"\"", r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t", r"\x", r"\U0041"]),
    st.integers(0, 0xFFFF).map(r"\u{:04x}".format),
    st.integers(0x10000, 0x10FFFF).map(lambda point: json.dumps(chr(point))[1:-1].upper()),
    st.text("0123456789abcdefu", max_size=4).map(r"\u{}".format),
)
characters = st.one_of(escapes, st.text(max_size=40), st.text("ab c", max_size=40))
strings = st.lists(characters, max_size=6).map(lambda parts: '"{}"'.format("".join(parts)))
leaves = st.one_of(numbers, strings, st.sampled_from(["null", "true", "false", "nul", "NaN", ""]))
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: "[{}]".format(",".join(items))),
        st.lists(st.tuples(strings, inner), max_size=4).map(
            lambda items: "{{{}}}".format(",".join(f"{key}:{value}" for key, value in items))
        ),
    ),
    max_leaves=8,
)


def check(text: bytes) -> Any:
    """Compare what a text is read as, if it is; returns that."""
    found = decoding.decode(text, UNREAD)
    if found is not UNREAD:
        assert_same(found, json.loads(text))
    return found


@PROPERTY
@given(documents)
def test_documents(text: str) -> None:
    check(text.encode("utf-8", "surrogatepass"))


@PROPERTY
@given(st.data())
def test_documents_with_a_change(data: Any) -> None:
    text = data.draw(documents.map(lambda text: text.encode("utf-8", "surrogatepass")))
    at = data.draw(st.integers(0, len(text)))
    taken = data.draw(st.integers(0, 3))
    put = data.draw(
        st.one_of(st.binary(max_size=3), st.sampled_from([b",", b"]", b"}", b'"', b"\\"]))
    )
    check(text[:at] + put + text[at + taken :])


@PROPERTY
@given(
    st.recursive(
        st.one_of(
            st.text(),
            st.integers(-(2**63), 2**64 - 1),
            st.floats(allow_nan=False, allow_infinity=False),
            st.none(),
            st.booleans(),
        ),
        lambda inner: st.one_of(
            st.lists(inner, max_size=5),
            st.dictionaries(st.text().filter(lambda key: key != "lc"), inner, max_size=5),
        ),
        max_leaves=20,
    )
)
def test_what_orjson_writes_is_read_here(value: Any) -> None:
    assert check(orjson.dumps(value)) is not UNREAD


@PROPERTY
@given(st.integers(2**52, 2**53 - 1), st.integers(-40, 3))
def test_numbers_between_two_floats(mantissa: int, exponent: int) -> None:
    """The exact middle of two floats, and what is next to it, in all digits that have a place."""
    middle, ten = (2 * mantissa + 1) * 5 ** max(0, 1 - exponent), max(0, 1 - exponent)
    middle *= 2 ** max(0, exponent - 1)
    whole, rest = str(middle).rjust(ten + 1, "0"), ""
    if ten:
        whole, rest = whole[:-ten], "." + whole[-ten:]
    for places in range(1, len(rest) + 1):
        check(f"{whole}{rest[:places]}".encode())
        check(f"-{whole}{rest[:places]}".encode())


def test_numbers_of_every_length() -> None:
    chance = random.Random(7)
    for whole in range(1, 22):
        for places in range(22):
            for _ in range(20):
                text = str(chance.randrange(10 ** (whole - 1), 10**whole))
                if places:
                    text += f".{chance.randrange(10**places):0{places}}"
                found = check(text.encode())
                assert found is not UNREAD or (not places and int(text) >= 2**64), text


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 2000, 70_000])
@pytest.mark.parametrize("character", ["x", "é", "漢", "🙂", "\n", '"', "\\", "\0"])
def test_strings_of_every_length(length: int, character: str) -> None:
    for text in ("a" * length + character, character + "a" * length, character * (length // 9)):
        for value in (text, {text: [text]}, [text, text]):
            assert decoding.decode(orjson.dumps(value), UNREAD) == value
            assert (
                decoding.decode(json.dumps(value, separators=(",", ":")).encode(), UNREAD) == value
            )


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_kinds_of_bytes(kind: Any) -> None:
    assert decoding.decode(kind(b'{"a":[1]}'), UNREAD) == {"a": [1]}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param('"content":"a"', '"content": "a"', id="a space"),
        pytest.param('"kwargs":{', '"kwargs":{"id":"b",', id="order"),
        pytest.param('"content":"a",', "", id="a field less"),
        pytest.param('"content":', '"c\\u006fntent":', id="escaped"),
        pytest.param('"type":"human"', '"type":"ai"', id="type"),
        pytest.param("}}", ',"self":1}}', id="self"),
        pytest.param("}}", ',"content":"b"}}', id="twice"),
        pytest.param("}}", ',"more":{"a":[1]}}}', id="an extra"),
        pytest.param("}}", '},"more":1}', id="more in the envelope"),
        pytest.param('{"lc":2,', '{"lc":3,', id="version"),
        pytest.param('"human"', '"nowhere"', id="module"),
        pytest.param('"lc":2,', '"a":1,"lc":2,', id="lc not first"),
        pytest.param("}}", "}", id="cut"),
        pytest.param("}}", "}}}", id="too long"),
    ],
)
def test_a_message_that_is_written_otherwise(old: str, new: str) -> None:
    """It is read as upstream reads it, or refused if upstream does."""
    message = HumanMessage("a", id="b")
    stored = OrjsonSerializer().dumps_typed([message])[1].decode()[1:-1]
    changed = stored.replace(old, new)
    assert changed != stored
    check_as_upstream(changed.encode())


def check_as_upstream(text: bytes) -> None:
    """Compare what both serializers make of a text, or that both refuse it."""
    results = []
    for serializer in (JsonPlusSerializer(), OrjsonSerializer()):
        try:
            results.append(serializer.loads_typed(("json", text)))
        except Exception:
            results.append(None)
    assert_same(*results)


def test_a_message_with_another_byte_anywhere() -> None:
    message = AIMessage("a\n", id="b", tool_calls=[{"name": "c", "args": {}, "id": "d"}])
    text = OrjsonSerializer().dumps_typed(message)[1]
    for i in range(len(text)):
        for byte in b'"\\{}[],:7 n\0':
            check_as_upstream(text[:i] + bytes([byte]) + text[i + 1 :])
        check_as_upstream(text[:i])
        check_as_upstream(text[:i] + text[i + 1 :])


@pytest.mark.parametrize("depth", [1, 2, 40])
def test_messages_within_messages(depth: int) -> None:
    """They are upstream's to read: trying each level twice would take for ever."""
    stored = OrjsonSerializer().dumps_typed(ToolMessage("a", artifact=1, tool_call_id="b"))[1]
    opening, closing = stored.decode().split("1", 1)
    closing = closing.replace("}}", ',"name":null}}')  # not where it belongs
    text = opening * depth + "1" + closing * depth
    read = OrjsonSerializer().loads_typed(("json", text.encode()))
    for _ in range(depth):
        assert type(read) is ToolMessage
        read = read.artifact
    assert read == 1
