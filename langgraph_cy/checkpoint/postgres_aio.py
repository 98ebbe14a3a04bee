"""Checkpoints in PostgreSQL for asyncio: as `postgres`, awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    nullcontext,
    suppress,
)
from typing import Any, TypeVar, cast

import psycopg
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.postgres import PostgresSaver as UpstreamPostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as UpstreamAsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.rows import DictRow, dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from langgraph_cy.checkpoint import postgres_statements as st
from langgraph_cy.drivers.savers import takes_supersteps

__all__ = ("AsyncPostgresSaver",)

Result = TypeVar("Result")
Connected = tuple[AsyncConnection[DictRow], AsyncPipeline | None]

# Values of more bytes are decoded in a thread, so that the event loop goes on meanwhile.
IN_THREAD = 1 << 20


class OwnConnection:
    """A connection that the saver opens, and opens again after it was lost.

    Args:
        conn_string: the server's connection info string.
        pipeline: keep the connection in pipeline mode.
    """

    def __init__(self, conn_string: str, pipeline: bool) -> None:
        self._conn_string = conn_string
        self._pipeline = pipeline
        self._opened = AsyncExitStack()
        self._current: Connected | None = None

    async def current(self) -> Connected:
        """The connection, and its pipeline if it is in pipeline mode."""
        if self._current is None or self._current[0].closed:
            await self.close()
            async with AsyncExitStack() as stack:
                conn = await stack.enter_async_context(
                    await AsyncConnection.connect(self._conn_string, **cast(Any, st.CONNECTION))
                )
                pipe = await stack.enter_async_context(conn.pipeline()) if self._pipeline else None
                self._opened = stack.pop_all()
            self._current = conn, pipe
        return self._current

    async def close(self) -> None:
        """Close it; `current` opens another."""
        self._current = None
        with suppress(psycopg.OperationalError):  # a lost one can't leave pipeline mode
            await self._opened.aclose()


@asynccontextmanager
async def _pooled(pool: AsyncConnectionPool[Any]) -> AsyncIterator[Connected]:
    """A connection of a pool, for one call."""
    try:
        async with pool.connection() as conn:
            yield conn, None
    except psycopg.OperationalError as error:
        if st.lost(error):
            await pool.check()  # the others are likely to be lost too
        raise


class _Single:
    """The connection of a saver without a pool, for one call."""

    # Every superstep comes here: a generator as context manager would take many calls more.

    __slots__ = ("saver",)

    def __init__(self, saver: AsyncPostgresSaver) -> None:
        self.saver = saver

    async def __aenter__(self) -> Connected:
        saver = self.saver
        await saver.lock.acquire()
        try:
            if saver._own is not None:
                conn, pipe = await saver._own.current()
                if conn is not saver.conn:  # else its owner may have given it a pipeline
                    saver.conn, saver.pipe = conn, pipe
            return st.single(saver.conn, AsyncConnection), saver.pipe
        except BaseException:
            saver.lock.release()
            raise

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        saver = self.saver
        try:
            if saver._own is not None and error is not None and st.lost(error):
                await saver._own.close()
        finally:
            saver.lock.release()


@takes_supersteps
class AsyncPostgresSaver(st.Statements, UpstreamAsyncPostgresSaver):
    """`langgraph.checkpoint.postgres.aio.AsyncPostgresSaver`, one statement for a superstep.

    All that `langgraph_cy.checkpoint.PostgresSaver` says of itself holds for it. The methods
    without an `a` in front may be called from other threads than that of the event loop.

    Args:
        conn: a connection, which must have `autocommit=True`, or a pool of such connections.
        pipe: the pipeline of `conn`, if that is in pipeline mode.
        serde: serializer of channel values and writes.
    """

    _own: OwnConnection | None = None
    _storing: AsyncCursor[Any] | None = None

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        pool_size: int | None = None,
        serde: SerializerProtocol | None = None,
    ) -> AsyncIterator[AsyncPostgresSaver]:
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
            async with AsyncConnectionPool(
                conn_string,
                min_size=1,
                max_size=pool_size,
                kwargs=st.CONNECTION,
                open=False,
                **cast(Any, st.RECONNECT),
                reconnect_failed=AsyncConnectionPool.check,
            ) as pool:
                yield cls(cast(Any, pool), serde=serde)
            return
        own = OwnConnection(conn_string, pipeline)
        try:
            saver = cls(*await own.current(), serde=serde)
            saver._own = own
            yield saver
        finally:
            await own.close()

    # ---- storing ----

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint and its new values, in one transaction and one round trip.

        Args and return value are those of upstream's `aput`.
        """
        return await self.aput_superstep((), config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store a task's writes, in one transaction and one round trip.

        Args are those of upstream's `aput_writes`.
        """
        query = await self._built(self._writes_query, [(config, writes, task_id, task_path)])
        if query is not None:
            await self._execute(query, "storing writes for", st.place_of(config), stores=True)

    async def aput_superstep(
        self,
        writes: Sequence[st.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store the writes of some tasks and the checkpoint after them, all or nothing.

        Equal to `aput_writes` for each and then `aput`, but one transaction and one round trip.

        Args:
            writes: for each task the arguments of `aput_writes`: config, writes, task id, path;
                or what `dumped_writes` has made of them.
            config, checkpoint, metadata, new_versions: as for `aput`.

        Returns:
            The config of the stored checkpoint.
        """
        query = await self._built(
            self._superstep_query, writes, config, checkpoint, metadata, new_versions
        )
        place = st.place_of(config, checkpoint["id"])
        await self._execute(query, st.storing(metadata), place, stores=True)
        return st.stored_config(config, checkpoint)

    async def aput_dumped(self, supersteps: Sequence[st.Superstep]) -> None:
        """Store what `dumped_superstep` has made, each in one transaction and one round trip."""
        for superstep in supersteps:
            await self._execute(*superstep, stores=True)

    async def _built(self, build: Callable[..., Result], *arguments: Any) -> Result:
        if self._computes:
            return build(*arguments)
        return await asyncio.to_thread(build, *arguments)

    # ---- reading ----

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or else the thread's latest; None: there is none."""
        found = await self._execute(self._tuple_query(config), "reading", st.place_of(config))
        row = await found.fetchone()
        if row is None:
            return None
        await self._complete([row])
        return await self._load_checkpoint_tuple(row)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints of a thread or of all, the newest first, as upstream's `alist`.

        One query, seen as of one moment. No connection is held while the caller goes through
        them, and each is decoded when it is reached.
        """
        query = self._list_query(config, filter, before, limit)
        found = await self._execute(query, "listing", st.place_of(config))
        while rows := await found.fetchmany(st.PAGE):
            await self._complete(rows)
            for row in rows:
                yield await self._load_checkpoint_tuple(row)
            await asyncio.sleep(0)  # decoding may have taken a while

    async def asize(self, thread_id: str) -> int:
        """How many bytes the checkpoints, values and writes of a thread take in their tables.

        Counted as PostgreSQL keeps them, compressed where it compresses; rows' heads, keys and
        indices are not counted.
        """
        place = (thread_id, None, None)
        found = await self._execute(st.thread_size(thread_id), "measuring", place)
        row = await found.fetchone()
        return 0 if row is None else int(row["bytes"])

    async def _load_checkpoint_tuple(self, value: DictRow) -> CheckpointTuple:
        load = UpstreamPostgresSaver._load_checkpoint_tuple
        if self._computes and st.blob_bytes(value) < IN_THREAD:
            return load(cast(Any, self), value)
        return await asyncio.to_thread(load, cast(Any, self), value)

    # ---- deleting, copying ----

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all that is stored of a thread, in one transaction."""
        await self._execute(st.thread_deletion(thread_id), "deleting", (thread_id, None, None))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints that some runs made, their writes, and values of no other.

        One transaction. The run's id is `run_id` in a checkpoint's metadata, which has no index:
        all checkpoints are looked at.

        Raises:
            TypeError: `run_ids` is a single string.
            NotImplementedError: a thread that uses a DeltaChannel has later checkpoints that are
                rebuilt from those. Nothing is deleted.
        """
        cut, deletion = st.runs_deletion(run_ids)
        async with self._cursor() as cur, cur.connection.transaction():
            threads = await (await cur.execute(*cut)).fetchall()
            st.refuse_delta(await (await cur.execute(*st.delta_check(threads))).fetchall())
            await cur.execute(*deletion)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all that is stored of a thread to another, in one transaction.

        What the target has already stays as it is.
        """
        query = st.thread_copy(source_thread_id, target_thread_id)
        await self._execute(query, "copying", (source_thread_id, None, None))

    # ---- from other threads ----

    def put_superstep(
        self,
        writes: Sequence[st.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`aput_superstep`, called from another thread than the event loop's."""
        return self._from_thread(
            self.aput_superstep, writes, config, checkpoint, metadata, new_versions
        )

    def size(self, thread_id: str) -> int:
        """`asize`, called from another thread than the event loop's."""
        return self._from_thread(self.asize, thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`adelete_for_runs`, called from another thread than the event loop's."""
        self._from_thread(self.adelete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`acopy_thread`, called from another thread than the event loop's."""
        self._from_thread(self.acopy_thread, source_thread_id, target_thread_id)

    def _from_thread(
        self, method: Callable[..., Coroutine[Any, Any, Result]], *arguments: Any
    ) -> Result:
        try:
            running: Any = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            raise asyncio.InvalidStateError(
                "Synchronous calls to AsyncPostgresSaver block, so they are allowed from other "
                f"threads than the event loop's only. Here, use `await saver.{method.__name__}()`."
            )
        return asyncio.run_coroutine_threadsafe(method(*arguments), self.loop).result()

    # ---- connections ----

    async def _complete(self, rows: Sequence[DictRow]) -> None:
        for query, old in self._sends_queries(rows):
            place = (old[0]["thread_id"], None, None)
            found = await self._execute(query, "reading sends of", place)
            self._add_sends(old, await found.fetchall())

    async def _execute(
        self, query: st.Query, action: str, place: st.Place, *, stores: bool = False
    ) -> AsyncCursor[Any]:
        """Execute one statement; once more, if its connection turns out to be lost.

        Args:
            stores: it gives nothing back.
        """
        try:
            try:
                return await self._execute_once(query, stores)
            except psycopg.OperationalError as error:
                if not st.lost(error) or not self._reconnects():
                    raise
            return await self._execute_once(query, stores)
        except psycopg.Error as error:
            st.add_note(error, action, place, self._reconnects())
            raise

    async def _execute_once(self, query: st.Query, stores: bool) -> AsyncCursor[Any]:
        async with self._connection() as (conn, pipe):
            cur = self._storing_cursor(conn) if stores else self._new_cursor(conn)
            await cur.execute(*query)
            if pipe is not None:
                await pipe.sync()  # ends the transaction, and raises what it has to
            return cur

    def _new_cursor(self, conn: AsyncConnection[DictRow], rows: Any = dict_row) -> AsyncCursor[Any]:
        st.adapt(conn)
        return conn.cursor(binary=True, row_factory=rows)

    def _storing_cursor(self, conn: AsyncConnection[DictRow]) -> AsyncCursor[Any]:
        """The same cursor, as long as the connection is: it knows how to send its parameters."""
        cur = self._storing
        if cur is None or cur.connection is not conn:
            cur = self._storing = self._new_cursor(conn, tuple_row)
        return cur

    def _reconnects(self) -> bool:
        return self._own is not None or isinstance(self.conn, AsyncConnectionPool)

    def _connection(self) -> AbstractAsyncContextManager[Connected]:
        """A connection for one call, with its pipeline. A lost one is done away with."""
        pool = self.conn
        if isinstance(pool, AsyncConnectionPool):
            return _pooled(pool)
        return _Single(self)

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        """What upstream's other methods work with."""
        async with self._connection() as (conn, pipe):
            if pipe is not None or not pipeline:
                group: Any = nullcontext()
            else:
                group = conn.pipeline() if self.supports_pipeline else conn.transaction()
            try:
                async with (
                    group,
                    conn.cursor(binary=True, row_factory=dict_row) as cur,
                ):
                    yield cur
            finally:
                if pipe is not None and pipeline:
                    await pipe.sync()
