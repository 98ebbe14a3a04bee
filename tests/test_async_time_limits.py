"""Asynchronous runs within time limits and task groups; timeouts and retries of nodes."""

import asyncio
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from langgraph.errors import NodeTimeoutError
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import RetryPolicy, TimeoutPolicy

from .async_runs import LIMIT, SHAPES, Waiting, async_add, cancel, drive, raising
from .driving import LOOPS, both_async, take_turns
from .engines import Outcome, State, add_one, both, chain
from .test_errors import fan_out


async def forever(state: Any) -> Any:
    await asyncio.Event().wait()


async def expire(waiting: Waiting, limit: Callable[[], Any]) -> None:
    """Let a time limit pass as soon as the nodes wait."""
    await waiting.started.wait()
    limit()


async def limited(waiting: Waiting, run: Awaitable[Any]) -> Any:
    loop = asyncio.get_running_loop()
    if sys.version_info < (3, 11):
        return await asyncio.wait_for(run, 0.6)
    async with asyncio.timeout(None) as scope:
        watch = asyncio.ensure_future(expire(waiting, lambda: scope.reschedule(loop.time())))
        result = await run
    await watch
    return result


async def failed_after(waiting: Waiting, run: Awaitable[Any]) -> Any:
    with anyio.fail_after(LIMIT) as scope:
        watch = asyncio.ensure_future(expire(waiting, partial(setattr, scope, "deadline", 0)))
        result = await run
    await watch
    return result


async def moved_on_after(waiting: Waiting, run: Awaitable[Any]) -> Any:
    with anyio.move_on_after(LIMIT) as scope:
        watch = asyncio.ensure_future(expire(waiting, partial(setattr, scope, "deadline", 0)))
        await run
    await watch
    assert scope.cancelled_caught
    return {"n": -1}


async def waited_for(waiting: Waiting, run: Awaitable[Any]) -> Any:
    return await asyncio.wait_for(run, 0.6)


GUARDS = {
    "timeout": limited,
    "wait_for": waited_for,
    "fail_after": failed_after,
    "move_on_after": moved_on_after,
}


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("shape", ["one node", "a later node", "several nodes", "a graph as node"])
def test_a_time_limit_around_a_run(shape: str, guard: str, new_loop: Any) -> None:
    count, make, input = SHAPES[shape]

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(count)
        try:
            return await GUARDS[guard](waiting, make(waiting.node).ainvoke(input))
        finally:
            again = guard in ("fail_after", "move_on_after")
            # several nodes are cancelled only once the run has ended, by stock not at all
            late = again and shape == "several nodes"
            chunks.append(count if late else waiting.seen.count("cancelled"))
            chunks.append(again or waiting.seen.count("cleaned up") == count)

    # a scope of anyio's cancels again at every turn, and so interrupts the cleaning up
    expected = both_async(call, new_loop=new_loop, turns=50, stock_tidy=False)
    assert expected.chunks == [count, True]
    assert expected.kind is None or issubclass(expected.kind, (TimeoutError, asyncio.TimeoutError))


@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("shape", ["one node", "a later node", "several nodes", "a graph as node"])
def test_a_time_limit_in_a_node(shape: str, guard: str) -> None:
    count, make, input = SHAPES[shape]

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(count)

        async def node(state: Any) -> Any:
            return await GUARDS[guard](waiting, waiting.node(state))

        try:
            return await drive("astream", make(node), input, chunks)
        finally:
            chunks.append(waiting.seen.count("cleaned up") >= 1)

    def blur(outcome: Outcome) -> None:
        if shape == "several nodes":
            # which of them is first to reach its limit is a race
            outcome.notes = []
            outcome.chunks.sort(key=str)

    both_async(call, blur=blur)


@pytest.mark.parametrize("guard", GUARDS)
def test_a_time_limit_that_is_caught_in_the_node(guard: str) -> None:
    async def node(state: State) -> Any:
        waiting = Waiting()
        try:
            return await GUARDS[guard](waiting, waiting.node(state))
        except (TimeoutError, asyncio.TimeoutError):
            return {"n": -1}

    expected = both_async(lambda chunks: chain(node, async_add).ainvoke({"n": 3}))
    assert expected.result == {"n": 0}


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_a_task_group_in_a_node(way: str) -> None:
    async def node(state: State) -> Any:
        found = []

        async def one(n: int) -> None:
            await anyio.sleep(0)
            found.append(n)

        async with anyio.create_task_group() as group:
            for n in range(4):
                group.start_soon(one, n)
        return {"n": sum(found)}

    both_async(lambda chunks: drive(way, chain(node, async_add), {"n": 0}, chunks))


