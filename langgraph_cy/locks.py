"""Locks that a forked child finds open, whatever its parent's threads were doing."""

from __future__ import annotations

import os
from typing import Any, TypeVar

LockT = TypeVar("LockT", bound=Any)


def fork_safe(lock: LockT) -> LockT:
    """Have a module's lock released in every forked child.

    Args:
        lock: a `threading.Lock` or `threading.RLock` that lives as long as the process.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lock._at_fork_reinit)
    return lock
