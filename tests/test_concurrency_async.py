"""Very many runs at once, on one event loop or on many threads: each result is its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import add
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from .driving import LOOPS, assert_compiled, run_on
from .engines import COMPILED, STOCK, State, chain

ON_A_LOOP = 3_000
ON_THREADS = 10_000
ON_STOCK = 100  # enough to show what results should be
THREADS = 16


class Trail(TypedDict):
    n: int
    trail: Annotated[list[int], add]


async def first(state: Trail) -> dict[str, Any]:
    await asyncio.sleep(0)
    return {"n": state["n"] + 1, "trail": [state["n"]]}


async def second(state: Trail) -> dict[str, Any]:
    for _ in range(state["n"] % 5):  # so that runs overtake each other
        await asyncio.sleep(0)
    return {"n": state["n"] * 2, "trail": [state["n"]]}


async def third(state: Trail) -> dict[str, Any]:
    return {"n": state["n"] - 3, "trail": [state["n"]]}


def walked(n: int) -> dict[str, Any]:
    """What the three nodes make of a number."""
    return {"n": (n + 1) * 2 - 3, "trail": [n, n + 1, (n + 1) * 2]}


def three_nodes(*nodes: Callable[..., Any], checkpointer: Any = None) -> Any:
    builder = StateGraph(Trail)
    builder.add_sequence([(f"node{place}", each) for place, each in enumerate(nodes)])
    builder.add_edge(START, "node0")
    return builder.compile(checkpointer=checkpointer)


def synchronously(node: Callable[..., Any]) -> Callable[..., Any]:
    """The same node as a plain function."""

    def plain(state: Trail) -> Any:
        running = node(state)
        try:
            while True:
                running.send(None)
        except StopIteration as stop:
            return stop.value

    return plain


PLAIN = [synchronously(each) for each in (first, second, third)]


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
def test_runs_on_one_loop(new_loop: Any) -> None:
    graph = three_nodes(first, second, third)

    async def main(count: int) -> Any:
        return await asyncio.gather(*(graph.ainvoke({"n": n, "trail": []}) for n in range(count)))

    left: list[str] = []
    with STOCK.running():
        expected = run_on(main(ON_STOCK), left, new_loop)
    assert expected == [walked(n) for n in range(ON_STOCK)]
    with COMPILED.running():
        found = run_on(main(ON_A_LOOP), left, new_loop)
        assert_compiled()
    assert found == [walked(n) for n in range(ON_A_LOOP)]
    assert left == []


def test_runs_of_every_kind_on_one_loop() -> None:
    """Some fail, some are cancelled, some are streamed: none disturbs another."""

    async def node(state: State) -> dict[str, int]:
        for _ in range(state["n"] % 7):
            await asyncio.sleep(0)
        return {"n": 100 // (state["n"] % 4)}

    graph = chain(node)

    async def one(n: int) -> Any:
        if n % 3 == 0:
            return [chunk async for chunk in graph.astream({"n": n}, stream_mode="values")]
        running = asyncio.ensure_future(graph.ainvoke({"n": n}))
        if n % 3 == 1:
            running.cancel()
        return await running

    async def main(count: int) -> list[str]:
        results = await asyncio.gather(*(one(n) for n in range(count)), return_exceptions=True)
        return [repr(each) for each in results]

    left: list[str] = []
    with STOCK.running():
        expected = run_on(main(ON_STOCK), left)
    with COMPILED.running():
        found = run_on(main(ON_STOCK * 10), left)
        assert_compiled()
    assert found[:ON_STOCK] == expected
    assert left == []
    assert {each.split("(")[0] for each in found} > {"ZeroDivisionError", "CancelledError"}


def test_checkpointed_runs_on_one_loop() -> None:
    """Each on a thread of the checkpointer's own, and a second time to add to the first."""

    async def main(count: int) -> Any:
        graph = three_nodes(first, second, third, checkpointer=InMemorySaver())

        async def one(n: int) -> Any:
            config = {"configurable": {"thread_id": str(n)}}
            await graph.ainvoke({"n": n, "trail": []}, config)
            return await graph.ainvoke({"n": n}, config)

        return await asyncio.gather(*(one(n) for n in range(count)))

    def right(n: int) -> Any:
        return {"n": walked(n)["n"], "trail": walked(n)["trail"] * 2}

    with STOCK.running():
        assert asyncio.run(main(ON_STOCK)) == [right(n) for n in range(ON_STOCK)]
    with COMPILED.running():
        assert asyncio.run(main(500)) == [right(n) for n in range(500)]
        assert_compiled()


