"""What generation covers badly: timing, threads, and runs that somebody leaves half-way.

Every scenario runs on both engines and has to come to the same.
"""

import contextvars
import operator
import threading
import time
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Send, interrupt
from typing_extensions import TypedDict

from ..engines import both

WAIT = 10  # seconds; only a hanging test takes them
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


class Counting(TypedDict):
    n: int


class Collecting(TypedDict):
    found: Annotated[list[Any], operator.add]


class Refused(Exception):
    """Raised by nodes of these tests."""


def counter(limit: int, seen: list[int] | None = None, fail_at: int = -1) -> Any:
    """A graph whose one node counts up to a limit."""

    def count(state: Counting) -> Counting:
        if seen is not None:
            seen.append(state["n"])
        if state["n"] == fail_at:
            raise Refused(f"at {fail_at}")
        return {"n": state["n"] + 1}

    graph = StateGraph(Counting).add_node("count", count).add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: "count" if state["n"] < limit else END)
    return graph.compile()


def fan(worker: Any, width: int) -> Any:
    """A graph that sends `width` packets to one node."""
    graph = StateGraph(Collecting).add_node("worker", worker)
    graph.add_conditional_edges(START, lambda _: [Send("worker", i) for i in range(width)])
    return graph.compile()


@pytest.mark.parametrize("taken", [0, 1, 2, 5])
def test_stream_closed_half_way(taken: int) -> None:
    """Nodes run as far as the consumer came, and the graph can be run again."""

    def scenario(chunks: list[Any]) -> Any:
        seen: list[int] = []
        graph = counter(10, seen)
        stream = graph.stream({"n": 0}, stream_mode=["values", "updates"])
        for _ in range(taken):
            chunks.append(next(stream))
        stream.close()
        left = list(seen)
        chunks.extend(stream)
        return left, graph.invoke({"n": 7}), list(graph.stream({"n": 8}))

    both(scenario)


def test_stream_dropped_half_way() -> None:
    def scenario(chunks: list[Any]) -> Any:
        graph = counter(10)
        chunks.append(next(graph.stream({"n": 0})))
        return graph.invoke({"n": 0})

    both(scenario)


def test_stream_thrown_into() -> None:
    """An exception thrown into the stream comes out of it, and ends the run."""

    def scenario(chunks: list[Any]) -> Any:
        seen: list[int] = []
        graph = counter(10, seen)
        stream = graph.stream({"n": 0})
        chunks.append(next(stream))
        chunks.append(next(stream))
        with pytest.raises(Refused) as caught:
            stream.throw(Refused("thrown"))
        return str(caught.value), seen, list(stream), graph.invoke({"n": 9})

    both(scenario)


def test_closed_while_several_tasks_run() -> None:
    """Closing waits for what already runs; it does not start what has not begun."""

    def scenario(chunks: list[Any]) -> Any:
        slow_ended = threading.Event()

        def quick(state: Collecting) -> Any:
            return {"found": ["quick"]}

        def slow(state: Collecting) -> Any:
            time.sleep(0.05)
            slow_ended.set()
            return {"found": ["slow"]}

        graph = StateGraph(Collecting).add_node("quick", quick).add_node("slow", slow)
        graph.add_edge(START, "quick").add_edge(START, "slow")
        stream = graph.compile().stream({"found": []}, stream_mode="updates")
        chunks.append(next(stream))
        stream.close()
        return slow_ended.is_set()

    outcome = both(scenario)
    assert outcome.result is True


def test_stream_is_lazy() -> None:
    """Nothing runs, and nothing is refused, before the first chunk is asked for."""

    def scenario(chunks: list[Any]) -> Any:
        seen: list[int] = []
        graph = counter(3, seen)
        graph.stream({"n": 0})
        unread = graph.stream(None)
        before = list(seen)
        chunks.extend(graph.stream({"n": 0}))
        return before, seen, unread.gi_frame is not None

    both(scenario, covered=False)  # a run that nobody starts is counted by no engine


