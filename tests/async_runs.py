"""Nodes, graphs and ways to drive them, for tests of asynchronous runs."""

import asyncio
import operator
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from .engines import State, add_one, chain
from .test_errors import Total, fan_out

LIMIT = 20  # seconds after which something that should have happened has not


class Words(TypedDict):
    words: Annotated[list[str], operator.add]


async def drive(way: str, graph: Any, input: Any, chunks: list[Any], **arguments: Any) -> Any:
    """Run a graph through one of its asynchronous entry points."""
    if way == "ainvoke":
        return await graph.ainvoke(input, **arguments)
    if way == "abatch":
        return await graph.abatch([input, input], **arguments)
    modes = ["values", "updates"]
    async for chunk in graph.astream(input, stream_mode=modes, **arguments):
        chunks.append(chunk)
    return None


async def async_add(state: State) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"n": state["n"] + 1}


async def add_total(state: Total) -> dict[str, int]:
    await asyncio.sleep(0)
    return {"total": 1}


def raising(error: Callable[[], BaseException]) -> Any:
    """An asynchronous node that raises what it is given."""

    async def node(state: Any) -> Any:
        await asyncio.sleep(0)
        raise error()

    return node


def mapping(one: Any, count: int = 4) -> Any:
    """A graph that runs `one` for each number below `count` in one superstep."""
    builder = StateGraph(Words)
    builder.add_node("one", one)
    builder.add_conditional_edges(
        START, lambda state: [Send("one", n) for n in range(count)], ["one"]
    )
    builder.add_edge("one", END)
    return builder.compile()


class Waiting:
    """Nodes that wait until they are cancelled, and what they saw.

    Attributes:
        started: set when as many nodes wait as was asked for.
        seen: what happened, in order.
    """

    def __init__(self, expected: int = 1) -> None:
        self.started = asyncio.Event()
        self.expected = expected
        self.seen: list[str] = []

    async def wait(self) -> None:
        self.expected -= 1
        if self.expected == 0:
            self.started.set()
        await asyncio.Event().wait()

    async def node(self, state: Any) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.seen.append("cancelled")
            raise
        finally:
            await asyncio.sleep(0)
            self.seen.append("cleaned up")

    async def swallowing(self, state: Any) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.seen.append("swallowed")
        return {next(iter(state)): 40}

    async def translating(self, state: Any) -> Any:
        try:
            await self.wait()
        except asyncio.CancelledError:
            self.seen.append("translated")
            raise ValueError("was cancelled") from None

    async def delaying(self, state: Any) -> Any:
        try:
            await self.wait()
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            self.seen.append("cleaned up at last")


async def cancel(run: Awaitable[Any], waiting: Waiting, *, times: int = 1) -> Any:
    """Start a run as a task, cancel it when its nodes wait, and say what becomes of it."""
    running = asyncio.ensure_future(run)
    await asyncio.wait_for(waiting.started.wait(), LIMIT)
    for _ in range(times):
        running.cancel()
        await asyncio.sleep(0)
    try:
        result = await running
    except asyncio.CancelledError:
        waiting.seen.append("run cancelled")
        return running.cancelled()
    waiting.seen.append("run ended")
    return result


SHAPES: dict[str, tuple[int, Callable[[Any], Any], Any]] = {
    "one node": (1, chain, {"n": 0}),
    "a later node": (1, lambda node: chain(async_add, add_one, node, async_add), {"n": 0}),
    "several nodes": (3, lambda node: fan_out(node, node, node), {"total": 0}),
    "one of several": (1, lambda node: fan_out(add_total, node, add_total), {"total": 0}),
    "sends": (8, lambda node: mapping(node, 8), {"words": []}),
    "a graph as node": (1, lambda node: chain(async_add, chain(async_add, node)), {"n": 0}),
    "a graph in a node": (
        1,
        lambda node: chain(lambda state: state, in_a_node(chain(async_add, node))),
        {"n": 0},
    ),
}


def in_a_node(graph: Any) -> Any:
    async def node(state: Any) -> Any:
        return await graph.ainvoke(state)

    return node
