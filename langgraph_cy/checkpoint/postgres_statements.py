"""What the PostgreSQL savers send: one statement for everything that is stored together.

One statement is one transaction and one round trip, on any connection. Nothing here waits or owns
a connection, so the synchronous and the asynchronous saver share all of it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, NamedTuple, TypeVar
from weakref import WeakSet

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    get_checkpoint_id,
)
from langgraph.checkpoint.postgres.base import PRUNE_DELTA_THREADS_SQL, BasePostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot
from psycopg import BaseConnection, errors
from psycopg.abc import AdaptContext, Buffer
from psycopg.adapt import Dumper, PyFormat
from psycopg.pq import Format
from psycopg.rows import DictRow, dict_row
from psycopg.types.json import Jsonb
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from langgraph_cy import notes
from langgraph_cy.checkpoint.serializer import OrjsonSerializer

try:
    from langgraph_cy.checkpoint.encoding import encode
    from langgraph_cy.checkpoint.metadata import collected
except ImportError:  # installed without a compiler
    from langgraph.checkpoint.base import (  # type: ignore[assignment]
        get_checkpoint_metadata as collected,
    )

    encode = None  # type: ignore[assignment]

Connected = TypeVar("Connected", bound=BaseConnection[Any])


class DumpedWrites(NamedTuple):
    """A task's writes, encoded.

    Args:
        rows: of `checkpoint_writes`, in the order of `WRITE_COLUMNS`.
        replace: they replace rows that are there; otherwise those stay.
    """

    rows: Sequence[Sequence[Any]]
    replace: bool


# A task's writes as `put_writes` takes them: config, writes, task id, task path. Or encoded.
TaskWrites = tuple[RunnableConfig, Sequence[tuple[str, Any]], str, str] | DumpedWrites
Query = tuple[str | bytes, Sequence[Any]]
# thread, namespace, checkpoint; None where there is none
Place = tuple[Any, Any, Any]

# How the savers connect, as upstream's do.
CONNECTION: dict[str, Any] = {
    "autocommit": True,
    "prepare_threshold": 0,
    "row_factory": dict_row,
}
# A pool tries anew at short intervals for as long as the server is away: what is given up after
# so many seconds is begun again by its `reconnect_failed`.
RECONNECT: dict[str, Any] = {"reconnect_timeout": 2.0}

# Up to so many rows are sent one by one.
FEW = 8

# Rows that are decoded in one go from the result of a query.
PAGE = 64

# Upstream's query, but a value is looked up by its primary key. There, PostgreSQL plans a join
# and may go through all values of a thread for each of its checkpoints. It takes jsonb_each_text
# for 100 rows, which for long histories makes it compile the query, at many times the query's
# cost; the always true condition makes it expect one row.
SELECT_CHECKPOINTS = """
    SELECT thread_id, checkpoint, checkpoint_ns, checkpoint_id, parent_checkpoint_id, metadata, (
        SELECT array_agg(array[convert_to(v.key, 'UTF8'), convert_to(b.type, 'UTF8'), b.blob])
        FROM jsonb_each_text(checkpoint -> 'channel_versions') AS v
        CROSS JOIN LATERAL (
            SELECT type, blob FROM checkpoint_blobs
            WHERE thread_id = checkpoints.thread_id
                AND checkpoint_ns = checkpoints.checkpoint_ns
                AND channel = v.key AND version = v.value
            LIMIT 1
        ) AS b
        WHERE v.key || '' = v.key
    ) AS channel_values, (
        SELECT array_agg(array[
            convert_to(w.task_id, 'UTF8'), convert_to(w.channel, 'UTF8'),
            convert_to(w.type, 'UTF8'), w.blob,
            convert_to(w.task_path, 'UTF8'), convert_to(w.idx::text, 'UTF8')
        ])
        FROM checkpoint_writes AS w
        WHERE w.thread_id = checkpoints.thread_id
            AND w.checkpoint_ns = checkpoints.checkpoint_ns
            AND w.checkpoint_id = checkpoints.checkpoint_id
    ) AS pending_writes
    FROM checkpoints """

WRITE_COLUMNS = (
    "thread_id, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob"
)
BLOB_COLUMNS = "thread_id, checkpoint_ns, channel, version, type, blob"
WRITE_KEY = "(thread_id, checkpoint_ns, checkpoint_id, task_id, idx)"

# What follows the rows that are inserted.
KEEP_WRITES = f" ON CONFLICT {WRITE_KEY} DO NOTHING"
REPLACE_WRITES = (
    f" ON CONFLICT {WRITE_KEY} DO UPDATE"
    " SET channel = EXCLUDED.channel, type = EXCLUDED.type, blob = EXCLUDED.blob"
)
KEEP_BLOBS = " ON CONFLICT (thread_id, checkpoint_ns, channel, version) DO NOTHING"
UPSERT_CHECKPOINT = """
    INSERT INTO checkpoints
        (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, checkpoint, metadata)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (thread_id, checkpoint_ns, checkpoint_id) DO UPDATE
    SET checkpoint = EXCLUDED.checkpoint, metadata = EXCLUDED.metadata
