"""Many tasks in one step, and many runs at a time.

The floors are the same number of calls of the same function by what Python offers for it.
"""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send

from bench.graphs import abump, row
from bench.registry import Case, Graph, workload
from langgraph_cy.cli import workloads as standard


class Items(TypedDict):
    items: list[int]
    squares: Annotated[list[int], operator.add]
    total: int


send = workload("task", 1_000, tiny=4, at_least=20, within=3)(standard.send)
asend = workload("task", 1_000, tiny=4, at_least=20, within=3)(standard.asend)


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


@workload("run", 3_000, tiny=3, at_least=20)
def concurrent(n: int) -> Case:
    """ainvoke: runs of three async nodes at a time, on one event loop"""

    async def run(graph: Graph) -> Any:
        return await asyncio.gather(*(graph.ainvoke({"n": i}) for i in range(n)))

    return Case(row(3, abump), run, [{"n": i + 3} for i in range(n)], n)
