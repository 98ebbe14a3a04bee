"""What reading a stored value may raise."""

from __future__ import annotations

__all__ = ("CheckpointDecodeError", "UnsupportedCheckpointError")


class CheckpointDecodeError(ValueError):
    """A stored value cannot be read: its bytes are damaged, cut off, or not what their tag says.

    `__cause__` is the error of the decoder, where one raised it.
    """


class UnsupportedCheckpointError(CheckpointDecodeError, NotImplementedError):
    """A stored value is of a kind that this serializer does not read.

    Its type tag is unknown, or reading it would need `pickle_fallback=True` or a package that is
    not installed. Upstream raises `NotImplementedError` for it.
    """
