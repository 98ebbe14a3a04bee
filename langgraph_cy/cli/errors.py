"""What ends a command early."""

from __future__ import annotations

# What scripts can rely on.
SAME = HEALTHY = DONE = 0
DIFFERENT = UNHEALTHY = REFUSED = 1
USAGE = 2
NOT_COMPILED = 3


_NOT_SYNC = "No synchronous function provided"  # as LangGraph says it


def with_hint(text: str) -> str:
    """What a run raised, with what to do where the command line can do something about it."""
    return f"{text.rstrip()} (run it with --async)" if _NOT_SYNC in text else text


class UsageError(Exception):
    """The command line, or what it names, can't be used; the text says why, and what to do."""
