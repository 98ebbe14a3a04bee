"""Asynchronous runs: results, errors, context variables, cancellation, time limits, streams."""

import asyncio
import operator
import re
import sys
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import anyio
import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphBubbleUp, NodeCancelledError, NodeTimeoutError, ParentCommand
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, RetryPolicy, Send, TimeoutPolicy
from typing_extensions import TypedDict

import langgraph_cy

from .driving import (
    LOOP_STOPPERS,
    LOOPS,
    MORE_CONTEXT,
    assert_compiled,
    both_async,
    run_on,
    take_turns,
)
from .engines import Engine, Outcome, State, add_one, both, chain
from .test_errors import CASES, Odd, Total, branching, explode, fan_out, looping, returning

OUTER: ContextVar[str] = ContextVar("OUTER", default="unset")
INNER: ContextVar[str] = ContextVar("INNER", default="unset")

WAYS = ["ainvoke", "astream", "abatch"]

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


async def forever(state: Any) -> Any:
    await asyncio.Event().wait()


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


async def spell(n: int) -> dict[str, list[str]]:
    for _ in range(8 - n):  # the last to be sent is the first to end
        await asyncio.sleep(0)
    return {"words": [str(n)]}


async def go_to_end(state: State) -> Any:
    return Command(update={"n": 40}, goto=END)


async def path(state: State) -> Any:
    await asyncio.sleep(0)
    return "add" if state["n"] < 3 else END


GRAPHS: dict[str, tuple[Callable[[], Any], Any]] = {
    "asynchronous nodes": (lambda: chain(async_add, async_add, async_add), {"n": 0}),
    "synchronous nodes": (lambda: chain(add_one, add_one), {"n": 0}),
    "nodes of both kinds": (lambda: chain(add_one, async_add, add_one), {"n": 0}),
    "a runnable of both kinds": (lambda: chain(RunnableLambda(add_one, async_add)), {"n": 0}),
    "a runnable of one kind": (lambda: chain(RunnableLambda(async_add)), {"n": 0}),
    "a graph as node": (lambda: chain(async_add, chain(async_add, add_one)), {"n": 0}),
    "several nodes in a step": (lambda: fan_out(add_total, add_total), {"total": 0}),
    "several nodes of both kinds": (
        lambda: fan_out(add_total, lambda state: {"total": 5}, add_total),
        {"total": 0},
    ),
    "sends": (lambda: mapping(spell), {"words": []}),
    "a loop": (lambda: looping(5), {"n": 0}),
    "an asynchronous condition": (lambda: branching(path), {"n": 0}),
    "a command": (lambda: chain(go_to_end), {"n": 0}),
    "nothing returned": (lambda: returning(None), {"n": 0}),
}


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GRAPHS)
def test_results(name: str, way: str, new_loop: Any) -> None:
    make, input = GRAPHS[name]
    graph = make()

    def blur(outcome: Outcome) -> None:
        # in which order tasks on worker threads end is a race
        outcome.chunks.sort(key=str)

    expected = both_async(
        lambda chunks: drive(way, graph, input, chunks), new_loop=new_loop, blur=blur
    )
    assert expected.kind is None
    assert expected.result or expected.chunks


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize("case", CASES)
def test_error_is_stocks(case: str, way: str) -> None:
    """What the cases of the synchronous tests raise, their nodes on worker threads."""
    make, input, kind = CASES[case]
    graph = make()
    both_async(
        lambda chunks: drive(way, graph, input, chunks),
        stops=issubclass(kind, LOOP_STOPPERS),
        tidy=kind is not GeneratorExit,  # stock's own generators take it for theirs
        blur=lambda outcome: without_updates(outcome) if case == "in a fan-out" else None,
    )


def without_updates(outcome: Outcome) -> None:
    """Take out which of the tasks on worker threads came before the one that failed."""
    outcome.chunks = [chunk for chunk in outcome.chunks if chunk[0] != "updates"]


async def chained(state: Any) -> Any:
    try:
        explode({"n": 1, "total": 1})
    except Exception as error:
        raise LookupError("nothing there") from error


async def in_context(state: Any) -> Any:
    try:
        try:
            explode({"n": 1, "total": 1})
        except Exception:
            raise KeyError("second")  # noqa: B904
    except KeyError:
        raise ValueError("third")  # noqa: B904


async def out_of_context(state: Any) -> Any:
    try:
        explode({"n": 1, "total": 1})
    except Exception:
        raise ValueError("alone") from None


async def deep(state: Any) -> Any:
    await asyncio.sleep(0)
    return await deeper(state)


