"""Each node and each path has a context of its own, although a run may use one for several.

Whatever keeps a context, or sets something in one, is done by the first of several nodes, and
looked at when the others have run.
"""

import asyncio
import threading
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from functools import partial
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.config import get_config
from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from .engines import COMPILED, STOCK, Engine, State, add_one, chain

NODES = 4
HERE: ContextVar[str] = ContextVar("HERE", default="unset")
AWAITED = pytest.mark.parametrize("awaited", [False, True], ids=["invoke", "ainvoke"])


def node_name(config: Any) -> str:
    return str(config["metadata"]["langgraph_node"])


def graph_of(act: Callable[[int], None], awaited: bool) -> Any:
    """A row of nodes, each followed by a path; `act` is called with the number of each call."""
    calls = 0

    def called() -> None:
        nonlocal calls
        act(calls)
        calls += 1

    def node(state: State) -> dict[str, int]:
        called()
        return {"n": state["n"] + 1}

    async def node_awaited(state: State) -> dict[str, int]:
        return node(state)

    builder = StateGraph(State)
    for place in range(NODES):
        onwards = END if place == NODES - 1 else f"n{place + 1}"

        def path(state: State, onwards: str = onwards) -> str:
            called()
            return onwards

        async def path_awaited(state: State, path: Callable[..., str] = path) -> str:
            return path(state)

        name = f"n{place}"
        builder.add_node(name, node_awaited if awaited else node)
        builder.add_conditional_edges(name, path_awaited if awaited else path, [onwards])
    builder.add_edge(START, "n0")
    return builder.compile()


def run(graph: Any, awaited: bool) -> None:
    if awaited:
        asyncio.run(graph.ainvoke({"n": 0}))
    else:
        graph.invoke({"n": 0})


def seen_by_both(awaited: bool, scenario: Callable[[list[Any]], Callable[[int], None]]) -> Any:
    """What a scenario notes on both engines, which is the same.

    Args:
        scenario: given a list for its notes, returns what each call does.
    """
    notes = []
    for engine in (STOCK, COMPILED):
        with engine.running():
            noted: list[Any] = []
            act = scenario(noted)
            run(graph_of(act, awaited), awaited)
            for late in [each for each in noted if callable(each)]:
                noted.remove(late)
                noted.append(late())
            engine.check()
        notes.append(noted)
    assert notes[1] == notes[0]
    return notes[0]


