"""Asynchronous streams: when chunks come, and streams and loops that end early."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from langgraph.runtime import Runtime

from .async_runs import LIMIT, SHAPES, Waiting, add_total, async_add
from .driving import LOOPS, both_async, run_on
from .engines import Outcome, State, both, chain
from .test_errors import Total, fan_out


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("mode", ["updates", "values", ["updates", "values"], "tasks", "custom"])
def test_a_chunk_comes_when_its_task_ends(mode: Any, new_loop: Any) -> None:
    """Not when the step ends: the slow node waits for the reader to have got the chunk."""

    async def call(chunks: list[Any]) -> Any:
        got = asyncio.Event()

        async def slow(state: Total) -> dict[str, int]:
            await asyncio.wait_for(got.wait(), LIMIT)
            return {"total": 10}

        async def quick(state: Total, runtime: Runtime) -> dict[str, int]:
            runtime.stream_writer("written")
            return {"total": 1}

        graph = fan_out(slow, quick)
        async for chunk in graph.astream({"total": 0}, stream_mode=mode):
            chunks.append(chunk)
            # of the values, the first are those before the step
            if mode != ["updates", "values"] or chunk[0] == "updates":
                got.set()

    def blur(outcome: Outcome) -> None:
        if mode == "tasks":
            outcome.chunks = [
                (chunk["name"], chunk.get("result"), chunk.get("input")) for chunk in outcome.chunks
            ]

    assert both_async(call, new_loop=new_loop, blur=blur).kind is None


def test_a_chunk_comes_when_its_task_ends_on_a_thread() -> None:
    def call(chunks: list[Any]) -> Any:
        got = threading.Event()

        def slow(state: Total) -> dict[str, int]:
            return {"total": 10 * got.wait(LIMIT)}

        graph = fan_out(slow, lambda state: {"total": 1})
        for chunk in graph.stream({"total": 0}, stream_mode="updates"):
            chunks.append(chunk)
            got.set()

    assert both(call).chunks[-1] == {"node0": {"total": 10}}


def test_custom_chunks_come_while_the_node_runs() -> None:
    async def call(chunks: list[Any]) -> Any:
        got = asyncio.Event()

        async def node(state: State, runtime: Runtime) -> Any:
            runtime.stream_writer("first")
            await asyncio.wait_for(got.wait(), LIMIT)
            runtime.stream_writer("second")

        async for chunk in chain(node).astream({"n": 0}, stream_mode="custom"):
            chunks.append(chunk)
            got.set()

    assert both_async(call).chunks == ["first", "second"]


ENDINGS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "closed": lambda stream: stream.aclose(),
    "an error thrown in": lambda stream: stream.athrow(KeyError("in")),
    "cancelled by a throw": lambda stream: stream.athrow(asyncio.CancelledError("in")),
    "ended by a throw": lambda stream: stream.athrow(GeneratorExit("in")),
}


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("shape", ["between steps", "while a task runs", "before it began"])
def test_a_stream_that_is_ended(shape: str, ending: str, new_loop: Any) -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()
        graph = (
            fan_out(add_total, waiting.node)
            if shape == "while a task runs"
            else chain(async_add, async_add)
        )
        input = {"total": 0} if shape == "while a task runs" else {"n": 0}
        stream = graph.astream(input, stream_mode="updates")
        if shape != "before it began":
            chunks.append(await stream.__anext__())
        try:
            chunks.append(await ENDINGS[ending](stream))
        except BaseException as error:
            chunks.append((type(error), str(error)))
        chunks.append(sorted(waiting.seen))
        return [chunk async for chunk in stream]

    expected = both_async(call, new_loop=new_loop, covered=shape != "before it began")
    assert expected.result == []
    if shape == "while a task runs":
        assert expected.chunks[-1] == ["cancelled", "cleaned up"]


@pytest.mark.parametrize("shape", [chain, fan_out])
def test_a_stream_that_is_left(shape: Any) -> None:
    """After `break` the event loop closes the stream, and nothing of it stays."""
    graph = shape(async_add, schema=State)

    async def call(chunks: list[Any]) -> Any:
        async for chunk in graph.astream({"n": 0}, stream_mode="values"):
            chunks.append(chunk)
            break
        return await graph.ainvoke({"n": 4})

    assert both_async(call, turns=50).result == {"n": 5}


def test_a_stream_that_never_began() -> None:
    async def call(chunks: list[Any]) -> Any:
        chain(async_add).astream({"n": 0})

    both_async(call, covered=False)


def test_a_stream_asked_twice_at_once() -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()
        stream = chain(waiting.node).astream({"n": 0}, stream_mode="updates")
        first = asyncio.ensure_future(stream.__anext__())
        await asyncio.wait_for(waiting.started.wait(), LIMIT)
        for again in (stream.__anext__, stream.aclose):
            try:
                await again()
            except RuntimeError as error:
                chunks.append(type(error))
        first.cancel()
        await asyncio.wait([first])
        return first.cancelled()

    expected = both_async(call)
    assert (expected.chunks, expected.result) == ([RuntimeError] * 2, True)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("shape", SHAPES)
def test_a_loop_stopped_during_a_run(shape: str, new_loop: Any) -> None:
    """Closing the loop cancels the run; nothing is destroyed while it is pending."""
    count, make, input = SHAPES[shape]

    def call(chunks: list[Any]) -> Any:
        left: list[str] = []

        async def stopped() -> Any:
            waiting = Waiting(count)
            loop = asyncio.get_running_loop()
            stopper = loop.create_task(stopping(loop, waiting))
            await make(waiting.node).ainvoke(input)
            await stopper

        async def stopping(loop: Any, waiting: Waiting) -> None:
            await waiting.started.wait()
            loop.stop()

        try:
            return run_on(stopped(), left, new_loop, stops=True)
        finally:
            chunks.extend(left)

    expected = both(call)
    assert (expected.kind, expected.chunks) == (RuntimeError, [])


def test_a_run_left_on_a_loop_that_ends() -> None:
    """`asyncio.run` cancels what its coroutine has started and not waited for."""

    def call(chunks: list[Any]) -> Any:
        waiting = Waiting()

        async def main() -> Any:
            running = asyncio.ensure_future(chain(async_add, waiting.node).ainvoke({"n": 0}))
            await asyncio.wait_for(waiting.started.wait(), LIMIT)
            return running

        running = asyncio.run(main())
        return running.cancelled(), waiting.seen

    assert both(call).result == (True, ["cancelled", "cleaned up"])
