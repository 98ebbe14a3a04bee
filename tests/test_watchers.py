"""Watched runs are compiled, and whoever watches sees just what LangGraph's own engine shows."""

import asyncio
import operator
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import (
    BaseCallbackHandler,
    CallbackManager,
    UsageMetadataCallbackHandler,
)
from langchain_core.callbacks.usage import get_usage_metadata_callback
from langchain_core.globals import set_debug
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.context import collect_runs, register_configure_hook
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict

import langgraph_cy
from langgraph_cy import watchers

from .engines import COMPILED, STOCK, State, add_one, chain, shown

THREAD: Any = {"configurable": {"thread_id": "1"}}
SECONDS = re.compile(r"\[[\d.]+m?s\]")

KINDS = ("chain", "llm", "chat_model", "tool", "retriever")
EVENTS = [
    *(f"on_{kind}_{what}" for kind in KINDS for what in ("start", "end", "error")),
    "on_llm_new_token",
    "on_text",
    "on_retry",
    "on_custom_event",
]


class Watcher(BaseCallbackHandler):
    """Takes down every event: what, of which run below which, and all that comes with it."""

    def __init__(self) -> None:
        self.runs: dict[Any, int] = {}
        self.events: list[str] = []

    def number(self, run_id: Any) -> int | None:
        """Runs by the order in which they are first heard of."""
        return None if run_id is None else self.runs.setdefault(run_id, len(self.runs))

    def note(self, event: str, *args: Any, **kwargs: Any) -> None:
        parent = self.number(kwargs.pop("parent_run_id", None))
        run = self.number(kwargs.pop("run_id", None))
        found = shown((args, sorted(kwargs.items())))
        self.events.append(f"{event} of {run} below {parent}: {found}")


def noting(event: str) -> Any:
    def method(self: Watcher, *args: Any, **kwargs: Any) -> None:
        self.note(event, *args, **kwargs)

    return method


for event in EVENTS:
    setattr(Watcher, event, noting(event))


# who watches without being asked to


hooked: ContextVar[Any] = ContextVar("hooked", default=None)
register_configure_hook(hooked, inheritable=True)
FROM_ENVIRONMENT = "LGCY_TEST_WATCHER"
built: ContextVar[Any] = ContextVar("built", default=None)


class Built(Watcher):
    """A handler that a variable of the environment asks for; one for each run."""

    made: list["Built"] = []

    def __init__(self) -> None:
        super().__init__()
        self.made.append(self)


register_configure_hook(built, True, Built, FROM_ENVIRONMENT)


@contextmanager
def debugging() -> Iterator[Callable[[], Any]]:
    """What is seen goes to standard output, which the test looks at."""
    set_debug(True)
    try:
        yield lambda: None
    finally:
        set_debug(False)


@contextmanager
def hooking() -> Iterator[Callable[[], Any]]:
    watcher = Watcher()
    token = hooked.set(watcher)
    try:
        yield lambda: watcher.events
    finally:
        hooked.reset(token)


def tree(run: Any) -> Any:
    """A traced run with the runs inside of it."""
    return (
        run.name,
        run.run_type,
        shown((run.inputs, run.outputs, run.error, run.tags)),
        [tree(each) for each in run.child_runs],
    )


@contextmanager
def collecting() -> Iterator[Callable[[], Any]]:
    with collect_runs() as collected:
        yield lambda: [tree(run) for run in collected.traced_runs]


@contextmanager
def adding_up() -> Iterator[Callable[[], Any]]:
    with get_usage_metadata_callback() as usage:
        yield lambda: dict(usage.usage_metadata)


AMBIENT: dict[str, Callable[[], Any]] = {
    "debug": debugging,
    "a configure hook": hooking,
    "collected runs": collecting,
    "usage metadata": adding_up,
}


def model() -> Any:
    usage: Any = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    answer = AIMessage("a word", usage_metadata=usage, response_metadata={"model_name": "fake"})
    return GenericFakeChatModel(messages=iter([answer] * 10))


def make() -> Any:
    speaker = model()

    def node(state: State) -> dict[str, int]:
        speaker.invoke("how much?")
        return {"n": state["n"] + 1}

    return StateGraph(State).add_node("a", node).add_edge(START, "a").compile()


def counted(call: Callable[[], Any]) -> tuple[int, dict[str, int]]:
    before = langgraph_cy.engine_stats()
    assert call() == {"n": 1}
    after = langgraph_cy.engine_stats()
    new = {
        reason: count - before.reasons.get(reason, 0)
        for reason, count in after.reasons.items()
        if count != before.reasons.get(reason, 0)
    }
    return after.compiled - before.compiled, new