"""

DELETE_THREAD = """
    WITH checkpoint AS (DELETE FROM checkpoints WHERE thread_id = %s),
        blob AS (DELETE FROM checkpoint_blobs WHERE thread_id = %s)
    DELETE FROM checkpoint_writes WHERE thread_id = %s
"""

COPY_THREAD = f"""
    WITH blob AS (
        INSERT INTO checkpoint_blobs ({BLOB_COLUMNS})
        SELECT %s, checkpoint_ns, channel, version, type, blob
        FROM checkpoint_blobs WHERE thread_id = %s
        ON CONFLICT DO NOTHING
    ), write AS (
        INSERT INTO checkpoint_writes ({WRITE_COLUMNS})
        SELECT %s, checkpoint_ns, checkpoint_id, task_id, task_path, idx, channel, type, blob
        FROM checkpoint_writes WHERE thread_id = %s
        ON CONFLICT DO NOTHING
    )
    INSERT INTO checkpoints (thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id,
        type, checkpoint, metadata)
    SELECT %s, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata
    FROM checkpoints WHERE thread_id = %s
    ON CONFLICT DO NOTHING
"""

# The size of a column as it lies in the table: compressed where PostgreSQL compresses it.
SIZE = """
    SELECT coalesce(sum(bytes), 0)::int8 AS bytes FROM (
        SELECT pg_column_size(checkpoint) + pg_column_size(metadata) AS bytes
        FROM checkpoints WHERE thread_id = %s
        UNION ALL
        SELECT pg_column_size(blob) FROM checkpoint_blobs
        WHERE thread_id = %s AND blob IS NOT NULL
        UNION ALL
        SELECT pg_column_size(blob) FROM checkpoint_writes WHERE thread_id = %s
    ) AS sizes
"""

# Threads where a checkpoint that stays follows one that goes.
CUT_THREADS = """
    SELECT DISTINCT child.thread_id
    FROM checkpoints AS parent JOIN checkpoints AS child
        ON child.thread_id = parent.thread_id
        AND child.checkpoint_ns = parent.checkpoint_ns
        AND child.parent_checkpoint_id = parent.checkpoint_id
    WHERE parent.metadata ->> 'run_id' = ANY(%s)
        AND (child.metadata ->> 'run_id' = ANY(%s)) IS NOT TRUE
"""

# Every part sees the tables as they were before the statement: `kept` is what it leaves.
DELETE_RUNS = """
    WITH gone AS (
        DELETE FROM checkpoints WHERE metadata ->> 'run_id' = ANY(%s)
        RETURNING thread_id, checkpoint_ns, checkpoint_id,
            checkpoint -> 'channel_versions' AS versions
    ), write AS (
        DELETE FROM checkpoint_writes AS w USING gone
        WHERE w.thread_id = gone.thread_id AND w.checkpoint_ns = gone.checkpoint_ns
            AND w.checkpoint_id = gone.checkpoint_id
    ), freed AS (
        SELECT DISTINCT thread_id, checkpoint_ns, v.key AS channel, v.value AS version
        FROM gone CROSS JOIN LATERAL jsonb_each_text(versions) AS v
    ), kept AS (
        SELECT DISTINCT c.thread_id, c.checkpoint_ns, v.key AS channel, v.value AS version
        FROM checkpoints AS c
        CROSS JOIN LATERAL jsonb_each_text(c.checkpoint -> 'channel_versions') AS v
        WHERE c.thread_id IN (SELECT thread_id FROM gone)
            AND (c.metadata ->> 'run_id' = ANY(%s)) IS NOT TRUE
    )
    DELETE FROM checkpoint_blobs AS b USING (SELECT * FROM freed EXCEPT SELECT * FROM kept) AS f
    WHERE b.thread_id = f.thread_id AND b.checkpoint_ns = f.checkpoint_ns
        AND b.channel = f.channel AND b.version = f.version
