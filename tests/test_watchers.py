"""Whoever would watch a run sends it to LangGraph's own engine, whatever way it got there."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypedDict

import pytest
from langchain_core.callbacks import (
    BaseCallbackHandler,
    CallbackManager,
    UsageMetadataCallbackHandler,
)
from langchain_core.callbacks.usage import get_usage_metadata_callback
from langchain_core.globals import set_debug
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import collect_runs, register_configure_hook
from langgraph.graph import START, StateGraph

import langgraph_cy
from langgraph_cy import watchers


class State(TypedDict):
    n: int


class Watcher(BaseCallbackHandler):
    """Counts the chains it sees starting."""

    def __init__(self) -> None:
        self.seen = 0

    def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        self.seen += 1


hooked: ContextVar[Any] = ContextVar("hooked", default=None)
register_configure_hook(hooked, inheritable=True)
FROM_ENVIRONMENT = "LGCY_TEST_WATCHER"
built: ContextVar[Any] = ContextVar("built", default=None)
register_configure_hook(built, True, UsageMetadataCallbackHandler, FROM_ENVIRONMENT)


@contextmanager
def debugging() -> Iterator[None]:
    set_debug(True)
    try:
        yield
    finally:
        set_debug(False)


@contextmanager
def hooking() -> Iterator[None]:
    token = hooked.set(Watcher())
    try:
        yield
    finally:
        hooked.reset(token)


AMBIENT: dict[str, Callable[[], Any]] = {
    "debug": debugging,
    "a configure hook": hooking,
    "collected runs": collect_runs,
    "usage metadata": get_usage_metadata_callback,
}


def make() -> Any:
    graph = StateGraph(State).add_node("a", lambda state: {"n": state["n"] + 1})
    return langgraph_cy.accelerate(graph.add_edge(START, "a").compile())


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


ON_STOCK = (0, {"callback handler": 1})


def test_nobody_watches() -> None:
    assert watchers._SOURCES_KNOWN  # else every run asks the slow way
    assert watchers.nobody()
    assert counted(lambda: make().invoke({"n": 0})) == (1, {})


@pytest.mark.parametrize("name", AMBIENT)
def test_ambient_watchers(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    graph = make()
    with AMBIENT[name]():
        assert not watchers.nobody()
        assert counted(lambda: graph.invoke({"n": 0})) == ON_STOCK
    assert watchers.nobody()
    assert counted(lambda: graph.invoke({"n": 0})) == (1, {})


def test_a_hook_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FROM_ENVIRONMENT, "1")
    assert counted(lambda: make().invoke({"n": 0})) == ON_STOCK


def test_tracing_switched_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langchain_core.tracers.context._tracing_v2_is_enabled", lambda: True)
    monkeypatch.setattr(
        "langchain_core.callbacks.manager.CallbackManager.configure",
        lambda *args, **kwargs: CallbackManager(handlers=[Watcher()]),
    )
    assert not watchers.nobody()


@pytest.mark.parametrize("where", ["list", "manager", "inheritable only", "bound to the graph"])
def test_a_handler_given(where: str) -> None:
    watcher = Watcher()
    callbacks: Any = [watcher]
    if where == "manager":
        callbacks = CallbackManager(handlers=[watcher], inheritable_handlers=[watcher])
    elif where == "inheritable only":
        callbacks = CallbackManager(handlers=[], inheritable_handlers=[watcher])
    graph, config = make(), {"callbacks": callbacks}
    if where == "bound to the graph":
        graph, config = graph.with_config(config), {}
    assert counted(lambda: graph.invoke({"n": 0}, config)) == ON_STOCK
    assert watcher.seen > 0


def test_a_handler_of_the_runnable_around_it() -> None:
    watcher, graph = Watcher(), make()
    outer = RunnableLambda(lambda value: graph.invoke(value))
    assert counted(lambda: outer.invoke({"n": 0}, {"callbacks": [watcher]})) == ON_STOCK
    assert watcher.seen > 1
