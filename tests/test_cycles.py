"""A run that has ended leaves nothing behind that only the garbage collector would find."""

import asyncio
import gc
import operator
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

import langgraph_cy


class State(TypedDict):
    n: Annotated[int, operator.add]


class Handler(BaseCallbackHandler):
    """One that wants to see what happens, and does nothing about it."""


def add(state: State) -> State:
    return {"n": 1}


async def async_add(state: State) -> State:
    return {"n": 1}


def graph(node: Any, **options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("one", node)
    builder.add_node("two", node)
    builder.add_node("three", node)
    builder.add_edge(START, "one")
    builder.add_edge("one", "two")
    builder.add_edge("one", "three")
    builder.add_edge("three", END)
    return builder.compile(**options)


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "a config": {"config": {"tags": ["tag"]}},
    "saved": {"config": {"configurable": {"thread_id": "1"}}},
    "watched": {"config": {"callbacks": [Handler()]}},
    **{f"{mode} streamed": {"stream_mode": mode} for mode in ("values", "custom", "messages")},
    "everything streamed": {"stream_mode": ["values", "updates", "tasks", "debug"]},
    "with subgraphs": {"subgraphs": True},
    "v2": {"version": "v2"},
}


def calls(name: str, asynchronous: bool) -> Callable[[], object]:
    """A function that runs a graph once, and lets go of it."""
    options = OPTIONS[name]
    saver = {"checkpointer": InMemorySaver()} if name == "saved" else {}
    node = async_add if asynchronous else add
    made = graph(graph(node), **saver) if name == "with subgraphs" else graph(node, **saver)
    if not asynchronous:
        return lambda: list(made.stream({"n": 0}, **options))

    async def run() -> list[Any]:
        return [chunk async for chunk in made.astream({"n": 0}, **options)]

    return lambda: asyncio.run(run())


@pytest.mark.parametrize("asynchronous", [False, True], ids=["stream", "astream"])
@pytest.mark.parametrize("name", OPTIONS)
def test_nothing_is_left(name: str, asynchronous: bool) -> None:
    async def nothing() -> None:
        pass

    with langgraph_cy.installed():
        call = calls(name, asynchronous)
        call()
        asyncio.run(nothing())
        gc.collect()
        gc.disable()
        try:
            before = gc.collect()
            for _ in range(5):
                asyncio.run(nothing())
            loops = gc.collect()
            for _ in range(5):
                call()
            found = gc.collect()
        finally:
            gc.enable()
    assert before == 0
    assert found <= (loops if asynchronous else 0)
