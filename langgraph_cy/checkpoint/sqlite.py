"""The SQLite saver for synchronous runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import Any, Literal, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.sqlite import SqliteSaver as StockSqliteSaver

from langgraph_cy.checkpoint import sqlite_database as database
from langgraph_cy.checkpoint import sqlite_upkeep as upkeep
from langgraph_cy.checkpoint.sqlite_errors import (
    explain,
    explaining,
    of_checkpoint,
    of_thread,
    of_writes,
)
from langgraph_cy.drivers.savers import takes_supersteps

__all__ = ("SqliteSaver",)

Result = TypeVar("Result")
Synchronous = Literal["OFF", "NORMAL", "FULL", "EXTRA"]


@takes_supersteps
class SqliteSaver(database.Supersteps, StockSqliteSaver):
    """Stands in for upstream's `SqliteSaver`, on the same tables.

    Each call writes in one transaction: all of it is stored or nothing. `list` reads a database
    file through a connection of its own, and so does any other read while another thread writes:
    readers and writers don't wait for each other. A database in memory has only one connection.
    Where the connection has SQLite's default for it, the write-ahead log may grow to 4,000 pages
    (16 MB) before it is copied into the database, which waits for the disk.

    Args:
        conn: the connection; open it with `check_same_thread=False`. Its owner closes it.
        serde: serializer of checkpoints and writes. None: an `OrjsonSerializer`.
        synchronous: level of `PRAGMA synchronous` to set: how hard SQLite tries to get a
            transaction on to the disk before it counts as committed. With `FULL` (the default of
            SQLite itself) it survives a power failure; with `NORMAL` a power failure may take the
            latest ones, but never damages the database. None: as the connection has it.
        busy_timeout: seconds to wait for a lock that somebody else holds. None: as the
            connection has it, 5 by default of `sqlite3`.

    Raises:
        sqlite3.OperationalError: from any method, where the database is locked, full or
            read-only; `sqlite3.DatabaseError` where it is damaged. A note says which thread and
            checkpoint it concerns, and what to do.
    """

    def __init__(
        self,
        conn: sqlite3.Connection,
        *,
        serde: SerializerProtocol | None = None,
        synchronous: Synchronous | None = None,
        busy_timeout: float | None = None,
    ) -> None:
        super().__init__(conn, serde=serde)
        self.synchronous = synchronous
        self.busy_timeout = busy_timeout
        self._reading = database.Reading(None, 0)

    @classmethod
    @contextmanager
    def from_conn_string(
        cls,
        conn_string: str,
        *,
        serde: SerializerProtocol | None = None,
        synchronous: Synchronous | None = None,
        busy_timeout: float | None = None,
    ) -> Iterator[SqliteSaver]:
        """Open a database for as long as the context lasts.

        Args:
            conn_string: path of the file, or `:memory:`; the others as for the class.

        Yields:
            A saver.
        """
        with explaining(f"the database {conn_string!r}", written=False):
            conn = sqlite3.connect(conn_string, check_same_thread=False)
        with closing(conn):
            yield cls(conn, serde=serde, synchronous=synchronous, busy_timeout=busy_timeout)

    def setup(self) -> None:
        """Create the tables where they are missing. Called when needed."""
        if self.is_setup:
            return
        with explaining("the tables", written=False):
            database.configure(self.conn, self.synchronous, self.busy_timeout)
            super().setup()
            self._reading = database.reading(self.conn)

    @contextmanager
    def cursor(self, transaction: bool = True) -> Iterator[sqlite3.Cursor]:
        """A cursor of the connection, which nobody else uses meanwhile.

        Args:
            transaction: what it does is committed at the end, or where it fails undone.
        """
        with self.lock:
            self.setup()
            with (
                closing(self.conn.cursor()) as cur,
                database.Transaction(self.conn) if transaction else nullcontext(),
            ):
                yield cur

    def _write(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function with the connection."""
        with self.lock:
            if not self.is_setup:
                self.setup()
            return function(self.conn, *arguments)

    def _read(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function with the connection, or while that is at work, with another one."""
        if self.lock.locked() and (reader := self._reader()) is not None:
            with closing(reader):
                return function(reader, self._has_task_path, *arguments)
        with self.lock:
            self.setup()
            return function(self.conn, self._has_task_path, *arguments)

    def _reader(self) -> sqlite3.Connection | None:
        """A new connection to read from, None where the saver's own has to be used.

        What the owner of the connection has not committed yet, only that connection sees.
        """
        if not self.lock.locked():
            with self.lock:
                self.setup()
                if self.conn.in_transaction:
                    return None
        return self._reading.connect()

    def put_dumped(self, supersteps: Sequence[database.Superstep]) -> None:
        """Store what `dumped_superstep` has made, all in one transaction."""
        statements = [each for some, _ in supersteps for each in some]
        try:
            self._write(database.store, statements)
        except sqlite3.Error as error:
            explain(error, of_checkpoint(*supersteps[0][1]))
            raise

    def put_superstep(
        self,
        writes: Sequence[database.TaskWrites],
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store the writes of some tasks and then a checkpoint, in one transaction.

        Has the effect of a `put_writes` for each and a `put`.

        Args:
            writes: for each task the arguments of `put_writes`, or what `dumped_writes` has made
                of them.
            config, checkpoint, metadata, new_versions: as for `put`.

        Returns:
            The config of the stored checkpoint.
        """
        self.put_dumped([self.dumped_superstep(writes, config, checkpoint, metadata, new_versions)])
        return database.address(config, checkpoint["id"])

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint, as upstream's `put` does."""
        statement = database.checkpoint_statement(self.serde, config, checkpoint, metadata)
        with explaining(of_checkpoint(config, checkpoint["id"], metadata)):
            self._write(database.store, [statement])
        return database.address(config, checkpoint["id"])

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store the writes of a task, as upstream's `put_writes` does."""
        statement = database.writes_statement(self.serde, config, writes, task_id, task_path)
        with explaining(of_writes(config, task_id)):
            self._write(database.store, [statement])

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Find a checkpoint, as upstream's `get_tuple` does."""
        with explaining(of_thread(config), written=False):
            stored = self._read(database.fetch, config)
        return None if stored is None else database.loaded(self.serde, stored, config)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Find checkpoints, newest first, as upstream's `list` does.

        The iterator reads a few at a time, all from the state in which the database was when it
        was first advanced. Others may write meanwhile.
        """
        query = database.Query.of(config, filter, before, limit)
        with (
            explaining(of_thread(config), written=False),
            closing(self._history(query)) as batches,
        ):
            for batch in batches:
                for stored in batch:
                    yield database.loaded(self.serde, stored)

    def _history(self, query: database.Query) -> database.Batches:
        reader = None if query.short else self._reader()
        if reader is None:
            yield from self._read(database.whole_history, query)
        else:
            yield from database.own_history(reader, self._has_task_path, query)

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Find what channels are made from, as upstream's `get_delta_channel_history` does."""
        with explaining(of_thread(config), written=False):
            return self._read(database.delta_history, self.serde, config, channels)

    def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread."""
        with explaining(f"thread {thread_id!r}"):
            self._write(upkeep.delete_threads, [str(thread_id)])

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of some runs, and their writes.

        Args:
            run_ids: values of `run_id` in the metadata of checkpoints.
        """
        with explaining(f"runs {run_ids!r}"):
            self._write(upkeep.delete_for_runs, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another.

        Args:
            source_thread_id: what to copy.
            target_thread_id: where to; checkpoints that it has with the same ids are replaced.
        """
        with explaining(f"thread {target_thread_id!r}"):
            self._write(upkeep.copy_thread, str(source_thread_id), str(target_thread_id))

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete what some threads no longer need.

        Args:
            thread_ids: the threads.
            strategy: `"keep_latest"` keeps the latest checkpoint of each namespace with its
                pending writes, without a parent; the namespace of a subgraph call goes with the
                checkpoint of the root graph that it started from. Each thread is pruned in a
                transaction of its own. `"delete"` keeps nothing, and is one transaction.

        Raises:
            TypeError: `thread_ids` is one string.
            ValueError: there is no such strategy.
            NotImplementedError: a thread has a `DeltaChannel`, whose latest value is made from
                older checkpoints too, and the strategy is `"keep_latest"`. Nothing is pruned.
        """
        threads = upkeep.checked(thread_ids, strategy)
        if strategy == "delete":
            with explaining(f"threads {threads!r}"):
                self._write(upkeep.delete_threads, threads)
            return
        with explaining(f"threads {threads!r}", written=False):
            self._write(upkeep.refuse_delta, self.serde, threads)
        for thread_id in threads:
            with explaining(f"thread {thread_id!r}"):
                self._write(upkeep.keep_latest, self.serde, thread_id)

    def size(self, thread_id: str) -> int:
        """The bytes that a thread's checkpoints, their metadata and the writes' values take."""
        with explaining(f"thread {thread_id!r}", written=False):
            return self._write(upkeep.size, str(thread_id))
