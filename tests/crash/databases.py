"""Databases that hold the threads which are killed: opened for a run, copied, and examined."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

_UPSTREAM = {
    "SqliteSaver": "langgraph.checkpoint.sqlite",
    "AsyncSqliteSaver": "langgraph.checkpoint.sqlite.aio",
    "PostgresSaver": "langgraph.checkpoint.postgres",
    "AsyncPostgresSaver": "langgraph.checkpoint.postgres.aio",
}
_POSTGRES_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")
_BACKENDS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
# Long enough for any server: what it waits for is the end of one transaction.
_SETTLE_SECONDS = 30.0


def saver_class(kind: str, savers: str, asynchronous: bool) -> Any:
    """A class of savers.

    Args:
        kind: "sqlite" or "postgres".
        savers: "ours", "stock", or the dotted name of a module that has classes of these names.
    """
    name = ("Async" if asynchronous else "") + f"{kind.capitalize()}Saver"
    modules = {"ours": "langgraph_cy.checkpoint", "stock": _UPSTREAM[name]}
    return getattr(importlib.import_module(modules.get(savers, savers)), name)


def _conn_string(spec: dict[str, Any]) -> str:
    if spec["kind"] == "sqlite":
        return str(spec["target"])
    # the name tells the server's processes of this thread's clients from all others
    return f"{spec['target']}?application_name={spec['thread']}"


@contextmanager
def opened(spec: dict[str, Any]) -> Iterator[Any]:
    """The saver that a run uses.

    Args:
        spec: `kind`, `savers`, `target` and `thread` count here.
    """
    cls = saver_class(spec["kind"], spec["savers"], False)
    with cls.from_conn_string(_conn_string(spec)) as saver:
        yield saver


@asynccontextmanager
async def aopened(spec: dict[str, Any]) -> AsyncIterator[Any]:
    """The same with an asynchronous saver."""
    cls = saver_class(spec["kind"], spec["savers"], True)
    async with cls.from_conn_string(_conn_string(spec)) as saver:
        yield saver


class Database:
    """Where threads are stored.

    Attributes:
        kind: "sqlite" or "postgres".
    """

    kind: str

    def target(self, thread: str) -> str:
        """What a run that works on the thread connects to."""
        raise NotImplementedError

    def thread_id(self, thread: str) -> str:
        """The thread's id there."""
        return thread

    def settle(self, thread: str) -> None:
        """Wait until nothing of a client that was killed is under way."""

    def faults(self, thread: str) -> list[str]:
        """What the database says is wrong with itself."""
        return []

    def copy(self, thread: str, suffix: str = "copy") -> str:
        """Copy a thread with all it has stored; the copy's name."""
        raise NotImplementedError

    def seen(self, thread: str) -> str:
        """The name under which a thread can be read without any change to it."""
        return thread

    @contextmanager
    def stock(self, thread: str) -> Iterator[Any]:
        """Upstream's saver with upstream's serializer, to read a thread."""
        spec = {"kind": self.kind, "savers": "stock", "thread": thread}
        with opened({**spec, "target": self.target(thread)}) as saver:
            yield saver

    def keep(self, thread: str, folder: Path) -> str:
        """Keep a thread beyond the life of the database; where to look for it."""
        return self.target(thread)

    def forget(self, thread: str) -> None:
        """Remove a thread."""
        raise NotImplementedError


class Sqlite(Database):
    """A file for each thread.

    Args:
        folder: where the files are.
    """

    kind = "sqlite"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def target(self, thread: str) -> str:
        return str(self.folder / f"{thread}.sqlite")

    def thread_id(self, thread: str) -> str:
        return "thread"  # in a copy of the file too

    def faults(self, thread: str) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.target(thread))) as connection:
            rows = connection.execute("PRAGMA integrity_check").fetchall()
        return [str(row[0]) for row in rows if row[0] != "ok"]

    def copy(self, thread: str, suffix: str = "copy") -> str:
        copied = f"{thread}-{suffix}"
        self.forget(copied)
        for end in ("", "-wal"):  # the third file, -shm, is an index that is made anew
            source = Path(self.target(thread) + end)
            if source.exists():
                shutil.copyfile(source, self.target(copied) + end)
        return copied

    def seen(self, thread: str) -> str:
        # To read is to recover, too: the file is to be left as the kill has left it.
        return self.copy(thread, "seen")

    def forget(self, thread: str) -> None:
        for suffix in ("", "-wal", "-shm", "-journal"):
            Path(self.target(thread) + suffix).unlink(missing_ok=True)


class Postgres(Database):
    """One database for all threads.

    Args:
        uri: of the database, without parameters.
    """

    kind = "postgres"

    def __init__(self, uri: str) -> None:
        import psycopg

        self.uri = uri
        with self.stock("setup") as saver:
            saver.setup()
        self._connection = psycopg.connect(uri, autocommit=True)

    def target(self, thread: str) -> str:
        return self.uri

    def settle(self, thread: str) -> None:
        # A server's process finishes what it was sent although its client is dead.
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._connection.execute(_BACKENDS, [thread]).fetchone() != (0,):
            if time.monotonic() > deadline:
                raise TimeoutError(f"PostgreSQL still serves the killed client of {thread}")
            time.sleep(0.001)

    def copy(self, thread: str, suffix: str = "copy") -> str:
        copied = f"{thread}-{suffix}"
        for table in _POSTGRES_TABLES:
            names = [
                row[0]
                for row in self._connection.execute(
                    "SELECT column_name FROM information_schema.columns "
                    "WHERE table_name = %s AND column_name <> 'thread_id'",
                    [table],
                )
            ]
            columns = ", ".join(names)
            self._connection.execute(
                f"INSERT INTO {table} (thread_id, {columns}) "
                f"SELECT %s, {columns} FROM {table} WHERE thread_id = %s",
                [copied, thread],
            )
        return copied

    def keep(self, thread: str, folder: Path) -> str:
        for table in _POSTGRES_TABLES:
            path = folder / f"{thread}.{table}.copy"  # for COPY FROM
            query = f"COPY (SELECT * FROM {table} WHERE thread_id = %s) TO STDOUT"
            with self._connection.cursor().copy(query, [thread]) as rows, path.open("wb") as file:
                file.writelines(rows)
        return str(folder / f"{thread}.*.copy")

    def forget(self, thread: str) -> None:
        for table in _POSTGRES_TABLES:
            self._connection.execute(f"DELETE FROM {table} WHERE thread_id = %s", [thread])

    def close(self) -> None:
        """Close the connection that examines the database."""
        self._connection.close()
