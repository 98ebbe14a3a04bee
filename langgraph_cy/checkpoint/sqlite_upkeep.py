"""Whole threads in an SQLite database: deleting, copying, pruning and measuring them.

Each function takes a connection and writes in one transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph_cy.checkpoint.sqlite_database import Transaction, cursor

STRATEGIES = ("keep_latest", "delete")

_TABLES = ("checkpoints", "writes")
_COLUMNS = {
    "checkpoints": "checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata",
    "writes": "checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, value",
}
# Metadata that `json.loads` reads may be more than SQLite's JSON functions do, such as NaN. So
# SQLite only looks for the text, and what it finds is read here.
_METADATA = "CAST(metadata AS TEXT)"
_DELTA_MARKS = ("counters_since_delta_snapshot", "delta_writes_versioned")
_SIZE = (
    "SELECT (SELECT IFNULL(SUM(IFNULL(LENGTH(checkpoint), 0) + IFNULL(LENGTH(metadata), 0)), 0)"
    " FROM checkpoints WHERE thread_id = ?)"
    " + (SELECT IFNULL(SUM(LENGTH(value)), 0) FROM writes WHERE thread_id = ?)"
)


def delete_threads(conn: sqlite3.Connection, thread_ids: Sequence[str]) -> None:
    """Delete all checkpoints and writes of some threads."""
    with Transaction(conn):
        for table in _TABLES:
            conn.executemany(
                f"DELETE FROM {table} WHERE thread_id = ?",
                [(thread_id,) for thread_id in thread_ids],
            )


def _delete(conn: sqlite3.Connection, keys: Sequence[Sequence[Any]]) -> None:
    """Delete the checkpoints with these thread ids, namespaces and ids, and their writes."""
    for table in _TABLES:
        conn.executemany(
            f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
            keys,
        )


def delete_for_runs(conn: sqlite3.Connection, run_ids: Iterable[str]) -> None:
    """Delete the checkpoints that have one of these run ids in their metadata, and their writes."""
    runs = {str(run_id) for run_id in run_ids}
    texts = json.dumps([json.dumps(run_id, ensure_ascii=False) for run_id in runs])
    with Transaction(conn):
        rows = cursor(conn).execute(
            "SELECT thread_id, checkpoint_ns, checkpoint_id, metadata FROM checkpoints"
            f" WHERE EXISTS (SELECT 1 FROM json_each(?) WHERE INSTR({_METADATA}, value))",
            (texts,),
        )
        _delete(conn, [key for *key, found in rows if json.loads(found).get("run_id") in runs])


def copy_thread(conn: sqlite3.Connection, source: str, target: str) -> None:
    """Copy all checkpoints and writes of a thread to another."""
    with Transaction(conn):
        for table in _TABLES:
            conn.execute(
                f"INSERT OR REPLACE INTO {table} (thread_id, {_COLUMNS[table]})"
                f" SELECT ?, {_COLUMNS[table]} FROM {table} WHERE thread_id = ?",
                (target, source),
            )


def size(conn: sqlite3.Connection, thread_id: str) -> int:
    """The bytes of a thread's checkpoints, their metadata and the writes' values."""
    return int(cursor(conn).execute(_SIZE, (thread_id, thread_id)).fetchone()[0])


def checked(thread_ids: Any, strategy: str) -> list[str]:
    """The thread ids that `prune` is given, as they are stored."""
    if isinstance(thread_ids, str):
        raise TypeError("`thread_ids` has to be a sequence of thread ids, not one string")
    if strategy not in STRATEGIES:
        raise ValueError(f"Unknown strategy {strategy!r}: it can be one of {STRATEGIES}")
    return [str(thread_id) for thread_id in thread_ids]


def refuse_delta(conn: sqlite3.Connection, serde: Any, thread_ids: Iterable[str]) -> None:
    """Raise where a thread has a `DeltaChannel`, whose value is made from older checkpoints."""
    if delta := sorted(thread for thread in thread_ids if _has_delta(conn, serde, thread)):
        raise NotImplementedError(
            "'keep_latest' can't prune a thread with a DeltaChannel, whose value is made from"
            f" older checkpoints: {', '.join(delta)}. Leave such threads out, or use 'delete'."
        )


def _has_delta(conn: sqlite3.Connection, serde: Any, thread_id: str) -> bool:
    """Whether a run with a `DeltaChannel` has stored a checkpoint in the thread.

    It leaves counters in the metadata. Only where each such channel has just been stored in full
    there are none: then the latest checkpoint of a namespace holds what it was stored as.
    """
    marked = " OR ".join([f"INSTR({_METADATA}, ?)"] * len(_DELTA_MARKS))
    rows = cursor(conn).execute(
        f"SELECT metadata FROM checkpoints WHERE thread_id = ? AND ({marked})",
        (thread_id, *(f'"{mark}"' for mark in _DELTA_MARKS)),
    )
    if any(not json.loads(found).keys().isdisjoint(_DELTA_MARKS) for (found,) in rows):
        return True
    # SQLite takes the other columns from the row with the greatest id
    rows = cursor(conn).execute(
        "SELECT type, checkpoint, MAX(checkpoint_id) FROM checkpoints WHERE thread_id = ?"
        " GROUP BY checkpoint_ns",
        (thread_id,),
    )
    return any(
        isinstance(value, _DeltaSnapshot)
        for kind, found, _ in rows
        for value in serde.loads_typed((kind, found)).get("channel_values", {}).values()
    )


def keep_latest(conn: sqlite3.Connection, serde: Any, thread_id: str) -> None:
    """Delete all of a thread but each namespace's latest checkpoint with its writes.

    A subgraph call's namespace, the one with a task id after a colon, goes with the checkpoint of
    the root graph that the call started from: but only if that one is stored, since the call's
    may be stored before it.
    """
    with Transaction(conn):
        refuse_delta(conn, serde, [thread_id])
        stored: dict[str, list[tuple[str, Any]]] = {}
        for checkpoint_ns, *found in cursor(conn).execute(
            "SELECT checkpoint_ns, checkpoint_id, parent_checkpoint_id FROM checkpoints"
            " WHERE thread_id = ? ORDER BY checkpoint_ns, checkpoint_id DESC",
            (thread_id,),
        ):
            stored.setdefault(checkpoint_ns, []).append((found[0], found[1]))
        older_roots = {checkpoint_id for checkpoint_id, _ in stored.get("", [])[1:]}
        deleted = []
        for checkpoint_ns, ((latest, parent), *older) in stored.items():
            key = (thread_id, checkpoint_ns, latest)
            if ":" in checkpoint_ns and _root_of(conn, key) in older_roots:
                for table in _TABLES:
                    conn.execute(
                        f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns = ?", key[:2]
                    )
                continue
            deleted += [(thread_id, checkpoint_ns, checkpoint_id) for checkpoint_id, _ in older]
            if parent is not None and parent != latest:
                conn.execute(
                    "UPDATE checkpoints SET parent_checkpoint_id = NULL"
                    " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
                    key,
                )
        # by what is deleted: writes may be stored before their checkpoint is
        _delete(conn, deleted)


def _root_of(conn: sqlite3.Connection, key: Sequence[str]) -> Any:
    """The id of the root graph's checkpoint that a subgraph call started from."""
    (metadata,) = (
        cursor(conn)
        .execute(
            "SELECT metadata FROM checkpoints"
            " WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?",
            key,
        )
        .fetchone()
    )
    return (json.loads(metadata or "{}").get("parents") or {}).get("")
