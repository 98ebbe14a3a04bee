"""What both SQLite savers do with a checkpoint database: each function here takes a connection.

What one call writes it writes in one transaction, so a database holds all of it or nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite import SqliteSaver as StockSqliteSaver
from langgraph.checkpoint.sqlite.utils import load_pending_writes, search_where

from langgraph_cy.checkpoint.serializer import OrjsonSerializer

try:
    from langgraph_cy.checkpoint import metadata as compiled
except ImportError:  # installed without a compiler
    compiled = None  # type: ignore[assignment]

# Every text that runs often is a constant, so `sqlite3` prepares it once for a connection.
PUT_CHECKPOINT = (
    "INSERT OR REPLACE INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id,"
    " parent_checkpoint_id, type, checkpoint, metadata) VALUES (?,?,?,?,?,?,?)"
)
_INTO_WRITES = (
    "INTO writes (thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx,"
    " channel, type, value) VALUES (?,?,?,?,?,?,?,?,?)"
)
ADD_WRITES = f"INSERT OR IGNORE {_INTO_WRITES}"
REPLACE_WRITES = f"INSERT OR REPLACE {_INTO_WRITES}"

_CHECKPOINTS = (
    "SELECT thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint,"
    " metadata FROM checkpoints"
)
_LATEST = (
    f"{_CHECKPOINTS} WHERE thread_id = ? AND checkpoint_ns = ? ORDER BY checkpoint_id DESC LIMIT 1"
)
_BY_ID = f"{_CHECKPOINTS} WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ?"

# A batch of a history ends with whichever comes first. The first batches are shorter still:
# 1, 2, 4, ... rows, since many callers look at the newest checkpoint only.
BATCH_ROWS = 128
BATCH_BYTES = 1 << 20
# So few checkpoints are read faster than another connection is opened.
SHORT = 16

# How many pages the write-ahead log grows to before SQLite copies them into the database, which
# waits for the disk: what it does by itself, and what it is told in place of that.
DEFAULT_LOG_PAGES = 1000
LOG_PAGES = 4000

Row = Sequence[Any]
# A row of `checkpoints` and its rows of `writes`, as `load_pending_writes` takes them.
Stored = tuple[Row, list[Row]]
Batch = list[Stored]
Batches = Generator[Batch, None, None]
# SQL with the rows of parameters that it is executed with.
Statement = tuple[str, Sequence[Row]]
# A task's writes: the arguments of `put_writes`, or the statement that stores them.
TaskWrites = tuple[RunnableConfig, Sequence[tuple[str, Any]], str, str] | Statement
# A checkpoint and writes that lead to it, encoded; and what `of_checkpoint` names it from.
Superstep = tuple[Sequence[Statement], tuple[Any, ...]]


class Reading(NamedTuple):
    """How a database is read.

    Attributes:
        uri: of its file, which further connections can read while one writes; None where there
            is no such file.
        timeout: seconds that a connection waits for a lock.
    """

    uri: str | None
    timeout: float

    def connect(self) -> sqlite3.Connection | None:
        """A connection that only reads, None where there can't be one. The caller closes it."""
        if self.uri is None:
            return None
        try:
            return sqlite3.connect(
                self.uri,
                uri=True,
                timeout=self.timeout,
                isolation_level=None,
                check_same_thread=False,
            )
        except sqlite3.OperationalError:  # no right to open it again, or it has been unlinked
            return None


def cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    """A cursor that gives rows as tuples, whatever the connection's owner has set."""
    made = conn.cursor()
    made.row_factory = None
    return made


def _pragma(conn: sqlite3.Connection, name: str) -> Any:
    """The last column of the first row that a pragma gives."""
    value = cursor(conn).execute(f"PRAGMA {name}").fetchone()[-1]
    return os.fsdecode(value) if isinstance(value, bytes) else value


def configure(
    conn: sqlite3.Connection, synchronous: str | None, busy_timeout: float | None
) -> None:
    """Prepare a connection for many small transactions.

    Args:
        synchronous: the level of `PRAGMA synchronous`. None: leave it.
        busy_timeout: seconds to wait for a lock. None: leave it.
    """
    if _pragma(conn, "wal_autocheckpoint") == DEFAULT_LOG_PAGES:
        conn.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}").close()
    if synchronous is not None:
        conn.execute(f"PRAGMA synchronous = {synchronous}").close()
    if busy_timeout is not None:
        conn.execute(f"PRAGMA busy_timeout = {round(busy_timeout * 1000)}").close()


def reading(conn: sqlite3.Connection) -> Reading:
    """How the database of a connection, once it is set up, can be read.

    Only in WAL mode do a reader and a writer not wait for each other.
    """
    uri = None
    if (
        isinstance(conn, sqlite3.Connection)  # not a look-alike, such as one with encryption
        and _pragma(conn, "journal_mode") == "wal"
        and _pragma(conn, "locking_mode") == "normal"
    ):
        uri = f"{Path(_pragma(conn, 'database_list')).as_uri()}?mode=ro"
    return Reading(uri, _pragma(conn, "busy_timeout") / 1000)


