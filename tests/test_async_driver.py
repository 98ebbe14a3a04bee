"""Asynchronous runs: results, errors, context variables, nodes side by side."""

import asyncio
import sys
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.errors import GraphBubbleUp, NodeCancelledError, ParentCommand
from langgraph.graph import END
from langgraph.types import Command

from .async_runs import LIMIT, Words, add_total, async_add, drive, mapping, raising
from .driving import LOOP_STOPPERS, LOOPS, MORE_CONTEXT, both_async
from .engines import Outcome, State, add_one, chain
from .test_errors import CASES, Odd, Total, branching, explode, fan_out, looping, returning

OUTER: ContextVar[str] = ContextVar("OUTER", default="unset")
INNER: ContextVar[str] = ContextVar("INNER", default="unset")

WAYS = ["ainvoke", "astream", "abatch"]


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
