"""What is timed: graphs whose nodes do next to nothing, so that what remains is the engine.

Each workload is a function from a size to a `Case`. A curve is a workload timed at several sizes,
to show whether the cost of one unit depends on that size.
"""

import operator
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import make_dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Send
from pydantic import BaseModel

from bench.registry import CURVES, WORKLOADS, Case, Graph, workload

__all__ = ["CURVES", "WORKLOADS"]

# Steps of a curve over something else: enough for the cost of a run not to show in a step.
LONG = 1_000


class Count(TypedDict):
    n: int


class CountModel(BaseModel):
    n: int


class Items(TypedDict):
    items: list[int]
    squares: Annotated[list[int], operator.add]
    total: int


def bump(state: Count) -> Count:
    return {"n": state["n"] + 1}


def bump_model(state: CountModel) -> Count:
    return {"n": state.n + 1}


def bump_injected(state: Count, config: RunnableConfig, runtime: Runtime) -> Count:
    return {"n": state["n"] + 1}


def cycle(
    schema: type[Any],
    node: Callable[..., Any],
    more: Callable[[Any], bool],
    others: Iterable[str] = (),
    reads: type[Any] | None = None,
) -> Graph:
    """One node that goes round while `more(state)`.

    Args:
        others: names of nodes that it could go to and never does.
        reads: the schema of what a node is given; without it, the whole state.
    """
    builder = StateGraph(schema)
    for name in ("step", *others):
        builder.add_node(name, node, input_schema=reads or schema)
    builder.add_edge(START, "step")
    builder.add_conditional_edges(
        "step", lambda state: "step" if more(state) else END, ["step", *others, END]
    )
    return builder.compile()


def counting(n: int, node: Callable[..., Any] = bump, others: Iterable[str] = ()) -> Graph:
    return cycle(Count, node, lambda state: state["n"] < n, others)


def row(n: int) -> Graph:
    """`n` nodes, one after the other."""
    builder = StateGraph(Count)
    names = [f"node_{i}" for i in range(n)]
    for name, previous in zip(names, [START, *names], strict=False):
        builder.add_node(name, bump)
        builder.add_edge(previous, name)
    builder.add_edge(names[-1], END)
    return builder.compile()


def invoke(graph: Graph) -> Any:
    return graph.invoke({"n": 0})


@workload("step", 1_000, tiny=3, target=50)
def loop(n: int) -> Case:
    """invoke: one node going round a conditional edge"""
    return Case(counting(n), invoke, {"n": n}, n)


@workload("node", 10, tiny=3, target=40)
def chain(n: int) -> Case:
    """invoke: nodes in a row"""
    return Case(row(n), invoke, {"n": n}, n)


@workload("run", 1, tiny=1)
def one_node(n: int) -> Case:
    """invoke: a graph of one node, the fixed cost of a run"""
    return Case(row(n), invoke, {"n": n}, 1)


@workload("task", 1_000, tiny=4, target=15)
def send(n: int) -> Case:
    """invoke: Send tasks to one node, in one step; floor: ThreadPoolExecutor.map"""
    seen: list[int] = []  # the least a node can do that still shows every task ran
    sends = [Send("visit", i) for i in range(n)]
    pool = ThreadPoolExecutor()  # the default number of threads, as upstream's own pool

    def visit(state: Any) -> None:
        seen.append(state)

    def run(graph: Graph) -> Any:
        seen.clear()
        return graph.invoke({"n": 0}), sorted(seen)

    def floor() -> None:
        seen.clear()
        list(pool.map(visit, range(n)))

    builder = StateGraph(Count)
    builder.add_node("visit", visit)
    builder.add_conditional_edges(START, lambda state: sends, ["visit"])
    return Case(builder.compile(), run, ({"n": 0}, list(range(n))), n, floor)


@workload("step", 1_000, tiny=3)
def stream(n: int) -> Case:
    """stream: values and updates of `loop`"""

    def run(graph: Graph) -> Any:
        return list(graph.stream({"n": 0}, stream_mode=["values", "updates"]))

    chunks: list[tuple[str, Any]] = [("values", {"n": 0})]
    for i in range(1, n + 1):
        chunks += [("updates", {"step": {"n": i}}), ("values", {"n": i})]
    return Case(counting(n), run, chunks, n)


@workload("step", 1_000, tiny=3)
def injected(n: int) -> Case:
    """invoke: `loop` with a node that takes config and runtime"""
    return Case(counting(n, bump_injected), invoke, {"n": n}, n)


@workload("step", 100, tiny=3)
def messages(n: int) -> Case:
    """invoke: a loop on MessagesState, appending a message a step"""
    # Given ids, since generated ones would differ between two runs.
    history: list[AnyMessage] = [HumanMessage("0", id="0")]
    history += [AIMessage(str(i), id=str(i)) for i in range(1, n + 1)]

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [history[len(state["messages"])]]}

    def run(graph: Graph) -> Any:
        return graph.invoke({"messages": history[:1]})

    graph = cycle(MessagesState, answer, lambda state: len(state["messages"]) <= n)
    return Case(graph, run, {"messages": history}, n)


@workload("step", 200, tiny=3)
def pydantic_state(n: int) -> Case:
    """invoke: a loop on a pydantic model"""
    return Case(cycle(CountModel, bump_model, lambda state: state.n < n), invoke, {"n": n}, n)


@workload("task", 100, tiny=4)
def map_reduce(n: int) -> Case:
    """invoke: Send tasks, their results gathered by a reducer and summed by a last node"""
    items = list(range(n))
    squares = [i * i for i in items]

    def run(graph: Graph) -> Any:
        return graph.invoke({"items": items})

    builder = StateGraph(Items)
    builder.add_node("square", lambda item: {"squares": [item * item]})
    builder.add_node("add", lambda state: {"total": sum(state["squares"])})
    builder.add_conditional_edges(
        START, lambda state: [Send("square", item) for item in state["items"]], ["square"]
    )
    builder.add_edge("square", "add")
    expect = {"items": items, "squares": squares, "total": sum(squares)}
    return Case(builder.compile(), run, expect, n)


@workload("step", 10, 100, 1_000, 10_000, tiny=3, axis="steps in the run")
def steps(n: int) -> Case:
    """`loop`, shorter and longer"""
    return loop(n)


@workload("step", 10, 100, 1_000, tiny=3, axis="nodes in the graph")
def nodes(n: int) -> Case:
    """`loop` in a graph whose other nodes never run"""
    others = [f"idle_{i}" for i in range(1, n)]
    return Case(counting(LONG, others=others), invoke, {"n": LONG}, LONG)


@workload("step", 10, 100, 1_000, tiny=3, axis="channels in the state")
def channels(n: int) -> Case:
    """`loop` with a state of which one channel changes, and the node reads only that one"""
    full = {"n": 0} | {f"field_{i}": i for i in range(1, n)}
    wide = make_dataclass("Wide", [(name, int) for name in full])
    graph = cycle(wide, bump, lambda state: state["n"] < LONG, reads=Count)
    return Case(graph, lambda graph: graph.invoke(full), full | {"n": LONG}, LONG)
