"""Checkpoints in PostgreSQL: upstream's tables, one round trip and one transaction a superstep."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import Any, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres import PostgresSaver as UpstreamPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import Connection, Cursor, Pipeline
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import ConnectionPool

from langgraph_cy.checkpoint import postgres_statements as st
from langgraph_cy.drivers.savers import takes_supersteps

__all__ = ("PostgresSaver",)


class OwnConnection:
    """A connection that the saver opens, and opens again after it was lost.

    Args:
        conn_string: the server's connection info string.
        pipeline: keep the connection in pipeline mode.
    """

    def __init__(self, conn_string: str, pipeline: bool) -> None:
        self._conn_string = conn_string
        self._pipeline = pipeline
        self._opened = ExitStack()
        self._current: tuple[Connection[DictRow], Pipeline | None] | None = None

    def current(self) -> tuple[Connection[DictRow], Pipeline | None]:
        """The connection, and its pipeline if it is in pipeline mode."""
        if self._current is None or self._current[0].closed:
            self.close()
            with ExitStack() as stack:
                conn = stack.enter_context(
                    Connection.connect(self._conn_string, **cast(Any, st.CONNECTION))
                )
                pipe = stack.enter_context(conn.pipeline()) if self._pipeline else None
                self._opened = stack.pop_all()
            self._current = conn, pipe
        return self._current

    def close(self) -> None:
        """Close it; `current` opens another."""
        self._current = None
        with suppress(psycopg.OperationalError):  # a lost one can't leave pipeline mode
            self._opened.close()


@takes_supersteps
class PostgresSaver(st.Statements, UpstreamPostgresSaver):
    """`langgraph.checkpoint.postgres.PostgresSaver`, with a statement for what belongs together.

    Tables, migrations and stored values are upstream's: either opens the other's database. The
    default serializer is `OrjsonSerializer`.

    - `put`, `put_writes` and `put_superstep` are one round trip and one transaction each.
    - With a `ConnectionPool` every call takes a connection of its own, so that readers and
      writers of several threads don't wait for each other.
    - After a connection was lost, a call is tried once more on a new one: all that this saver
      does can be done twice. A connection that was passed in can't be opened again.

    Args:
        conn: a connection, which must have `autocommit=True`, or a pool of such connections.
        pipe: the pipeline of `conn`, if that is in pipeline mode.
        serde: serializer of channel values and writes.

    Errors of psycopg keep their type and get a note with the thread, the checkpoint and what to
    do.
    """

    _own: OwnConnection | None = None
    _storing: Cursor[Any] | None = None

    @classmethod
    @contextmanager
    def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        pool_size: int | None = None,
        serde: SerializerProtocol | None = None,
    ) -> Iterator[PostgresSaver]:
        """A saver that connects itself, and connects again when the server was away.

        Args:
            conn_string: the server's connection info string.
            pipeline: keep the connection in pipeline mode, as upstream's.
            pool_size: have a pool of at most so many connections; None: one connection.
            serde: serializer of channel values and writes.

        Raises:
            ValueError: both `pipeline` and `pool_size` are given.
        """
        if pool_size is not None:
            if pipeline:
                raise ValueError("A pool has no pipeline: give either pipeline or pool_size.")
            with ConnectionPool(
                conn_string,
                min_size=1,
                max_size=pool_size,
                kwargs=st.CONNECTION,
                open=False,
                **cast(Any, st.RECONNECT),
                reconnect_failed=ConnectionPool.check,
            ) as pool:
                yield cls(cast(Any, pool), serde=serde)
            return
        own = OwnConnection(conn_string, pipeline)
        try:
            saver = cls(*own.current(), serde=serde)
            saver._own = own
            yield saver
        finally:
            own.close()

    # ---- storing ----

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and its new values, in one transaction and one round trip.

        Args and return value are those of upstream's `put`.
        """
        return self.put_superstep((), config, checkpoint, metadata, new_versions)

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes, in one transaction and one round trip.

        Args are those of upstream's `put_writes`.
        """
        if query := self._writes_query([(config, writes, task_id, task_path)]):
            self._execute(query, "storing writes for", st.place_of(config), stores=True)

    def put_superstep(
        self,
        writes: Sequence[st.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store the writes of some tasks and the checkpoint after them, all or nothing.

        Equal to `put_writes` for each and then `put`, but one transaction and one round trip.

        Args:
            writes: for each task the arguments of `put_writes`: config, writes, task id, path;
                or what `dumped_writes` has made of them.
            config, checkpoint, metadata, new_versions: as for `put`.

        Returns:
            The config of the stored checkpoint.
        """
        self.put_dumped([self.dumped_superstep(writes, config, checkpoint, metadata, new_versions)])
        return st.stored_config(config, checkpoint)

    def put_dumped(self, supersteps: Sequence[st.Superstep]) -> None:
        """Store what `dumped_superstep` has made, each in one transaction and one round trip."""
        for superstep in supersteps:
            self._execute(*superstep, stores=True)

    # ---- reading ----

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or else the thread's latest; None: there is none."""
        found = self._execute(self._tuple_query(config), "reading", st.place_of(config))
        row = found.fetchone()
        if row is None:
            return None
        self._complete([row])
        return self._load_checkpoint_tuple(row)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints of a thread or of all, the newest first, as upstream's `list`.

        One query, seen as of one moment. No connection is held while the caller goes through
        them, and each is decoded when it is reached.
        """
        query = self._list_query(config, filter, before, limit)
        found = self._execute(query, "listing", st.place_of(config))
        while rows := found.fetchmany(st.PAGE):
            self._complete(rows)
            yield from map(self._load_checkpoint_tuple, rows)

    def size(self, thread_id: str) -> int:
        """How many bytes the checkpoints, values and writes of a thread take in their tables.

        Counted as PostgreSQL keeps them, compressed where it compresses; rows' heads, keys and
        indices are not counted.
        """
        found = self._execute(st.thread_size(thread_id), "measuring", (thread_id, None, None))
        row = found.fetchone()
        return 0 if row is None else int(row["bytes"])

    # ---- deleting, copying ----

    def delete_thread(self, thread_id: str) -> None:
        """Delete all that is stored of a thread, in one transaction."""
        self._execute(st.thread_deletion(thread_id), "deleting", (thread_id, None, None))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that some runs made, their writes, and values of no other.

        One transaction. The run's id is `run_id` in a checkpoint's metadata, which has no index:
        all checkpoints are looked at.

        Raises:
            TypeError: `run_ids` is a single string.
            NotImplementedError: a thread that uses a DeltaChannel has later checkpoints that are
                rebuilt from those. Nothing is deleted.
        """
        cut, deletion = st.runs_deletion(run_ids)
        with self._cursor() as cur, cur.connection.transaction():
            st.refuse_delta(cur.execute(*st.delta_check(cur.execute(*cut).fetchall())).fetchall())
            cur.execute(*deletion)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all that is stored of a thread to another, in one transaction.

        What the target has already stays as it is.
        """
        query = st.thread_copy(source_thread_id, target_thread_id)
        self._execute(query, "copying", (source_thread_id, None, None))

    # ---- connections ----

    def _complete(self, rows: Sequence[DictRow]) -> None:
        for query, old in self._sends_queries(rows):
            found = self._execute(query, "reading sends of", (old[0]["thread_id"], None, None))
            self._add_sends(old, found.fetchall())

    def _execute(
        self, query: st.Query, action: str, place: st.Place, *, stores: bool = False
    ) -> Cursor[Any]:
        """Execute one statement; once more, if its connection turns out to be lost.

        Args:
            stores: it gives nothing back.
        """
        try:
            try:
                return self._execute_once(query, stores)
            except psycopg.OperationalError as error:
                if not st.lost(error) or not self._reconnects():
                    raise
            return self._execute_once(query, stores)
        except psycopg.Error as error:
            st.add_note(error, action, place, self._reconnects())
            raise

    def _execute_once(self, query: st.Query, stores: bool) -> Cursor[Any]:
        with self._connection() as (conn, pipe):
            cur = self._storing_cursor(conn) if stores else self._new_cursor(conn)
            cur.execute(*query)
            if pipe is not None:
                pipe.sync()  # ends the transaction, and raises what it has to
            return cur

    def _new_cursor(self, conn: Connection[DictRow], rows: Any = dict_row) -> Cursor[Any]:
        st.adapt(conn)
        return conn.cursor(binary=True, row_factory=rows)

    def _storing_cursor(self, conn: Connection[DictRow]) -> Cursor[Any]:
        """The same cursor, as long as the connection is: it knows how to send its parameters."""
        cur = self._storing
        if cur is None or cur.connection is not conn:
            cur = self._storing = self._new_cursor(conn, tuple_row)
        return cur

    def _reconnects(self) -> bool:
        return self._own is not None or isinstance(self.conn, ConnectionPool)

    @contextmanager
    def _connection(self) -> Iterator[tuple[Connection[DictRow], Pipeline | None]]:
        """A connection for one call, with its pipeline. A lost one is done away with."""
        pool = self.conn
        if isinstance(pool, ConnectionPool):
            try:
                with pool.connection() as conn:
                    yield conn, None
            except psycopg.OperationalError as error:
                if st.lost(error):
                    pool.check()  # the others are likely to be lost too
                raise
        else:
            with self.lock:
                if self._own is not None:
                    conn, pipe = self._own.current()
                    if conn is not self.conn:  # else its owner may have given it a pipeline
                        self.conn, self.pipe = conn, pipe
                try:
                    yield st.single(self.conn, Connection), self.pipe
                except psycopg.OperationalError as error:
                    if self._own is not None and st.lost(error):
                        self._own.close()
                    raise

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Cursor[DictRow]]:
        """What upstream's other methods work with."""
        with self._connection() as (conn, pipe):
            if pipe is not None or not pipeline:
                group: Any = nullcontext()
            else:
                group = conn.pipeline() if self.supports_pipeline else conn.transaction()
            try:
                with group, conn.cursor(binary=True, row_factory=dict_row) as cur:
                    yield cur
            finally:
                if pipe is not None and pipeline:
                    pipe.sync()
