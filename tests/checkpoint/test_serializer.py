"""Options of the serializer, and how it goes together with upstream's other classes."""

import copy
import pickle
import sys
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint import (
    CheckpointDecodeError,
    OrjsonSerializer,
    UnsupportedCheckpointError,
    compression,
)

from .serializer_values import Color, Model, Record


class Cipher:
    """Bytes backwards, which tells whether all is decrypted that was encrypted."""

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return "back+wards", bytes(plaintext)[::-1]

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        assert ciphername == "back+wards"
        return ciphertext[::-1]


VALUES: list[Any] = [
    None,
    b"bytes" * 50,
    bytearray(b"bytes" * 50),
    {"a": [1, 2.5, "x" * 300]},
    {1: "x" * 300},
    [HumanMessage("x" * 300), AIMessage("y" * 300)],
    Record("x" * 300),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("compress_above", [None, 0, 100, 10_000])
def test_options_compose(value: Any, encrypted: bool, compress_above: int | None) -> None:
    serializer: Any = OrjsonSerializer(compress_above=compress_above, strict=False)
    plain = serializer
    if encrypted:
        serializer = EncryptedSerializer(Cipher(), serializer)
    tag, data = serializer.dumps_typed(value)
    assert serializer.loads_typed((tag, data)) == value
    squeezed = compress_above in (0, 100) and not isinstance(value, (bytes, bytearray, type(None)))
    assert tag.split("+")[0].endswith(".zstd") == squeezed
    again = serializer.loads_typed((tag, data))
    assert type(again) is type(value)
    if not encrypted and not squeezed:
        assert JsonPlusSerializer().loads_typed((tag, data)) == value
    parts_tag, parts = plain.dumps_parts(value)
    whole = b"".join(parts) if isinstance(parts, tuple) else parts
    assert (parts_tag, whole) == plain.dumps_typed(value)


def test_tags_of_upstream_stay() -> None:
    serializer = OrjsonSerializer(compress_above=0)
    for value in (None, b"", b"x" * 999, bytearray(b"x" * 999)):
        assert serializer.dumps_typed(value) == JsonPlusSerializer().dumps_typed(value)


def test_what_does_not_get_shorter_is_not_compressed() -> None:
    assert OrjsonSerializer(compress_above=0).dumps_typed("a") == ("json", b'"a"')


def test_compression_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = OrjsonSerializer(compress_above=0).dumps_typed("x" * 500)
    for module in ("zstandard", "compression", "compression.zstd"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r"langgraph-cy\[zstd\]"):
        OrjsonSerializer(compress_above=1)
    with pytest.raises(UnsupportedCheckpointError, match=r"langgraph-cy\[zstd\]"):
        OrjsonSerializer().loads_typed(stored)


def test_a_length_that_is_not_true() -> None:
    tag, data = OrjsonSerializer(compress_above=0).dumps_typed("x" * 500)
    serializer = OrjsonSerializer()
    long = compression._library().compress(b'"' + b"x" * 5000 + b'"')
    for broken in (data[:-3], data + data, b"", long[:4] + b"\xff\xff" + long[6:]):
        with pytest.raises(CheckpointDecodeError):
            serializer.loads_typed((tag, broken))


def test_a_bomb_is_not_decompressed(monkeypatch: pytest.MonkeyPatch) -> None:
    stored = OrjsonSerializer(compress_above=0).dumps_typed("x" * 5000)
    monkeypatch.setattr(compression, "MAX_LENGTH", 1000)
    with pytest.raises(CheckpointDecodeError, match="at most 1000 bytes"):
        OrjsonSerializer().loads_typed(stored)
    assert OrjsonSerializer(compress_above=0).dumps_typed("x" * 5000)[0] == "json"


def test_a_negative_size() -> None:
    with pytest.raises(ValueError, match="compress_above"):
        OrjsonSerializer(compress_above=-1)


@pytest.mark.parametrize("said", ["1", "true", "YES"])
def test_strict_by_the_environment(said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = JsonPlusSerializer().dumps_typed(Color.RED)
    permissive = OrjsonSerializer()
    monkeypatch.setenv("LANGGRAPH_STRICT_MSGPACK", said)
    assert permissive.loads_typed(stored) is Color.RED
    assert OrjsonSerializer().loads_typed(stored) == "red"
    assert OrjsonSerializer(strict=False).loads_typed(stored) is Color.RED
    monkeypatch.setenv("LANGGRAPH_STRICT_MSGPACK", "false")
    assert OrjsonSerializer().loads_typed(stored) is Color.RED
    assert OrjsonSerializer(strict=True).loads_typed(stored) == "red"
    allowed = OrjsonSerializer(strict=True, allowed_msgpack_modules=[Color])
    assert allowed.loads_typed(stored) is Color.RED


@pytest.mark.parametrize("option", ["allowed_msgpack_modules", "allowed_json_modules"])
def test_strict_and_everything_allowed_is_a_contradiction(option: str) -> None:
    with pytest.raises(ValueError, match="allowlist"):
        OrjsonSerializer(strict=True, **{option: True})


def test_an_allowlist_keeps_the_options() -> None:
    serializer = OrjsonSerializer(strict=True, compress_above=100, pickle_fallback=True)
    clone = serializer.with_msgpack_allowlist([Record])
    assert type(clone) is OrjsonSerializer
    assert clone is not serializer
    assert (clone.strict, clone.compress_above, clone.pickle_fallback) == (True, 100, True)
    stored = serializer.dumps_typed(Record("x" * 200))
    assert stored[0] == "msgpack.zstd"
    assert clone.loads_typed(stored) == Record("x" * 200)
    assert serializer.loads_typed(stored) == {"name": "x" * 200, "value": None}
    permissive = OrjsonSerializer(strict=False)
    assert permissive.with_msgpack_allowlist([Record]) is permissive
    assert copy.copy(serializer).compress_above == 100


def test_pickle_only_where_it_was_asked_for() -> None:
    value = {"a": {2**70}}
    with pytest.raises(TypeError):
        OrjsonSerializer().dumps_typed(value)
    serializer = OrjsonSerializer(pickle_fallback=True)
    stored = serializer.dumps_typed(value)
    assert stored[0] == "pickle"
    assert serializer.loads_typed(stored) == value
    with pytest.raises(UnsupportedCheckpointError):
        OrjsonSerializer().loads_typed(("pickle", pickle.dumps(1)))
    with pytest.raises(CheckpointDecodeError):
        serializer.loads_typed(("pickle", b"nonsense"))


def test_an_own_hook_for_extensions() -> None:
    serializer = OrjsonSerializer(__unpack_ext_hook__=lambda code, data: (code, len(data)))
    found = serializer.loads_typed(JsonPlusSerializer().dumps_typed({1: Model(name="x")}))
    assert found[1][0] == 5


def test_cyclic_and_deep_values_are_upstreams() -> None:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    for serializer in (OrjsonSerializer(), JsonPlusSerializer()):
        with pytest.raises(TypeError, match="Recursion"):
            serializer.dumps_typed(cyclic)
        assert serializer.dumps_typed(deep)[0] == "msgpack"
    assert OrjsonSerializer().dumps_typed(deep[0][0])[0] == "msgpack"


def test_what_the_error_says() -> None:
    with pytest.raises(CheckpointDecodeError, match="Cannot read 5 bytes with type tag 'json'"):
        OrjsonSerializer().loads_typed(("json", b'{"a":'))