def test_a_task_group_that_fails_in_a_node() -> None:
    async def node(state: State) -> Any:
        async with anyio.create_task_group() as group:
            group.start_soon(forever, state)
            group.start_soon(raising(lambda: ValueError("one of two")), state)

    expected = both_async(lambda chunks: chain(async_add, node).ainvoke({"n": 0}))
    assert "sub-exception" in expected.text


def test_a_task_group_around_runs() -> None:
    graph = chain(async_add, add_one, async_add)

    async def call(chunks: list[Any]) -> Any:
        async def one(n: int) -> None:
            chunks.append(await graph.ainvoke({"n": n}))

        async with anyio.create_task_group() as group:
            for n in range(8):
                group.start_soon(one, n)

    def blur(outcome: Outcome) -> None:
        outcome.chunks.sort(key=str)

    assert len(both_async(call, blur=blur).chunks) == 8


def test_a_task_group_around_runs_of_which_one_fails() -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(2)

        async def failing(state: State) -> Any:
            await waiting.started.wait()
            raise ValueError("one of three")

        try:
            async with anyio.create_task_group() as group:
                group.start_soon(chain(waiting.node).ainvoke, {"n": 0})
                group.start_soon(chain(failing).ainvoke, {"n": 0})
                group.start_soon(chain(waiting.node).ainvoke, {"n": 0})
        except Exception as error:
            chunks.append([type(each) for each in error.exceptions])  # type: ignore[attr-defined]
        return waiting.seen.count("cancelled")

    expected = both_async(call, turns=50)
    assert expected.result == 2
    assert expected.chunks == [[ValueError]]


def test_a_shielded_cleanup() -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()

        async def node(state: State) -> Any:
            try:
                await waiting.wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0)
                    waiting.seen.append("shielded")

        await cancel(chain(async_add, node).ainvoke({"n": 0}), waiting)
        return waiting.seen

    assert both_async(call).result == ["shielded", "run cancelled"]


