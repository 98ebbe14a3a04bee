"""Runs and tasks called in nodes of asynchronous runs."""

import asyncio
from typing import Any

import pytest
from langgraph.func import task

from .async_runs import async_add, drive
from .driving import LOOPS, MORE_CONTEXT, assert_compiled, both_async
from .engines import Engine, State, add_one, both, chain


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
def test_runs_in_nodes(new_loop: Any) -> None:
    inner = chain(async_add, add_one)

    async def alone(state: State) -> Any:
        return await inner.ainvoke(state)

    async def several(state: State) -> Any:
        results = await asyncio.gather(*(inner.ainvoke({"n": n}) for n in range(5)))
        return {"n": sum(each["n"] for each in results)}

    async def streaming(state: State) -> Any:
        return {
            "n": sum([chunk["n"] async for chunk in inner.astream(state, stream_mode="values")])
        }

    async def synchronously(state: State) -> Any:
        return inner_synchronous.invoke(state)

    inner_synchronous = chain(add_one, add_one)
    graph = chain(alone, several, streaming, synchronously)
    expected = both_async(
        lambda chunks: drive("astream", graph, {"n": 0}, chunks), new_loop=new_loop
    )
    assert expected.chunks[-1] == ("values", {"n": 65})


def test_a_loop_in_a_node() -> None:
    inner = chain(async_add)

    def node(state: State) -> Any:
        return asyncio.run(inner.ainvoke(state))

    graph = chain(node, node)
    assert both(lambda chunks: graph.invoke({"n": 0})).result == {"n": 2}
    assert both_async(lambda chunks: graph.ainvoke({"n": 0})).result == {"n": 2}


@pytest.mark.parametrize("exceptions", [False, True])
def test_a_batch_of_which_some_fail(exceptions: bool) -> None:
    async def node(state: State) -> dict[str, int]:
        return {"n": 10 // state["n"]}

    async def call(chunks: list[Any]) -> Any:
        inputs = [{"n": n} for n in (0, 1, 2, 0)]
        results = await chain(node).abatch(inputs, return_exceptions=exceptions)
        return [repr(each) for each in results]

    assert both_async(call, turns=50).kind is (None if exceptions else ZeroDivisionError)


def test_asynchronous_tasks_called_in_a_node() -> None:
    @task
    async def double(n: int) -> int:
        await asyncio.sleep(0)
        return 2 * n

    @task
    def triple(n: int) -> int:
        return 3 * n

    async def node(state: State) -> dict[str, int]:
        several = await asyncio.gather(double(1), double(2), triple(3))
        return {"n": sum(several) + await double(state["n"])}

    expected = both_async(lambda chunks: chain(node).ainvoke({"n": 50}))
    if MORE_CONTEXT:  # they are found through the context
        assert expected.result == {"n": 115}


def test_an_asynchronous_node_in_a_synchronous_run() -> None:
    graph = chain(add_one, async_add)
    assert both(lambda chunks: graph.invoke({"n": 0})).kind is TypeError


def test_asynchronous_runs_are_compiled(compiled: Engine) -> None:
    async def main() -> None:
        graph = chain(async_add, add_one)
        assert await graph.ainvoke({"n": 0}) == {"n": 2}
        assert [chunk async for chunk in graph.astream({"n": 0}, stream_mode="values")]

    asyncio.run(main())
    assert_compiled()
