"""What nodes of sessions do beyond `build.perform`: ask, stream, call models, graphs and tasks.

Each act is given the update of its description, a function that makes a value for the key "a"
of a number, and the `build.Made` that its node belongs to.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langgraph.config import get_stream_writer
from langgraph.func import task
from langgraph.types import interrupt

Update = dict[str, Any]
Put = Callable[[int], Any]


class Parrot(BaseChatModel):
    """A chat model that always says the same, in two chunks."""

    @property
    def _llm_type(self) -> str:
        return "parrot"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("hello you"))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        for word in ("hello ", "you"):
            chunk = ChatGenerationChunk(message=AIMessageChunk(word))
            if run_manager is not None:
                run_manager.on_llm_new_token(word, chunk=chunk)
            yield chunk

    # not on a thread, whose timing is chance
    async def _agenerate(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> ChatResult:
        return self._generate(messages)

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream(messages):
            if run_manager is not None:
                await run_manager.on_llm_new_token(str(chunk.message.content), chunk=chunk)
            yield chunk


PARROT = Parrot()


@task
async def tripled(value: int) -> int:
    """A task that coroutines call."""
    return value * 3


def number_of(answer: Any) -> int:
    """What a node makes of the answer to its question."""
    return answer if isinstance(answer, int) else 1


def ask(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(number_of(interrupt({"question": sorted(update)})))}


def ask_twice(update: Update, put: Put, made: Any) -> Update:
    first = number_of(interrupt("first"))
    return {**update, "a": put(first + number_of(interrupt(["second", first])))}


def ask_or_not(update: Update, put: Put, made: Any) -> Update:
    """A question whose interrupt the node itself catches and raises again."""
    try:
        return {**update, "a": put(number_of(interrupt(None)))}
    except Exception as error:
        made.recorder.call("caught", type(error).__name__)
        raise


def write(update: Update, put: Put, made: Any) -> Update:
    writer = get_stream_writer()
    writer({"writes": sorted(update)})
    writer("more")
    return update


def talk(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(len(str(PARROT.invoke("hi").content)))}


async def talk_async(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(len(str((await PARROT.ainvoke("hi")).content)))}


def say(update: Update, put: Put, made: Any) -> Update:
    """Messages as objects, one with an id and one without, where the key takes messages."""
    anonymous = AIMessage("anonymous", id=None if made.anonymous else "named")
    said = {
        key: [AIMessage("given", id="given"), anonymous]
        for key, value in update.items()
        if made.kinds.get(key) == "messages"
    }
    return {**update, **said}


async def wait(update: Update, put: Put, made: Any) -> Update:
    """Wait until the caller gives up, where it ever does."""
    made.recorder.call("waits")
    if made.wait is not None:
        await made.wait()
    return update


async def graph_async(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(len(await made.inner.ainvoke({"a": 1})))}


def graph_asks(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(made.asking.invoke({"a": 1})["a"])}


async def graph_asks_async(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put((await made.asking.ainvoke({"a": 1}))["a"])}


async def task_async(update: Update, put: Put, made: Any) -> Update:
    return {**update, "a": put(await tripled(1))}


def drain(update: Update, put: Put, made: Any) -> Update:
    """Ask the run to stop, where its caller has handed over a control."""
    if made.control is not None:
        made.control.request_drain("enough")
    return update


ACTS: dict[str, Callable[[Update, Put, Any], Update | Awaitable[Update]]] = {
    "ask": ask,
    "ask twice": ask_twice,
    "ask or not": ask_or_not,
    "write": write,
    "talk": talk,
    "talk async": talk_async,
    "say": say,
    "wait": wait,
    "graph async": graph_async,
    "graph asks": graph_asks,
    "graph asks async": graph_asks_async,
    "task async": task_async,
    "drain": drain,
}