@pytest.mark.parametrize("modes", ["values", "updates", ["values", "updates"]])
def test_exception_in_node(modes: Any) -> None:
    """What came before an exception has been streamed; the graph can be run again."""

    def scenario(chunks: list[Any]) -> Any:
        chunks.extend(counter(4).stream({"n": 3}))
        for chunk in counter(9, fail_at=3).stream({"n": 0}, stream_mode=modes):
            chunks.append(chunk)

    outcome = both(scenario)
    assert outcome.kind is Refused


def test_engine_reusable_after_exception() -> None:
    def scenario(chunks: list[Any]) -> Any:
        graph = counter(9, fail_at=3)
        for start in (0, 5, 2, 3, 4):
            try:
                chunks.append(graph.invoke({"n": start}))
            except Refused as error:
                chunks.append(str(error))

    both(scenario)


@pytest.mark.parametrize("source", [START, "first"])
def test_exception_in_branch(source: str) -> None:
    """The writes of a node whose branch fails are dropped with it."""

    def path(state: Counting) -> str:
        raise Refused(f"saw {state['n']}")

    def scenario(chunks: list[Any]) -> Any:
        graph = StateGraph(Counting)
        graph.add_node("first", lambda state: {"n": state["n"] + 1})
        graph.add_node("second", lambda state: {"n": 0})
        if source != START:
            graph.add_edge(START, "first")
        graph.add_conditional_edges(source, path, ["first", "second"])
        for chunk in graph.compile().stream({"n": 1}, stream_mode=["values", "updates"]):
            chunks.append(chunk)

    outcome = both(scenario)
    assert outcome.kind is Refused
    assert outcome.text == ("saw 1" if source == START else "saw 2")


def test_first_failure_stops_the_rest() -> None:
    """Tasks that have not begun when one fails never begin; those that run are waited for."""

    def scenario(chunks: list[Any]) -> Any:
        begun: list[int] = []
        ended: list[int] = []
        both_run = threading.Barrier(2)

        def worker(number: int) -> Any:
            begun.append(number)
            if number < 2:
                both_run.wait(WAIT)
            if number == 0:
                raise Refused("first")
            time.sleep(0.05)
            ended.append(number)
            return {"found": [number]}

        graph = fan(worker, 30)
        with pytest.raises(Refused, match="first"):
            graph.invoke({"found": []}, {"max_concurrency": 2})
        return sorted(begun)[:2], 1 in ended, len(begun) < 30, begun == begun[: len(ended) + 1]

    outcome = both(scenario)
    assert outcome.result[1:] == (True, True, True)


def test_failure_beside_an_interrupted_task() -> None:
    """A failure goes before an interrupt."""

    def scenario(chunks: list[Any]) -> Any:
        asked = threading.Event()

        def asks(state: Collecting) -> Any:
            asked.set()
            interrupt("question")

        def fails(state: Collecting) -> Any:
            assert asked.wait(WAIT)
            time.sleep(0.02)
            raise Refused("no")

        graph = StateGraph(Collecting).add_node("asks", asks).add_node("fails", fails)
        graph.add_edge(START, "asks").add_edge(START, "fails")
        compiled = graph.compile()
        for _ in range(3):
            with pytest.raises(Refused):
                compiled.invoke({"found": []})

    both(scenario)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_max_concurrency_is_honoured(limit: int) -> None:
    def scenario(chunks: list[Any]) -> Any:
        lock = threading.Lock()
        running = most = 0

        def worker(number: int) -> Any:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            time.sleep(0.01)
            with lock:
                running -= 1
            return {"found": [number]}

        result = fan(worker, 9).invoke({"found": []}, {"max_concurrency": limit})
        return most, result

    outcome = both(scenario)
    assert outcome.result == (limit, {"found": list(range(9))})


def test_one_at_a_time_streams_in_order() -> None:
    """With one worker even the order of `updates` chunks is certain."""

    def scenario(chunks: list[Any]) -> Any:
        graph = fan(lambda number: {"found": [number]}, 12)
        chunks.extend(
            graph.stream({"found": []}, {"max_concurrency": 1}, stream_mode=["updates", "values"])
        )

    outcome = both(scenario)
    assert [chunk["worker"]["found"] for mode, chunk in outcome.chunks if mode == "updates"] == [
        [number] for number in range(12)
    ]


