"""Many tasks in one step, and many runs at a time.

The floors are the same number of calls of the same function by what Python offers for it.
"""

import asyncio
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import Send

from bench.graphs import Count, Node, abump, row
from bench.registry import Case, Graph, workload


class Items(TypedDict):
    items: list[int]
    squares: Annotated[list[int], operator.add]
    total: int


def sending(n: int, visit: Node) -> Graph:
    """A graph that calls `visit` with each number below `n`, in one step."""
    sends = [Send("visit", i) for i in range(n)]
    builder = StateGraph(Count)
    builder.add_node("visit", visit)
    builder.add_conditional_edges(START, lambda state: sends, ["visit"])
    return builder.compile()


@workload("task", 1_000, tiny=4, at_least=20, within=3)
def send(n: int) -> Case:
    """invoke: Send tasks to one node, in one step; floor: ThreadPoolExecutor.map"""
    seen: list[int] = []  # the least a node can do that still shows every task ran
    pool = ThreadPoolExecutor()  # the default number of threads, as upstream's own pool

    def visit(state: Any) -> None:
        seen.append(state)

    def run(graph: Graph) -> Any:
        seen.clear()
        return graph.invoke({"n": 0}), sorted(seen)

    def floor() -> Any:
        seen.clear()
        list(pool.map(visit, range(n)))
        return {"n": 0}, sorted(seen)

    return Case(sending(n, visit), run, ({"n": 0}, list(range(n))), n, floor)


@workload("task", 1_000, tiny=4, at_least=20, within=3)
def asend(n: int) -> Case:
    """ainvoke: `send` with an async node; floor: asyncio.gather"""
    seen: list[int] = []

    async def visit(state: Any) -> None:
        seen.append(state)

    async def run(graph: Graph) -> Any:
        seen.clear()
        return await graph.ainvoke({"n": 0}), sorted(seen)

    async def floor() -> Any:
        seen.clear()
        await asyncio.gather(*map(visit, range(n)))
        return {"n": 0}, sorted(seen)

    return Case(sending(n, visit), run, ({"n": 0}, list(range(n))), n, floor)


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
