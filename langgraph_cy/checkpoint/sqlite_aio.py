"""The SQLite saver for asynchronous runs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as StockAsyncSqliteSaver

from langgraph_cy.checkpoint import sqlite_database as database
from langgraph_cy.checkpoint import sqlite_upkeep as upkeep
from langgraph_cy.checkpoint.sqlite import Synchronous
from langgraph_cy.checkpoint.sqlite_errors import (
    explain,
    explaining,
    of_checkpoint,
    of_thread,
    of_writes,
)
from langgraph_cy.drivers.savers import takes_supersteps

__all__ = ("AsyncSqliteSaver",)

Result = TypeVar("Result")


@takes_supersteps
class AsyncSqliteSaver(database.Supersteps, StockAsyncSqliteSaver):
    """Stands in for upstream's `AsyncSqliteSaver`, on the same tables.

    Each call is one transaction and one turn of aiosqlite's thread, so a cancelled call has
    stored all or nothing. Between the batches that `alist` reads of a database file, through a
    connection of its own, other calls have their turn. The methods that are not asynchronous are
    for other threads than the event loop's.

    Args:
        conn: the connection, not yet awaited or awaited. Its owner closes it.
        serde, synchronous, busy_timeout: as for `SqliteSaver`.

    Raises:
        sqlite3.OperationalError: as from `SqliteSaver`.
    """

    def __init__(
        self,
        conn: aiosqlite.Connection,
        *,
        serde: SerializerProtocol | None = None,
        synchronous: Synchronous | None = None,
        busy_timeout: float | None = None,
    ) -> None:
        super().__init__(conn, serde=serde)
        self.synchronous = synchronous
        self.busy_timeout = busy_timeout
        self._reading: database.Reading | None = None

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        conn_string: str,
        *,
        serde: SerializerProtocol | None = None,
        synchronous: Synchronous | None = None,
        busy_timeout: float | None = None,
    ) -> AsyncIterator[AsyncSqliteSaver]:
        """Open a database for as long as the context lasts.

        Args:
            conn_string: path of the file, or `:memory:`; the others as for the class.

        Yields:
            A saver.
        """
        with explaining(f"the database {conn_string!r}", written=False):
            conn = await aiosqlite.connect(conn_string)
        try:
            yield cls(conn, serde=serde, synchronous=synchronous, busy_timeout=busy_timeout)
        finally:
            await conn.close()

    async def setup(self) -> None:
        """Create the tables where they are missing. Called when needed."""
        if self._reading is not None:
            return
        with explaining("the tables", written=False):
            await super().setup()
            async with self.lock:
                conn = self.conn._conn
                await self._in_thread(database.configure, conn, self.synchronous, self.busy_timeout)
                self._reading = await self._in_thread(database.reading, conn)

    async def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function in the thread of the connection.

        aiosqlite's public methods take one turn for each step of a transaction.
        """
        execute: Callable[..., Coroutine[Any, Any, Result]] = self.conn._execute
        return await execute(function, *arguments)

    async def _write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function with the `sqlite3` connection, in its thread."""
        await self.setup()
        async with self.lock:
            return await self._in_thread(function, self.conn._conn, *arguments)

    async def _read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """As `_write`, for the functions that have to know of the column `task_path`."""
        await self.setup()
        return await self._write(function, self._has_task_path, *arguments)

    def _wait(self, call: Coroutine[Any, Any, Result]) -> Result:
        """Wait for a call, in another thread than the event loop's."""
        try:
            inside = asyncio.get_running_loop() is self.loop
        except RuntimeError:
            inside = False
        if inside:
            call.close()
            raise asyncio.InvalidStateError(
                "In the thread of its event loop, the methods of an AsyncSqliteSaver that wait"
                " would wait for ever: use the asynchronous ones, whose names begin with 'a'."
            )
        return asyncio.run_coroutine_threadsafe(call, self.loop).result()

    async def aput_dumped(self, supersteps: Sequence[database.Superstep]) -> None:
        """Store what `dumped_superstep` has made, all in one transaction."""
        statements = [each for some, _ in supersteps for each in some]
        try:
            await self._write(database.store, statements)
        except sqlite3.Error as error:
            explain(error, of_checkpoint(*supersteps[0][1]))
            raise

    async def aput_superstep(
        self,
        writes: Sequence[database.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store the writes of some tasks and then a checkpoint, in one transaction.

        See `SqliteSaver.put_superstep`.
        """
        await self.aput_dumped(
            [self.dumped_superstep(writes, config, checkpoint, metadata, new_versions)]
        )
        return database.address(config, checkpoint["id"])

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, as upstream's `aput` does."""
        statement = database.checkpoint_statement(self.serde, config, checkpoint, metadata)
        with explaining(of_checkpoint(config, checkpoint["id"], metadata)):
            await self._write(database.store, [statement])
        return database.address(config, checkpoint["id"])

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the writes of a task, as upstream's `aput_writes` does."""
        statement = database.writes_statement(self.serde, config, writes, task_id, task_path)
        with explaining(of_writes(config, task_id)):
            await self._write(database.store, [statement])

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Find a checkpoint, as upstream's `aget_tuple` does."""
        with explaining(of_thread(config), written=False):
            stored = await self._read(database.fetch, config)
        return None if stored is None else database.loaded(self.serde, stored, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Find checkpoints, newest first, as upstream's `alist` does.

        See `SqliteSaver.list`.
        """
        query = database.Query.of(config, filter, before, limit)
        with explaining(of_thread(config), written=False):
            await self.setup()
            batches = database.batches(
                self.conn._conn, self._has_task_path, cast(database.Reading, self._reading), query
            )
            try:
                batch = await self._write(lambda _: next(batches, None))
                while batch is not None:
                    for stored in batch:
                        yield database.loaded(self.serde, stored)
                    # without the lock: nobody else uses the connection that these come from
                    batch = await self._in_thread(next, batches, None)
            finally:
                await self._close(batches)

    async def _close(self, batches: database.Batches) -> None:
        try:
            await self._in_thread(batches.close)
        except ValueError:  # aiosqlite's thread has ended
            batches.close()

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Find what channels are made from, as upstream's `aget_delta_channel_history` does."""
        with explaining(of_thread(config), written=False):
            return await self._read(database.delta_history, self.serde, config, channels)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread."""
        with explaining(f"thread {thread_id!r}"):
            await self._write(upkeep.delete_threads, [str(thread_id)])

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of some runs. See `SqliteSaver.delete_for_runs`."""
        with explaining(f"runs {run_ids!r}"):
            await self._write(upkeep.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread to another. See `SqliteSaver.copy_thread`."""
        with explaining(f"thread {target_thread_id!r}"):
            await self._write(upkeep.copy_thread, str(source_thread_id), str(target_thread_id))

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete what some threads no longer need. See `SqliteSaver.prune`."""
        threads = upkeep.checked(thread_ids, strategy)
        if strategy == "delete":
            with explaining(f"threads {threads!r}"):
                await self._write(upkeep.delete_threads, threads)
            return
        with explaining(f"threads {threads!r}", written=False):
            await self._write(upkeep.refuse_delta, self.serde, threads)
        for thread_id in threads:
            with explaining(f"thread {thread_id!r}"):
                await self._write(upkeep.keep_latest, self.serde, thread_id)

    async def asize(self, thread_id: str) -> int:
        """The bytes that a thread takes. See `SqliteSaver.size`."""
        with explaining(f"thread {thread_id!r}", written=False):
            return await self._write(upkeep.size, str(thread_id))

    def put_superstep(
        self,
        writes: Sequence[database.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """As `aput_superstep`, from another thread."""
        return self._wait(self.aput_superstep(writes, config, checkpoint, metadata, new_versions))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """As `adelete_for_runs`, from another thread."""
        self._wait(self.adelete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """As `acopy_thread`, from another thread."""
        self._wait(self.acopy_thread(source_thread_id, target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """As `aprune`, from another thread."""
        self._wait(self.aprune(thread_ids, strategy=strategy))

    def size(self, thread_id: str) -> int:
        """As `asize`, from another thread."""
        return self._wait(self.asize(thread_id))
