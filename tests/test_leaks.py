"""Live objects return to where they were, however runs end."""

import gc
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.config import get_config
from langgraph.errors import GraphRecursionError
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send, interrupt
from typing_extensions import TypedDict

import langgraph_cy

from .engines import Engine, State, add_one, chain
from .test_errors import fan_out, looping

pytestmark = pytest.mark.usefixtures("compiled")


class Gathered(TypedDict):
    n: int
    found: Annotated[list[int], lambda old, new: (old + new)[-8:]]


def mapping() -> Any:
    """A graph that fans out by Send and gathers."""
    builder = StateGraph(Gathered)
    builder.add_node("split", lambda state: {"n": state["n"] + 1})
    builder.add_node("one", lambda state: {"found": [state["n"]]})
    builder.add_node("join", lambda state: {"n": len(state["found"])})
    builder.add_edge(START, "split")
    builder.add_conditional_edges(
        "split", lambda state: [Send("one", {"n": n}) for n in range(4)], ["one"]
    )
    builder.add_edge("one", "join")
    builder.add_edge("join", END)
    return builder.compile()


def observing() -> Any:
    """A graph whose nodes look at their config in every way."""

    def argument(state: State, config: RunnableConfig) -> Any:
        return {"n": len(config["metadata"])}

    def ambient(state: State) -> Any:
        return {"n": len(get_config()["configurable"])}

    return chain(argument, ambient, add_one)


def nested() -> Any:
    child = chain(add_one, add_one)
    return chain(add_one, lambda state: child.invoke(state), child)


def calling() -> Any:
    @task
    def double(n: int) -> int:
        return 2 * n

    def node(state: State) -> Any:
        first, second = double(state["n"]), double(3)
        return {"n": first.result() + second.result()}

    return chain(node)


def invoke(graph: Any) -> None:
    graph.invoke({"n": 1})


def stream(graph: Any) -> None:
    for _ in graph.stream({"n": 1}, stream_mode=["values", "updates"]):
        pass


