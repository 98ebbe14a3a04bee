"""Zstandard for encoded values, marked in the type tag: `json` becomes `json.zstd`.

Not with a `+`: upstream's `EncryptedSerializer` takes what follows the first one for the cipher.
"""

from __future__ import annotations

from typing import Any

from langgraph_cy.checkpoint.errors import CheckpointDecodeError, UnsupportedCheckpointError

__all__ = ("compress", "decompress", "is_compressed", "require")

SUFFIX = ".zstd"
LEVEL = 3
# No longer value is compressed, and none is decompressed: a few bytes may claim any length.
MAX_LENGTH = 1 << 30
_MISSING = (
    "Zstandard is not installed: `pip install langgraph-cy[zstd]` (from Python 3.14 on it comes "
    "with the standard library)"
)


def _library() -> Any:
    try:
        from compression import zstd  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        import zstandard as zstd
    return zstd


def require() -> None:
    """Raise ImportError, with what to install, where nothing here can compress."""
    try:
        _library()
    except ImportError as error:
        raise ImportError(f"compress_above: {_MISSING}") from error


def is_compressed(tag: str) -> bool:
    """Whether the type tag says that the bytes are compressed."""
    return tag.endswith(SUFFIX)


def compress(tag: str, data: bytes) -> tuple[str, bytes]:
    """The compressed bytes and their tag; as they were where that makes them no shorter."""
    if len(data) > MAX_LENGTH:
        return tag, data
    packed: bytes = _library().compress(data, LEVEL)
    return (tag + SUFFIX, packed) if len(packed) < len(data) else (tag, data)


def decompress(tag: str, packed: bytes) -> tuple[str, bytes]:
    """What `compress` was called with.

    Raises:
        UnsupportedCheckpointError: no package for Zstandard is installed.
        CheckpointDecodeError: the bytes don't state their full length, or one that is too large.
    """
    try:
        zstd = _library()
    except ImportError as error:
        raise UnsupportedCheckpointError(f"Cannot read type tag {tag!r}: {_MISSING}") from error
    length = _stated_length(zstd, packed)
    if length is None or not 0 <= length <= MAX_LENGTH:
        raise CheckpointDecodeError(
            f"Cannot read {len(packed)} bytes with type tag {tag!r}: compressed data must state "
            f"a length of at most {MAX_LENGTH} bytes, but this states {length}"
        )
    data = _one_frame(zstd, packed, length)
    if len(data) != length:
        raise CheckpointDecodeError(
            f"Cannot read {len(packed)} bytes with type tag {tag!r}: {length} bytes were stated, "
            f"{len(data)} found"
        )
    return tag.removesuffix(SUFFIX), data


def _one_frame(zstd: Any, packed: bytes, length: int) -> bytes:
    """Decompress no more than was stated, and not what may follow."""
    decompressor = zstd.ZstdDecompressor()
    data: bytes
    if not hasattr(zstd, "get_frame_info"):
        data = decompressor.decompress(packed, max_output_size=length, allow_extra_data=False)
        return data
    data = decompressor.decompress(packed, length + 1)  # the standard library's
    if not decompressor.eof or decompressor.unused_data:
        raise ValueError("not one complete frame")
    return data


def _stated_length(zstd: Any, packed: bytes) -> int | None:
    length: int | None
    if hasattr(zstd, "get_frame_info"):  # the standard library's
        length = zstd.get_frame_info(packed).decompressed_size
    else:
        length = zstd.get_frame_parameters(packed).content_size
    return length