"""


class TextArray(tuple[Any, ...]):
    """Sent as `text[]`; what is no string goes as its `str`, None as NULL."""


class IntegerArray(tuple[int, ...]):
    """Sent as `int4[]`."""


class BytesArray(tuple["bytes | None", ...]):
    """Sent as `bytea[]`."""


class Document:
    """Sent as `jsonb`."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


WRITE_KINDS = (*(TextArray,) * 5, IntegerArray, TextArray, TextArray, BytesArray)
BLOB_KINDS = (*(TextArray,) * 5, BytesArray)

_HEAD = struct.Struct("!IIIII")  # dimensions, whether there are nulls, type, length, first index
_LENGTH = struct.Struct("!i")
_NULL = _LENGTH.pack(-1)


class _ArrayDumper(Dumper):
    # psycopg's own finds out the type of a list from its items, at several times the cost.
    format = Format.BINARY
    item: int

    def dump(self, obj: Any) -> bytes:
        parts = [_HEAD.pack(1, 1, self.item, len(obj), 1)]
        for value in self.encoded(obj):
            if value is None:
                parts.append(_NULL)
            else:
                parts.append(_LENGTH.pack(len(value)))
                parts.append(value)
        return b"".join(parts)

    def encoded(self, values: Any) -> Iterable[bytes | None]:
        raise NotImplementedError


class _TextArrayDumper(_ArrayDumper):
    oid = psycopg.adapters.types["text"].array_oid
    item = psycopg.adapters.types["text"].oid

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        encoding = self.connection.info.encoding if self.connection else "utf-8"
        # ascii: a server that keeps bytes of no known encoding; psycopg sends it UTF-8 too
        self._encoding = "utf-8" if encoding == "ascii" else encoding

    def encoded(self, values: TextArray) -> Iterable[bytes | None]:
        encoding = self._encoding
        return [None if value is None else str(value).encode(encoding) for value in values]


class _BytesArrayDumper(_ArrayDumper):
    oid = psycopg.adapters.types["bytea"].array_oid
    item = psycopg.adapters.types["bytea"].oid

    def encoded(self, values: BytesArray) -> Iterable[bytes | None]:
        return values


class _IntegerArrayDumper(_ArrayDumper):
    oid = psycopg.adapters.types["int4"].array_oid
    item = psycopg.adapters.types["int4"].oid

    def encoded(self, values: IntegerArray) -> Iterable[bytes]:
        return map(_LENGTH.pack, values)


