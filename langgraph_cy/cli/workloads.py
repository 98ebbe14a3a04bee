"""The standard workloads: what `langgraph-cy bench` times where it is given no graph.

Each function makes from a size a graph and one run of it; the first line of its docstring is shown
by `--list`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from langgraph_cy.cli.cases import Case, Graph, Workload
from langgraph_cy.cli.workload_graphs import abump, ainvoke, counting, invoke, row, sending


def loop(n: int) -> Case:
    """invoke: one node going round a conditional edge"""
    return Case(counting(n), invoke, {"n": n}, n)


def aloop(n: int) -> Case:
    """ainvoke: `loop` with an async node"""
    return Case(counting(n, abump), ainvoke, {"n": n}, n)


def chain(n: int) -> Case:
    """invoke: nodes in a row"""
    return Case(row(n), invoke, {"n": n}, n)


def achain(n: int) -> Case:
    """ainvoke: async nodes in a row"""
    return Case(row(n, abump), ainvoke, {"n": n}, n)


def one_node(n: int) -> Case:
    """invoke: a graph of one node, the fixed cost of a run"""
    return Case(row(n), invoke, {"n": n}, 1)


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


def stream(n: int) -> Case:
    """stream: values and updates of `loop`"""

    def run(graph: Graph) -> Any:
        return list(graph.stream({"n": 0}, stream_mode=["values", "updates"]))

    chunks: list[tuple[str, Any]] = [("values", {"n": 0})]
    for i in range(1, n + 1):
        chunks += [("updates", {"step": {"n": i}}), ("values", {"n": i})]
    return Case(counting(n), run, chunks, n)


def saved(n: int) -> Case:
    """invoke: `loop` with upstream's InMemorySaver"""
    saver = InMemorySaver()

    def run(graph: Graph) -> Any:
        saver.delete_thread("1")
        result = graph.invoke({"n": 0}, {"configurable": {"thread_id": "1"}})
        return result, len(saver.storage["1"][""])

    # A checkpoint of the input, one of the state that it made, and one a step.
    return Case(counting(n, checkpointer=saver), run, ({"n": n}, n + 2), n)


def nested(n: int) -> Case:
    """invoke: `loop` with a graph of one node as its node"""
    return Case(counting(n, row(1)), invoke, {"n": n}, n)


def _standard(make: Callable[[int], Case], unit: str, size: int) -> Workload:
    about = (make.__doc__ or "").partition(";")[0]
    return Workload(make.__name__, about, unit, make, (size,), tiny=3)


STANDARD = {
    workload.name: workload
    for workload in (
        _standard(loop, "step", 1_000),
        _standard(aloop, "step", 1_000),
        _standard(chain, "node", 10),
        _standard(achain, "node", 10),
        _standard(one_node, "run", 1),
        _standard(send, "task", 1_000),
        _standard(asend, "task", 1_000),
        _standard(stream, "step", 1_000),
        _standard(saved, "step", 1_000),
        _standard(nested, "call", 1_000),
    )
}
