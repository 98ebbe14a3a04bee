"""Bad input, failing nodes and runs broken off: the same error as stock, and no harm done."""

import asyncio
import operator
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from langgraph.channels import LastValue
from langgraph.errors import (
    EmptyInputError,
    GraphBubbleUp,
    GraphInterrupt,
    GraphRecursionError,
    InvalidUpdateError,
    NodeCancelledError,
    ParentCommand,
)
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import Command, RetryPolicy, Send, interrupt
from pydantic import BaseModel, ValidationError
from typing_extensions import TypedDict

from .engines import COMPILED, STOCK, Engine, Outcome, State, add_one, both, chain, outcome_of

pytestmark = pytest.mark.shim


class Total(TypedDict):
    total: Annotated[int, operator.add]


class Checked(BaseModel):
    n: int


@dataclass
class Point:
    n: int


def add_one_to(state: Any) -> dict[str, int]:
    return {"n": state.n + 1}


def looping(limit: int) -> Any:
    """A graph of one node that repeats itself until `n` reaches the limit."""
    builder = StateGraph(State)
    builder.add_node("add", add_one)
    builder.add_edge(START, "add")
    builder.add_conditional_edges("add", lambda state: "add" if state["n"] < limit else END)
    return builder.compile()


def fan_out(*functions: Callable[..., Any], schema: Any = Total) -> Any:
    """A graph whose nodes all run in the first superstep."""
    builder = StateGraph(schema)
    for place, function in enumerate(functions):
        builder.add_node(f"node{place}", function)
        builder.add_edge(START, f"node{place}")
    return builder.compile()


