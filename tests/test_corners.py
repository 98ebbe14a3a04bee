"""Runs that once hung, crashed or came to something else: each again on both engines."""

import asyncio
import copy
import operator
import sys
import time
from typing import Annotated, Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import RunControl
from langgraph.types import CachePolicy, Command, Send
from typing_extensions import TypedDict

from .engines import both

# Before, an asyncio task takes no context, and what runs in one of several finds no config.
CONTEXTS = sys.version_info >= (3, 11)

pytestmark = pytest.mark.shim


class State(TypedDict, total=False):
    words: Annotated[list[Any], operator.add]


def one_node(word: str) -> Any:
    builder = StateGraph(State)
    builder.add_node("node", lambda state: {"words": [word]})
    builder.add_edge(START, "node")
    builder.add_edge("node", END)
    return builder.compile()


def around(graph: Any, sent: Any = None) -> Any:
    """A graph that has another as its last node, started by an edge or by what is sent."""
    builder = StateGraph(State)
    builder.add_node("first", lambda state: {"words": ["first"]})
    builder.add_node("graph", graph)
    builder.add_edge(START, "first")
    if sent is None:
        builder.add_edge("first", "graph")
    else:
        builder.add_conditional_edges("first", lambda state: [Send("graph", sent)], ["graph"])
    return builder.compile()


def fail(state: State) -> State:
    raise ValueError("no")


@pytest.mark.parametrize(
    "command",
    [Command(update={"words": ["x"]}), Command(update={"words": ["x"]}, goto="node")],
    ids=["update", "goto"],
)
@pytest.mark.parametrize("asynchronous", [False, True], ids=["invoke", "ainvoke"])
def test_a_command_sent_to_a_graph(command: Any, asynchronous: bool) -> None:
    graph = around(one_node("inner"), command)

    def call(chunks: list[Any]) -> Any:
        if asynchronous:
            return asyncio.run(graph.ainvoke({"words": ["0"]}))
        return graph.invoke({"words": ["0"]})

    both(call)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["invoke", "ainvoke"])
def test_a_drain_asked_for_in_a_graph_that_is_a_node(asynchronous: bool) -> None:
    def call(chunks: list[Any]) -> Any:
        control = RunControl()

        def ask(state: State) -> State:
            control.request_drain("enough")
            return {"words": ["asked"]}

        builder = StateGraph(State)
        builder.add_node("ask", ask)
        builder.add_node("later", lambda state: {"words": ["later"]})
        builder.add_edge(START, "ask")
        builder.add_edge("ask", "later")
        graph = around(builder.compile())
        if asynchronous:
            return asyncio.run(graph.ainvoke({"words": ["0"]}, control=control))
        return graph.invoke({"words": ["0"]}, control=control)

    both(call)


def test_a_copy_that_is_changed() -> None:
    """A graph that has run has a plan, which its copies must not take for theirs."""

    def call(chunks: list[Any]) -> Any:
        graph = one_node("one")
        for _ in range(3):
            graph.invoke({"words": ["0"]})
        other = copy.copy(graph)
        other.nodes = one_node("two").nodes
        stopping = copy.copy(graph)
        stopping.interrupt_before_nodes = ["node"]
        saving = copy.copy(graph)
        saving.checkpointer = InMemorySaver()
        with pytest.raises(ValueError, match=r"thread_id|configurable"):
            saving.invoke({"words": ["0"]})
        return [each.invoke({"words": ["0"]}) for each in (other, graph, stopping)]

    assert both(call).result is not None


def test_an_error_handler_that_cannot_be_started() -> None:
    def call(chunks: list[Any]) -> Any:
        class Failing(InMemoryCache[Any]):
            asked = 0

            def get(self, keys: Any) -> Any:
                self.asked += 1
                if self.asked > 1:
                    raise OSError("cache down")
                return super().get(keys)

        def slow(state: State) -> State:
            time.sleep(0.2)
            return {"words": ["slow"]}

        builder = StateGraph(State)
        policy = CachePolicy()
        builder.add_node(
            "fails", fail, error_handler=lambda state: {"words": ["handled"]}, cache_policy=policy
        )
        builder.add_node("slow", slow, cache_policy=policy)
        builder.add_edge(START, "fails")
        builder.add_edge(START, "slow")
        return builder.compile(cache=Failing()).invoke({"words": ["0"]})

    both(call)


# stock leaves a coroutine that nobody awaits
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_called_task_that_is_cancelled_before_its_turn() -> None:
    @task
    async def wait(number: int) -> int:
        await asyncio.sleep(0.1)
        return number

    @entrypoint()
    async def workflow(number: int) -> int:
        first, second = wait(1), wait(2)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(second, 0.02)
        return await first

    async def call() -> Any:
        return await asyncio.wait_for(workflow.ainvoke(1, {"max_concurrency": 2}), 10)

    outcome = both(lambda chunks: asyncio.run(call()))
    if CONTEXTS:
        assert outcome.result == 1


def test_one_of_several_nodes_that_cancels_its_own_task() -> None:
    """Its failure ends the run: a node's writes are not left out in silence."""

    async def cancels(state: State) -> State:
        running = asyncio.current_task()
        assert running is not None
        running.cancel()
        await asyncio.sleep(0)
        return {"words": ["never"]}

    async def does(state: State) -> State:
        return {"words": ["done"]}

    builder = StateGraph(State)
    builder.add_node("cancels", cancels)
    builder.add_node("does", does)
    builder.add_edge(START, "cancels")
    builder.add_edge(START, "does")
    graph = builder.compile()
    outcome = both(lambda chunks: asyncio.run(graph.ainvoke({"words": ["0"]})))
    if CONTEXTS:
        assert outcome.kind is not None


def test_the_key_of_a_node_is_made_without_a_cache() -> None:
    def call(chunks: list[Any]) -> Any:
        def key(state: Any) -> str:
            chunks.append("asked")
            return "key"

        builder = StateGraph(State)
        builder.add_node(
            "node", lambda state: {"words": ["x"]}, cache_policy=CachePolicy(key_func=key)
        )
        builder.add_edge(START, "node")
        return builder.compile().invoke({"words": ["0"]})

    assert both(call).chunks == ["asked"]
