"""The prebuilt agent and `ToolNode`, with a chat model that follows a script."""

import warnings
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    ToolMessage,
)
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import InjectedState, ToolNode, create_react_agent, tools_condition
from langgraph.types import Command, interrupt

from .driving import MORE_CONTEXT, both_async
from .engines import Outcome, both
from .test_state_api import Numbered

pytestmark = pytest.mark.shim

pytestmark = pytest.mark.filterwarnings("ignore:.*create_react_agent")

CONFIG: Any = {"configurable": {"thread_id": "1"}}


class Scripted(BaseChatModel):
    """A model that answers by what it was told last.

    To a question it answers with the tool calls of its script, to what tools said with a summary.
    """

    calls: list[dict[str, Any]] = []

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Any, **named: Any) -> Any:
        return self

    def answer(self, messages: list[BaseMessage]) -> AIMessage:
        if isinstance(messages[-1], HumanMessage) and self.calls:
            return AIMessage("let me see", id=f"ask{len(messages)}", tool_calls=self.calls)
        said = " and ".join(str(each.content) for each in messages if isinstance(each, ToolMessage))
        return AIMessage(f"they say {said}", id=f"tell{len(messages)}")

    def _generate(self, messages: list[BaseMessage], *_: Any, **named: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self.answer(messages))])

    def _stream(
        self, messages: list[BaseMessage], *_: Any, **named: Any
    ) -> Iterator[ChatGenerationChunk]:
        answer = self.answer(messages)
        for word in str(answer.content).split(" "):
            yield ChatGenerationChunk(message=AIMessageChunk(word + " ", id=answer.id))
        if answer.tool_calls:
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    "",
                    id=answer.id,
                    tool_call_chunks=[
                        {
                            "name": call["name"],
                            "args": str(call["args"]).replace("'", '"'),
                            "id": call["id"],
                            "index": place,
                        }
                        for place, call in enumerate(answer.tool_calls)
                    ],
                )
            )

    async def _astream(
        self, messages: list[BaseMessage], *_: Any, **named: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            yield chunk


def call_of(name: str, number: int = 0, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "args": arguments, "id": f"call{number}", "type": "tool_call"}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
async def shout(text: str) -> str:
    """Say it louder."""
    return text.upper()


@tool
def fail(text: str) -> str:
    """Do not manage to."""
    raise ValueError(f"cannot {text}")


@tool
def count(state: Annotated[dict[str, Any], InjectedState]) -> int:
    """Count the messages."""
    return len(state["messages"])


@tool
def confirm(what: str) -> str:
    """Ask whether."""
    return f"{what}: {interrupt(f'really {what}?')}"


@tool
def leave() -> Command[Any]:
    """Go to the end."""
    return Command(goto=END, update={"messages": [ToolMessage("left", tool_call_id="call0")]})


SCRIPTS: dict[str, list[dict[str, Any]]] = {
    "no tool": [],
    "a tool": [call_of("add", a=1, b=2)],
    "an injected state": [call_of("count")],
    "an unknown tool": [call_of("nothing")],
    "bad arguments": [call_of("add", a="x")],
    "a command": [call_of("leave")],
}


def agent(calls: list[dict[str, Any]], *tools: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has moved to another package
        return create_react_agent(Scripted(calls=calls), list(tools), **arguments)


def blur(outcome: Outcome) -> None:
    """Ids of a run, as the numbers in which they came up."""
    number = Numbered()

    def plain(value: Any) -> Any:
        if isinstance(value, BaseMessage):
            return number((type(value).__name__, value.model_dump()))
        if isinstance(value, dict):
            return {number(key): plain(each) for key, each in value.items()}
        if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
            return type(value)(plain(each) for each in value)
        return number(value)

    outcome.chunks = [plain(each) for each in outcome.chunks]
    outcome.result = plain(outcome.result)


MODES = [
    "values",
    "updates",
    "messages",
    "tools",
    "custom",
    "tasks",
    ["messages", "updates", "tools"],
]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("name", SCRIPTS)
def test_an_agent(name: str, version: Any) -> None:
    graph = agent(SCRIPTS[name], add, count, leave, version=version)
    expected = both(lambda chunks: graph.invoke({"messages": [("user", "hello")]}), blur=blur)
    assert expected.kind is None
    assert len(expected.result["messages"]) == (2 if name == "no tool" else 4)
    both_async(lambda chunks: graph.ainvoke({"messages": [("user", "hello")]}), blur=blur)


@pytest.mark.parametrize("mode", MODES, ids=str)
@pytest.mark.parametrize("name", ["no tool", "a tool", "an injected state"])
def test_an_agent_is_streamed(name: str, mode: Any) -> None:
    graph = agent(SCRIPTS[name], add, count)
    input = {"messages": [HumanMessage("hello", id="question")]}

    def call(chunks: list[Any]) -> None:
        chunks.extend(graph.stream(input, stream_mode=mode))

    async def acall(chunks: list[Any]) -> None:
        async for chunk in graph.astream(input, stream_mode=mode):
            chunks.append(chunk)

    expected = both(call, blur=blur)
    assert expected.kind is None
    silent = mode == "custom" or (mode == "tools" and name == "no tool")
    assert bool(expected.chunks) is not silent
    both_async(acall, blur=blur)


def test_messages_come_word_by_word() -> None:
    graph = agent(SCRIPTS["a tool"], add)

    async def call(chunks: list[Any]) -> str:
        words = []
        async for message, metadata in graph.astream({"messages": "hello"}, stream_mode="messages"):
            words.append(str(message.content))
            chunks.append((metadata["langgraph_node"], metadata["langgraph_step"]))
        return "|".join(words)

    assert both_async(call).result == "let |me |see |||3|they |say |3 |"


def test_several_tools_at_once() -> None:
    """Asynchronous ones and others, in an asynchronous run."""
    calls = [call_of("add", 0, a=1, b=2), call_of("shout", 1, text="hey"), call_of("count", 2)]
    for version in ("v1", "v2"):
        graph = agent(calls, add, shout, count, version=version)
        expected = both_async(
            lambda chunks, graph=graph: graph.ainvoke({"messages": "hi"}), blur=blur
        )
        assert expected.result["messages"][-1][1]["content"] == "they say 3 and HEY and 2"


@pytest.mark.parametrize("handled", [True, False, "it failed"])
def test_a_tool_that_fails(handled: Any) -> None:
    graph = create_react_agent(
        Scripted(calls=[call_of("fail", text="do it")]),
        ToolNode([fail], handle_tool_errors=handled),
    )
    expected = both(lambda chunks: graph.invoke({"messages": "hi"}), blur=blur)
    assert expected.kind is (None if handled else ValueError)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_tool_that_asks(version: Any) -> None:
    async def call(chunks: list[Any]) -> Any:
        graph = agent(
            [call_of("confirm", what="go")], confirm, checkpointer=InMemorySaver(), version=version
        )
        async for chunk in graph.astream({"messages": "hi"}, CONFIG, stream_mode="updates"):
            chunks.append(chunk)
        chunks.append((await graph.aget_state(CONFIG)).next)
        return (await graph.ainvoke(Command(resume="yes"), CONFIG))["messages"][-1].content

    expected = both_async(call, blur=blur)
    if MORE_CONTEXT:  # an interrupt is found through the context
        assert expected.result == "they say go: yes"


def test_an_agents_hooks_and_structured_answer() -> None:
    graph = agent(
        SCRIPTS["a tool"],
        add,
        prompt="be brief",
        pre_model_hook=lambda state: {"llm_input_messages": state["messages"]},
        post_model_hook=lambda state: {},
    )
    assert both(lambda chunks: graph.invoke({"messages": "hi"}), blur=blur).kind is None


def test_a_tool_node_in_a_graph_of_ones_own() -> None:
    model = Scripted(calls=[call_of("add", a=4, b=5)])
    builder = StateGraph(MessagesState)
    builder.add_node("model", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode([add]))
    builder.add_edge(START, "model")
    builder.add_conditional_edges("model", tools_condition)
    builder.add_edge("tools", "model")
    graph = builder.compile()

    def call(chunks: list[Any]) -> Any:
        chunks.extend(graph.stream({"messages": "hi"}, stream_mode=["messages", "updates"]))
        return graph.invoke({"messages": "hi"})["messages"][-1].content

    assert both(call, blur=blur).result == "they say 9"


def test_an_agent_below_a_graph() -> None:
    """Its messages are seen from above, with the namespace of the node that it is."""
    below = agent(SCRIPTS["a tool"], add, name="below")
    builder = StateGraph(MessagesState)
    builder.add_node("agent", below)
    builder.add_edge(START, "agent")
    graph = builder.compile()

    def call(chunks: list[Any]) -> None:
        chunks.extend(
            graph.stream({"messages": "hi"}, stream_mode=["messages", "updates"], subgraphs=True)
        )

    assert len(both(call, blur=blur).chunks) > 8
