"""The graphs that are timed: their nodes do next to nothing, so what remains is the engine."""

from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any, TypedDict

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from bench.registry import Graph

Node = Callable[..., Any]


class Count(TypedDict):
    n: int


def bump(state: Count) -> Count:
    return {"n": state["n"] + 1}


async def abump(state: Count) -> Count:
    return {"n": state["n"] + 1}


def cycle(
    schema: type[Any],
    node: Node | Graph,
    more: Callable[[Any], bool],
    others: Iterable[str] = (),
    reads: type[Any] | None = None,
    **options: Any,
) -> Graph:
    """One node that goes round while `more(state)`.

    Args:
        others: names of nodes that it could go to and never does.
        reads: the schema of what a node is given; without it, the whole state.
        options: for `StateGraph.compile`.
    """
    builder = StateGraph(schema)
    for name in ("step", *others):
        builder.add_node(name, node, input_schema=reads or schema)
    builder.add_edge(START, "step")
    path: Callable[[Any], Any] = lambda state: "step" if more(state) else END  # noqa: E731
    if iscoroutinefunction(node):
        # or every step would go to a worker thread for its edge, on both engines
        path = awaited(path)
    builder.add_conditional_edges("step", path, ["step", *others, END])
    return builder.compile(**options)


def awaited(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A coroutine function that does what `function` does."""

    async def coroutine(state: Any) -> Any:
        return function(state)

    return coroutine


def counting(n: int, node: Node | Graph = bump, **options: Any) -> Graph:
    """A cycle that ends when the count is `n`; `options` as for `cycle`."""
    return cycle(Count, node, lambda state: state["n"] < n, **options)


def row(n: int, node: Node = bump) -> Graph:
    """`n` nodes, one after the other."""
    builder = StateGraph(Count)
    names = [f"node_{i}" for i in range(n)]
    for name, previous in zip(names, [START, *names], strict=False):
        builder.add_node(name, node)
        builder.add_edge(previous, name)
    builder.add_edge(names[-1], END)
    return builder.compile()


def answering(n: int) -> tuple[Graph, list[AnyMessage]]:
    """A loop that appends `n` messages to a first one, and all these messages."""
    # Given ids, since generated ones would differ between two runs.
    history: list[AnyMessage] = [HumanMessage("0", id="0")]
    history += [AIMessage(str(i), id=str(i)) for i in range(1, n + 1)]

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [history[len(state["messages"])]]}

    return cycle(MessagesState, answer, lambda state: len(state["messages"]) <= n), history


def invoke(graph: Graph) -> Any:
    return graph.invoke({"n": 0})


async def ainvoke(graph: Graph) -> Any:
    return await graph.ainvoke({"n": 0})
