"""Bytes that nobody wrote: an error that says so, never a crash, a hang or an import."""

import builtins
import contextlib
import dataclasses
import datetime
import importlib
import inspect
import ipaddress
import json
import logging
import struct
import threading
from typing import Any

import ormsgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from pydantic import RootModel

from langgraph_cy.checkpoint import (
    CheckpointDecodeError,
    OrjsonSerializer,
    UnsupportedCheckpointError,
)
from langgraph_cy.checkpoint.networks import goes_through

from .serializer_sameness import assert_same
from .serializer_settings import PROPERTY, REPEATED
from .serializer_values import anything, message_lists

pytestmark = REPEATED
STOCK = JsonPlusSerializer(allowed_msgpack_modules=None)
STRICT = OrjsonSerializer(strict=True)
SQUEEZING = OrjsonSerializer(strict=True, compress_above=0)
SAFE_MODULES = {module for module, _ in SAFE_MSGPACK_TYPES}


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Upstream says what it blocks: thousands of lines here."""
    logger = logging.getLogger("langgraph.checkpoint.serde.jsonplus")
    before, logger.disabled = logger.disabled, True
    yield
    logger.disabled = before


def read(tag: str, data: bytes, serializer: OrjsonSerializer = STRICT) -> Any:
    """The value, or the error that bad bytes have to give; any other error fails the test.

    So does asking for a module that isn't on the list.
    """
    asked: list[str] = []
    real = importlib.import_module

    def noted(name: str, package: str | None = None) -> Any:
        asked.append(name)
        return real(name, package)

    importlib.import_module = noted
    try:
        return serializer.loads_typed((tag, data))
    except CheckpointDecodeError as error:
        return error
    finally:
        importlib.import_module = real
        # the standard library looks for time zones in the package that has them
        assert {name for name in asked if not name.startswith("tzdata.")} <= SAFE_MODULES


def changed(data: bytes, draw: Any) -> bytes:
    """Bytes cut off, flipped, overwritten or moved."""
    found = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(found) - 1)))
        how = draw(st.sampled_from(["cut", "flip", "byte", "insert", "repeat", "drop"]))
        if how == "cut":
            del found[at:]
        elif not found:
            break
        elif how == "flip":
            found[at] ^= 1 << draw(st.integers(0, 7))
        elif how == "byte":
            found[at] = draw(st.sampled_from([0, 0x7F, 0x91, 0xC1, 0xC9, 0xDD, 0xDF, 0xFF]))
        elif how == "insert":
            found[at:at] = draw(st.binary(min_size=1, max_size=6))
        elif how == "repeat":
            found[at:at] = found[at : at + 40]
        else:
            del found[at : at + draw(st.integers(1, 8))]
    return bytes(found)


@PROPERTY
@given(st.one_of(anything, message_lists), st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_bytes(value: Any, data: Any) -> None:
    serializer = data.draw(st.sampled_from([STRICT, SQUEEZING, STOCK]))
    try:
        tag, written = serializer.dumps_typed(value)
    except Exception:
        return
    damaged = changed(bytes(written), data.draw)
    found = read(tag, damaged)
    if tag == "json" and not isinstance(found, CheckpointDecodeError):
        assert_same(found, STOCK.loads_typed((tag, damaged)))


@PROPERTY
@given(st.sampled_from(["json", "msgpack", "json.zstd", "msgpack.zstd", "bytes"]), st.binary())
def test_random_bytes(tag: str, data: bytes) -> None:
    read(tag, data)


envelopes = st.fixed_dictionaries(
    {
        "lc": st.sampled_from([1, 2, 2.0, True, "2", None]),
        "type": st.sampled_from(["constructor", "secret", "not_implemented", None]),
        "id": st.sampled_from(
            [
                ["langchain_core", "messages", "human", "HumanMessage"],
                ["langchain_core.messages.human", "HumanMessage"],
                ["langchain", "schema", "messages", "AIMessage"],
                ["langchain", "prompts", "prompt", "PromptTemplate"],
                ["builtins", "set"],
                ["builtins", "eval"],
                ["os", "system"],
                ["HumanMessage"],
                [],
                ["datetime", "date"],
                "HumanMessage",
                [1, "HumanMessage"],
                None,
            ]
        ),
        "kwargs": st.one_of(
            st.none(),
            st.fixed_dictionaries(
                {"content": st.sampled_from(["x", ["x"], 1, None])},
                optional={
                    "type": st.sampled_from(["human", "ai"]),
                    "self": st.just(1),
                    "content_blocks": st.just([]),
                    "additional_kwargs": st.sampled_from([{}, {"tool_calls": [{}]}, None]),
                },
            ),
            st.dictionaries(st.sampled_from(["a", "b"]), st.integers(), max_size=1),
        ),
    },
    optional={
        "args": st.lists(st.integers(), max_size=2),
        "method": st.just("x"),
        "more": st.just(1),
    },
)
documents = st.recursive(
    st.one_of(envelopes, st.integers(), st.floats(), st.text(max_size=4)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "kwargs", "lc"]), inner, max_size=2),
    ),
    max_leaves=5,
)


@PROPERTY
@given(documents)
def test_foreign_envelopes(document: Any) -> None:
    """What isn't refused is what upstream reads."""
    data = json.dumps(document).encode()
    found = read("json", data)
    try:
        expected = STOCK.loads_typed(("json", data))
    except Exception:
        assert isinstance(found, CheckpointDecodeError)
    else:
        if not isinstance(found, CheckpointDecodeError):
            assert_same(found, expected)
        else:
            assert "strict" in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "18446744073709551616",
        "-9223372036854775809",
        '[1, {"a": [123456789012345678901234567890]}]',
        "NaN",
        "[Infinity, -Infinity, 1e999]",
        '"\\ud800"',
        "-0",
        "-0.0",
        "1e400",
        "9223372036854775808.0",
        '{"a": 1, "a": 2, "b": 0}',
        '"\\u0000"',
        "\t[1]\n",
        '"' + "é" * 9 + '"',
    ],
)
def test_json_of_others_is_read_as_upstream_reads_it(text: str) -> None:
    for data in (text.encode(), text.encode("utf-16"), text.encode("utf-8-sig")):
        assert_same(STRICT.loads_typed(("json", data)), STOCK.loads_typed(("json", data)))