def from_threads(call: Callable[[int], Any], count: int) -> list[Any]:
    """Call a function with each number below a count, from sixteen threads at once."""
    barrier = threading.Barrier(THREADS)

    def caller(number: int) -> list[Any]:
        barrier.wait(30)
        return [call(n) for n in range(number, count, THREADS)]

    results: list[Any] = [None] * count
    with ThreadPoolExecutor(THREADS) as pool:
        for number, found in enumerate(pool.map(caller, range(THREADS))):
            results[number::THREADS] = found
    return results


def test_runs_on_many_threads() -> None:
    graph = three_nodes(*PLAIN)

    def call(n: int) -> Any:
        return graph.invoke({"n": n, "trail": []})

    with STOCK.running():
        assert from_threads(call, ON_STOCK) == [walked(n) for n in range(ON_STOCK)]
    with COMPILED.running():
        assert from_threads(call, ON_THREADS) == [walked(n) for n in range(ON_THREADS)]
        assert_compiled()


def test_checkpointed_runs_on_many_threads() -> None:
    """One saver for all: what it holds in the end is what each run left there."""

    def all_of(count: int) -> tuple[list[Any], list[Any]]:
        graph = three_nodes(*PLAIN, checkpointer=InMemorySaver())

        def call(n: int) -> Any:
            config = {"configurable": {"thread_id": str(n)}}
            return graph.invoke({"n": n, "trail": []}, config)

        results = from_threads(call, count)
        states = [
            graph.get_state({"configurable": {"thread_id": str(n)}}).values
            for n in range(0, count, 10)
        ]
        return results, states

    with STOCK.running():
        results, states = all_of(ON_STOCK)
        assert results == [walked(n) for n in range(ON_STOCK)]
        assert states == results[::10]
    with COMPILED.running():
        results, states = all_of(ON_THREADS)
        assert_compiled()
    assert results == [walked(n) for n in range(ON_THREADS)]
    assert states == results[::10]


def test_wide_checkpointed_runs_on_many_threads() -> None:
    """Several tasks in a superstep, so that a run's own threads write to the saver, too."""

    def all_of(count: int) -> list[Any]:
        builder = StateGraph(Trail)
        builder.add_node("one", lambda n: {"trail": [n]})
        builder.add_node("join", lambda state: {"n": sum(state["trail"])})
        builder.add_conditional_edges(
            START, lambda state: [Send("one", state["n"] + each) for each in range(4)], ["one"]
        )
        builder.add_edge("one", "join")
        builder.add_edge("join", END)
        graph = builder.compile(checkpointer=InMemorySaver())
        return from_threads(
            lambda n: graph.invoke({"n": n, "trail": []}, {"configurable": {"thread_id": str(n)}}),
            count,
        )

    right = [{"n": 4 * n + 6, "trail": [n, n + 1, n + 2, n + 3]} for n in range(800)]
    with STOCK.running():
        assert all_of(ON_STOCK) == right[:ON_STOCK]
    with COMPILED.running():
        assert all_of(800) == right
        assert_compiled()


def test_loops_on_many_threads() -> None:
    """A loop for each of several threads, with one graph for all."""
    graph = three_nodes(first, second, third)

    def call(start: int) -> Any:
        async def main() -> Any:
            return await asyncio.gather(
                *(graph.ainvoke({"n": n, "trail": []}) for n in range(start, start + 50))
            )

        return asyncio.run(main())

    def right(count: int) -> Any:
        return [[walked(n) for n in range(start, start + 50)] for start in range(count)]

    with STOCK.running():
        assert from_threads(call, THREADS) == right(THREADS)
    with COMPILED.running():
        assert from_threads(call, THREADS * 4) == right(THREADS * 4)
        assert_compiled()
