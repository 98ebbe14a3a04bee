"""Loops that store a checkpoint after every superstep in PostgreSQL, and wait for it.

The server is the one that an environment variable names, or else one of our own, which ends with
the process and does not wait for the disk. Where there is neither, this is left out.
"""

import atexit
import os
import sys
import uuid
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

# The tools are programs, not a package: they import each other from their own folder.
sys.path.append(str(Path(__file__).parents[2] / "tools"))

import psycopg
import services
from langgraph.checkpoint.postgres import PostgresSaver as StockPostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as StockAsyncPostgresSaver
from processes import ToolError
from psycopg.conninfo import make_conninfo

from bench.graphs import abump, counting
from bench.registry import Case, Graph, workload
from langgraph_cy import entry_points
from langgraph_cy.checkpoint import AsyncPostgresSaver, PostgresSaver

# The URI of a server and an account that may create databases there.
VARIABLE = "LANGGRAPH_CY_TEST_POSTGRES"
CONFIG: Any = {"configurable": {"thread_id": "1"}, "recursion_limit": 10_000}

_open = ExitStack()


def missing() -> str | None:
    """Why there is no server; None: there is one, or one can be started."""
    try:
        if VARIABLE not in os.environ:
            services.postgres_programs()
    except ToolError as error:
        return f"{error}, and {VARIABLE} names no server"
    return None


@cache
def server() -> str:
    """The URI of a server."""
    if VARIABLE in os.environ:
        uri = os.environ[VARIABLE]
    else:
        uri = _open.enter_context(services.own_postgres(services.free_port())).uri
    # Only now, so that it comes before the removal of the cluster's folder.
    atexit.register(_open.close)
    return uri


def database() -> str:
    """The connection string of a new database, with its tables, dropped when the process ends."""
    name = f"langgraph_cy_{uuid.uuid4().hex}"

    def execute(statement: Any) -> None:
        with psycopg.connect(server(), autocommit=True) as connection:
            connection.execute(statement)

    execute(f"CREATE DATABASE {name}")
    _open.callback(execute, f"DROP DATABASE {name} WITH (FORCE)")
    made = make_conninfo(server(), dbname=name)
    with StockPostgresSaver.from_conn_string(made) as saver:
        saver.setup()
    return made


def postgres_sync(n: int) -> Case:
    """invoke: `loop` with durability `sync`, each side with its PostgresSaver"""
    graph = counting(n)
    makers: Any = StockPostgresSaver, PostgresSaver
    stock, ours = (_open.enter_context(made.from_conn_string(database())) for made in makers)

    def run(graph: Graph) -> Any:
        saver = ours if entry_points.installed else stock
        saver.delete_thread("1")
        graph.checkpointer = saver
        result = graph.invoke({"n": 0}, CONFIG, durability="sync")
        with saver._cursor() as cursor:
            stored = cursor.execute("SELECT count(*) AS n FROM checkpoints").fetchone()
        return result, stored["n"]

    return Case(graph, run, ({"n": n}, n + 2), n)


def postgres_async(n: int) -> Case:
    """ainvoke: `aloop` with durability `sync`, each side with its AsyncPostgresSaver"""
    stock, ours = database(), database()

    def case(length: int, shorter: Case | None = None) -> Case:
        graph = counting(length, abump)
        thread = str(length)
        config: Any = {**CONFIG, "configurable": {"thread_id": thread}}

        async def run(graph: Graph) -> Any:
            made: Any = AsyncPostgresSaver if entry_points.installed else StockAsyncPostgresSaver
            where = ours if entry_points.installed else stock
            async with made.from_conn_string(where) as saver:
                await saver.adelete_thread(thread)
                graph.checkpointer = saver
                result = await graph.ainvoke({"n": 0}, config, durability="sync")
                async with saver._cursor() as cursor:
                    await cursor.execute(
                        "SELECT count(*) AS n FROM checkpoints WHERE thread_id = %s", (thread,)
                    )
                    stored = await cursor.fetchone()
            return result, stored["n"]

        return Case(graph, run, ({"n": length}, length + 2), length, shorter=shorter)

    # connecting, which only the same event loop can do, is taken off
    return case(n, case(max(1, n // 100)))


if why := missing():
    print(f"postgres_sync, postgres_async: left out: {why}", file=sys.stderr)
else:
    postgres_sync = workload("step", 1_000, tiny=3, at_least=3)(postgres_sync)
    postgres_async = workload("step", 1_000, tiny=3, at_least=3)(postgres_async)