def extension(code: int, payload: bytes) -> bytes:
    return b"\xc9" + struct.pack(">IB", len(payload), code) + payload


def bomb(arrays: int, extensions: int, code: int = 7) -> bytes:
    data = b"\xc0"
    for _ in range(extensions):
        data = b"\x91" * arrays + extension(code, data)
    return data


@pytest.mark.parametrize("code", [0, 2, 5, 6, 7])
@pytest.mark.parametrize(("arrays", "extensions"), [(1000, 30), (1000, 900), (0, 3000), (3, 900)])
def test_nested_bombs(arrays: int, extensions: int, code: int) -> None:
    """Upstream overflows the stack on some of these, which ends the process."""
    assert isinstance(read("msgpack", bomb(arrays, extensions, code)), CheckpointDecodeError)


@settings(PROPERTY, max_examples=max(1, PROPERTY.max_examples // 10))
@given(st.lists(st.tuples(st.sampled_from("axm7"), st.integers(1, 700)), max_size=30))
def test_bombs_of_any_shape(layers: list[tuple[str, int]]) -> None:
    data = b"\xc0"
    for kind, count in layers:
        if kind == "7":
            for _ in range(min(count, 60)):
                data = extension(7, data)
        else:
            data = {"a": b"\x91", "x": b"\xdc\x00\x01", "m": b"\x81\x01"}[kind] * count + data
    found: list[Any] = []
    threading.stack_size(4 << 20)
    try:
        thread = threading.Thread(target=lambda: found.append(read("msgpack", data)))
        thread.start()
    finally:
        threading.stack_size(0)
    thread.join()
    assert found


@pytest.mark.parametrize("depth", [100, 1000, 5000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":', '{"lc":2,"type":"constructor","id":'])
def test_deep_json(opening: str, depth: int) -> None:
    read("json", (opening * depth).encode())
    closing = {"[": "]"}.get(opening, "}")
    read("json", (opening * depth + "null" + closing * depth).encode())


@pytest.mark.parametrize(
    "data",
    [
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff\x01",
        b"\xc6\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xffabc",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\xdd\x7f\xff\xff\xff" + b"\xdd\x7f\xff\xff\xff" * 500,
        b"",
    ],
)
def test_huge_lengths(data: bytes) -> None:
    assert isinstance(read("msgpack", data), CheckpointDecodeError)
    assert not isinstance(read("msgpack", extension(5, data)), CheckpointDecodeError)


def test_as_deep_as_upstream_can_write() -> None:
    from langgraph.checkpoint.serde.types import _DeltaSnapshot

    value: Any = None
    for _ in range(300):
        value = _DeltaSnapshot([value])
    stored = STOCK.dumps_typed(value)
    assert STRICT.loads_typed(stored) == value
    value = None
    for _ in range(200):
        value = [value]
    stored = STOCK.dumps_typed(value)
    assert STRICT.loads_typed(stored) == STOCK.loads_typed(stored)


def test_a_hostile_constructor_is_not_called() -> None:
    called: list[Any] = []
    builtins.hostile = called.append  # type: ignore[attr-defined]
    try:
        data = ormsgpack.packb(ormsgpack.Ext(0, ormsgpack.packb(("builtins", "hostile", "x"))))
        assert STRICT.loads_typed(("msgpack", data)) == "x"
        envelope = {"lc": 2, "type": "constructor", "id": ["builtins", "hostile"], "args": ["x"]}
        text = json.dumps(envelope).encode()
        assert STRICT.loads_typed(("json", text)) == envelope
        assert not called
    finally:
        del builtins.hostile  # type: ignore[attr-defined]


def test_strict_refuses_classes_of_langchain_that_are_not_listed() -> None:
    path = ["langchain", "prompts", "prompt", "PromptTemplate"]
    kwargs = {"template": "{a}", "input_variables": ["a"]}
    text = json.dumps({"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}).encode()
    with pytest.raises(CheckpointDecodeError, match="PromptTemplate"):
        STRICT.loads_typed(("json", text))


def test_strict_reads_old_messages() -> None:
    path = ["langchain", "schema", "messages", "HumanMessage"]
    envelope = {"lc": 1, "type": "constructor", "id": path, "kwargs": {"content": "x"}}
    text = json.dumps(envelope).encode()
    assert STRICT.loads_typed(("json", text)) == HumanMessage("x")


@pytest.mark.parametrize("tag", ["", "nope", "pickle", "json+aes", "pickle.zstd", ".zstd"])
def test_unknown_tags(tag: str) -> None:
    data = SQUEEZING.dumps_typed("x" * 99)[1] if tag.endswith(".zstd") else b"x"
    with pytest.raises(UnsupportedCheckpointError) as raised:
        STRICT.loads_typed((tag, data))
    assert isinstance(raised.value, NotImplementedError)
    assert isinstance(raised.value, CheckpointDecodeError)
    assert isinstance(raised.value, ValueError)


def packed_extension(code: int, *parts: Any) -> Any:
    return ormsgpack.Ext(code, ormsgpack.packb(parts))


NETWORK = packed_extension(0, "ipaddress", "IPv6Network", "::/0")
COLLECTIONS = [("builtins", "set"), ("builtins", "frozenset"), ("collections", "deque")]


def assert_endless(value: Any) -> None:
    found = read("msgpack", ormsgpack.packb(value, option=ormsgpack.OPT_NON_STR_KEYS))
    assert isinstance(found, CheckpointDecodeError)
    assert "without an end" in str(found)


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize(
    ("code", "argument"),
    [(0, NETWORK), (1, [NETWORK]), (2, {"iterable": NETWORK}), (4, {"iterable": NETWORK})],
)
def test_a_collection_without_an_end(name: tuple[str, str], code: int, argument: Any) -> None:
    bomb = packed_extension(code, *name, argument)
    for value in (bomb, [[bomb]], {"a": bomb}, packed_extension(0, "builtins", "set", [bomb])):
        assert_endless(value)


SET = ("builtins", "set", NETWORK)
HUMAN = ("langchain_core.messages.human", "HumanMessage")
# What takes a network's place when it is read: the argument of a class that isn't allowed, or
# that refuses it.
IN_PLACE = [
    NETWORK,
    packed_extension(0, "not", "Allowed", NETWORK),
    packed_extension(1, "not", "Allowed", packed_extension(0, "uuid", "UUID", NETWORK)),
    packed_extension(5, "not", "Allowed", NETWORK),
]


@pytest.mark.parametrize("network", IN_PLACE)
def test_a_message_of_all_addresses(network: Any) -> None:
    for key in ("content", "content_blocks"):
        for code in (2, 4, 5):
            given = {"id": "1", key: network, "name": None}
            assert_endless([packed_extension(code, *HUMAN, given, "model_validate_json")])
    for code, argument in ((0, network), (1, [network]), (1, ["x", network]), (1, network)):
        assert_endless(packed_extension(code, *HUMAN, argument))


@pytest.mark.parametrize(
    "value",
    [
        ormsgpack.Ext(0, ormsgpack.packb(dict(enumerate(SET)), option=ormsgpack.OPT_NON_STR_KEYS)),
        packed_extension(1, "decimal", "Decimal", NETWORK),
        packed_extension(1, *HUMAN, packed_extension(0, "collections", "deque", [NETWORK])),
        packed_extension(5, *HUMAN, packed_extension(0, "no", "No", {"content": NETWORK})),
        ormsgpack.Ext(0, ormsgpack.packb(packed_extension(0, "collections", "deque", [*SET]))),
        ormsgpack.Ext(0, b"\xdc\x00\x03\xd9\x08builtins\xd9\x03set" + ormsgpack.packb(NETWORK)),
    ],
)
def test_addresses_in_a_strange_form(value: Any) -> None:
    assert_endless(value)
    assert_endless([1, {"a": value}])


SHAPED = ["<i4", NETWORK, "C", b"1234"]
IN_PLACE_OF_TEXT = [
    packed_extension(0, packed_extension(0, "no", "No", "builtins"), "set", NETWORK),
    packed_extension(0, "builtins", packed_extension(0, "no", "No", "set"), NETWORK),
    packed_extension(5, packed_extension(0, "no", "No", HUMAN[0]), HUMAN[1], {"content": NETWORK}),
    packed_extension(
        5, *HUMAN, {"content": packed_extension(0, "ipaddress", ormsgpack.Ext(0, b""), "::/0")}
    ),
    packed_extension(5, *HUMAN, {"content": packed_extension(0, 0, 0, NETWORK)}),
    packed_extension(0, *HUMAN, packed_extension(3, None, None, NETWORK, "x")),
    packed_extension(2, "langgraph.store.base", "Item", {"namespace": NETWORK}),
    packed_extension(6, *SHAPED),
    ormsgpack.Ext(6, ormsgpack.packb(packed_extension(0, "collections", "deque", SHAPED))),
]


@pytest.mark.parametrize("value", IN_PLACE_OF_TEXT)
def test_addresses_with_odd_names(value: Any) -> None:
    assert_endless(value)
    assert_endless({"a": [value]})


class Counted(ipaddress.IPv6Network):
    """A network that notices when somebody goes through it."""

    taken = 0

    def __iter__(self) -> Any:
        for _ in range(9):
            self.taken += 1
            yield ipaddress.IPv6Address(1)


USUAL = {
    "content": "x",
    "tool_call_id": "1",
    "role": "r",
    "name": "n",
    "page_content": "p",
    "key": "k",
    "value": {},
    "namespace": ["a"],
    "created_at": "2020-01-01",
    "updated_at": "2020-01-01",
}


def is_here(name: tuple[str, str]) -> bool:
    """Some are of other versions of Python."""
    try:
        return hasattr(importlib.import_module(name[0]), name[1])
    except ImportError:
        return False


@pytest.mark.parametrize("safe", [*filter(is_here, sorted(SAFE_MSGPACK_TYPES))])
def test_what_goes_through_a_network(safe: tuple[str, str]) -> None:
    cls = getattr(importlib.import_module(safe[0]), safe[1])
    try:
        names = {*inspect.signature(cls).parameters}
    except ValueError:
        names = set()
    names |= {*getattr(cls, "model_fields", ())}
    for name in [None, *sorted(names)]:
        network = Counted("2001:db8::/32")
        kwargs = {each: value for each, value in USUAL.items() if each in names}
        with contextlib.suppress(Exception):
            if name is None:
                cls(network)
            elif name == "content_blocks":
                cls(content_blocks=network)
            else:
                cls(**{**kwargs, name: network})
        if network.taken > 1:
            assert goes_through(*safe, name), name
    assert not goes_through(*safe, "more") or safe in COLLECTIONS


class Tags(RootModel[set[str]]):
    """What upstream writes with an extension as the argument."""


class When(RootModel[datetime.datetime]):
    """The same."""


@dataclasses.dataclass
class frozenset:
    """Has the name of a collection."""

    a: Any


def test_classes_that_look_like_collections() -> None:
    stock = JsonPlusSerializer(allowed_msgpack_modules=[Tags, When, frozenset])
    ours = OrjsonSerializer(allowed_msgpack_modules=[Tags, When, frozenset])
    network = ipaddress.ip_network("2001:db8::/32")
    when = datetime.datetime(2020, 1, 1)
    odd = [frozenset(1), frozenset(network), [frozenset({network})]]
    for value in (Tags({"a"}), When(when), *odd):
        typed = stock.dumps_typed(value)
        assert_same(ours.loads_typed(typed), stock.loads_typed(typed))
        assert_same(STRICT.loads_typed(typed), STOCK.loads_typed(typed))


def test_what_is_nested_without_a_network_is_read() -> None:
    """As much as is read at all, and not said to have no end: nothing in it is a network."""
    data = b""
    for _ in range(800):
        data = ormsgpack.packb(ormsgpack.Ext(0, b"\x93\xa1a\xa1b" + (data or b"\xc0")))
    for count in (1, 200):
        assert read("msgpack", b"\xdc" + struct.pack(">H", count) + data * count) == [None] * count


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")
def test_networks_that_nobody_goes_through() -> None:
    fields: list[tuple[AnyMessage, list[str]]] = [
        (ToolMessage("x", tool_call_id="1"), ["content", "artifact"]),
        (AIMessage("x"), ["content_blocks", "tool_calls", "id"]),
        (HumanMessage("x"), ["id", "additional_kwargs", "more"]),
    ]
    network = ipaddress.ip_network("2001:db8::/32")
    for message, names in fields:
        for name in names:
            changed = message.model_copy(update={name: network})
            for value in (changed, [network, {"a": changed}], {network}):
                typed = STOCK.dumps_typed(value)
                assert_same(STRICT.loads_typed(typed), STOCK.loads_typed(typed))


@pytest.mark.parametrize("version", [1, 2])
def test_a_message_of_all_addresses_as_json(version: int) -> None:
    network = {"lc": 2, "type": "constructor", "id": ["ipaddress", "IPv6Network"], "args": ["::/0"]}
    path = [*HUMAN[0].split("."), HUMAN[1]]
    ways: list[Any] = [{"kwargs": {"content": network}}, {"kwargs": {"content_blocks": network}}]
    if version == 1:
        path = ["langchain", "schema", "messages", "HumanMessage"]
    else:
        ways += [{"args": [network]}, {"args": network}]
    for way in ways:
        envelope = {"lc": version, "type": "constructor", "id": path, **way}
        found = read("json", json.dumps([envelope]).encode())
        assert isinstance(found, CheckpointDecodeError)
    envelope = {"lc": version, "type": "constructor", "id": network, "kwargs": {}}
    assert isinstance(read("json", json.dumps(envelope).encode()), CheckpointDecodeError)


@pytest.mark.parametrize("name", COLLECTIONS)
@pytest.mark.parametrize("how", ["args", "kwargs"])
def test_a_collection_without_an_end_as_json(name: tuple[str, str], how: str) -> None:
    def envelope(*id: str, **given: Any) -> Any:
        return {"lc": 2, "type": "constructor", "id": list(id), **given}

    network = envelope("ipaddress", "IPv6Network", args=["::/0"])
    given: Any = [network] if how == "args" else {"iterable": network}
    found = read("json", json.dumps([envelope(*name, **{how: given})]).encode())
    assert isinstance(found, CheckpointDecodeError)
    written = json.dumps(envelope(*name, args=[[1, 2]])).encode()
    assert_same(STRICT.loads_typed(("json", written)), STOCK.loads_typed(("json", written)))