def test_updates_are_streamed_as_tasks_finish() -> None:
    """A chunk comes before the slower task of its superstep has ended."""

    def scenario(chunks: list[Any]) -> Any:
        received = threading.Event()

        def quick(state: Collecting) -> Any:
            return {"found": ["quick"]}

        def slow(state: Collecting) -> Any:
            return {"found": ["slow", received.wait(WAIT)]}

        graph = StateGraph(Collecting).add_node("quick", quick).add_node("slow", slow)
        graph.add_edge(START, "quick").add_edge(START, "slow")
        for chunk in graph.compile().stream({"found": []}, stream_mode="updates"):
            chunks.append(chunk)
            received.set()

    outcome = both(scenario)
    assert outcome.chunks == [{"quick": {"found": ["quick"]}}, {"slow": {"found": ["slow", True]}}]


@pytest.mark.parametrize("width", [1, 2, 8])
def test_context_variables_are_isolated(width: int) -> None:
    """A task sees the caller's context, and neither its siblings' nor its own earlier writes."""

    def scenario(chunks: list[Any]) -> Any:
        barrier = threading.Barrier(width)

        def worker(number: int) -> Any:
            before = VARIABLE.get()
            VARIABLE.set(f"set by {number}")
            if width <= 4:
                barrier.wait(WAIT)
            return {"found": [before, VARIABLE.get()]}

        graph = fan(worker, width)
        token = VARIABLE.set("caller")
        try:
            first = graph.invoke({"found": []})
            second = sorted(map(repr, graph.stream({"found": []})))
            return first, second, VARIABLE.get()
        finally:
            VARIABLE.reset(token)

    outcome = both(scenario)
    assert outcome.result[0]["found"][::2] == ["caller"] * width


def test_context_variables_between_supersteps() -> None:
    """What a node sets is gone in the next superstep, also for branches."""

    def scenario(chunks: list[Any]) -> Any:
        def node(state: Collecting) -> Any:
            seen = VARIABLE.get()
            VARIABLE.set("node")
            return {"found": [seen]}

        def path(state: Collecting) -> str:
            chunks.append(VARIABLE.get())
            VARIABLE.set("path")
            return "node" if len(state["found"]) < 3 else END

        graph = StateGraph(Collecting).add_node("node", node).add_edge(START, "node")
        graph.add_conditional_edges("node", path)
        return graph.compile().invoke({"found": []}), VARIABLE.get()

    both(scenario)


def test_context_variable_changed_while_streaming() -> None:
    """Which value of the consumer's context a later superstep sees."""

    def scenario(chunks: list[Any]) -> Any:
        graph = counter_of_context()
        token = VARIABLE.set("at first")
        try:
            for number, chunk in enumerate(graph.stream({"found": []}, stream_mode="updates")):
                chunks.append(chunk)
                VARIABLE.set(f"after {number}")
        finally:
            VARIABLE.reset(token)

    both(scenario)


def counter_of_context() -> Any:
    """Three nodes in a row, each noting the context variable."""
    graph = StateGraph(Collecting)
    graph.add_sequence(
        [(name, lambda state: {"found": [VARIABLE.get()]}) for name in ("one", "two", "three")]
    )
    return graph.add_edge(START, "one").compile()


def test_stream_consumed_in_another_context() -> None:
    """A generator runs in the context of whoever asks for the next chunk."""

    def scenario(chunks: list[Any]) -> Any:
        stream = counter_of_context().stream({"found": []}, stream_mode="updates")
        for name in ("x", "y", "z"):
            context = contextvars.copy_context()
            context.run(VARIABLE.set, name)
            chunks.append(context.run(next, stream))

    both(scenario)


def test_stream_consumed_on_several_threads() -> None:
    def scenario(chunks: list[Any]) -> Any:
        stream = counter(6).stream({"n": 0}, stream_mode=["values", "updates"])

        def take(count: int) -> None:
            for _ in range(count):
                chunks.append(next(stream))

        for count in (1, 3, 2):
            thread = threading.Thread(target=take, args=(count,))
            thread.start()
            thread.join()
        chunks.extend(stream)

    both(scenario)


