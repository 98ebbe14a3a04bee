"""The graphs that are timed: their nodes do next to nothing, so what remains is the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from inspect import iscoroutinefunction
from typing import Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_cy.cli.cases import Graph

Node = Callable[..., Any]


class Count(TypedDict):
    """A state of one number."""

    n: int


def bump(state: Count) -> Count:
    """A node that counts."""
    return {"n": state["n"] + 1}


async def abump(state: Count) -> Count:
    """A node that counts, as a coroutine function."""
    return {"n": state["n"] + 1}


def invoke(graph: Graph) -> Any:
    """A run that starts to count at 0."""
    return graph.invoke({"n": 0})


async def ainvoke(graph: Graph) -> Any:
    """A run that starts to count at 0, awaited."""
    return await graph.ainvoke({"n": 0})


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
    builder: Any = StateGraph(schema)
    for name in ("step", *others):
        builder.add_node(name, node, input_schema=reads or schema)
    builder.add_edge(START, "step")
    path: Callable[[Any], Any] = lambda state: "step" if more(state) else END  # noqa: E731
    if iscoroutinefunction(node):
        # or every step would go to a worker thread for its edge, on both engines
        path = awaited(path)
    builder.add_conditional_edges("step", path, ["step", *others, END])
    graph: Graph = builder.compile(**options)
    return graph


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
    builder: Any = StateGraph(Count)
    names = [f"node_{i}" for i in range(n)]
    for name, previous in zip(names, [START, *names], strict=False):
        builder.add_node(name, node)
        builder.add_edge(previous, name)
    builder.add_edge(names[-1], END)
    graph: Graph = builder.compile()
    return graph


def sending(n: int, visit: Node) -> Graph:
    """A graph that calls `visit` with each number below `n`, in one step."""
    sends = [Send("visit", i) for i in range(n)]
    builder: Any = StateGraph(Count)
    builder.add_node("visit", visit)
    builder.add_conditional_edges(START, lambda state: sends, ["visit"])
    graph: Graph = builder.compile()
    return graph