async def deeper(state: Any) -> Any:
    return explode({"n": state.get("n", 1)})


async def noted(state: Any) -> Any:
    error = ValueError("noted")
    if hasattr(error, "add_note"):
        error.add_note("by the node")
    raise error


ERRORS: dict[str, tuple[Any, type[BaseException]]] = {
    "ValueError": (raising(lambda: ValueError("no")), ValueError),
    "an error of its own": (raising(lambda: Odd(7, reason="seven")), Odd),
    "from a frame below": (deep, ZeroDivisionError),
    "with a cause": (chained, LookupError),
    "with contexts": (in_context, ValueError),
    "without its context": (out_of_context, ValueError),
    "with a note": (noted, ValueError),
    "RuntimeError": (raising(lambda: RuntimeError("no")), RuntimeError),
    "StopIteration": (raising(lambda: StopIteration(3)), RuntimeError),
    "StopAsyncIteration": (raising(lambda: StopAsyncIteration(3)), RuntimeError),
    "TimeoutError": (raising(lambda: TimeoutError("late")), TimeoutError),
    "RecursionError": (raising(lambda: RecursionError("deep")), RecursionError),
    "GraphBubbleUp": (raising(lambda: GraphBubbleUp("up")), GraphBubbleUp),
    "a command for a parent that is none": (
        raising(lambda: ParentCommand(Command(graph=Command.PARENT, goto="x"))),
        ParentCommand,
    ),
    "CancelledError": (raising(lambda: asyncio.CancelledError("gone")), NodeCancelledError),
    "KeyboardInterrupt": (raising(lambda: KeyboardInterrupt("stop")), KeyboardInterrupt),
    "SystemExit": (raising(lambda: SystemExit(3)), SystemExit),
}
if sys.version_info >= (3, 11):
    ERRORS["ExceptionGroup"] = (
        raising(lambda: ExceptionGroup("several", [ValueError("a"), KeyError("b")])),  # noqa: F821
        ExceptionGroup,  # noqa: F821
    )


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS.keys())
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ERRORS)
def test_error_of_an_asynchronous_node(name: str, way: str, new_loop: Any) -> None:
    node, kind = ERRORS[name]
    graph = chain(async_add, node)
    expected = both_async(
        lambda chunks: drive(way, graph, {"n": 1}, chunks),
        new_loop=new_loop,
        stops=issubclass(kind, LOOP_STOPPERS),
    )
    if name not in ("StopAsyncIteration", "CancelledError") or MORE_CONTEXT:
        assert expected.kind is kind, expected


@pytest.mark.parametrize(
    "name", [name for name, (_, kind) in ERRORS.items() if not issubclass(kind, GraphBubbleUp)]
)
def test_error_of_one_of_several_asynchronous_nodes(name: str) -> None:
    """The others are cancelled, and have ended before the run does."""
    node, kind = ERRORS[name]

    async def call(chunks: list[Any]) -> Any:
        ended = []
        started = asyncio.Event()

        async def fail(state: Total) -> Any:
            await started.wait()
            return await node(state)

        async def wait(state: Total) -> Any:
            started.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise
            finally:
                await asyncio.sleep(0)
                ended.append("cleaned up")

        try:
            await drive("astream", fan_out(wait, fail), {"total": 0}, chunks)
        finally:
            chunks.append(tuple(ended))

    def blur(outcome: Outcome) -> None:
        # a loop that was stopped may be closed before or after the others have cleaned up
        if issubclass(kind, LOOP_STOPPERS):
            outcome.chunks[-1] = outcome.chunks[-1][:1]

    expected = both_async(call, stops=issubclass(kind, LOOP_STOPPERS), blur=blur)
    assert expected.chunks[-1][0] == "cancelled"


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(lambda: GraphBubbleUp("up"), id="GraphBubbleUp"),
        pytest.param(lambda: ParentCommand(Command(graph=Command.PARENT)), id="ParentCommand"),
    ],
)
def test_what_bubbles_up_stops_nobody(error: Any) -> None:
    """The other nodes of the step run to their end before it comes out."""

    async def call(chunks: list[Any]) -> Any:
        ended = []

        async def slow(state: Total) -> Any:
            for _ in range(20):
                await asyncio.sleep(0)
            ended.append("slow")

        try:
            return await fan_out(raising(error), slow).ainvoke({"total": 0})
        finally:
            chunks.append(tuple(ended))

    assert both_async(call).chunks == [("slow",)]


# Context variables


async def outer_then_inner(state: Words) -> dict[str, list[str]]:
    seen = f"{OUTER.get()} {INNER.get()}"
    INNER.set("set by a node")
    OUTER.set("overwritten")
    await asyncio.sleep(0)
    return {"words": [seen]}


