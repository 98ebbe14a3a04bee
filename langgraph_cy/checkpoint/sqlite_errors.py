"""What is added to an error of SQLite: whose data it concerns, and what helps."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langgraph_cy.notes import add_note

# By what SQLite says, since its error codes are not to be had before Python 3.11.
_ADVICE = (
    (
        "locked",
        "Another connection held its lock on the database for longer than the busy timeout. Let"
        " that one end its transaction, or give the saver a longer `busy_timeout`.",
    ),
    (
        "is full",
        "Free space on the disk that holds the database, or raise its `PRAGMA max_page_count`."
        " `prune` deletes old checkpoints.",
    ),
    (
        "readonly",
        "The database can't be written to: look at the permissions of the file and its directory,"
        " and whether the connection was opened with `mode=ro`.",
    ),
    (
        "disk I/O error",
        "The disk that holds the database, or a file beside it (-wal, -shm), could not be read or"
        " written: look at the disk, its free space and its permissions.",
    ),
    (
        "unable to open",
        "Look at the path of the database, and at the permissions of its directory.",
    ),
    (
        "malformed",
        "The database is damaged: restore a backup, or recover what can be with `.recover` of the"
        " sqlite3 shell.",
    ),
    (
        "not a database",
        "The file is damaged or something else: restore a backup, or look at the path.",
    ),
)


@contextmanager
def explaining(what: str, written: bool = True) -> Iterator[None]:
    """Add a note to an error of SQLite that is raised inside.

    Args:
        what: names the data: the thread, the checkpoint.
        written: it was about to be written, not read.
    """
    try:
        yield
    except sqlite3.Error as error:
        explain(error, what, written)
        raise


def explain(error: sqlite3.Error, what: str, written: bool = True) -> None:
    """Add a note to an error of SQLite.

    Args:
        what, written: as for `explaining`.
    """
    advice = next((advice for said, advice in _ADVICE if said in str(error)), None)
    if advice is not None:
        undone = (
            " Nothing of it was written, and the thread goes on from what is stored."
            if written
            else ""
        )
        add_note(error, f"Concerns {what}. {advice}{undone}")


def of_checkpoint(config: Any, checkpoint_id: Any, metadata: Any) -> str:
    """Names a checkpoint that is about to be stored."""
    thread_id = config["configurable"]["thread_id"]
    return f"step {metadata.get('step')} of thread {thread_id!r}, checkpoint {checkpoint_id!r}"


def of_writes(config: Any, task_id: str) -> str:
    """Names the writes of a task that are about to be stored."""
    thread_id = config["configurable"]["thread_id"]
    checkpoint_id = config["configurable"]["checkpoint_id"]
    return f"writes of task {task_id!r} in thread {thread_id!r}, checkpoint {checkpoint_id!r}"


def of_thread(config: Any) -> str:
    """Names what is read."""
    if config is None:
        return "all threads"
    return f"thread {config['configurable'].get('thread_id')!r}"
