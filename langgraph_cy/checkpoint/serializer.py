"""The serializer of checkpoints: upstream's, with JSON for all that JSON represents exactly."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal, cast

from langgraph.checkpoint.serde import _msgpack as upstream_msgpack
from langgraph.checkpoint.serde.jsonplus import LC_REVIVER, JsonPlusSerializer

from langgraph_cy._core import REQUIRE
from langgraph_cy.checkpoint import compression
from langgraph_cy.checkpoint.errors import CheckpointDecodeError, UnsupportedCheckpointError
from langgraph_cy.checkpoint.networks import goes_through, refuse_endless

if TYPE_CHECKING:
    from langgraph.checkpoint.serde._msgpack import AllowedMsgpackModules

try:
    from langgraph_cy.checkpoint.decoding import decode
    from langgraph_cy.checkpoint.encoding import encode, encode_parts
    from langgraph_cy.checkpoint.nesting import too_deep
except ImportError:  # installed without a compiler: everything is left to upstream's code
    if os.environ.get(REQUIRE, "") not in ("", "0"):
        raise
    encode = encode_parts = decode = too_deep = None  # type: ignore[assignment]

__all__ = ("OrjsonSerializer",)

_STRICT = "LANGGRAPH_STRICT_MSGPACK"
_UNREAD = object()
_PLAIN = frozenset({"json", "msgpack"})
_NEVER_COMPRESSED = frozenset({"null", "bytes", "bytearray"})


class OrjsonSerializer(JsonPlusSerializer):
    """Stands in for upstream's `JsonPlusSerializer`: reads what that wrote, and the reverse.

    A value is written as JSON (type tag `json`) where JSON represents it exactly: None, booleans,
    integers of 64 bits, finite floats, strings, lists, tuples (which upstream's encoding makes
    lists of, too) and dictionaries with string keys of these, and LangChain's messages. Any other
    value as a whole gets upstream's encoding. An unchanged message is not encoded again while it
    lives.

    What the bytes name is imported and called as upstream does it: unless `strict`, any module,
    with a warning. Only strict reading is fit for bytes that somebody else may have written.

    Args:
        strict: True: only types on the allowlist (upstream's of safe types, and those given) are
            imported and constructed. False: any type is, with a warning where it isn't on the
            list. None: as the environment variable `LANGGRAPH_STRICT_MSGPACK` says now, or said
            when LangGraph was imported. A given `allowed_msgpack_modules` goes before False and
            None.
        compress_above: values whose encoding is longer, in bytes, are compressed with Zstandard
            and get a type tag that ends in `.zstd`; upstream can't read these. None: never.
        pickle_fallback, allowed_json_modules, allowed_msgpack_modules, __unpack_ext_hook__: as
            upstream's.

    Raises:
        ValueError: `strict` together with an allowlist of everything, or a negative size.
        ImportError: `compress_above` without a package for Zstandard.
    """

    def __init__(
        self,
        *,
        pickle_fallback: bool = False,
        allowed_json_modules: Iterable[tuple[str, ...]] | Literal[True] | None = None,
        allowed_msgpack_modules: (
            AllowedMsgpackModules | Literal[True] | None
        ) = upstream_msgpack._SENTINEL,
        __unpack_ext_hook__: Callable[[int, bytes], Any] | None = None,
        strict: bool | None = None,
        compress_above: int | None = None,
    ) -> None:
        if strict and (allowed_msgpack_modules is True or allowed_json_modules is True):
            raise ValueError(
                "strict=True means that only types on an allowlist are constructed, but "
                "allowed_msgpack_modules=True or allowed_json_modules=True allows every type. "
                "List the types that are needed."
            )
        if compress_above is not None:
            if compress_above < 0:
                raise ValueError(f"compress_above is a size in bytes, not {compress_above}")
            compression.require()
        if strict is None:
            said = os.environ.get(_STRICT, "false").lower() in ("1", "true", "yes")
            strict = said or upstream_msgpack.STRICT_MSGPACK_ENABLED
        if allowed_msgpack_modules is upstream_msgpack._SENTINEL:
            allowed_msgpack_modules = None if strict else True
        super().__init__(
            pickle_fallback=pickle_fallback,
            allowed_json_modules=allowed_json_modules,
            allowed_msgpack_modules=allowed_msgpack_modules,
            __unpack_ext_hook__=__unpack_ext_hook__,
        )
        self.strict = strict
        self.compress_above = compress_above

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Encode a value, as upstream's `dumps_typed`.

        Args:
            obj: any value that upstream can encode.

        Returns:
            The type tag and the bytes.

        Raises:
            Exception: whatever upstream raises for a value that it can't encode.
        """
        data = encode(obj) if encode is not None else None
        typed = super().dumps_typed(obj) if data is None else ("json", data)
        if self.compress_above is not None and len(typed[1]) > self.compress_above:
            return self._compressed(*typed)
        return typed

    def dumps_parts(self, value: Any) -> tuple[str, bytes | tuple[bytes, ...]]:
        """Encode a value, a list of messages in parts that are shared.

        Args:
            value: as for `dumps_typed`.

        Returns:
            The type tag, and the bytes or parts of them: joined, they are what `dumps_typed`
            returns. The part of an unchanged message is the same object as the last time.
        """
        if encode_parts is not None:
            parts = encode_parts(value)
            if parts is not None:
                limit = self.compress_above
                if limit is None or sum(map(len, parts)) <= limit:
                    return "json", parts
        return self.dumps_typed(value)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Decode what `dumps_typed` of this class or of upstream's returned.

        Args:
            data: the type tag and the bytes.

        Raises:
            CheckpointDecodeError: the bytes can't be read.
            UnsupportedCheckpointError: it would take a tag, an option or a package that isn't
                there; a `CheckpointDecodeError` and, as upstream raises, a `NotImplementedError`.
        """
        tag, payload = data
        try:
            if tag not in _PLAIN and compression.is_compressed(tag):
                tag, payload = compression.decompress(tag, payload)
            if tag == "json" and decode is not None:
                value = decode(payload, _UNREAD)
                if value is not _UNREAD:
                    return value
            elif tag == "msgpack" and self._too_deep(payload):
                raise RecursionError("nested too deep to be read safely, or without an end")
            return super().loads_typed((tag, payload))
        except CheckpointDecodeError:
            raise
        except NotImplementedError as error:
            raise UnsupportedCheckpointError(_explain(data, error)) from error
        except Exception as error:
            raise CheckpointDecodeError(_explain(data, error)) from error

    def _too_deep(self, payload: bytes) -> bool:
        if too_deep is None:
            return False
        return too_deep(payload, None if self._custom_unpack_ext_hook else self._goes_through)

    def _goes_through(self, module: str, name: str, argument: str | None) -> bool:
        """Whether making an instance goes through an argument (None: one without a name)."""
        allowed = self._allowed_msgpack_modules
        is_made = (
            allowed is True
            or (module, name) in upstream_msgpack.SAFE_MSGPACK_TYPES
            or (module, name) in (allowed or ())
        )
        return is_made and goes_through(module, name, argument)

    def _compressed(self, tag: str, data: bytes) -> tuple[str, bytes]:
        if tag in _NEVER_COMPRESSED:
            return tag, data
        return compression.compress(tag, data)

    def _reviver(self, value: dict[str, Any]) -> Any:
        refuse_endless(value, self._allowed_json_modules or ())
        # upstream lets an envelope of version 1 name any class of langchain_core
        if self.strict and value.get("lc") == 1 and value.get("type") == "constructor":
            self._check_target(value.get("id"))
        return super()._reviver(value)

    def _check_target(self, path: Any) -> None:
        if path is None:
            return
        target = tuple(path)
        target = LC_REVIVER.import_mappings.get(target, target)
        key = (".".join(target[:-1]), target[-1])
        allowed = cast("set[tuple[str, ...]]", self._allowed_msgpack_modules or set())
        if key in upstream_msgpack.SAFE_MSGPACK_TYPES or key in allowed:
            return
        if target in cast("set[tuple[str, ...]]", self._allowed_json_modules or set()):
            return
        raise CheckpointDecodeError(
            f"Refused to construct {'.'.join(target)}: strict reading allows only the types on "
            f"the allowlist. Add {key!r} to allowed_msgpack_modules to allow it."
        )


def _explain(data: tuple[str, bytes], error: Exception) -> str:
    tag, payload = data
    size = len(payload) if payload is not None else 0
    return f"Cannot read {size} bytes with type tag {tag!r}: {type(error).__name__}: {error}"
