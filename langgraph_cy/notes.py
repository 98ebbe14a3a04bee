"""Notes on exceptions, on every version of Python."""

from __future__ import annotations


def add_note(error: BaseException, note: str) -> None:
    """Add a note to an error: below its text, or before Python 3.11 at the end of it."""
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:
        error.args = (f"{error.args[0] if error.args else ''}\n{note}", *error.args[1:])

