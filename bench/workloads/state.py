"""Loops whose state is of another kind than a TypedDict of plain values."""

from typing import Any

from pydantic import BaseModel

from bench.graphs import Count, answering, cycle, invoke
from bench.registry import Case, Graph, workload


class CountModel(BaseModel):
    n: int


def bump_model(state: CountModel) -> Count:
    return {"n": state.n + 1}


@workload("step", 100, tiny=3)
def messages(n: int) -> Case:
    """invoke: a loop on MessagesState, appending a message a step"""
    graph, history = answering(n)

    def run(graph: Graph) -> Any:
        return graph.invoke({"messages": history[:1]})

    return Case(graph, run, {"messages": history}, n)


@workload("step", 200, tiny=3)
def pydantic_state(n: int) -> Case:
    """invoke: a loop on a pydantic model"""
    return Case(cycle(CountModel, bump_model, lambda state: state.n < n), invoke, {"n": n}, n)