@AWAITED
def test_a_copy_of_the_context_keeps_its_config(awaited: bool) -> None:
    """Who has copied the context of a call finds that call's config in it, even first of all."""

    def scenario(noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            context = copy_context()
            noted.append(lambda: node_name(context.run(get_config)))

        return act

    seen = seen_by_both(awaited, scenario)
    assert seen == [f"n{call // 2}" for call in range(2 * NODES)]


@AWAITED
def test_a_config_kept_is_not_another_calls(awaited: bool) -> None:
    def scenario(noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            config = var_child_runnable_config.get()
            noted.append(lambda: node_name(config))

        return act

    assert len(set(seen_by_both(awaited, scenario))) == NODES


@AWAITED
@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("copied", [False, True])
def test_variables_set_in_a_call_are_gone_after_it(
    awaited: bool, reset: bool, copied: bool
) -> None:
    kept = []

    def scenario(noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            noted.append(HERE.get())
            if copied:
                kept.append(copy_context())
            token = HERE.set(f"call {call}")
            if reset:
                HERE.reset(token)

        return act

    assert seen_by_both(awaited, scenario) == ["unset"] * 2 * NODES


@AWAITED
def test_a_config_changed_in_a_call(awaited: bool) -> None:
    """What a node does to its config shows as far as on stock, and no further."""

    def scenario(noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            config: Any = var_child_runnable_config.get()
            noted.append(sorted(key for key in config if key.startswith("mine")))
            config[f"mine {call}"] = call

        return act

    seen_by_both(awaited, scenario)


@AWAITED
@pytest.mark.parametrize("looks_from", [1, 2])
def test_a_config_changed_without_looking(awaited: bool, looks_from: int) -> None:
    """The same by a method that asks the config nothing."""

    def scenario(noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            config: Any = var_child_runnable_config.get()
            if call == 0:
                dict.__setitem__(config, "mine", call)
            elif call >= looks_from:
                noted.append("mine" in config)

        return act

    seen_by_both(awaited, scenario)


def test_background_tasks_keep_the_config_of_their_node() -> None:
    def scenario(noted: list[Any]) -> Callable[[int], None]:
        tasks = []

        async def later(call: int) -> None:
            await asyncio.sleep(0.01)
            noted.append((call, node_name(get_config())))

        def act(call: int) -> None:
            if call < 2 * NODES - 1:
                tasks.append(asyncio.ensure_future(later(call)))
            else:
                noted.append(len(tasks))

        return act

    found = []
    for engine in (STOCK, COMPILED):
        with engine.running():
            noted: list[Any] = []

            async def main(noted: list[Any] = noted) -> None:
                await graph_of(scenario(noted), True).ainvoke({"n": 0})
                await asyncio.sleep(0.1)

            asyncio.run(main())
            engine.check()
            found.append(sorted(noted, key=str))
    assert found[1] == found[0]
    assert len(found[0]) == 2 * NODES


MANY = [ContextVar[int](f"many {place}") for place in range(40)]


@AWAITED
@pytest.mark.parametrize("count", [0, 1, 5, 20, 40])
def test_a_copy_in_which_something_else_is_set(awaited: bool, count: int) -> None:
    """It shares the config, but not the mapping that has it; in many variables, even less."""

    def scenario(variable: ContextVar[int], noted: list[Any]) -> Callable[[int], None]:
        def act(call: int) -> None:
            context = copy_context()
            context.run(variable.set, 1)
            noted.append(lambda: node_name(context.run(get_config)))

        return act

    def call() -> None:
        for variable in MANY[:count]:
            variable.set(0)
        for variable in MANY:
            seen_by_both(awaited, partial(scenario, variable))

    copy_context().run(call)


@AWAITED
def test_a_token_of_an_earlier_call(awaited: bool) -> None:
    """Setting a variable to what it is changes nothing, but its token has the context."""

    def scenario(noted: list[Any]) -> Callable[[int], None]:
        tokens: list[Any] = []

        def act(call: int) -> None:
            if tokens:
                try:
                    HERE.reset(tokens.pop())
                    noted.append("reset")
                except ValueError:
                    noted.append("of another context")
            tokens.append(HERE.set(HERE.get()))

        return act

    def call() -> None:
        HERE.set("caller")
        assert set(seen_by_both(awaited, scenario)) == {"of another context"}

    copy_context().run(call)


def test_a_config_seen_after_those_made_from_it(engine: Engine) -> None:
    """The first look at a node's config comes when a path has changed its own."""
    kept: list[Context] = []
    seen: list[Any] = []

    def node(state: State) -> dict[str, int]:
        kept.append(copy_context())
        return add_one(state)

    def changing(state: State, config: RunnableConfig) -> str:
        config["mine"] = "by a path"  # type: ignore[typeddict-unknown-key]
        return END

    def looking(state: State) -> str:
        late: Any = kept[0].run(get_config)
        seen.append(late.get("mine"))
        late["late"] = True
        return END

    def last(state: State, config: RunnableConfig) -> str:
        seen.append((config.get("mine"), config.get("late")))
        return END

    builder = StateGraph(State).add_node("node", node).add_edge(START, "node")
    for path in (changing, looking, last):
        builder.add_conditional_edges("node", path, [END])
    builder.compile().invoke({"n": 0})
    engine.check()
    assert seen == [None, ("by a path", None)]


@AWAITED
def test_a_config_of_the_attempt_before(awaited: bool) -> None:
    """Looked at first, and changed, while the next attempt is under way."""
    notes = []
    for engine in (STOCK, COMPILED):
        noted: list[Any] = []
        contexts: list[Context] = []

        def node(
            state: State, noted: list[Any] = noted, contexts: list[Context] = contexts
        ) -> dict[str, int]:
            if not contexts:
                contexts.append(copy_context())
                raise ValueError("once more")
            late: Any = contexts[0].run(get_config)
            late["mine"] = 1
            noted.append(get_config().get("mine"))
            return {"n": 1}

        async def node_awaited(
            state: State, node: Callable[..., dict[str, int]] = node
        ) -> dict[str, int]:
            return node(state)

        def path(state: State, noted: list[Any] = noted) -> str:
            noted.append(get_config().get("mine"))
            return END

        async def path_awaited(state: State, path: Callable[..., str] = path) -> str:
            return path(state)

        builder = StateGraph(State)
        policy = RetryPolicy(initial_interval=0.001, retry_on=ValueError)
        builder.add_node("node", node_awaited if awaited else node, retry_policy=policy)
        builder.add_conditional_edges("node", path_awaited if awaited else path, [END])
        builder.add_edge(START, "node")
        with engine.running():
            run(builder.compile(), awaited)
            engine.check()
        notes.append(noted)
    assert notes == [[None, None]] * 2


def test_callers_variables_between_chunks(engine: Engine) -> None:
    """Nodes see what the caller has set since the last chunk."""
    seen = []

    def node(state: State) -> dict[str, int]:
        seen.append(HERE.get())
        return add_one(state)

    graph = chain(*[node] * NODES)

    def caller() -> None:
        for place, _ in enumerate(graph.stream({"n": 0}, stream_mode="updates")):
            HERE.set(f"after {place}")

    copy_context().run(caller)
    engine.check()
    assert seen == ["unset"] + [f"after {place}" for place in range(NODES - 1)]


def test_a_thread_started_late_in_a_kept_context(engine: Engine) -> None:
    """A context that a node has kept is free to be entered: no call is inside of it."""
    kept: list[Context] = []
    entered = []

    def node(state: State) -> dict[str, int]:
        for context in kept:
            thread = threading.Thread(target=context.run, args=(enter,))
            thread.start()
            thread.join()
        kept.append(copy_context())
        return add_one(state)

    def enter() -> None:
        entered.append(node_name(get_config()))

    chain(*[node] * 3).invoke({"n": 0})
    engine.check()
    assert entered == ["node0", "node0", "node1"]
