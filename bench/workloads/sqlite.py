"""Loops that store a checkpoint after every superstep in an SQLite file, and wait for it."""

import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import Callable
from contextlib import closing
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver as StockSqliteSaver

from bench.graphs import counting
from bench.registry import Case, Graph, workload
from langgraph_cy import entry_points
from langgraph_cy.checkpoint import SqliteSaver

# What a transaction of `SqliteSaver` inserts: the writes that lead to a checkpoint, and that.
WRITES = "SELECT * FROM writes WHERE checkpoint_id = ? ORDER BY rowid"
CHECKPOINTS = "SELECT * FROM checkpoints WHERE thread_id = ? ORDER BY checkpoint_id"


def _remove(conn: sqlite3.Connection, folder: str) -> None:
    conn.close()
    shutil.rmtree(folder, ignore_errors=True)


class Database:
    """A file that lives as long as this object, with a saver on it."""

    def __init__(self, saver_class: Callable[[sqlite3.Connection], Any], level: str) -> None:
        folder = tempfile.mkdtemp()
        self.path = str(Path(folder) / "checkpoints.db")
        self.conn = sqlite3.connect(self.path, check_same_thread=False)
        self.saver = saver_class(self.conn)
        self.saver.setup()
        self.conn.execute(f"PRAGMA synchronous={level}")
        self.threads = 0
        weakref.finalize(self, _remove, self.conn, folder)

    def new_thread(self) -> str:
        """The id of a thread that has no checkpoint yet."""
        self.threads += 1
        return str(self.threads)

    def count(self, thread_id: str) -> int:
        """How many checkpoints a thread has."""
        found = self.conn.execute(
            "SELECT COUNT(*) FROM checkpoints WHERE thread_id = ?", (thread_id,)
        )
        (count,) = found.fetchone()
        return int(count)


def inserted(database: Database, thread_id: str) -> list[list[tuple[str, list[Any]]]]:
    """For each transaction that a run has made, its statements with their rows."""
    transactions = []
    with closing(sqlite3.connect(database.path)) as conn:
        for row in conn.execute(CHECKPOINTS, (thread_id,)).fetchall():
            writes = conn.execute(WRITES, (row[3],)).fetchall()
            rows = [("writes", each) for each in writes] + [("checkpoints", row)]
            transactions.append(
                [
                    (f"INSERT INTO {table} VALUES ({','.join('?' * len(some[0]))})", some)
                    for table, grouped in groupby(rows, key=lambda each: each[0])
                    for some in [[each for _, each in grouped]]
                ]
            )
    return transactions


def loop_on_file(n: int, level: str) -> Case:
    """A loop that stores its checkpoints in a file, at a level of `PRAGMA synchronous`."""
    graph = counting(n)
    stock, ours = Database(StockSqliteSaver, level), Database(SqliteSaver, level)
    bare = Database(SqliteSaver, level)

    def stored(graph: Graph, database: Database, thread_id: str) -> Any:
        graph.checkpointer = database.saver
        config: Any = {"configurable": {"thread_id": thread_id}, "recursion_limit": 10_000}
        result = graph.invoke({"n": 0}, config, durability="sync")
        return result, database.count(thread_id)

    def run(graph: Graph) -> Any:
        database = ours if entry_points.installed else stock
        return stored(graph, database, database.new_thread())

    @cache
    def transactions() -> list[list[tuple[str, list[Any]]]]:
        thread_id = ours.new_thread()
        stored(graph, ours, thread_id)
        return inserted(ours, thread_id)

    def floor() -> Any:
        thread_id = bare.new_thread()
        for statements in transactions():
            bare.conn.execute("BEGIN")
            for sql, rows in statements:
                bare.conn.executemany(sql, [(thread_id, *row[1:]) for row in rows])
            bare.conn.execute("COMMIT")
        return {"n": n}, bare.count(thread_id)

    return Case(graph, run, ({"n": n}, n + 2), n, floor)


@workload("step", 1_000, tiny=3, at_least=5, within=2)
def sqlite_sync(n: int) -> Case:
    """invoke: `loop` with durability `sync`, SQLite file at synchronous=NORMAL on both sides"""
    return loop_on_file(n, "NORMAL")


@workload("step", 1_000, tiny=3, within=2)
def sqlite_full(n: int) -> Case:
    """`sqlite_sync` at synchronous=FULL: what the disk takes for an fsync is most of the time"""
    return loop_on_file(n, "FULL")