ONE_COMPILED = (1, {})


def test_nobody_watches() -> None:
    assert watchers._SOURCES_KNOWN  # else every run asks the slow way
    assert watchers.nobody()
    graph = langgraph_cy.accelerate(make())
    assert counted(lambda: graph.invoke({"n": 0})) == ONE_COMPILED


@pytest.mark.parametrize("name", AMBIENT)
def test_ambient_watchers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """See the same on both engines, and nothing of runs outside of their block."""
    graph = make()
    seen = []
    for each in (graph, langgraph_cy.accelerate(graph)):
        expected = (0, {}) if each is graph else ONE_COMPILED
        with AMBIENT[name]() as found:
            assert not watchers.nobody()
            assert counted(lambda each=each: each.invoke({"n": 0})) == expected
        assert watchers.nobody()
        seen.append((found(), SECONDS.sub("[time]", shown(capsys.readouterr().out))))
        assert counted(lambda each=each: each.invoke({"n": 0})) == expected
        assert capsys.readouterr().out == ""
    assert seen[0] == seen[1]
    assert seen[0] != ([], "''")
    assert seen[0][0] or len(seen[0][1]) > 100


def test_a_hook_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FROM_ENVIRONMENT, "1")
    graph = make()
    seen = []
    for each in (graph, langgraph_cy.accelerate(graph)):
        Built.made.clear()
        expected = (0, {}) if each is graph else ONE_COMPILED
        assert counted(lambda each=each: each.invoke({"n": 0})) == expected
        # one that is made to find out whether anybody watches sees nothing
        seen.append([watcher.events for watcher in Built.made if watcher.events])
    assert seen[0] == seen[1]
    assert len(seen[0]) == 1


def test_tracing_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_core.tracers.context._tracing_v2_is_enabled", lambda: True)
    monkeypatch.setattr(
        "langchain_core.callbacks.manager.CallbackManager.configure",
        lambda *args, **kwargs: CallbackManager(handlers=[Watcher()]),
    )
    assert not watchers.nobody()


@pytest.mark.parametrize("where", ["list", "manager", "inheritable only", "bound to the graph"])
def test_a_handler_given(where: str) -> None:
    seen = []
    for engine in (STOCK, COMPILED):
        watcher = Watcher()
        callbacks: Any = [watcher]
        if where == "manager":
            callbacks = CallbackManager(handlers=[watcher], inheritable_handlers=[watcher])
        elif where == "inheritable only":
            callbacks = CallbackManager(handlers=[], inheritable_handlers=[watcher])
        graph, config = make(), {"callbacks": callbacks}
        if where == "bound to the graph":
            graph, config = graph.with_config(config), {}
        with engine.running():
            assert graph.invoke({"n": 0}, config) == {"n": 1}
            engine.check()
        seen.append(watcher.events)
    assert seen[0] == seen[1]
    assert len(seen[0]) > 3


def test_a_handler_of_the_runnable_around_it() -> None:
    seen = []
    for engine in (STOCK, COMPILED):
        watcher, graph = Watcher(), make()
        outer = RunnableLambda(graph.invoke)
        with engine.running():
            assert outer.invoke({"n": 0}, {"callbacks": [watcher]}) == {"n": 1}
            engine.check()
        seen.append(watcher.events)
    assert seen[0] == seen[1]
    assert len(seen[0]) > 5


# what they see of every kind of graph


class Sum(TypedDict):
    n: Annotated[int, operator.add]


@tool
def doubled(number: int) -> int:
    """Twice a number."""
    return 2 * number


def conditional() -> Any:
    builder = StateGraph(State)
    builder.add_node("add", add_one)
    builder.add_edge(START, "add")
    builder.add_conditional_edges("add", lambda state: "add" if state["n"] < 3 else END)
    return builder.compile()


def fanned_out() -> Any:
    builder = StateGraph(Sum)
    builder.add_node("add", add_one)
    builder.add_conditional_edges(START, lambda state: [Send("add", {"n": n}) for n in range(3)])
    return builder.compile()


def nested() -> Any:
    inner = conditional()
    return chain(add_one, inner, lambda state: inner.invoke(state))


def with_tools() -> Any:
    return chain(lambda state: {"n": doubled.invoke({"number": state["n"]})})


def hidden() -> Any:
    builder = StateGraph(State)
    builder.add_node("add", add_one, metadata={"about": "sums"})
    builder.add_edge(START, "add")
    return builder.compile(name="a name").with_config(
        {"tags": ["a tag", "langsmith:hidden"], "metadata": {"of": "the graph"}, "run_name": "run"}
    )


