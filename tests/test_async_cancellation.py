"""Asynchronous runs that are cancelled: from outside, from a node, at any moment."""

import asyncio
import threading
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import NodeCancelledError
from langgraph.graph import START, StateGraph

from .async_runs import LIMIT, SHAPES, Waiting, async_add, cancel, drive
from .driving import LOOPS, MORE_CONTEXT, both_async, take_turns
from .engines import Outcome, State, chain
from .test_errors import fan_out


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_cancelled_caller(shape: str, way: str, new_loop: Any) -> None:
    """Each node that runs is cancelled and cleans up before the caller's task ends."""
    count, make, input = SHAPES[shape]

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(count)
        result = await cancel(drive(way, make(waiting.node), input, chunks), waiting)
        return result, sorted(waiting.seen[:-1]), waiting.seen[-1]

    def blur(outcome: Outcome) -> None:
        # whether what its neighbours wrote is seen before it is cancelled is a matter of turns
        if shape == "one of several":
            outcome.chunks = [chunk for chunk in outcome.chunks if chunk[0] != "updates"]

    expected = both_async(call, new_loop=new_loop, blur=blur)
    seen = ["cancelled"] * count + ["cleaned up"] * count
    assert expected.result == (True, seen, "run cancelled")


@pytest.mark.parametrize(
    ("kind", "times"), [("swallowing", 1), ("translating", 1), ("delaying", 1), ("delaying", 3)]
)
@pytest.mark.parametrize("shape", ["one node", "a later node", "several nodes", "a graph as node"])
def test_a_node_that_does_not_take_its_cancellation(shape: str, times: int, kind: str) -> None:
    count, make, input = SHAPES[shape]

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(count)
        graph = make(getattr(waiting, kind))
        try:
            return await cancel(drive("astream", graph, input, chunks), waiting, times=times)
        finally:
            chunks.append(tuple(waiting.seen))

    # a second cancellation hits the run while it waits for its nodes: they end a little later
    both_async(call, turns=50 if times > 1 else 0, stock_tidy=times == 1)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_cancelled_before_it_began(way: str) -> None:
    async def call(chunks: list[Any]) -> Any:
        ran: list[str] = []

        async def node(state: State) -> Any:
            ran.append("node")

        running = asyncio.ensure_future(drive(way, chain(node), {"n": 0}, chunks))
        running.cancel()
        try:
            await running
        except asyncio.CancelledError:
            return ran

    assert both_async(call, covered=False).result == []


@pytest.mark.parametrize("hops", range(0, 40, 3))
def test_cancelled_at_any_moment(hops: int) -> None:
    """Wherever it is that a run is cancelled, it leaves nothing behind."""
    graph = chain(async_add, fan_out_state(), async_add)

    async def call(chunks: list[Any]) -> Any:
        running = asyncio.ensure_future(graph.ainvoke({"n": 0}))
        for _ in range(hops):
            await asyncio.sleep(0)
        running.cancel()
        try:
            chunks.append(await running)
        except asyncio.CancelledError:
            chunks.append("cancelled")

    def blur(outcome: Outcome) -> None:
        # how many turns of the loop a step takes is an engine's own affair
        assert outcome.chunks in ([{"n": 3}], ["cancelled"])
        outcome.chunks.clear()

    both_async(call, covered=False, blur=blur)


def fan_out_state() -> Any:
    """A graph of the state that has two asynchronous nodes beside each other."""
    builder = StateGraph(State)
    builder.add_node("one", async_add)
    builder.add_node("other", lambda state: None)
    builder.add_edge(START, "one")
    builder.add_edge(START, "other")
    return builder.compile()


def test_cancelled_while_a_thread_runs_its_node() -> None:
    """The run ends; the thread cannot be stopped, and goes on."""

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()
        loop = asyncio.get_running_loop()
        go, ended = threading.Event(), threading.Event()

        def node(state: State) -> Any:
            loop.call_soon_threadsafe(waiting.started.set)
            go.wait(LIMIT)
            ended.set()

        running = asyncio.ensure_future(chain(node).ainvoke({"n": 0}))
        await asyncio.wait_for(waiting.started.wait(), LIMIT)
        running.cancel()
        await asyncio.wait([running], timeout=LIMIT)
        chunks.append((running.cancelled(), ended.is_set()))
        go.set()
        return await asyncio.to_thread(ended.wait, LIMIT)

    expected = both_async(call)
    assert (expected.chunks, expected.result) == ([(True, False)], True)


class GatedSaver(InMemorySaver):
    """A saver that saves no checkpoint of a step before it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = asyncio.Event()
        self.go = asyncio.Event()
        self.saved: list[int] = []

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        if metadata["step"] >= 1:
            self.waits.set()
            await self.go.wait()
        self.saved.append(metadata["step"])
        return await super().aput(config, checkpoint, metadata, versions)


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_cancelled_while_a_checkpoint_is_saved(durability: Any) -> None:
    """The run does not end before the saver has: what was begun is saved."""

    async def call(chunks: list[Any]) -> Any:
        saver = GatedSaver()
        waiting = Waiting()
        builder = StateGraph(State)
        builder.add_sequence([("first", async_add), ("second", waiting.node)])
        builder.add_edge(START, "first")
        graph = builder.compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "1"}}
        running = asyncio.ensure_future(graph.ainvoke({"n": 0}, config, durability=durability))
        await asyncio.wait_for(saver.waits.wait(), LIMIT)
        if durability == "async":
            await asyncio.wait_for(waiting.started.wait(), LIMIT)
        running.cancel()
        await take_turns(50)
        chunks.append((running.done(), tuple(saver.saved)))
        saver.go.set()
        await asyncio.wait([running], timeout=LIMIT)
        return running.cancelled(), saver.saved, waiting.seen

    assert both_async(call, turns=50).kind is None


def test_a_node_that_cancels_its_caller() -> None:
    async def call(chunks: list[Any]) -> Any:
        caller = asyncio.current_task()
        assert caller is not None

        async def node(state: State) -> Any:
            caller.cancel("by a node")
            await asyncio.Event().wait()

        try:
            await chain(async_add, node).ainvoke({"n": 0})
        except asyncio.CancelledError:
            if MORE_CONTEXT:
                caller.uncancel()
            return "cancelled"

    assert both_async(call).result == "cancelled"


@pytest.mark.parametrize("shape", [chain, fan_out])
def test_a_node_that_awaits_something_cancelled(shape: Any) -> None:
    """It was not the run that was cancelled: a failure of the node like any other."""

    async def node(state: State) -> Any:
        other = asyncio.ensure_future(asyncio.Event().wait())
        other.cancel("another")
        await other

    expected = both_async(
        lambda chunks: drive("astream", shape(node, schema=State), {"n": 0}, chunks)
    )
    if MORE_CONTEXT:
        assert expected.kind is NodeCancelledError
