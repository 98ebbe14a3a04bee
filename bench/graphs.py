"""The graphs that are timed: the standard ones, and a conversation."""

from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.graph import MessagesState

from bench.registry import Graph
from langgraph_cy.cli.workload_graphs import (
    Count,
    Node,
    abump,
    ainvoke,
    awaited,
    bump,
    counting,
    cycle,
    invoke,
    row,
    sending,
)

__all__ = (
    "Count",
    "Node",
    "abump",
    "ainvoke",
    "answering",
    "awaited",
    "bump",
    "counting",
    "cycle",
    "invoke",
    "row",
    "sending",
)


def answering(n: int) -> tuple[Graph, list[AnyMessage]]:
    """A loop that appends `n` messages to a first one, and all these messages."""
    # Given ids, since generated ones would differ between two runs.
    history: list[AnyMessage] = [HumanMessage("0", id="0")]
    history += [AIMessage(str(i), id=str(i)) for i in range(1, n + 1)]

    def answer(state: MessagesState) -> dict[str, Any]:
        return {"messages": [history[len(state["messages"])]]}

    return cycle(MessagesState, answer, lambda state: len(state["messages"]) <= n), history