class _DocumentDumper(Dumper):
    # As psycopg's dumper of Jsonb would write it, which is asked where there may be a difference:
    # for what JSON does not represent exactly (the encoder returns None), for messages, which the
    # encoder knows and psycopg does not, for text that depends on the server's encoding, and
    # where the application has set a dumps function of its own.
    format = Format.BINARY
    oid = psycopg.adapters.types["jsonb"].oid

    def __init__(self, cls: type, context: AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        adapters = context.adapters if context else psycopg.adapters
        self._plain = adapters.get_dumper(Jsonb, PyFormat.BINARY)(Jsonb, context)

    def dump(self, obj: Document) -> Buffer | None:
        if encode is not None and getattr(self._plain, "dumps", None) is json.dumps:
            data = encode(obj.value)
            if data is not None and data.isascii() and b'"lc":' not in data:
                return b"\x01" + data
        return self._plain.dump(Jsonb(obj.value))


_adapted: WeakSet[BaseConnection[Any]] = WeakSet()


def adapt(connection: BaseConnection[Any]) -> None:
    """Teach a connection the parameters of this module, once."""
    if connection not in _adapted:
        connection.adapters.register_dumper(TextArray, _TextArrayDumper)
        connection.adapters.register_dumper(IntegerArray, _IntegerArrayDumper)
        connection.adapters.register_dumper(BytesArray, _BytesArrayDumper)
        connection.adapters.register_dumper(Document, _DocumentDumper)
        _adapted.add(connection)


@cache
def together(*statements: str) -> bytes:
    """Statements that change different rows, as one: bytes, since those keep their hash."""
    *others, last = statements
    if not others:
        return last.encode()
    named = ", ".join(f"part_{index} AS ({text})" for index, text in enumerate(others))
    return f"WITH {named} {last}".encode()


@cache
def _insertion(table: str, columns: str, rows: int, otherwise: str) -> str:
    count = columns.count(",") + 1
    if rows:
        row = f"({', '.join(['%s'] * count)})"
        source = f"VALUES {', '.join([row] * rows)}"
    else:
        source = f"SELECT {', '.join(['unnest(%s)'] * count)}"
    return f"INSERT INTO {table} ({columns}) {source}{otherwise}"


def insertion(
    table: str, columns: str, kinds: Sequence[type], rows: Sequence[Sequence[Any]], otherwise: str
) -> tuple[str, Iterable[Any]]:
    """A statement that inserts rows, and its parameters.

    A few are sent as they are, which is cheapest. Many are sent as an array of each column, so
    that there are few different statements to prepare.

    Args:
        kinds: the array for each of the columns.
        otherwise: the statement's end: what becomes of rows that are there already.
    """
    if len(rows) <= FEW:
        return _insertion(table, columns, len(rows), otherwise), chain.from_iterable(rows)
    arrays = [kind(column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]
    return _insertion(table, columns, 0, otherwise), arrays


class Superstep(NamedTuple):
    """A checkpoint and writes that lead to it, encoded: one statement.

    Attributes:
        action, place: name it, for errors.
    """

    query: Query
    action: str
    place: Place


class Statements(BasePostgresSaver):
    """Builds what a saver sends. Mixed into upstream's savers, before them."""

    serde = OrjsonSerializer()
    SELECT_SQL = SELECT_CHECKPOINTS

    @property
    def _computes(self) -> bool:
        """Whether encoding and decoding only computes: another serializer might wait."""
        return isinstance(self.serde, JsonPlusSerializer)

    def _writes_query(self, tasks: Sequence[TaskWrites]) -> Query | None:
        """The statement for some tasks' writes, None where there are none."""
        statements, params = self._writes_parts(tasks)
        return (together(*statements), params) if statements else None

    def _superstep_query(
        self,
        tasks: Sequence[TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Query:
        """The statement for a superstep's writes and the checkpoint after them."""
        statements, params = self._writes_parts(tasks)
        configurable = config["configurable"]
        thread_id, checkpoint_ns = configurable["thread_id"], configurable["checkpoint_ns"]
        stored = checkpoint.copy()
        stored["channel_values"], blobs = _split(checkpoint["channel_values"])
        versions = {name: new_versions[name] for name in new_versions if name in blobs}
        if versions:
            rows = self._dump_blobs(thread_id, checkpoint_ns, blobs, versions)
            text, values = insertion("checkpoint_blobs", BLOB_COLUMNS, BLOB_KINDS, rows, KEEP_BLOBS)
            statements.append(text)
            params += values
        statements.append(UPSERT_CHECKPOINT)
        params += (
            thread_id,
            checkpoint_ns,
            checkpoint["id"],
            configurable.get("checkpoint_id"),
            Document(stored),
            Document(_stored_metadata(config, metadata)),
        )
        return together(*statements), params

    def dumped_superstep(
        self,
        writes: Sequence[TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> Superstep:
        """A checkpoint and writes that lead to it, encoded as they are now, for `put_dumped`.

        Args:
            writes: for each task the arguments of `put_writes`, or what `dumped_writes` has made
                of them.
            config, checkpoint, metadata, new_versions: as for `put`.
        """
        return Superstep(
            self._superstep_query(writes, config, checkpoint, metadata, new_versions),
            storing(metadata),
            place_of(config, checkpoint["id"]),
        )

    def dumped_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> DumpedWrites:
        """A task's writes, encoded as they are now, for `dumped_superstep`.

        Args:
            config, writes, task_id, task_path: as for `put_writes`.
        """
        configurable = config["configurable"]
        rows = self._dump_writes(
            configurable["thread_id"],
            configurable["checkpoint_ns"],
            configurable["checkpoint_id"],
            task_id,
            task_path,
            writes,
        )
        return DumpedWrites(rows, all(channel in WRITES_IDX_MAP for channel, _ in writes))

    def _writes_parts(self, tasks: Sequence[TaskWrites]) -> tuple[list[str], list[Any]]:
        dumped = [
            task if isinstance(task, DumpedWrites) else self.dumped_writes(*task) for task in tasks
        ]
        statements: list[str] = []
        params: list[Any] = []
        for some, otherwise in zip(_merged(dumped), (KEEP_WRITES, REPLACE_WRITES), strict=True):
            if some:
                text, values = insertion(
                    "checkpoint_writes", WRITE_COLUMNS, WRITE_KINDS, some, otherwise
                )
                statements.append(text)
                params += values
        return statements, params

    def _tuple_query(self, config: RunnableConfig) -> Query:
        configurable = config["configurable"]
        params = [configurable["thread_id"], configurable.get("checkpoint_ns", "")]
        where = "WHERE thread_id = %s AND checkpoint_ns = %s "
        if checkpoint_id := get_checkpoint_id(config):
            return f"{self.SELECT_SQL}{where}AND checkpoint_id = %s", [*params, checkpoint_id]
        return f"{self.SELECT_SQL}{where}ORDER BY checkpoint_id DESC LIMIT 1", params

    def _list_query(
        self,
        config: RunnableConfig | None,
        filter: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Query:
        where, params = self._search_where(config, filter, before)
        query = f"{self.SELECT_SQL}{where} ORDER BY checkpoint_id DESC"
        if limit is None:
            return query, params
        return f"{query} LIMIT %s", [*params, int(limit)]

    def _sends_queries(self, rows: Sequence[DictRow]) -> Iterator[tuple[Query, list[DictRow]]]:
        """What to ask for checkpoints of a format before 4, whose parents hold their sends."""
        threads: dict[str, list[DictRow]] = {}
        for row in rows:
            if row["checkpoint"]["v"] < 4 and row["parent_checkpoint_id"]:
                threads.setdefault(row["thread_id"], []).append(row)
        for thread_id, old in threads.items():
            parents = [row["parent_checkpoint_id"] for row in old]
            yield (self.SELECT_PENDING_SENDS_SQL, (thread_id, parents)), old

    def _add_sends(self, rows: Sequence[DictRow], found: Iterable[DictRow]) -> None:
        sends = {row["checkpoint_id"]: row["sends"] for row in found}
        for row in rows:
            if row["parent_checkpoint_id"] in sends:
                if row["channel_values"] is None:
                    row["channel_values"] = []
                self._migrate_pending_sends(
                    sends[row["parent_checkpoint_id"]], row["checkpoint"], row["channel_values"]
                )


def _merged(tasks: Sequence[DumpedWrites]) -> tuple[list[Sequence[Any]], list[Sequence[Any]]]:
    """Rows that don't replace others, and rows that do."""
    if not any(task.replace for task in tasks):
        return [row for task in tasks for row in task.rows], []
    # A statement may not replace a row twice, so what a later task does to a row of an earlier
    # one is done here: a row that is kept stays as it is, one that is replaced keeps the path of
    # the task that came first.
    rows: dict[Any, Any] = {}
    replaced = set()
    for task in tasks:
        for row in task.rows:
            key = (*row[:4], row[5])
            if task.replace:
                replaced.add(key)
                rows[key] = (*rows[key][:6], *row[6:]) if key in rows else row
            else:
                rows.setdefault(key, row)
    return (
        [row for key, row in rows.items() if key not in replaced],
        [row for key, row in rows.items() if key in replaced],
    )


def blob_bytes(row: DictRow) -> int:
    """How long the encoded values and writes of a row of a checkpoint are."""
    values, writes = row["channel_values"] or (), row["pending_writes"] or ()
    return sum(len(value[2] or b"") for value in values) + sum(len(write[3]) for write in writes)


def single(connection: Any, kind: type[Connected]) -> Connected:
    """The connection that a saver without a pool was given.

    Raises:
        TypeError: it is not of this kind.
    """
    if not isinstance(connection, kind):
        raise TypeError(f"Invalid connection type: {type(connection)}")
    return connection


def _split(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Channel values: those that go into the checkpoint itself, and those that are blobs."""
    inline, blobs = {}, {}
    for name, value in values.items():
        if value is None or isinstance(value, (str, int, float)):  # bool is an int
            inline[name] = value
        else:
            blobs[name] = value
            if isinstance(value, _DeltaSnapshot):
                inline[name] = True  # a mark for readers of delta channels
    return inline, blobs


def _stored_metadata(config: RunnableConfig, metadata: CheckpointMetadata) -> dict[str, Any]:
    """As upstream's `get_serializable_checkpoint_metadata`."""
    stored = collected(config, metadata)
    stored.pop("writes", None)
    return stored


def stored_config(config: RunnableConfig, checkpoint: Checkpoint) -> RunnableConfig:
    """The config of a checkpoint that `put` has stored."""
    configurable = config["configurable"]
    return {
        "configurable": {
            "thread_id": configurable["thread_id"],
            "checkpoint_ns": configurable["checkpoint_ns"],
            "checkpoint_id": checkpoint["id"],
        }
    }


def place_of(config: RunnableConfig | None, checkpoint_id: Any = None) -> Place:
    """Thread, namespace and checkpoint, for what `add_note` says."""
    configurable = (config or {}).get("configurable", {})
    return (
        configurable.get("thread_id"),
        configurable.get("checkpoint_ns"),
        checkpoint_id or configurable.get("checkpoint_id"),
    )


def storing(metadata: CheckpointMetadata) -> str:
    """What `put` does, for `add_note`."""
    return f"storing step {metadata.get('step')} of"


def thread_deletion(thread_id: Any) -> Query:
    return DELETE_THREAD, (str(thread_id),) * 3


def thread_copy(source: Any, target: Any) -> Query:
    return COPY_THREAD, (str(target), str(source)) * 3


def thread_size(thread_id: Any) -> Query:
    return SIZE, (str(thread_id),) * 3


def runs_deletion(run_ids: Sequence[str]) -> tuple[Query, Query]:
    """What finds threads that would be cut apart, and what deletes the runs."""
    if isinstance(run_ids, str):
        raise TypeError("run_ids must be a sequence of run IDs, not a str")
    runs = [str(run_id) for run_id in run_ids]
    return (CUT_THREADS, (runs, runs)), (DELETE_RUNS, (runs, runs))


def delta_check(cut: Sequence[DictRow]) -> Query:
    threads = [row["thread_id"] for row in cut]
    return PRUNE_DELTA_THREADS_SQL, (threads, threads)


def refuse_delta(found: Sequence[DictRow]) -> None:
    """Raise NotImplementedError for threads whose DeltaChannel needs what would be deleted."""
    if threads := sorted(row["thread_id"] for row in found):
        raise NotImplementedError(
            "delete_for_runs can't delete checkpoints that later ones of a thread with a "
            f"DeltaChannel are rebuilt from: {', '.join(threads)}. Delete the later runs too."
        )


# Sent by a server that ends the connection.
_ENDED = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03"})


def lost(error: BaseException) -> bool:
    """Whether an error says that the connection is gone."""
    if not isinstance(error, psycopg.OperationalError) or isinstance(
        error, (PoolClosed, PoolTimeout, TooManyRequests, errors.PipelineAborted)
    ):
        return False
    state = error.sqlstate
    return state is None or state in _ENDED or state.startswith("08")


def add_note(error: psycopg.Error, action: str, place: Place, reconnects: bool) -> None:
    """Add a note to an error: what it was about and what to do.

    Args:
        action: what was being done, as in "storing".
        place: what it was done with.
        reconnects: the saver opens its connections itself, or has a pool that does.
    """
    names = ("thread", "namespace", "checkpoint")
    what = ", ".join(f"{n} {v!r}" for n, v in zip(names, place, strict=True) if v not in (None, ""))
    note = f"PostgreSQL failed while {action} {what or 'checkpoints'}."
    if lost(error):
        note += " The connection was lost; what was being stored is there wholly or not at all."
        if reconnects:
            note += (
                " The saver connects again as soon as the server can be reached: then invoke the"
                " graph with the same thread_id and the input None to go on from the last stored"
                " checkpoint."
            )
        else:
            note += (
                " The saver was given this connection and can't open another: make a new saver,"
                " or use a ConnectionPool or from_conn_string, which reconnect."
            )
    elif isinstance(error, PoolTimeout):
        note += (
            " No connection was free in time, or the server can't be reached: the pool goes on"
            " trying, so that the saver can be used again once it can."
        )
    elif isinstance(error, (errors.SerializationFailure, errors.DeadlockDetected)):
        note += (
            " Another transaction changed the same rows at the same time. Nothing of this one is"
            " stored, and it may be tried again."
        )
    elif isinstance(error, errors.UndefinedTable):
        note += " The tables are missing: call the saver's setup() once."
    else:
        note += " Nothing of it is stored."
    notes.add_note(error, note)
