"""A smaller session that still fails: hypothesis' own shrinking would take minutes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any

from .session import Session

SECONDS = 15.0
# what a session says of itself, and not for itself: these go with its graph
DERIVED = ("asynchronous", "wide", "racing")


def smaller(value: Any) -> Iterator[Any]:
    """A part of a session with one thing left out, or as it is by default."""
    if isinstance(value, tuple):
        for place, part in enumerate(value):
            yield value[:place] + value[place + 1 :]
            for other in smaller(part):
                yield (*value[:place], other, *value[place + 1 :])
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            part = getattr(value, each.name)
            if each.default is not MISSING and part != each.default and each.name not in DERIVED:
                yield replace(value, **{each.name: each.default})
            for other in smaller(part):
                yield replace(value, **{each.name: other})


def shrunk(session: Session, error: Exception, check: Callable[[Session], Any]) -> Exception:
    """What the smallest session found raises, within some seconds.

    Args:
        error: what `check` raises for the session. Errors of other classes don't count.
    """
    until = time.monotonic() + SECONDS
    found = True
    while found:
        found = False
        for candidate in smaller(session):
            if time.monotonic() > until:
                return error
            try:
                check(candidate)
            except type(error) as raised:
                session, error, found = candidate, raised, True
                break
            except Exception:  # no session at all
                continue
    return error
