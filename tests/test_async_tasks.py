"""The asyncio tasks that nodes of asynchronous runs are in."""

import asyncio
from typing import Any

import pytest
from langgraph.errors import NodeCancelledError

import langgraph_cy

from .async_runs import LIMIT, Words, async_add, drive, mapping
from .driving import MORE_CONTEXT, both_async, run_on, take_turns
from .engines import State, chain
from .test_errors import fan_out


async def tasks_seen(shape: Any) -> int:
    """How many asyncio tasks three nodes and their caller run in."""
    tasks = {asyncio.current_task()}

    async def node(state: Words) -> Any:
        await asyncio.sleep(0)
        tasks.add(asyncio.current_task())

    await shape(node, node, node, schema=Words).ainvoke({"words": []})
    return len(tasks)


def test_nodes_side_by_side_have_tasks_of_their_own() -> None:
    """What a node does to its task does nothing to its caller's, nor to the next node's."""
    expected = both_async(lambda chunks: tasks_seen(fan_out))
    if MORE_CONTEXT:
        assert expected.result == 4


def test_a_lone_node_runs_in_its_callers_task() -> None:
    """Here the engines differ by design: no task is made where none is needed."""
    if MORE_CONTEXT:
        assert asyncio.run(tasks_seen(chain)) == 4
    with langgraph_cy.installed():
        assert asyncio.run(tasks_seen(chain)) == 1


def test_a_lone_node_that_cancels_its_task_cancels_its_caller() -> None:
    async def node(state: State) -> Any:
        running = asyncio.current_task()
        assert running is not None
        running.cancel("by itself")
        await asyncio.sleep(0)

    async def call() -> None:
        await chain(async_add, node).ainvoke({"n": 0})

    with langgraph_cy.installed(), pytest.raises(asyncio.CancelledError):
        asyncio.run(call())


@pytest.mark.parametrize("turns", [0, 1, 3])
@pytest.mark.parametrize("limit", [None, 1, 2])
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_a_node_that_cancels_its_neighbours(way: str, limit: int | None, turns: int) -> None:
    """One under way fails; one that has yet to begin never does, and the run goes on without."""
    ended = []

    async def one(n: int) -> dict[str, list[str]]:
        await take_turns(turns if n == 0 else 2)
        if n == 0:
            for other in asyncio.all_tasks():
                if other.get_name() == "one" and other is not asyncio.current_task():
                    other.cancel("by a neighbour")
        ended.append(str(n))
        return {"words": [str(n)]}

    config: Any = {"max_concurrency": limit}
    left: list[str] = []
    chunks: list[Any] = []
    with langgraph_cy.installed():
        call = drive(way, mapping(one), {"words": []}, chunks, config=config)
        if turns == 1 and limit != 1:
            with pytest.raises(NodeCancelledError):
                run_on(call, left)
            assert ended == ["0"]
        else:
            result = run_on(call, left) or chunks[-1][1]
            assert result == {"words": sorted(ended)}
            before_them = turns == 0 and hasattr(asyncio, "eager_task_factory")
            assert (len(ended) == 4) == (before_them or (turns == 3 and limit is None))
    assert left == []


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize("waits", [False, True])
def test_nodes_side_by_side_that_wait_or_not(waits: bool, debug: bool) -> None:
    """Also on a loop that looks closely at its tasks."""

    async def call(chunks: list[Any]) -> Any:
        asyncio.get_running_loop().set_debug(debug)

        async def one(n: int) -> dict[str, list[str]]:
            here = asyncio.current_task()
            assert here is not None
            assert repr(here).startswith("<Task pending name=")
            assert here.get_stack(limit=1) is not None
            chunks.append((n, here.done(), here.cancelling() if MORE_CONTEXT else 0))
            if waits:
                await take_turns(n % 3)
            return {"words": [str(n)]}

        return await mapping(one).ainvoke({"words": []})

    assert both_async(call).result == {"words": ["0", "1", "2", "3"]}


def wrapping(loop: Any, coroutine: Any, **options: Any) -> Any:
    """A task factory that runs each coroutine inside of another."""

    async def wrapper() -> Any:
        return await coroutine

    return asyncio.Task(wrapper(), loop=loop, **options)


def test_tasks_of_a_factory_that_wraps_them() -> None:
    """Cancelled before the wrapped coroutine has begun, they do not keep the run waiting."""
    ended = []

    async def one(n: int) -> dict[str, list[str]]:
        for other in asyncio.all_tasks():
            if n == 0 and other.get_name() == "one" and other is not asyncio.current_task():
                other.cancel()
        ended.append(str(n))
        return {"words": [str(n)]}

    async def call() -> Any:
        asyncio.get_running_loop().set_task_factory(wrapping)
        return await asyncio.wait_for(mapping(one).ainvoke({"words": []}), LIMIT)

    left: list[str] = []
    with langgraph_cy.installed():
        result = run_on(call(), left)
    assert result == {"words": sorted(ended)}
    assert left == []


def test_the_coroutine_of_a_task_cannot_run_twice() -> None:
    coroutines: list[Any] = []

    async def one(n: int) -> dict[str, list[str]]:
        here: Any = asyncio.current_task()
        coroutines.append(here.get_coro())
        await take_turns(n)
        if n == 3:
            for ended in coroutines[:2]:
                with pytest.raises(RuntimeError, match="already awaited"):
                    ended.send(None)
                with pytest.raises(RuntimeError, match="already awaited"):
                    ended.throw(ValueError("late"))
                ended.close()
        return {"words": [str(n)]}

    with langgraph_cy.installed():
        result = run_on(mapping(one).ainvoke({"words": []}), [])
    assert result == {"words": ["0", "1", "2", "3"]}