def fail(graph: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        graph.invoke({"n": 0})


def fail_streamed(graph: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        list(graph.stream({"n": 0}))


def abandon(graph: Any) -> None:
    next(graph.stream({"n": 1}))


def close(graph: Any) -> None:
    chunks = graph.stream({"n": 1}, stream_mode="values")
    next(chunks)
    next(chunks)
    chunks.close()


def throw(graph: Any) -> None:
    chunks = graph.stream({"n": 1}, stream_mode="values")
    next(chunks)
    with pytest.raises(KeyError):
        chunks.throw(KeyError("in"))


def never_started(graph: Any) -> None:
    graph.stream({"n": 1})


def run_out(graph: Any) -> None:
    with pytest.raises(GraphRecursionError):
        graph.invoke({"n": 0}, {"recursion_limit": 3})


def dividing(state: State) -> Any:
    return {"n": 1 // state["n"]}


def asking(state: State) -> Any:
    return {"n": interrupt("well?")}


# name: graph, how it is run, how many runs; and whether a plain run makes no cycle at all
RUNS: dict[str, tuple[Callable[[], Any], Callable[[Any], None], int, bool]] = {
    "plain": (lambda: chain(add_one, add_one), invoke, 2_000, True),
    "streamed": (lambda: chain(add_one, add_one), stream, 1_000, True),
    "a loop": (lambda: looping(5), invoke, 1_000, True),
    "a config observed": (observing, invoke, 500, True),
    "fanned out": (mapping, invoke, 300, True),
    "fanned out and streamed": (mapping, stream, 300, True),
    "nested": (nested, invoke, 300, True),
    "with called tasks": (calling, invoke, 200, False),
    "failed": (lambda: chain(dividing), fail, 500, False),
    "failed when streamed": (lambda: chain(dividing), fail_streamed, 500, False),
    "failed among others": (lambda: fan_out(dividing, add_one, schema=State), fail, 200, False),
    "interrupted": (lambda: chain(asking), invoke, 300, False),
    "interrupted when streamed": (lambda: chain(asking), stream, 300, False),
    "abandoned": (lambda: chain(add_one, add_one), abandon, 500, True),
    "abandoned while fanned out": (mapping, abandon, 200, True),
    "half-closed": (lambda: chain(add_one, add_one), close, 500, True),
    "ended by a throw": (lambda: chain(add_one, add_one), throw, 500, False),
    "never started": (lambda: chain(add_one), never_started, 500, True),
    "out of steps": (lambda: looping(99), run_out, 300, False),
}


def census() -> Counter[str]:
    """Objects the collector knows, by type."""
    return Counter(
        f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects()
    )


OF_A_RUN = {
    "CalledTask",
    "CalledTasks",
    "CallJob",
    "Fanout",
    "Head",
    "ObservedConfig",
    "Run",
    "RunContext",
    "RunState",
    "SyncDriver",
    "Task",
    "TaskJob",
    "Workers",
}


def ours() -> Counter[str]:
    """How many objects there are of each of the package's own types."""
    kinds = Counter(type(each) for each in gc.get_objects())
    return Counter(
        {
            kind.__name__: count
            for kind, count in kinds.items()
            if str(kind.__module__).startswith("langgraph_cy.")
        }
    )


def growth(before: Counter[str], limit: int) -> dict[str, int]:
    """The types of which there are more by a limit than before."""
    now = census()
    return {name: now[name] - before[name] for name in now if now[name] - before[name] >= limit}


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No automatic garbage collection meanwhile."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()


@pytest.mark.parametrize("name", RUNS)
def test_objects_return(name: str) -> None:
    """After many runs and a collection there is nothing that grows with their number."""
    make, run, count, _ = RUNS[name]
    graph = make()
    for _ in range(20):
        run(graph)
    gc.collect()
    before = census()
    for _ in range(count):
        run(graph)
    gc.collect()
    assert growth(before, count // 10) == {}


@pytest.mark.parametrize("name", [name for name, parts in RUNS.items() if parts[3]])
@pytest.mark.usefixtures("uncollected")
def test_runs_leave_no_cycles(name: str) -> None:
    """Without any collection, a run is gone when it ends."""
    make, run, _, _ = RUNS[name]
    graph = make()
    for _ in range(20):
        run(graph)
    settle()
    gc.collect()
    before = census()
    for _ in range(1_000 if run is invoke and name == "plain" else 100):
        run(graph)
    settle()
    # threads that have just ended a task may hold one each
    assert growth(before, 50) == {}


def settle() -> None:
    """Let worker threads finish what they hold."""
    for _ in range(20):
        threading.Event().wait(0.001)


@pytest.mark.parametrize("name", RUNS)
def test_core_objects_return_to_none(name: str) -> None:
    """Nothing of the core outlives the runs: no task, run, state, driver or observed config."""
    make, run, _, _ = RUNS[name]
    graph = make()
    gc.collect()
    before = ours()  # what tests before this one keep, in a traceback say
    for _ in range(5):
        run(graph)
    settle()
    gc.collect()
    assert {kind: n for kind, n in (ours() - before).items() if kind in OF_A_RUN} == {}


def test_the_census_sees_core_objects() -> None:
    """The test above would find something: a run under way shows in it."""
    seen: list[Counter[str]] = []

    def node(state: State) -> None:
        seen.append(ours())

    chain(node).invoke({"n": 1})
    assert seen[0].keys() >= {"Run", "RunState", "Task", "SyncDriver", "RunContext"}


def test_memory_does_not_grow() -> None:
    """Blocks of memory, tracked by the collector or not."""
    graph = mapping()
    for _ in range(50):
        graph.invoke({"n": 1})
    settle()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(1_000):
        graph.invoke({"n": 1})
    settle()
    gc.collect()
    assert sys.getallocatedblocks() - before < 500


@pytest.mark.parametrize("ran", [False, True], ids=["never ran", "ran"])
@pytest.mark.parametrize("way", ["installed", "accelerated", "built"])
def test_graphs_are_collectable(way: str, ran: bool) -> None:
    def make() -> Any:
        if way == "built":
            return chain(add_one, builder=langgraph_cy.StateGraph)
        graph = chain(add_one)
        return langgraph_cy.accelerate(graph) if way == "accelerated" else graph

    graph = make()
    if ran:
        graph.invoke({"n": 1})
        list(graph.stream({"n": 1}))
    gone = weakref.ref(graph)
    node = weakref.ref(graph.nodes["node0"])
    del graph
    gc.collect()
    assert gone() is None
    assert node() is None


def test_a_graph_in_its_own_nodes_closure_is_collectable() -> None:
    def make() -> weakref.ref[Any]:
        def node(state: State) -> Any:
            if state["n"] > 2:
                return {"n": state["n"]}
            return graph.invoke({"n": state["n"] + 1})

        graph = chain(node)
        assert graph.invoke({"n": 0}) == {"n": 3}
        return weakref.ref(graph)

    gone = make()
    gc.collect()
    assert gone() is None


def test_copies_of_a_graph_are_collectable() -> None:
    """Each `with_config` makes a graph anew, which must not stay in any table."""
    graph = chain(add_one)
    graph.invoke({"n": 1})
    copies = []
    for place in range(50):
        copied = graph.with_config({"tags": [str(place)]})
        copied.invoke({"n": 1})
        copies.append(weakref.ref(copied))
    del copied
    gc.collect()
    assert [each for each in copies if each() is not None] == []


def test_values_are_let_go() -> None:
    """State, inputs and results die with the last reference of the caller's."""

    class Value:
        pass

    class Holding(TypedDict):
        value: Any

    alive: list[weakref.ref[Any]] = []

    def node(state: Any) -> Any:
        made = Value()
        alive.append(weakref.ref(made))
        return {"value": made}

    graph = chain(node, node, schema=Holding)
    given = Value()
    alive.append(weakref.ref(given))
    result = graph.invoke({"value": given})
    assert isinstance(result["value"], Value)
    del given, result
    assert [each for each in alive if each() is not None] == []


def test_errors_hold_no_run() -> None:
    """A kept exception keeps its frames, and lets go of them when it goes."""
    alive: list[weakref.ref[Any]] = []

    class Value:
        pass

    def node(state: State) -> Any:
        held = Value()
        alive.append(weakref.ref(held))
        raise ValueError("no")

    graph = chain(node)
    try:
        graph.invoke({"n": 1})
    except ValueError as error:
        kept: Any = error
    assert alive[0]() is not None
    del kept
    gc.collect()
    assert alive[0]() is None


def test_classes_made_for_accelerate_are_few() -> None:
    """One class per class of graph, however many graphs."""
    graphs = [langgraph_cy.accelerate(chain(add_one)) for _ in range(20)]
    assert len({type(graph) for graph in graphs}) == 1


def test_user_classes_are_collectable(compiled: Engine) -> None:
    """Accelerating a graph of a class made in a function does not keep the class."""
    from langgraph.pregel import Pregel

    def make() -> weakref.ref[Any]:
        class Own(Pregel):
            pass

        source = chain(add_one)
        own = object.__new__(Own)
        own.__dict__.update(source.__dict__)
        assert langgraph_cy.accelerate(own).invoke({"n": 1}) == {"n": 2}
        return weakref.ref(Own)

    gone = make()
    gc.collect()
    assert gone() is None
    compiled.check()
