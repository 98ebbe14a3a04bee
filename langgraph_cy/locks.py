"""Locks that a forked child finds open, whatever its parent's threads were doing."""

from __future__ import annotations

import os
import threading
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


# Held while a config, an id or a scratchpad is made for whoever looks first: several
# threads of a run may be the first at the same time.
observing = fork_safe(threading.RLock())