def failing() -> Any:
    def fail(state: State) -> dict[str, int]:
        raise ValueError("no")

    return chain(add_one, fail)


def retried() -> Any:
    left = [2]

    def fail(state: State) -> dict[str, int]:
        left[0] -= 1
        if left[0] >= 0:
            raise ValueError("again")
        return add_one(state)

    builder = StateGraph(State)
    policy = RetryPolicy(initial_interval=0, jitter=False, retry_on=ValueError)
    builder.add_node("fail", fail, retry_policy=policy)
    builder.add_edge(START, "fail")
    return builder.compile()


def handled() -> Any:
    def fail(state: State) -> dict[str, int]:
        raise ValueError("no")

    builder = StateGraph(State)
    builder.add_node("fail", fail, error_handler=lambda state: {"n": 9})
    builder.add_edge(START, "fail")
    return builder.compile()


def asking() -> Any:
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"n": interrupt("how much?")})
    builder.add_edge(START, "ask")
    return builder.compile(checkpointer=InMemorySaver())


def endless() -> Any:
    builder = StateGraph(State)
    builder.add_node("add", add_one)
    builder.add_edge(START, "add")
    builder.add_edge("add", "add")
    return builder.compile().with_config(recursion_limit=3)


def calling() -> Any:
    @task
    def double(number: int) -> int:
        return 2 * number

    @entrypoint()
    def work(given: dict[str, int]) -> int:
        return double(given["n"]).result() + double(1).result()

    return work


def acalling() -> Any:
    @task
    async def double(number: int) -> int:
        return 2 * number

    @entrypoint()
    async def work(given: dict[str, int]) -> int:
        return await double(given["n"]) + await double(1)

    return work


def awaiting() -> Any:
    speaker = model()

    async def node(state: State) -> dict[str, int]:
        await asyncio.sleep(0)
        await speaker.ainvoke("how much?")
        return add_one(state)

    return chain(node, add_one)


GRAPHS: dict[str, Callable[[], Any]] = {
    "model": make,
    "conditional edge": conditional,
    "Send": fanned_out,
    "nested": nested,
    "tools": with_tools,
    "names, tags and metadata": hidden,
    "failure": failing,
    "retries": retried,
    "error handler": handled,
    "interrupt": asking,
    "recursion limit": endless,
}
SYNCHRONOUS = {**GRAPHS, "called tasks": calling}
ASYNCHRONOUS = {**GRAPHS, "called tasks": acalling, "coroutine functions": awaiting}


def play(graph: Any, config: Any, way: str) -> list[str]:
    """Two calls, the second of which answers what the first has asked."""
    found = []
    for value in ({"n": 1}, Command(resume=3)):
        if isinstance(value, Command) and not graph.checkpointer:
            break
        try:
            if way == "invoke":
                found.append(shown(graph.invoke(value, config)))
            elif way == "ainvoke":
                found.append(shown(asyncio.run(graph.ainvoke(value, config))))
            elif way == "stream":
                # the mode that makes a handler of its own; stock needs more than one thread for it
                mode: Any = "values" if config["max_concurrency"] else "messages"
                found.append(shown(list(graph.stream(value, config, stream_mode=mode))))
            else:

                async def read(value: Any = value) -> list[Any]:
                    return [each async for each in graph.astream(value, config)]

                found.append(shown(asyncio.run(read())))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize(
    ("name", "way"),
    [(name, way) for name in SYNCHRONOUS for way in ("invoke", "stream")]
    + [(name, way) for name in ASYNCHRONOUS for way in ("ainvoke", "astream")],
)
def test_events_are_stocks(name: str, way: str) -> None:
    """In number, order, nesting and content."""
    seen = []
    make_graph = (ASYNCHRONOUS if way.startswith("a") else SYNCHRONOUS)[name]
    for engine in (STOCK, COMPILED):
        watcher, graph = Watcher(), make_graph()
        config = {**THREAD, "callbacks": [watcher]}
        config["max_concurrency"] = 1 if name == "Send" else None
        with engine.running():
            found = play(graph, config, way)
            engine.check()
        seen.append((found, watcher.events))
    assert seen[0] == seen[1]
    assert len(seen[0][1]) > 3


def test_a_built_in_handler_counts_tokens_of_a_compiled_run() -> None:
    usage = UsageMetadataCallbackHandler()
    with COMPILED.running():
        make().invoke({"n": 0}, {"callbacks": [usage]})
        COMPILED.check()
    assert usage.usage_metadata["fake"]["total_tokens"] == 5
