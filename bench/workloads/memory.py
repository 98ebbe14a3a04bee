"""Runs whose checkpoints are kept in memory, each side with its InMemorySaver."""

from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver as StockInMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from bench.graphs import counting
from bench.registry import Case, Graph, workload
from langgraph_cy import entry_points
from langgraph_cy.checkpoint import InMemorySaver

CONFIG: Any = {"configurable": {"thread_id": "1"}, "recursion_limit": 10_000}
WORDS = "a few words that somebody says " * 4


def new_saver() -> Any:
    """An empty saver of the side that runs now."""
    return InMemorySaver() if entry_points.installed else StockInMemorySaver()


@workload("step", 1_000, tiny=3, at_least=15)
def saved_own(n: int) -> Case:
    """invoke: `loop` with a checkpoint a step, each side with its InMemorySaver"""

    def run(graph: Graph) -> Any:
        graph.checkpointer = new_saver()
        return graph.invoke({"n": 0}, CONFIG)

    return Case(counting(n), run, {"n": n}, n)


@workload("turn", 300, tiny=3, at_least=5)
def conversation(n: int) -> Case:
    """invoke: turns of one thread, a message and its answer each, on each side's InMemorySaver"""

    def answer(state: MessagesState) -> Any:
        count = len(state["messages"])
        return {"messages": [AIMessage(f"{WORDS}{count}", id=str(count))]}

    builder = StateGraph(MessagesState)
    builder.add_node("answer", answer)
    builder.add_edge(START, "answer")

    def run(graph: Graph) -> Any:
        graph.checkpointer = new_saver()
        for turn in range(n):
            question = HumanMessage(f"{WORDS}{turn}", id=f"question {turn}")
            result = graph.invoke({"messages": [question]}, CONFIG)
        return [message.content for message in result["messages"]]

    spoken = [f"{WORDS}{each}" for turn in range(n) for each in (turn, 2 * turn + 1)]
    return Case(builder.compile(), run, spoken, n)