def outer_then_inner_synchronously(state: Words) -> dict[str, list[str]]:
    seen = f"{OUTER.get()} {INNER.get()}"
    INNER.set("set by a node")
    OUTER.set("overwritten")
    return {"words": [seen]}


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
@pytest.mark.parametrize("shape", [chain, fan_out])
@pytest.mark.parametrize(
    "nodes",
    [
        pytest.param([outer_then_inner] * 3, id="asynchronous"),
        pytest.param([outer_then_inner_synchronously] * 3, id="synchronous"),
        pytest.param([outer_then_inner, outer_then_inner_synchronously] * 2, id="both"),
    ],
)
def test_context_variables(nodes: list[Any], shape: Any, way: str) -> None:
    """Nodes see those of the caller; what they set, neither the caller nor another node sees."""
    graph = shape(*nodes, schema=Words)

    async def call(chunks: list[Any]) -> Any:
        OUTER.set("by the caller")
        await drive(way, graph, {"words": []}, chunks)
        last = (await graph.ainvoke({"words": []}))["words"]
        return last, OUTER.get(), INNER.get()

    def blur(outcome: Outcome) -> None:
        outcome.chunks.sort(key=str)  # tasks on worker threads end in any order

    expected = both_async(call, blur=blur)
    if MORE_CONTEXT:
        seen = ["by the caller unset"] * len(nodes)
        assert expected.result == (seen, "by the caller", "unset")


def test_context_variables_of_a_streams_reader() -> None:
    """What the reader of a stream sets between two chunks, as stock shows it to later nodes."""
    graph = chain(outer_then_inner, outer_then_inner, outer_then_inner, schema=Words)

    async def call(chunks: list[Any]) -> Any:
        place = 0
        async for chunk in graph.astream({"words": []}, stream_mode="updates"):
            chunks.append((chunk, OUTER.get(), INNER.get()))
            OUTER.set(f"after chunk {place}")
            place += 1

    both_async(call)


def test_context_variables_of_a_streams_readers() -> None:
    """Each chunk may be asked for by another task."""
    graph = chain(outer_then_inner, outer_then_inner, schema=Words)

    async def call(chunks: list[Any]) -> Any:
        stream = graph.astream({"words": []}, stream_mode="updates")

        async def read(place: int) -> Any:
            OUTER.set(f"reader {place}")
            return await stream.__anext__()

        for place in range(3):
            try:
                chunks.append(await asyncio.create_task(read(place)))
            except StopAsyncIteration:
                chunks.append("end")
        return OUTER.get()

    assert both_async(call).chunks[-1] == "end"


def test_synchronous_nodes_do_not_block_the_loop() -> None:
    """They run beside it: each waits for something that only the loop can do."""

    async def call(chunks: list[Any]) -> Any:
        loop = asyncio.get_running_loop()
        here = threading.get_ident()

        def node(state: Total) -> dict[str, int]:
            done = threading.Event()
            loop.call_soon_threadsafe(done.set)
            return {"total": int(done.wait(LIMIT)) + 10 * int(threading.get_ident() != here)}

        return await fan_out(node, node).ainvoke({"total": 0})

    assert both_async(call).result == {"total": 22}


# Cancellation


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


# Time limits of the caller's and the node's own


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


# Streams


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


# Concurrency, retries, time limits of the graph's


@pytest.mark.parametrize("limit", [1, 2, 3, None])
@pytest.mark.parametrize("kind", ["asynchronous", "synchronous"])
def test_max_concurrency(kind: str, limit: int | None) -> None:
    async def call(chunks: list[Any]) -> Any:
        inside, most = 0, 0
        lock = threading.Lock()

        def enter(by: int) -> None:
            nonlocal inside, most
            with lock:
                inside += by
                most = max(most, inside)

        async def one(n: int) -> dict[str, list[str]]:
            enter(1)
            for _ in range(5):
                await asyncio.sleep(0)
            enter(-1)
            return {"words": [str(n)]}

        def one_on_a_thread(n: int) -> dict[str, list[str]]:
            enter(1)
            threading.Event().wait(0.002)
            enter(-1)
            return {"words": [str(n)]}

        graph = mapping(one if kind == "asynchronous" else one_on_a_thread, 9)
        result = await graph.ainvoke({"words": []}, {"max_concurrency": limit})
        return result, most <= limit if limit else kind == "synchronous" or most == 9

    expected = both_async(call)
    assert expected.result == ({"words": [str(n) for n in range(9)]}, True)


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


# Runs in runs


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
