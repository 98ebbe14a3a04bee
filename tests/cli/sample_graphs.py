"""Graphs as a user has them: compiled, builders, functions, and some that are no graphs."""

import operator
import random
from typing import Annotated, Any

from langchain_core.runnables import RunnableLambda
from langgraph.channels import LastValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict

import langgraph_cy


class State(TypedDict):
    n: int


class Items(TypedDict):
    items: list[int]
    squares: Annotated[list[int], operator.add]


def add(state: State) -> dict[str, int]:
    return {"n": state["n"] + 1}


async def add_async(state: State) -> dict[str, int]:
    return {"n": state["n"] + 1}


def more(state: State) -> str:
    return "add" if state["n"] < 3 else END


def row(*nodes: Any, schema: Any = State) -> StateGraph:
    """The nodes in a row, each named after its function."""
    made = StateGraph(schema)
    made.add_sequence([(getattr(node, "__name__", "node"), node) for node in nodes])
    made.add_edge(START, getattr(nodes[0], "__name__", "node"))
    return made


builder = StateGraph(State).add_node("add", add).add_edge(START, "add")
builder.add_conditional_edges("add", more, ["add", END])
loop = builder.compile(name="loop")
accelerated = langgraph_cy.accelerate(loop)
not_a_graph = 17


def make_loop() -> CompiledStateGraph:
    return builder.compile(name="made")


def make_builder() -> StateGraph:
    return builder


def make_nothing() -> None:
    return None


def make_from(size: int) -> CompiledStateGraph:
    return builder.compile()


def make_badly() -> CompiledStateGraph:
    raise ValueError("out of order")


async def make_async() -> CompiledStateGraph:
    return builder.compile()


awaited = row(add_async).compile()


def fail(state: State) -> dict[str, int]:
    raise ValueError(f"can't take {state['n']}")


failing = row(add, fail).compile()


def draw(state: State) -> dict[str, int]:
    return {"n": random.randrange(1 << 60)}


drawing = row(add, draw).compile()


def ask(state: State) -> dict[str, int]:
    return {"n": state["n"] + interrupt("how many?")}


asking = row(ask, add).compile()
remembering = row(add).compile(checkpointer=InMemorySaver())


def answer(state: MessagesState) -> dict[str, Any]:
    text = state["messages"][-1].content
    return {"messages": [("ai", f"{text}, you say")]}


talking = row(answer, schema=MessagesState).compile()


def fan_out(state: Items) -> list[Send]:
    return [Send("square", item) for item in state["items"]]


def square(item: int) -> dict[str, list[int]]:
    return {"squares": [item * item]}


def add_up(state: Items) -> Command:
    return Command(update={"squares": [sum(state["squares"])]}, goto=END)


def make_squares() -> CompiledStateGraph:
    made = StateGraph(Items).add_node("square", square, retry_policy=RetryPolicy(max_attempts=2))
    made.add_node("add_up", add_up, destinations=(END,))
    made.add_conditional_edges(START, fan_out, ["square"])
    made.add_edge("square", "add_up")
    return made.compile(name="squares")


def square_or_fail(item: int) -> dict[str, list[int]]:
    if item == 3:
        raise ValueError("three")
    return {"squares": [item]}


def make_torn() -> CompiledStateGraph:
    made = StateGraph(Items).add_node("square", square_or_fail)
    made.add_conditional_edges(START, fan_out, ["square"])
    return made.compile()


def make_nested() -> CompiledStateGraph:
    inner = row(add).compile(name="inner")
    made = StateGraph(State).add_node("first", inner).add_node("second", RunnableLambda(add))
    made.add_node("third", row(add).compile(name="saver", checkpointer=True))
    made.add_edge(START, "first").add_edge("first", "second").add_edge("second", "third")
    return made.compile(name="outer")


class OwnChannel(LastValue):
    pass


def make_hand_built() -> Pregel:
    return Pregel(
        nodes={
            "one": NodeBuilder().subscribe_only("in").do(lambda number: number + 1).write_to("out")
        },
        channels={"in": LastValue(int), "out": OwnChannel(int)},
        input_channels="in",
        output_channels=["out"],
    )


def make_odd() -> Pregel:
    graph = make_hand_built()
    graph.nodes["one"].__class__ = type("OwnNode", (type(graph.nodes["one"]),), {})
    return graph


@task
def double(number: int) -> int:
    return 2 * number


@entrypoint()
def workflow(number: int) -> int:
    return double(number).result() + double(1).result()