def branching(path: Callable[..., Any], *path_map: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("add", add_one)
    builder.add_edge(START, "add")
    builder.add_conditional_edges("add", path, *path_map)
    return builder.compile()


def returning(value: Any) -> Any:
    def node(state: State) -> Any:
        return value

    return chain(node)


def raising(kind: type[BaseException], *arguments: Any) -> Any:
    def node(state: State) -> Any:
        raise kind(*arguments)

    return chain(add_one, node)


def explode(state: Any) -> Any:
    """Raise from a frame below the node's own."""
    return {"n": 1 // (state["n"] - state["n"])}


def deep(state: Any) -> Any:
    return explode(state)


class Odd(Exception):
    """An error that is particular about its arguments."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code

    def __str__(self) -> str:
        return f"odd {self.code}"


def unpicky(state: State) -> Any:
    raise Odd(7, reason="seven")


def chained(state: State) -> Any:
    try:
        explode(state)
    except ZeroDivisionError as error:
        raise LookupError("nothing there") from error


def cancelled(state: State) -> Any:
    raise asyncio.CancelledError("gone")


def hand_built(*, to: str = "out", ask: str = "in") -> Any:
    return Pregel(
        nodes={"one": NodeBuilder().subscribe_only(ask).do(lambda x: x + 1).write_to(to)},
        channels={"in": LastValue(int), "out": LastValue(int)},
        input_channels="in",
        output_channels="out",
    )


def add_total(state: Total) -> dict[str, int]:
    return {"total": 1}


CASES: dict[str, tuple[Callable[[], Any], Any, type]] = {
    # what a node returns
    "a number instead of an update": (lambda: returning(5), {"n": 1}, InvalidUpdateError),
    "a text instead of an update": (lambda: returning("n"), {"n": 1}, InvalidUpdateError),
    "a list of numbers": (lambda: returning([1, 2]), {"n": 1}, InvalidUpdateError),
    "a set": (lambda: returning({"n"}), {"n": 1}, InvalidUpdateError),
    "a command beside a number": (
        lambda: returning([Command(update={"n": 1}), 3]),
        {"n": 1},
        InvalidUpdateError,
    ),
    "a command to nowhere with a bad update": (
        lambda: returning(Command(update=3)),
        {"n": 1},
        type(None),
    ),
    "a send to nowhere": (
        lambda: branching(lambda state: Send("nowhere", state)),
        {"n": 1},
        type(None),
    ),
    "a send to the end": (
        lambda: branching(lambda state: Send(END, state)),
        {"n": 1},
        InvalidUpdateError,
    ),
    "a command to an unknown node": (
        lambda: returning(Command(goto="nowhere")),
        {"n": 1},
        type(None),
    ),
    "a command for a parent that is none": (
        lambda: returning(Command(graph=Command.PARENT, goto="x")),
        {"n": 1},
        ParentCommand,
    ),
    # what channels refuse
    "two writes to a LastValue": (
        lambda: fan_out(add_one, add_one, schema=State),
        {"n": 1},
        InvalidUpdateError,
    ),
    "a reducer that raises": (
        lambda: fan_out(lambda state: {"total": "text"}),
        {"total": 1},
        TypeError,
    ),
    "an update that pydantic refuses later": (
        lambda: chain(
            lambda state: {"n": "text"}, lambda state: {"n": state.n + 1}, schema=Checked
        ),
        {"n": 1},
        ValidationError,
    ),
    # where conditional edges lead
    "an unknown branch destination": (
        lambda: branching(lambda state: "nowhere"),
        {"n": 1},
        type(None),
    ),
    "a destination not in the path map": (
        lambda: branching(lambda state: "nowhere", {"somewhere": END}),
        {"n": 1},
        KeyError,
    ),
    "a branch that returns nothing": (lambda: branching(lambda state: None), {"n": 1}, ValueError),
    "a branch back to the start": (lambda: branching(lambda state: START), {"n": 1}, ValueError),
    "a branch that raises": (lambda: branching(explode), {"n": 1}, ZeroDivisionError),
    "an unhashable destination": (
        lambda: branching(lambda state: {"a": 1}, {"a": END}),
        {"n": 1},
        TypeError,
    ),
    # what the graph is given
    "no input": (lambda: chain(add_one), None, EmptyInputError),
    "an empty input": (lambda: chain(add_one), {}, KeyError),
    "an input of unknown keys": (lambda: chain(add_one), {"m": 1}, KeyError),
    "a text as input": (lambda: chain(add_one), "text", InvalidUpdateError),
    "a number as input": (lambda: chain(add_one), 3, InvalidUpdateError),
    "a list as input": (lambda: chain(add_one), [1], InvalidUpdateError),
    "input that pydantic refuses": (
        lambda: chain(add_one_to, schema=Checked),
        {"n": "x"},
        ValidationError,
    ),
    "input that a dataclass refuses": (
        lambda: chain(add_one_to, schema=Point),
        {"m": 1},
        TypeError,
    ),
    "nothing for a hand-built graph": (hand_built, None, EmptyInputError),
    "a node that raises on its input": (hand_built, "text", TypeError),
    # what a node raises
    "ValueError": (lambda: raising(ValueError, "no"), {"n": 1}, ValueError),
    "from a frame below": (lambda: chain(deep), {"n": 1}, ZeroDivisionError),
    "an error with a cause": (lambda: chain(chained), {"n": 1}, LookupError),
    "an error with arguments of its own": (lambda: chain(unpicky), {"n": 1}, Odd),
    "KeyError": (lambda: raising(KeyError, "n"), {"n": 1}, KeyError),
    "OSError": (lambda: raising(OSError, 2, "gone", "file"), {"n": 1}, FileNotFoundError),
    "GraphBubbleUp": (lambda: raising(GraphBubbleUp, "up"), {"n": 1}, GraphBubbleUp),
    "GraphRecursionError": (
        lambda: raising(GraphRecursionError, "deep"),
        {"n": 1},
        GraphRecursionError,
    ),
    "KeyboardInterrupt": (lambda: raising(KeyboardInterrupt, "stop"), {"n": 1}, KeyboardInterrupt),
    "SystemExit": (lambda: raising(SystemExit, 3), {"n": 1}, SystemExit),
    "GeneratorExit": (lambda: raising(GeneratorExit, "x"), {"n": 1}, GeneratorExit),
    "CancelledError": (lambda: chain(cancelled), {"n": 1}, NodeCancelledError),
    "in a fan-out": (lambda: fan_out(explode, add_total), {"total": 1}, KeyError),
    "the recursion limit": (
        lambda: looping(9).with_config({"recursion_limit": 5}),
        {"n": 0},
        GraphRecursionError,
    ),
}


@pytest.mark.parametrize("way", ["invoke", "values", "updates", "both"])
@pytest.mark.parametrize("case", CASES)
def test_error_is_stocks(case: str, way: str) -> None:
    """Type, text, notes, cause and last frame of what a run raises, and what it gave before."""
    make, input, kind = CASES[case]
    graph = make()
    modes = ["values", "updates"] if way == "both" else way

    def call(chunks: list[Any]) -> Any:
        if way == "invoke":
            return graph.invoke(input)
        for chunk in graph.stream(input, stream_mode=modes):
            chunks.append(chunk)
        return None

    expected = both(call)
    assert expected.kind is kind or (expected.kind is None and kind is type(None)), expected


@pytest.mark.parametrize("case", CASES)
def test_engine_is_usable_after_an_error(case: str) -> None:
    """The same graph and others run on as if nothing had been."""
    make, input, _ = CASES[case]
    graph = make()
    other = chain(add_one)
    with COMPILED.running():
        first = outcome_of(lambda chunks: graph.invoke(input))
        second = outcome_of(lambda chunks: graph.invoke(input))
        assert (first.kind, first.text, first.result) == (
            second.kind,
            second.text,
            second.result,
        )
        assert other.invoke({"n": 1}) == {"n": 2}
        COMPILED.check()


@pytest.mark.parametrize(
    "kind",
    [ValueError, KeyboardInterrupt, SystemExit, asyncio.CancelledError, GraphBubbleUp],
)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_error_from_one_of_several_tasks(kind: type[BaseException], way: str) -> None:
    """Whatever one task of a superstep raises comes out, after the others have ended."""
    running = []

    def call(chunks: list[Any]) -> Any:
        entered = threading.Event()
        running.clear()

        def fail(state: Total) -> Any:
            assert entered.wait(10)
            raise kind("stop")

        def slow(state: Total) -> Any:
            running.append("started")
            entered.set()
            threading.Event().wait(0.05)
            running.append("ended")
            return {"total": 1}

        graph = fan_out(fail, slow)
        try:
            if way == "invoke":
                return graph.invoke({"total": 0})
            chunks.extend(graph.stream({"total": 0}, stream_mode=["values", "updates"]))
            return None
        finally:
            chunks.append(tuple(running))

    def blur(outcome: Outcome) -> None:
        # whether a task that ends after the failure still shows is a race on stock
        outcome.chunks = [each for each in outcome.chunks if each != late]

    late = ("updates", {"node1": {"total": 1}})
    assert both(call, blur=blur).kind is not None


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_all_of_several_tasks_raise(way: str) -> None:
    def call(chunks: list[Any]) -> Any:
        graph = fan_out(explode, explode, explode)
        if way == "invoke":
            return graph.invoke({"total": 0})
        return list(graph.stream({"total": 0}))

    def blur(outcome: Outcome) -> None:
        # which of them comes first is a race
        outcome.notes = [re.sub("node[012]", "node", note) for note in outcome.notes]

    assert both(call, blur=blur).kind is KeyError


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_node_cannot_end_a_loop_of_its_caller(way: str) -> None:
    """Upstream's engine is made of generators, which turn a StopIteration into an error."""

    def call(chunks: list[Any]) -> Any:
        graph = raising(StopIteration, 3)
        if way == "invoke":
            return graph.invoke({"n": 1})
        chunks.extend(graph.stream({"n": 1}))
        return None

    def blur(outcome: Outcome) -> None:
        outcome.last_frame = None  # of the innermost generator: how an engine is built

    assert both(call, blur=blur).kind is RuntimeError


def test_retries_leave_a_note_each() -> None:
    policy = RetryPolicy(
        initial_interval=0.001, max_attempts=3, jitter=False, retry_on=ZeroDivisionError
    )
    attempts = []

    def fail(state: State) -> Any:
        attempts.append(state["n"])
        raise ZeroDivisionError("again")

    builder = StateGraph(State)
    builder.add_node("fail", fail, retry_policy=policy)
    builder.add_edge(START, "fail")
    graph = builder.compile()
    expected = both(lambda chunks: graph.invoke({"n": 1}))
    assert expected.kind is ZeroDivisionError
    assert len(attempts) == 6


@pytest.mark.parametrize("limit", [0, -1, 1, 2, "3", None, 2.5])
def test_recursion_limits(limit: Any) -> None:
    graph = looping(3)
    both(
        lambda chunks: graph.invoke({"n": 0}, {"recursion_limit": limit}),
        covered=isinstance(limit, int) and limit > 0,
    )


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"configurable": 3}, id="configurable is a number"),
        pytest.param({"tags": 3}, id="tags is a number"),
        pytest.param({"metadata": 3}, id="metadata is a number"),
        pytest.param({"unknown": 3}, id="an unknown key"),
        pytest.param({"max_concurrency": 0}, id="no concurrency"),
        pytest.param(3, id="a number"),
        pytest.param("text", id="a text"),
        pytest.param([], id="a list"),
    ],
)
def test_bad_config(config: Any) -> None:
    graph = chain(add_one)
    both(lambda chunks: graph.invoke({"n": 0}, config), covered=False)
    both(lambda chunks: list(graph.stream({"n": 0}, config)), covered=False)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"output_keys": "nowhere"}, id="unknown output key"),
        pytest.param({"output_keys": ["n", "nowhere"]}, id="one unknown output key"),
        pytest.param({"stream_mode": "nothing"}, id="unknown stream mode"),
        pytest.param({"context": 3}, id="a context without a schema"),
        pytest.param({"durability": "never"}, id="unknown durability"),
        pytest.param({"version": "v9"}, id="unknown version"),
        pytest.param({"surprise": 1}, id="unknown argument"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*durability")
def test_bad_arguments(arguments: dict[str, Any]) -> None:
    graph = chain(add_one)
    both(lambda chunks: graph.invoke({"n": 0}, **arguments), covered=False)
    both(lambda chunks: list(graph.stream({"n": 0}, **arguments)), covered=False)


def test_an_interrupt_is_no_error() -> None:
    def ask(state: Total) -> Any:
        return {"total": interrupt("how many?")}

    def call(chunks: list[Any]) -> Any:
        graph = fan_out(ask, add_total)
        chunks.extend(graph.stream({"total": 1}, stream_mode=["values", "updates"]))
        return graph.invoke({"total": 1})

    def masked(chunks: list[Any]) -> Any:
        result = call(chunks)
        chunks[:] = [str(chunk).split("id=")[0] for chunk in chunks]
        return str(result).split("id=")[0]

    expected = both(masked)
    assert "how many?" in expected.result


def test_an_interrupt_raised_by_hand_without_anything() -> None:
    def call(chunks: list[Any]) -> Any:
        chunks.extend(raising(GraphInterrupt).stream({"n": 1}, stream_mode=["values", "updates"]))
        return raising(GraphInterrupt).invoke({"n": 1})

    both(call)


class TestHalfClosedStream:
    """Streams that are not read to their end."""

    def steps(self) -> tuple[list[int], Any]:
        ran: list[int] = []

        def node(state: State) -> dict[str, int]:
            ran.append(state["n"])
            return {"n": state["n"] + 1}

        return ran, chain(node, node, node)

    def test_closed(self) -> None:
        def call(chunks: list[Any]) -> Any:
            ran, graph = self.steps()
            stream = graph.stream({"n": 0}, stream_mode="values")
            chunks.append(next(stream))
            chunks.append(next(stream))
            stream.close()
            chunks.append(tuple(ran))
            return list(stream)

        assert both(call).result == []

    def test_closed_before_its_first_chunk(self) -> None:
        def call(chunks: list[Any]) -> Any:
            ran, graph = self.steps()
            stream = graph.stream({"n": 0})
            stream.close()
            chunks.append(tuple(ran))
            return next(stream, "nothing")

        assert both(call, covered=False).result == "nothing"

    @pytest.mark.parametrize("error", [ValueError("in"), GeneratorExit(), KeyboardInterrupt()])
    def test_given_an_error(self, error: BaseException) -> None:
        def call(chunks: list[Any]) -> Any:
            ran, graph = self.steps()
            stream = graph.stream({"n": 0}, stream_mode="values")
            chunks.append(next(stream))
            try:
                stream.throw(error)
            except BaseException as raised:
                return type(raised), tuple(ran), list(stream)

        both(call)

    def test_dropped(self) -> None:
        def call(chunks: list[Any]) -> Any:
            ran, graph = self.steps()
            for chunk in graph.stream({"n": 0}, stream_mode="updates"):
                chunks.append(chunk)
                break
            return tuple(ran), graph.invoke({"n": 5})

        both(call)

    def test_closed_while_tasks_run(self) -> None:
        """Closing waits for the tasks of the superstep, as stock does."""

        def call(chunks: list[Any]) -> Any:
            ended = []
            go = threading.Event()

            def quick(state: Total) -> dict[str, int]:
                return {"total": 1}

            def slow(state: Total) -> dict[str, int]:
                assert go.wait(10)
                threading.Event().wait(0.05)
                ended.append("slow")
                return {"total": 1}

            stream = fan_out(quick, slow).stream({"total": 0}, stream_mode="updates")
            chunks.append(next(stream))
            go.set()
            stream.close()
            return tuple(ended)

        assert both(call).result == ("slow",)

    def test_entered_twice(self) -> None:
        """A node that asks its own stream for more gets Python's error, not a deadlock."""

        def call(chunks: list[Any]) -> Any:
            holder: list[Iterator[Any]] = []

            def node(state: State) -> Any:
                return {"n": next(holder[0])["n"]}

            holder.append(chain(node).stream({"n": 1}, stream_mode="values"))
            chunks.append(next(holder[0]))
            return next(holder[0])

        assert both(call).kind is ValueError


def test_recursion_in_a_node() -> None:
    """A node that runs its own graph without end is stopped by Python, and nothing breaks."""
    graph: Any = None

    def node(state: State) -> Any:
        if state["n"] > 20:
            raise RecursionError("enough")
        return graph.invoke({"n": state["n"] + 1})

    graph = chain(node)
    expected = both(lambda chunks: graph.invoke({"n": 0}))
    assert expected.kind is RecursionError


def test_traceback_is_freed_of_the_engine(engine: Engine) -> None:
    """The error's last frame is the node's line that raised, with its locals."""
    try:
        chain(deep).invoke({"n": 4})
    except ZeroDivisionError as error:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        assert trace is not None
        assert trace.tb_frame.f_locals["state"] == {"n": 4}
    else:
        pytest.fail("nothing was raised")


def test_outcomes_tell_engines_apart() -> None:
    """The comparison itself: an engine that differed would be found."""
    calls = iter([1, 2])
    with pytest.raises(AssertionError):
        both(lambda chunks: next(calls), covered=False)
    with STOCK.running():
        assert outcome_of(lambda chunks: chain(add_one).invoke({"n": 1})) == Outcome(
            result={"n": 2}
        )
