"""Two graphs for the demo: an agent that calls tools, and a map-reduce over documents.

Both are ordinary LangGraph applications that do not know of this package. Nothing in them is
random, and the scripted model gives its messages fixed ids, so two runs can be compared whole.
"""

from __future__ import annotations

import ast
import operator
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolCall, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool, tool
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.prebuilt.tool_node import ToolCallRequest
from langgraph.types import Command, Send

# ---- agent -------------------------------------------------------------------

TRAINS = {("Lisbon", "Porto"): 31.5, ("Porto", "Braga"): 4.25}
HOTELS = {"Porto": 88.0, "Braga": 64.0}
WEATHER = {"Porto": "rain until noon, then clear", "Braga": "clear"}


@tool
def train_fare(origin: str, destination: str) -> float:
    """Fare of a train in euros."""
    return TRAINS[origin, destination]


@tool
def hotel_price(city: str) -> float:
    """Price of a night in euros."""
    return HOTELS[city]


@tool
def weather(city: str) -> str:
    """Forecast for tomorrow."""
    return WEATHER[city]


_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


@tool
def calculate(expression: str) -> float:
    """Value of an arithmetic expression."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        return ast.literal_eval(node)

    return value(ast.parse(expression, mode="eval").body)


TOOLS: list[BaseTool] = [train_fare, hotel_price, weather, calculate]


def _plan(results: dict[str, str]) -> list[tuple[str, dict[str, Any]]] | str:
    """What the model does next, given the tool results so far by the id of their call."""
    if "call-0" not in results:
        return [
            ("train_fare", {"origin": "Lisbon", "destination": "Porto"}),
            ("train_fare", {"origin": "Porto", "destination": "Braga"}),
        ]
    if "call-2" not in results:
        return [(name, {"city": city}) for city in HOTELS for name in ("hotel_price", "weather")]
    if "call-6" not in results:
        prices = [results[f"call-{n}"] for n in (0, 1, 2, 4)]
        return [("calculate", {"expression": " + ".join(prices)})]
    return f"Two nights cost {results['call-6']} euros in all. Porto: {results['call-3']}."


class ScriptedModel(BaseChatModel):
    """A chat model that follows `_plan`; everything it says depends on the conversation alone."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[BaseTool], **kwargs: Any) -> Runnable[Any, AIMessage]:
        return self.bind(tools=[each.name for each in tools], **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        results = {
            message.tool_call_id: str(message.content)
            for message in messages
            if isinstance(message, ToolMessage)
        }
        step = _plan(results)
        reply = AIMessage(content="", id=f"reply-{len(messages)}")
        if isinstance(step, str):
            reply.content = step
        else:
            reply.tool_calls = [
                ToolCall(name=name, args=args, id=f"call-{number}", type="tool_call")
                for number, (name, args) in enumerate(step, start=len(results))
            ]
        return ChatResult(generations=[ChatGeneration(message=reply)])


def _with_fixed_id(
    request: ToolCallRequest, execute: Callable[[ToolCallRequest], ToolMessage | Command[Any]]
) -> ToolMessage | Command[Any]:
    """Names each result after its call; `add_messages` would draw a random id."""
    result = execute(request)
    if isinstance(result, ToolMessage):
        result.id = f"result-{result.tool_call_id}"
    return result


def agent() -> CompiledStateGraph:
    """A tool-calling agent: model, tools, model, ... until the model answers."""
    model = ScriptedModel().bind_tools(TOOLS)

    def call_model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("model", call_model)
    graph.add_node("tools", ToolNode(TOOLS, wrap_tool_call=_with_fixed_id))
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", tools_condition)
    graph.add_edge("tools", "model")
    return graph.compile(name="agent")


AGENT_INPUT = {
    "messages": [
        HumanMessage("Lisbon to Braga with a night in Porto: what does it cost?", id="question")
    ]
}

# ---- map-reduce ----------------------------------------------------------------


class Corpus(TypedDict):
    """State of the map-reduce graph."""

    documents: list[str]
    counts: Annotated[list[dict[str, int]], operator.add]
    top: list[tuple[str, int]]


class Document(TypedDict):
    """What one map task gets."""

    text: str


def _fan_out(state: Corpus) -> list[Send]:
    return [Send("count", Document(text=text)) for text in state["documents"]]


def _count(document: Document) -> dict[str, Any]:
    return {"counts": [dict(Counter(document["text"].split()))]}


def _reduce(state: Corpus) -> dict[str, Any]:
    total: Counter[str] = Counter()
    for counts in state["counts"]:
        total.update(counts)
    return {"top": sorted(total.items(), key=lambda item: (-item[1], item[0]))[:5]}


def map_reduce() -> CompiledStateGraph:
    """Counts words: one `Send` task a document, then one task that adds the counts up."""
    graph = StateGraph(Corpus)
    graph.add_node("count", _count)
    graph.add_node("reduce", _reduce)
    graph.add_conditional_edges(START, _fan_out, ["count"])
    graph.add_edge("count", "reduce")
    graph.add_edge("reduce", END)
    return graph.compile(name="map-reduce")


_SENTENCE = "a graph runs its nodes in steps and saves what each step wrote before the next"
_WORDS = _SENTENCE.split()


def corpus(documents: int) -> dict[str, Any]:
    """Input of `map_reduce`: that many short documents, always the same."""
    return {
        "documents": [
            " ".join(_WORDS[(i * 7 + j * (1 + i % 5)) % len(_WORDS)] for j in range(12))
            for i in range(documents)
        ]
    }
