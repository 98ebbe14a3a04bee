"""Lists of messages encoded and decoded, without a graph: each side with its own serializer."""

from collections.abc import Callable
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from bench.registry import Case, workload
from langgraph_cy import entry_points
from langgraph_cy.checkpoint import OrjsonSerializer

WORDS = "a few words that somebody says " * 4
STOCK, COMPILED = JsonPlusSerializer(), OrjsonSerializer()

Typed = tuple[str, bytes]


def serializer() -> JsonPlusSerializer:
    """The one of the side that runs now."""
    return COMPILED if entry_points.installed else STOCK


def talk(n: int) -> list[AnyMessage]:
    """Questions and answers in turn, with nothing but their text and an id."""
    return [
        (HumanMessage, AIMessage)[i % 2](f"{WORDS}{i}", id=f"message-{i}")  # type: ignore[abstract]
        for i in range(n)
    ]


def tool_calling(n: int) -> list[AnyMessage]:
    """Turns of a question, a call of a tool, its result and the answer, as providers' clients
    make them: with what was used, and what the provider said about its response.
    """
    return [_STEPS[i % 4](i // 4) for i in range(n)]


def _question(turn: int) -> AnyMessage:
    text = f"What is the weather like in city number {turn}, and do I need an umbrella there?"
    return HumanMessage(text, id=f"5f0c2a52-73a1-4c39-9f0e-{turn:012}")


def _call(turn: int) -> AnyMessage:
    args = {"city": f"city {turn}", "unit": "celsius"}
    call = {"name": "get_weather", "args": args, "id": f"call_{turn:024}", "type": "tool_call"}
    return AIMessage("", tool_calls=[call], **_about(turn, "tool_calls"))


def _result(turn: int) -> AnyMessage:
    return ToolMessage(
        f'{{"temperature": {turn}, "condition": "light rain", "wind": 12.5}}',
        name="get_weather",
        tool_call_id=f"call_{turn:024}",
        id=f"8d1f4c06-1b5e-4d0a-8a53-{turn:012}",
    )


def _answer(turn: int) -> AnyMessage:
    text = f"It is {turn} degrees with light rain in city number {turn}: better take an umbrella."
    return AIMessage(text, **_about(turn, "stop"))


def _about(turn: int, reason: str) -> dict[str, Any]:
    prompt, completion = 100 + turn, 17
    return {
        "id": f"run-0b9c3c1e-52f4-4a0d-9f55-{turn:012}-{reason}",
        "additional_kwargs": {"refusal": None},
        "usage_metadata": {
            "input_tokens": prompt,
            "output_tokens": completion,
            "total_tokens": prompt + completion,
            "input_token_details": {"audio": 0, "cache_read": 0},
            "output_token_details": {"audio": 0, "reasoning": 0},
        },
        "response_metadata": {
            "token_usage": {
                "completion_tokens": completion,
                "prompt_tokens": prompt,
                "total_tokens": prompt + completion,
                "completion_tokens_details": {"audio_tokens": 0, "reasoning_tokens": 0},
                "prompt_tokens_details": {"audio_tokens": 0, "cached_tokens": 0},
            },
            "model_provider": "openai",
            "model_name": "gpt-4o-2024-08-06",
            "system_fingerprint": "fp_a288987b44",
            "id": f"chatcmpl-{turn:029}",
            "finish_reason": reason,
            "logprobs": None,
        },
    }


_STEPS: tuple[Callable[[int], AnyMessage], ...] = (_question, _call, _result, _answer)
Speakers = Callable[[int], list[AnyMessage]]


def _encode(messages: list[AnyMessage]) -> Typed:
    return serializer().dumps_typed(messages)


def _decode(typed: Typed) -> Any:
    return serializer().loads_typed(typed)


def _reads_as(typed: Typed, messages: list[AnyMessage]) -> bool:
    """Whether stock reads these messages."""
    return bool(STOCK.loads_typed(typed) == messages)


def _new(speak: Speakers, n: int) -> Case:
    return Case(None, _encode, speak(n), n, same=_reads_as, prepare=lambda: speak(n))


def _grown(speak: Speakers, n: int) -> Case:
    known = speak(n)

    def add() -> list[AnyMessage]:
        serializer().dumps_typed(known)
        return [*known, HumanMessage(WORDS, id="one more")]

    return Case(None, _encode, add(), n, same=_reads_as, prepare=add)


def _stored(speak: Speakers, n: int) -> Case:
    stored = {each: each.dumps_typed(speak(n)) for each in (STOCK, COMPILED)}
    return Case(None, _decode, speak(n), n, prepare=lambda: stored[serializer()])


@workload("message", 1_000, tiny=8, at_least=10)
def encode_new(n: int) -> Case:
    """messages of a tool-calling conversation encoded, none of them ever before"""
    return _new(tool_calling, n)


@workload("message", 1_000, tiny=8, at_least=100)
def encode_grown(n: int) -> Case:
    """the same with one message added, the others encoded before"""
    return _grown(tool_calling, n)


@workload("message", 1_000, tiny=8, at_least=2)
def decode(n: int) -> Case:
    """the same decoded, each side what it has encoded"""
    return _stored(tool_calling, n)


@workload("message", 1_000, tiny=8, at_least=10)
def encode_new_talk(n: int) -> Case:
    """`encode_new` with messages that are but text"""
    return _new(talk, n)


@workload("message", 1_000, tiny=8, at_least=100)
def encode_grown_talk(n: int) -> Case:
    """`encode_grown` with messages that are but text"""
    return _grown(talk, n)


@workload("message", 1_000, tiny=8, at_least=2)
def decode_talk(n: int) -> Case:
    """`decode` with messages that are but text"""
    return _stored(talk, n)
