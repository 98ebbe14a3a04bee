"""Calls of savers' methods that can be made on stock's PostgreSQL savers and on ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
from hypothesis import strategies as st
from langgraph.checkpoint.base import WRITES_IDX_MAP, Checkpoint
from langgraph.checkpoint.postgres import PostgresSaver as StockPostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as StockAsyncPostgresSaver
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from langgraph_cy.checkpoint import AsyncPostgresSaver, PostgresSaver

from .acts import Act, aplay, config, play

THREADS = ("1", "2")
NAMESPACES = ("", "child", "child:1|grand:2")
IDS = tuple(f"1ef4f797-8335-6428-8001-{number:012}" for number in range(4))
VERSIONS = tuple(f"{number:032}.0.5" for number in range(3))
TABLES = {
    "checkpoints": "thread_id, checkpoint_ns, checkpoint_id, parent_checkpoint_id, type,"
    " checkpoint::text, metadata::text",
    "checkpoint_blobs": "thread_id, checkpoint_ns, channel, version, type, blob",
    "checkpoint_writes": "thread_id, checkpoint_ns, checkpoint_id, task_id, idx, channel, type,"
    " blob, task_path",
}
KINDS = ("connection", "pool", "pipeline")


def checkpoint(id: str, version: str = VERSIONS[0], v: int = 4, **values: Any) -> Checkpoint:
    return Checkpoint(
        v=v,
        id=id,
        ts="2024-05-04T06:32:42.235444+00:00",
        channel_values=values,
        channel_versions=dict.fromkeys(values, version),
        versions_seen={"node": dict.fromkeys(values, version)},
        updated_channels=None,
    )


@contextmanager
def opened(stock: bool, kind: str, database: str) -> Iterator[Any]:
    """A saver of each kind."""
    if kind != "pool":
        made: Any = StockPostgresSaver if stock else PostgresSaver
        with made.from_conn_string(database, pipeline=kind == "pipeline") as saver:
            yield saver
    elif stock:
        options: Any = {"autocommit": True, "prepare_threshold": 0}
        with ConnectionPool(database, min_size=1, max_size=2, kwargs=options, open=False) as pool:
            yield StockPostgresSaver(pool)
    else:
        with PostgresSaver.from_conn_string(database, pool_size=2) as saver:
            yield saver


@asynccontextmanager
async def aopened(stock: bool, kind: str, database: str) -> AsyncIterator[Any]:
    if kind != "pool":
        made: Any = StockAsyncPostgresSaver if stock else AsyncPostgresSaver
        async with made.from_conn_string(database, pipeline=kind == "pipeline") as saver:
            yield saver
    elif stock:
        options: Any = {"autocommit": True, "prepare_threshold": 0}
        async with AsyncConnectionPool(
            database, min_size=1, max_size=2, kwargs=options, open=False
        ) as pool:
            yield StockAsyncPostgresSaver(pool)
    else:
        async with AsyncPostgresSaver.from_conn_string(database, pool_size=2) as saver:
            yield saver


def set_up(database: str) -> str:
    with StockPostgresSaver.from_conn_string(database) as saver:
        saver.setup()
    return database


def emptied(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("TRUNCATE checkpoints, checkpoint_blobs, checkpoint_writes")


def stored(database: str) -> dict[str, list[Any]]:
    """Everything that is in the tables."""
    with psycopg.connect(database, autocommit=True) as connection:
        return {
            table: sorted(connection.execute(f"SELECT {columns} FROM {table}").fetchall(), key=repr)
            for table, columns in TABLES.items()
        }


def playing(stock: bool, kind: str, database: str, acts: Sequence[Act], serde: Any) -> list[Any]:
    with opened(stock, kind, database) as saver:
        saver.serde = serde or saver.serde
        return play(saver, acts)


def aplaying(stock: bool, kind: str, database: str, acts: Sequence[Act], serde: Any) -> list[Any]:
    async def run() -> list[Any]:
        async with aopened(stock, kind, database) as saver:
            saver.serde = serde or saver.serde
            return await aplay(saver, acts)

    return asyncio.run(run())


# everything that can be asked of a database
QUESTIONS = (
    Act("list", (None,), {"filter": {"source": "loop", "step": 1}}),
    *(Act("list", (config(thread, ns),)) for thread in THREADS for ns in NAMESPACES),
    *(Act("list", (config(thread, ""),), {"limit": 2}) for thread in THREADS),
    *(
        Act("list", (config(thread, ""),), {"before": config(id=IDS[2]), "limit": 0})
        for thread in THREADS
    ),
    *(
        Act("get_tuple", (config(thread, ns, id),))
        for thread in (*THREADS, "none")
        for ns in (None, *NAMESPACES)
        for id in (None, *IDS)
    ),
)

threads = st.sampled_from(THREADS)
namespaces = st.sampled_from(NAMESPACES)
ids = st.sampled_from(IDS)
# what PostgreSQL has no place for is not generated: "\0" and surrogates in text, NaN in JSON
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
    st.binary(max_size=3),
    st.tuples(st.integers(0, 2)),
    st.lists(st.integers(0, 2), max_size=2),
    st.dictionaries(st.text("ab", max_size=1), st.sets(st.integers(0, 2)), max_size=2),
)
channels = st.sampled_from(["a", "b", "é'", *WRITES_IDX_MAP])
writes = st.lists(st.tuples(channels, values), max_size=12)
metadata = st.fixed_dictionaries(
    {"source": st.sampled_from(["loop", "input", None]), "step": st.integers(-1, 2)},
    optional={
        "x": st.text(max_size=2).filter(lambda text: text.isprintable()),
        "score": st.floats(allow_nan=False, allow_infinity=False),
        "big": st.integers(),
        "parents": st.dictionaries(namespaces, ids, max_size=2),
        "run_id": st.just("r\0"),
    },
)
configs = st.tuples(threads, namespaces, ids).map(
    lambda parts: config(*parts, metadata={"langgraph_step": 1, "user": "né"})
)
task_writes = st.tuples(
    configs, writes, st.sampled_from(["t1", "t2"]), st.sampled_from(["", "~1", "~2"])
)


@st.composite
def puts(draw: Any) -> tuple[Any, ...]:
    version = draw(st.sampled_from(VERSIONS))
    held = draw(st.dictionaries(st.sampled_from(["a", "b", *"cdefghijklm"]), values, max_size=12))
    new = {name: version for name in held if draw(st.booleans())}
    where = config(*draw(st.tuples(threads, namespaces, st.none() | ids)))
    return where, checkpoint(draw(ids), version, **held), draw(metadata), new


def _superstep(both: Any) -> Act:
    tasks, put = both
    return Act("put_superstep", (tasks, *put))


acts = st.lists(
    st.one_of(
        puts().map(lambda put: Act("put", put)),
        task_writes.map(lambda task: Act("put_writes", task)),
        st.tuples(st.lists(task_writes, max_size=3), puts()).map(_superstep),
        threads.map(lambda thread: Act("delete_thread", (thread,))),
        st.tuples(st.lists(threads, max_size=2), st.sampled_from(["keep_latest", "delete"])).map(
            lambda prune: Act("prune", (prune[0],), {"strategy": prune[1]})
        ),
        st.sampled_from(QUESTIONS),
    ),
    max_size=10,
)
