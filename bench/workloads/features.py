"""A loop again, with what applications add to it: streams, handlers, checkpoints, subgraphs."""

from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.runtime import Runtime
from langgraph.types import Command, StreamWriter, interrupt

from bench.graphs import Count, answering, counting, invoke
from bench.registry import Case, Graph, workload
from langgraph_cy.cli import workloads as standard


class Counter(BaseCallbackHandler):
    """As little as a handler can do that still shows it was called."""

    def __init__(self) -> None:
        self.starts = self.ends = 0

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.starts += 1

    def on_chain_end(self, *args: Any, **kwargs: Any) -> None:
        self.ends += 1


def bump_injected(state: Count, config: RunnableConfig, runtime: Runtime) -> Count:
    return {"n": state["n"] + 1}


def bump_writing(state: Count, writer: StreamWriter) -> Count:
    writer(state["n"])
    return {"n": state["n"] + 1}


def bump_asking(state: Count) -> Count:
    return {"n": interrupt(state["n"])}


stream = workload("step", 1_000, tiny=3, at_least=40)(standard.stream)


@workload("step", 1_000, tiny=3)
def stream_custom(n: int) -> Case:
    """stream: `loop` with a node that writes a custom chunk"""

    def run(graph: Graph) -> Any:
        return list(graph.stream({"n": 0}, stream_mode="custom"))

    return Case(counting(n, bump_writing), run, list(range(n)), n)


@workload("step", 100, tiny=3)
def stream_messages(n: int) -> Case:
    """stream: `messages` in the mode of that name"""
    graph, history = answering(n)

    def run(graph: Graph) -> Any:
        chunks: Any = graph.stream({"messages": history[:1]}, stream_mode="messages")
        return [(message, about["langgraph_step"]) for message, about in chunks]

    expect = [(message, step) for step, message in enumerate(history[1:], 1)]
    return Case(graph, run, expect, n)


@workload("step", 1_000, tiny=3, at_least=2)
def watched(n: int) -> Case:
    """invoke: `loop` with a callback handler attached"""

    def run(graph: Graph) -> Any:
        counter = Counter()
        result = graph.invoke({"n": 0}, {"callbacks": [counter]})
        return result, counter.starts, counter.ends

    # Upstream reports the run, and for each step the node and the function in it.
    calls = 1 + 2 * n
    return Case(counting(n), run, ({"n": n}, calls, calls), n)


saved = workload("step", 1_000, tiny=3, at_least=4)(standard.saved)


@workload("cycle", 100, tiny=3)
def resume(n: int) -> Case:
    """invoke: an interrupt and the resume that answers it, with InMemorySaver"""
    saver = InMemorySaver()

    def run(graph: Graph) -> Any:
        saver.delete_thread("1")
        config: RunnableConfig = {"configurable": {"thread_id": "1"}}
        asked = []
        state = graph.invoke({"n": 0}, config)
        while interrupts := state.get("__interrupt__"):
            asked += [each.value for each in interrupts]
            state = graph.invoke(Command(resume=asked[-1] + 1), config)
        return state, asked

    graph = counting(n, bump_asking, checkpointer=saver)
    return Case(graph, run, ({"n": n}, list(range(n))), n)


nested = workload("call", 1_000, tiny=3, at_least=20)(standard.nested)


@workload("step", 1_000, tiny=3)
def injected(n: int) -> Case:
    """invoke: `loop` with a node that takes config and runtime"""
    return Case(counting(n, bump_injected), invoke, {"n": n}, n)
