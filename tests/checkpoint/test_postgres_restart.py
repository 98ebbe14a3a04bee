"""A server that goes away and comes back while savers use it."""

from __future__ import annotations

import asyncio
from typing import Any, TypedDict

import psycopg
import pytest
from langgraph.checkpoint.postgres import PostgresSaver as StockPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from langgraph_cy.checkpoint import AsyncPostgresSaver, PostgresSaver

from .postgres_acts import IDS, KINDS, aopened, checkpoint, config, opened, set_up, stored
from .postgres_server import Restartable

OPTIONS: Any = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}


class State(TypedDict):
    n: int


def counting(saver: Any, stop_at: Any = None) -> Any:
    """A graph that counts to 5; `stop_at[n]` is called, and removed, when it counts to n."""

    def count(state: State) -> State:
        if stop_at and (act := stop_at.pop(state["n"], None)):
            act()
        return {"n": state["n"] + 1}

    builder = StateGraph(State).add_node("count", count).add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "count" if state["n"] < 5 else END)
    return builder.compile(checkpointer=saver)


@pytest.fixture
def server(postgres_restartable: Restartable) -> Restartable:
    """The server that goes away."""
    return postgres_restartable


def notes(error: BaseException) -> str:
    """What was added to an error."""
    return "".join(getattr(error, "__notes__", map(str, error.args)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_restart_between_calls_is_not_noticed(kind: str, server: Restartable) -> None:
    database = set_up(server.uri)
    with opened(False, kind, database) as saver:
        saver.put(config("1"), checkpoint(IDS[0]), {}, {})
        for id in IDS[1:]:
            server.stop()
            server.start()
            saver.put(config("1"), checkpoint(id), {}, {})
        server.stop()
        server.start()
        assert [found.checkpoint["id"] for found in saver.list(config("1"))] == list(IDS[::-1])
        server.stop()
        server.start()
        with pytest.raises(psycopg.OperationalError):  # several statements are not repeated
            saver.prune(["1"])
        saver.prune(["1"])
        assert saver.get_tuple(config("1")).checkpoint["id"] == IDS[-1]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restart_between_asynchronous_calls_is_not_noticed(
    kind: str, server: Restartable
) -> None:
    database = set_up(server.uri)
    async with aopened(False, kind, database) as saver:
        for id in IDS:
            await saver.aput(config("1"), checkpoint(id), {}, {})
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        assert [found.checkpoint["id"] async for found in saver.alist(None)] == list(IDS[::-1])


@pytest.mark.parametrize("kind", ["connection", "pipeline"])
def test_a_run_whose_server_is_away_fails_and_is_resumed(kind: str, server: Restartable) -> None:
    database = set_up(server.uri)
    where = {"configurable": {"thread_id": "1"}}
    with opened(False, kind, database) as saver:
        graph = counting(saver, {2: server.stop})
        with pytest.raises(psycopg.OperationalError) as raised:
            graph.invoke({"n": 0}, where, durability="sync")
        assert "thread '1'" in notes(raised.value)
        assert "checkpoint" in notes(raised.value)
        assert "connects again" in notes(raised.value)
        with pytest.raises(psycopg.OperationalError):  # still away
            graph.get_state(where)
        server.start()
        before = graph.get_state(where)
        assert 0 <= before.values["n"] <= 3
        assert graph.invoke(None, where) == {"n": 5}
        history = [state.values.get("n") for state in graph.get_state_history(where)]
    assert history == [5, 4, 3, 2, 1, 0, None]


def test_a_pool_whose_server_is_away(server: Restartable) -> None:
    database = set_up(server.uri)
    where = {"configurable": {"thread_id": "1"}}
    with ConnectionPool(
        database, min_size=2, kwargs=OPTIONS, timeout=2, reconnect_timeout=1, open=False
    ) as pool:
        saver = PostgresSaver(pool)
        graph = counting(saver, {2: server.stop})
        with pytest.raises(psycopg.OperationalError) as raised:
            graph.invoke({"n": 0}, where, durability="sync")
        assert "the pool goes on" in notes(raised.value)
        server.start()
        assert graph.invoke(None, where) == {"n": 5}


async def test_an_asynchronous_pool_whose_server_is_away(server: Restartable) -> None:
    database = set_up(server.uri)
    async with AsyncConnectionPool(
        database, min_size=2, kwargs=OPTIONS, timeout=2, reconnect_timeout=1, open=False
    ) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.aput(config("1"), checkpoint(IDS[0]), {}, {})
        await asyncio.to_thread(server.stop)
        with pytest.raises(psycopg.OperationalError) as raised:
            await saver.aput(config("1"), checkpoint(IDS[1]), {}, {})
        assert f"checkpoint '{IDS[1]}'" in notes(raised.value)
        await asyncio.to_thread(server.start)
        await saver.aput(config("1"), checkpoint(IDS[1]), {}, {})
    assert len(stored(database)["checkpoints"]) == 2


def test_a_connection_that_was_passed_in(server: Restartable) -> None:
    database = set_up(server.uri)
    with psycopg.connect(database, **OPTIONS) as connection:
        saver = PostgresSaver(connection)
        saver.put(config("1"), checkpoint(IDS[0]), {}, {})
        server.stop()
        server.start()
        for _ in range(2):
            with pytest.raises(psycopg.OperationalError) as raised:
                saver.put(config("1"), checkpoint(IDS[1]), {}, {})
            assert "was given this connection" in notes(raised.value)
            assert "from_conn_string" in notes(raised.value)
    with StockPostgresSaver.from_conn_string(database) as stock:
        found = stock.get_tuple(config("1"))
    assert found is not None
    assert found.checkpoint["id"] == IDS[0]
