"""A graph of a typed state with everything that `StateGraph` is told, right and wrong."""

import asyncio
import operator
from dataclasses import dataclass
from typing import Annotated, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime
from langgraph.types import Command, Send
from typing_extensions import TypedDict, assert_type


class State(TypedDict):
    topic: str
    jokes: Annotated[list[str], operator.add]


class Answer(TypedDict):
    jokes: list[str]


@dataclass
class Settings:
    model: str


def plan(state: State, runtime: Runtime[Settings]) -> Command[Literal["write"]]:
    return Command(goto=Send("write", state), update={"topic": runtime.context.model})


async def write(state: State) -> dict[str, list[str]]:
    return {"jokes": [state["topic"]]}


def after(state: State) -> Literal["write", "__end__"]:
    return "write" if len(state["jokes"]) < 3 else "__end__"


builder = StateGraph(State, context_schema=Settings, output_schema=Answer)
reveal_type(builder)
reveal_type(builder.add_node(plan))
builder.add_node("write", write)
builder.add_edge(START, "plan")
builder.add_conditional_edges("write", after)
builder.add_edge(["plan", "write"], END)
graph = builder.compile(name="jokes")
reveal_type(graph)
reveal_type(graph.invoke)
reveal_type(graph.invoke({"topic": "cats", "jokes": []}, context=Settings("small")))
reveal_type(graph.get_state({"configurable": {"thread_id": "1"}}))
for chunk in graph.stream({"topic": "cats", "jokes": []}, stream_mode="updates"):
    reveal_type(chunk)
for part in graph.stream({"topic": "cats", "jokes": []}, stream_mode="updates", version="v2"):
    reveal_type(part)


async def use() -> None:
    reveal_type(await graph.ainvoke({"topic": "cats", "jokes": []}))
    reveal_type(await graph.ainvoke({"topic": "cats", "jokes": []}, version="v2"))
    async for chunk in graph.astream({"topic": "dogs", "jokes": []}, subgraphs=True):
        reveal_type(chunk)


asyncio.run(use())

# What a checker has to find.
graph.invoke({"topic": 1, "jokes": []})
graph.invoke({"topic": "cats", "jokes": []}, context="small")
graph.invoke({"topic": "cats", "jokes": []}, durability="sometimes")
graph.stream({"topic": "cats", "jokes": []}, stream_mod="updates")
builder.add_node("write", 3)
builder.add_edge(START)
builder.compile(checkpoint=True)
StateGraph(State, context_schema=Settings).add_nodes("plan", plan)
assert_type(graph.name, int)