class Transaction:
    """A context: what is done inside is committed, or where it fails undone.

    A lock that somebody else holds is noticed before anything is done. A transaction that the
    connection's owner has open is committed too, as upstream's savers do; after a failure it is
    open still, and as it was.
    """

    # no cursor is kept: one that an error leads to would keep the file open after `close`
    __slots__ = ("_conn", "_joins")

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._joins = conn.in_transaction

    def __enter__(self) -> None:
        self._conn.execute("SAVEPOINT langgraph_cy" if self._joins else "BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if error is not None:
            self._roll_back()
            return
        try:
            self._conn.commit() if self._joins else self._conn.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        # SQLite has rolled back by itself after some errors, such as a full disk
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK TO langgraph_cy" if self._joins else "ROLLBACK")


def checkpoint_statement(serde: Any, config: Any, checkpoint: Any, metadata: Any) -> Statement:
    """What stores a checkpoint. Arguments as for `put`."""
    configurable = config["configurable"]
    row = (
        str(configurable["thread_id"]),
        configurable["checkpoint_ns"],
        checkpoint["id"],
        configurable.get("checkpoint_id"),
        *serde.dumps_typed(checkpoint),
        metadata_text(config, metadata),
    )
    return PUT_CHECKPOINT, (row,)


def metadata_text(config: Any, metadata: Any) -> bytes:
    """A checkpoint's metadata as they are stored. Arguments as for `put`."""
    if compiled is None:
        collected = get_checkpoint_metadata(config, metadata)
    else:
        collected = compiled.collected(config, metadata)
        if (text := compiled.text(collected)) is not None:
            return text
    return json.dumps(collected, ensure_ascii=False).encode("utf-8", "ignore")


def writes_statement(
    serde: Any, config: Any, writes: Any, task_id: str, task_path: str = ""
) -> Statement:
    """What stores a task's writes. Arguments as for `put_writes`."""
    configurable = config["configurable"]
    key = (
        str(configurable["thread_id"]),
        str(configurable["checkpoint_ns"]),
        str(configurable["checkpoint_id"]),
    )
    sql = REPLACE_WRITES
    rows = []
    for index, (channel, value) in enumerate(writes):
        place = WRITES_IDX_MAP.get(channel)
        if place is None:
            place, sql = index, ADD_WRITES
        kind, data = serde.dumps_typed(value)
        rows.append((*key, task_id, task_path, place, channel, kind, data))
    return sql, rows


def superstep(
    serde: Any, writes: Sequence[TaskWrites], config: Any, checkpoint: Any, metadata: Any
) -> Superstep:
    """What stores the writes of tasks and then a checkpoint. Arguments as for `put_superstep`."""
    statements = [each if len(each) == 2 else writes_statement(serde, *each) for each in writes]
    statements.append(checkpoint_statement(serde, config, checkpoint, metadata))
    return statements, (config, checkpoint["id"], metadata)


class Supersteps:
    """How both savers encode what they store. Mixed into upstream's savers, before them."""

    serde: SerializerProtocol = OrjsonSerializer()

    def dumped_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> Statement:
        """A task's writes, encoded as they are now, for `dumped_superstep`.

        Args:
            config, writes, task_id, task_path: as for `put_writes`.
        """
        return writes_statement(self.serde, config, writes, task_id, task_path)

    def dumped_superstep(
        self,
        writes: Sequence[TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Superstep:
        """A checkpoint and writes that lead to it, encoded as they are now, for `put_dumped` or
        `aput_dumped`.

        Args:
            writes: for each task the arguments of `put_writes`, or what `dumped_writes` has made
                of them.
            config, checkpoint, metadata, new_versions: as for `put`.
        """
        return superstep(self.serde, writes, config, checkpoint, metadata)


def store(conn: sqlite3.Connection, statements: Iterable[Statement]) -> None:
    """Execute statements, each with all its rows, in one transaction."""
    with Transaction(conn):
        for sql, rows in statements:
            conn.executemany(sql, rows)


def address(config: RunnableConfig, checkpoint_id: str) -> RunnableConfig:
    """The config of a checkpoint that has been stored with `config`."""
    configurable = config["configurable"]
    return _address(configurable["thread_id"], configurable["checkpoint_ns"], checkpoint_id)


def _address(thread_id: str, checkpoint_ns: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": checkpoint_ns,
            "checkpoint_id": checkpoint_id,
        }
    }


def fetch(conn: sqlite3.Connection, has_task_path: bool, config: Any) -> Stored | None:
    """The checkpoint that `get_tuple` finds, None where there is none."""
    configurable = config["configurable"]
    key = (str(configurable["thread_id"]), configurable.get("checkpoint_ns", ""))
    with closing(cursor(conn)) as cur:
        if checkpoint_id := get_checkpoint_id(config):
            cur.execute(_BY_ID, (*key, checkpoint_id))
        else:
            cur.execute(_LATEST, key)
        row = cur.fetchone()
    return None if row is None else _with_writes(conn, has_task_path, [row])[0]


class Query(NamedTuple):
    """A query for checkpoints.

    Attributes:
        short: it finds few.
    """

    sql: str
    parameters: Sequence[Any]
    short: bool

    @classmethod
    def of(
        cls, config: Any, filter: dict[str, Any] | None, before: Any, limit: int | None
    ) -> Query:
        """The query of `list`."""
        where, parameters = search_where(config, filter, before)
        sql = f"{_CHECKPOINTS} {where} ORDER BY checkpoint_id DESC"
        if limit is None:
            return cls(sql, parameters, False)
        # a negative limit is none, for SQLite
        return cls(f"{sql} LIMIT ?", (*parameters, limit), 0 <= limit <= SHORT)


def history(conn: sqlite3.Connection, has_task_path: bool, query: Query) -> Batches:
    """What a query for checkpoints finds, in batches, each checkpoint with its writes."""
    with closing(cursor(conn)) as rows:
        rows.execute(query.sql, query.parameters)
        most = 1
        while batch := _batch(rows, most):
            yield _with_writes(conn, has_task_path, batch)
            most = min(2 * most, BATCH_ROWS)


def whole_history(conn: sqlite3.Connection, has_task_path: bool, query: Query) -> list[Batch]:
    """As `history`, read at once, for a connection that others are waiting for."""
    return list(history(conn, has_task_path, query))


def own_history(reader: sqlite3.Connection, has_task_path: bool, query: Query) -> Batches:
    """As `history`, all from one state of the database. Closes the connection at the end."""
    with closing(reader):
        reader.execute("BEGIN")
        yield from history(reader, has_task_path, query)


def batches(
    conn: sqlite3.Connection, has_task_path: bool, reading: Reading, query: Query
) -> Batches:
    """A history through a connection of its own, or where there can't be one, read at once.

    What the owner of the connection has not committed yet, only that connection sees.
    """
    reader = None if query.short or conn.in_transaction else reading.connect()
    if reader is None:
        yield from whole_history(conn, has_task_path, query)
    else:
        yield from own_history(reader, has_task_path, query)


def _batch(rows: Iterator[Row], most: int) -> list[Row]:
    """The next rows of `checkpoints`: `most`, or fewer where they are large."""
    batch: list[Row] = []
    size = 0
    for row in rows:
        batch.append(row)
        size += len(row[5] or b"")
        if len(batch) == most or size >= BATCH_BYTES:
            break
    return batch


def _with_writes(conn: sqlite3.Connection, has_task_path: bool, batch: Sequence[Row]) -> Batch:
    """Rows of `checkpoints`, each with its writes, which are read with one query for all."""
    keys = ",".join(["(?,?,?)"] * len(batch))
    task_path = "task_path" if has_task_path else "''"
    found: dict[Row, list[Row]] = {tuple(row[:3]): [] for row in batch}
    with closing(cursor(conn)) as cur:
        # CROSS JOIN: look up every key in turn, where SQLite might rather scan the table
        cur.execute(
            f"WITH keys(thread_id, checkpoint_ns, checkpoint_id) AS (VALUES {keys})"
            " SELECT thread_id, checkpoint_ns, checkpoint_id, task_id, channel, type, value,"
            f" {task_path}, idx"
            " FROM keys CROSS JOIN writes USING (thread_id, checkpoint_ns, checkpoint_id)",
            [part for row in batch for part in row[:3]],
        )
        for thread_id, checkpoint_ns, checkpoint_id, *write in cur:
            found[thread_id, checkpoint_ns, checkpoint_id].append(write)
    return [(row, found[tuple(row[:3])]) for row in batch]


def loaded(serde: Any, stored: Stored, config: Any = None) -> CheckpointTuple:
    """A checkpoint as `get_tuple` and `list` give it.

    Args:
        config: what `get_tuple` was asked for; where it has a checkpoint id it is given back.
    """
    (thread_id, checkpoint_ns, checkpoint_id, parent_id, kind, value, metadata), writes = stored
    if config is None or not get_checkpoint_id(config):
        config = _address(thread_id, checkpoint_ns, checkpoint_id)
    return CheckpointTuple(
        config,
        serde.loads_typed((kind, value)),
        json.loads(metadata) if metadata is not None else {},
        _address(thread_id, checkpoint_ns, parent_id) if parent_id else None,
        load_pending_writes(writes, serde),
    )


def delta_history(
    conn: sqlite3.Connection, has_task_path: bool, serde: Any, config: Any, channels: Any
) -> Mapping[str, DeltaChannelHistory]:
    """What upstream's `get_delta_channel_history` gives for the database of a connection."""
    saver = StockSqliteSaver(conn, serde=serde)
    saver.is_setup = True
    saver._has_task_path = has_task_path
    return saver.get_delta_channel_history(config=config, channels=channels)