def test_writes_from_a_cache() -> None:
    """The in-memory cache gives each write back as a list, not as the tuple that it was given."""

    class Noting(InMemorySaver):
        def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
            noted.append((type(writes).__name__, list(writes), task_path))
            super().put_writes(config, writes, task_id, task_path)

    noted: list[Any] = []

    def scenario(chunks: list[Any]) -> Any:
        noted.clear()
        policy = CachePolicy()
        graph = StateGraph(Collecting)
        graph.add_node("one", lambda state: {"found": [1]}, cache_policy=policy)
        graph.add_node("two", lambda state: {"found": [2]}, cache_policy=policy)
        graph.add_node("three", lambda state: {"found": [3]}, cache_policy=policy)
        graph.add_edge(START, "one").add_edge("one", "two").add_edge("one", "three")
        compiled = graph.compile(cache=InMemoryCache(), checkpointer=Noting())
        results = []
        for thread in ("first", "second"):
            config = {"configurable": {"thread_id": thread}}
            results.append(compiled.invoke({"found": [0]}, config))
        return results, sorted(noted, key=repr)

    outcome = both(scenario)
    assert outcome.result[0] == [{"found": [0, 1, 3, 2]}] * 2  # by name
    assert any(type(write) is list for _, writes, _ in outcome.result[1] for write in writes)


def test_generator_as_node() -> None:
    """Of the updates that a generator function yields, the last counts for a key."""

    def node(state: Collecting) -> Iterator[Any]:
        yield {"found": [1]}
        chunks_asked.append(1)
        yield {"found": [2]}

    chunks_asked: list[int] = []

    def scenario(chunks: list[Any]) -> Any:
        graph = StateGraph(Collecting).add_node("node", node).add_edge(START, "node").compile()
        chunks.extend(graph.stream({"found": [0]}))
        return graph.invoke({"found": [0]})

    outcome = both(scenario)
    assert outcome.result == {"found": [0, 2]}
    assert len(chunks_asked) == 4


def test_graph_streamed_inside_a_node() -> None:
    """Two streams of the same graph, one consumed while the other waits for it."""

    def scenario(chunks: list[Any]) -> Any:
        inner = counter(3)

        def node(state: Collecting) -> Any:
            return {"found": [chunk["n"] for chunk in inner.stream({"n": 0})]}

        graph = StateGraph(Collecting).add_node("node", node).add_edge(START, "node").compile()
        chunks.extend(zip(graph.stream({"found": []}), inner.stream({"n": 0}), strict=False))
        return graph.invoke({"found": []})

    both(scenario, covered=False)  # inside a streamed run, stock's engine runs the inner graph


def test_many_runs_on_few_threads() -> None:
    """Worker threads are used again, and do not carry one run's context into the next."""

    def scenario(chunks: list[Any]) -> Any:
        graph = fan(lambda number: {"found": [(number, VARIABLE.get())]}, 4)
        before = threading.active_count()
        for round in range(20):
            token = VARIABLE.set(f"round {round}")
            chunks.append(graph.invoke({"found": []}))
            VARIABLE.reset(token)
        return threading.active_count() - before <= 32

    outcome = both(scenario)
    assert outcome.result is True


def test_base_exception_ends_the_run() -> None:
    """KeyboardInterrupt and its like pass through, and leave the engine usable."""

    def scenario(chunks: list[Any]) -> Any:
        def node(state: Counting) -> Any:
            if state["n"] == 0:
                raise KeyboardInterrupt("stop")
            return {"n": 5}

        graph = StateGraph(Counting).add_node("node", node).add_edge(START, "node").compile()
        with pytest.raises(KeyboardInterrupt) as caught:
            graph.invoke({"n": 0})
        chunks.append((str(caught.value), getattr(caught.value, "__notes__", [])))
        return graph.invoke({"n": 1})

    both(scenario)
