"""Calls of savers' methods that can be made on stock's SQLite savers and on ours."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

from hypothesis import strategies as st
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    Checkpoint,
)
from langgraph.checkpoint.sqlite import SqliteSaver as StockSqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as StockAsyncSqliteSaver

from langgraph_cy.checkpoint import AsyncSqliteSaver, SqliteSaver

from .acts import Act, aplay, config, play

THREADS = ("1", "2")
NAMESPACES = ("", "child", "child:1|grand:2")
IDS = tuple(f"1ef4f797-8335-6428-8001-{number:012}" for number in range(5))


def checkpoint(id: str, **values: Any) -> Checkpoint:
    return Checkpoint(
        v=4,
        id=id,
        ts="2024-05-04T06:32:42.235444+00:00",
        channel_values=values,
        channel_versions=dict.fromkeys(values, "00000000000000000000000000000001.0.5"),
        versions_seen={"node": {}},
        updated_channels=None,
    )


Player = Callable[[str, Sequence[Act]], list[Any]]


def playing(path: str, acts: Sequence[Act]) -> list[Any]:
    """Open a database with our saver, make the calls, and close it."""
    with SqliteSaver.from_conn_string(path, synchronous="OFF") as saver:
        return play(saver, acts)


def stock_playing(path: str, acts: Sequence[Act]) -> list[Any]:
    with StockSqliteSaver.from_conn_string(path) as saver:
        saver.setup()
        saver.conn.execute("PRAGMA synchronous = OFF")
        return play(saver, acts)


def aplaying(path: str, acts: Sequence[Act]) -> list[Any]:
    async def run() -> list[Any]:
        async with AsyncSqliteSaver.from_conn_string(path, synchronous="OFF") as saver:
            return await aplay(saver, acts)

    return asyncio.run(run())


def stock_aplaying(path: str, acts: Sequence[Act]) -> list[Any]:
    async def run() -> list[Any]:
        async with StockAsyncSqliteSaver.from_conn_string(path) as saver:
            await saver.setup()
            await saver.conn.execute("PRAGMA synchronous = OFF")
            return await aplay(saver, acts)

    return asyncio.run(run())


# everything that can be asked of a database
QUESTIONS = (
    Act("list", (None,)),
    Act("list", (None,), {"limit": 3}),
    Act("list", (None,), {"limit": -1, "before": config(id=IDS[3])}),
    Act("list", (None,), {"filter": {"source": "loop", "step": 1}}),
    Act("list", (None,), {"filter": {"source": None}}),
    *(
        Act("list", (config(thread, ns),))
        for thread in (*THREADS, "none")
        for ns in (None, *NAMESPACES)
    ),
    *(Act("list", (config(thread, None, IDS[2]),), {"limit": 0}) for thread in THREADS),
    *(Act("list", (config(thread, None, IDS[2]),)) for thread in THREADS),
    *(
        Act("get_tuple", (config(thread, ns, id),))
        for thread in THREADS
        for ns in (None, *NAMESPACES)
        for id in (None, *IDS)
    ),
)


threads = st.sampled_from(THREADS)
namespaces = st.sampled_from(NAMESPACES)
ids = st.sampled_from(IDS)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False),
    st.text(max_size=3),
    st.binary(max_size=3),
    st.tuples(st.integers(0, 2)),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.text("ab", max_size=1), st.sets(st.integers(0, 2)), max_size=2),
)
writes = st.lists(st.tuples(st.sampled_from(["a", "b", *WRITES_IDX_MAP]), values), max_size=3)
metadata = st.fixed_dictionaries(
    {"source": st.sampled_from(["loop", "input", None]), "step": st.integers(-1, 2)},
    optional={"x": st.text(max_size=2), "run_id": st.just("r\0")},
)
configs = st.tuples(st.sampled_from([*THREADS, 1]), namespaces, ids).map(
    lambda parts: config(*parts, metadata={"langgraph_step": 1, "user": "né"})
)
task_writes = st.tuples(
    configs, writes, st.sampled_from(["t1", "t2"]), st.sampled_from(["", "~1", "~2"])
)
puts = st.tuples(
    st.tuples(threads, namespaces, st.none() | ids).map(lambda parts: config(*parts)),
    st.tuples(ids, values).map(lambda parts: checkpoint(parts[0], a=parts[1])),
    metadata,
    st.just({}),
)
acts = st.lists(
    st.one_of(
        puts.map(lambda put: Act("put", put)),
        task_writes.map(lambda writes: Act("put_writes", writes)),
        st.tuples(st.lists(task_writes, max_size=3), puts).map(
            lambda both: Act("put_superstep", (both[0], *both[1]))
        ),
        threads.map(lambda thread: Act("delete_thread", (thread,))),
        st.sampled_from(QUESTIONS),
    ),
    max_size=12,
)


class Doing:
    """Makes calls of a saver, whichever it is."""

    def __init__(self, saver: Any) -> None:
        self.saver = saver

    async def __call__(self, *acts: Act) -> list[Any]:
        if isinstance(self.saver, AsyncSqliteSaver):
            return await aplay(self.saver, acts)
        return play(self.saver, acts)

    async def execute(self, sql: str) -> None:
        """Execute a statement on the saver's connection."""
        if isinstance(self.saver, AsyncSqliteSaver):
            await (await self.saver.conn.execute(sql)).close()
        else:
            self.saver.conn.execute(sql).close()


@asynccontextmanager
async def sync_doing(path: str, **options: Any) -> AsyncIterator[Doing]:
    """Makes calls of a `SqliteSaver`."""
    with SqliteSaver.from_conn_string(path, **options) as saver:
        yield Doing(saver)


@asynccontextmanager
async def async_doing(path: str, **options: Any) -> AsyncIterator[Doing]:
    """Makes calls of an `AsyncSqliteSaver`."""
    async with AsyncSqliteSaver.from_conn_string(path, **options) as saver:
        yield Doing(saver)


def superstep(number: int, writes: int = 1, size: int = 1) -> Act:
    """The superstep that leads to the checkpoint with a number.

    Args:
        writes: how many tasks have written.
        size: of a value in the checkpoint, in bytes.
    """
    before = config(id=IDS[number - 1] if number else None)
    tasks = [(before, [("a", n)], f"task{n}", f"~{n}") for n in range(writes if number else 0)]
    metadata = {"source": "loop", "step": number}
    stored = checkpoint(IDS[number], a=number, size="x" * size)
    return Act("put_superstep", (tasks, before, stored, metadata, {}))


def rows(path: str) -> list[Any]:
    """All rows of a database, as they are stored."""
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return [
            conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4, 5, 6").fetchall()
            for table in ("checkpoints", "writes")
        ]