def retrying(node: Any, **policy: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("before", async_add)
    builder.add_node(
        "node",
        node,
        retry_policy=RetryPolicy(
            **{"initial_interval": 0.001, "jitter": False, "max_attempts": 3, **policy}
        ),
    )
    builder.add_edge(START, "before")
    builder.add_edge("before", "node")
    return builder.compile()


@pytest.mark.parametrize("failures", [0, 1, 2, 3])
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
def test_retries(way: str, failures: int) -> None:
    async def call(chunks: list[Any]) -> Any:
        attempts = []

        async def node(state: State, runtime: Runtime) -> dict[str, int]:
            attempts.append(runtime.execution_info.node_attempt)
            if len(attempts) <= failures:
                raise ConnectionError(f"attempt {len(attempts)}")
            return {"n": len(attempts)}

        try:
            return await drive(way, retrying(node), {"n": 0}, chunks)
        finally:
            chunks.append(tuple(attempts))

    expected = both_async(call)
    assert expected.kind is (ConnectionError if failures == 3 else None)
    assert expected.chunks[-1] == tuple(range(1, min(failures, 2) + 2))


def test_cancelled_between_two_attempts() -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()

        async def node(state: State) -> Any:
            waiting.started.set()
            waiting.seen.append("attempt")
            raise ConnectionError("again")

        return await cancel(
            retrying(node, initial_interval=100).ainvoke({"n": 0}), waiting
        ), waiting.seen

    assert both_async(call).result == (True, ["attempt", "run cancelled"])


def timed(node: Any, timeout: Any, **arguments: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("before", async_add)
    builder.add_node("node", node, timeout=timeout, **arguments)
    builder.add_edge(START, "before")
    builder.add_edge("before", "node")
    return builder.compile()


def without_numbers(outcome: Outcome) -> None:
    """Take out how long it took."""
    outcome.text = re.sub(r"\d+\.\d+", "<seconds>", outcome.text)


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize(
    "timeout",
    [
        pytest.param(0.06, id="seconds"),
        pytest.param(timedelta(milliseconds=60), id="timedelta"),
        pytest.param(TimeoutPolicy(run_timeout=0.06), id="run"),
        pytest.param(TimeoutPolicy(idle_timeout=0.06), id="idle"),
        pytest.param(TimeoutPolicy(idle_timeout=0.06, refresh_on="heartbeat"), id="heartbeat"),
        pytest.param(TimeoutPolicy(run_timeout=0.06, idle_timeout=100), id="both"),
    ],
)
@pytest.mark.parametrize("kind", ["node", "swallowing", "translating"])
def test_a_nodes_timeout(kind: str, timeout: Any, way: str) -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()
        try:
            graph = timed(getattr(waiting, kind), timeout)
            return await drive(way, graph, {"n": 0}, chunks)
        finally:
            await take_turns(50)  # stock does not wait for the node to have cleaned up
            chunks.append(tuple(waiting.seen))

    expected = both_async(call, blur=without_numbers, turns=50)
    assert expected.kind is NodeTimeoutError


def test_a_node_knows_of_its_timeout_before_the_caller_does() -> None:
    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting()
        with pytest.raises(NodeTimeoutError):
            await timed(waiting.swallowing, 0.06).ainvoke({"n": 0})
        return tuple(waiting.seen)

    assert both_async(call, turns=50).result == ("swallowed",)


@pytest.mark.parametrize("timeout", [100, TimeoutPolicy(idle_timeout=100), None])
def test_a_node_within_its_timeout(timeout: Any) -> None:
    graph = timed(async_add, timeout)
    assert both_async(lambda chunks: graph.ainvoke({"n": 0})).result == {"n": 2}


def test_heartbeats_hold_off_an_idle_timeout() -> None:
    async def node(state: State, runtime: Runtime) -> dict[str, int]:
        for _ in range(20):
            await asyncio.sleep(0.01)
            runtime.heartbeat()
        return {"n": 5}

    graph = timed(node, TimeoutPolicy(idle_timeout=0.15))
    assert both_async(lambda chunks: graph.ainvoke({"n": 0})).result == {"n": 5}


def test_a_timeout_is_tried_again() -> None:
    async def call(chunks: list[Any]) -> Any:
        attempts = []

        async def node(state: State) -> Any:
            attempts.append(1)
            if len(attempts) < 3:
                await asyncio.Event().wait()
            return {"n": len(attempts)}

        policy = RetryPolicy(initial_interval=0.001, jitter=False, retry_on=NodeTimeoutError)
        return await timed(node, 0.06, retry_policy=policy).ainvoke({"n": 0})

    assert both_async(call).result == {"n": 3}


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize("shape", ["one node", "a later node", "several nodes", "one of several"])
def test_a_step_timeout(shape: str, way: str) -> None:
    count, make, input = SHAPES[shape]

    async def call(chunks: list[Any]) -> Any:
        waiting = Waiting(count)
        graph = make(waiting.node)
        graph.step_timeout = 0.8
        try:
            return await drive(way, graph, input, chunks)
        finally:
            chunks.append(waiting.seen.count("cancelled"))

    expected = both_async(call, turns=50)
    assert expected.kind is not None
    assert issubclass(expected.kind, (TimeoutError, asyncio.TimeoutError))
    assert expected.chunks[-1] == count


@pytest.mark.parametrize("width", [1, 2])
def test_a_step_timeout_of_a_synchronous_run(width: int) -> None:
    def call(chunks: list[Any]) -> Any:
        go = threading.Event()
        threading.Timer(1, go.set).start()
        graph = fan_out(*[lambda state: {"total": int(go.wait(LIMIT))}] * width)
        graph.step_timeout = 0.3  # also the superstep of the input has to end in time
        for chunk in graph.stream({"total": 0}, stream_mode=["values", "updates"]):
            chunks.append(chunk)

    expected = both(call)
    assert expected.kind is not None
    assert issubclass(expected.kind, TimeoutError)
