"""Runs of every kind are compiled, through every entry point, and come to what they do on stock."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.errors import EmptyInputError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, interrupt
from typing_extensions import TypedDict

from .engines import COMPILED, STOCK, State, add_one, shown, taken

pytestmark = pytest.mark.shim

THREAD = {"configurable": {"thread_id": "1"}}

Call = dict[str, Any]
Make = Callable[[], Any]


async def slow(state: State) -> dict[str, int]:
    await asyncio.sleep(0)
    return add_one(state)


def compiled_with(node: Any = add_one, *, policies: Call | None = None, **options: Any) -> Any:
    """A graph of one node."""
    builder = StateGraph(State)
    builder.add_node("add", node, **(policies or {}))
    builder.add_edge(START, "add")
    builder.add_edge("add", END)
    return builder.compile(**options)


def writing() -> Any:
    def node(state: State) -> dict[str, int]:
        get_stream_writer()({"seen": state["n"]})
        return add_one(state)

    return compiled_with(node)


def talking() -> Any:
    model = GenericFakeChatModel(messages=iter([AIMessage("a few words")] * 4))

    async def aspeak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    def speak(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("speak", RunnableLambda(speak, aspeak, name="speak"))
    builder.add_edge(START, "speak")
    return builder.compile()


def asking(**options: Any) -> Any:
    return compiled_with(
        lambda state: {"n": state["n"] + interrupt({"question": "how much?"})},
        checkpointer=InMemorySaver(),
        **options,
    )


def nested(**options: Any) -> Any:
    builder = StateGraph(State)
    builder.add_node("inner", compiled_with())
    builder.add_node("after", add_one)
    builder.add_edge(START, "inner")
    builder.add_edge("inner", "after")
    return builder.compile(**options)


def failing() -> Any:
    def fail(state: State) -> dict[str, int]:
        raise ValueError(f"no {state['n']}")

    return compiled_with(fail, policies={"error_handler": lambda state: {"n": -state["n"]}})


def retried() -> Any:
    attempts = {"left": 2}

    def fail(state: State) -> dict[str, int]:
        attempts["left"] -= 1
        if attempts["left"] % 2:
            raise ValueError("again")
        return add_one(state)

    policy = RetryPolicy(initial_interval=0, jitter=False, retry_on=ValueError)
    return compiled_with(fail, policies={"retry_policy": policy})


class Sums(TypedDict):
    """A state that adds up what its nodes write."""

    n: Annotated[int, lambda left, right: left + right]


def spread(**options: Any) -> Any:
    builder = StateGraph(Sums)
    builder.add_node("add", add_one)
    builder.add_conditional_edges(
        START, lambda state: [Send("add", {"n": n}) for n in range(state["n"] + 3)]
    )
    return builder.compile(**options)


def workflow(**options: Any) -> Any:
    @task
    def double(n: int) -> int:
        return 2 * n

    @entrypoint(**options)
    def work(given: dict[str, int], *, previous: Any = None) -> Any:
        done = double(given["n"]).result()
        return entrypoint.final(value=done, save=(previous or 0) + done)

    return work


def aworkflow(**options: Any) -> Any:
    @task
    async def double(n: int) -> int:
        return 2 * n

    @entrypoint(**options)
    async def work(given: dict[str, int], *, previous: Any = None) -> Any:
        done = await double(given["n"])
        return entrypoint.final(value=done, save=(previous or 0) + done)

    return work


class Quiet(BaseCallbackHandler):
    pass


def saved(**options: Any) -> Make:
    return lambda: compiled_with(checkpointer=InMemorySaver(), **options)


TWICE = [{"n": 1}, {"n": 5}]
ALL_MODES = ["values", "updates", "tasks", "checkpoints", "debug", "custom", "messages"]

# what a run is: the graph, its inputs one after the other, and what else it is called with
KINDS: dict[str, tuple[Make, list[Any], Call]] = {
    "checkpointer": (saved(), TWICE, {"config": THREAD}),
    "durability sync": (saved(), TWICE, {"config": THREAD, "durability": "sync"}),
    "durability async": (saved(), TWICE, {"config": THREAD, "durability": "async"}),
    "durability exit": (saved(), TWICE, {"config": THREAD, "durability": "exit"}),
    "cache": (lambda: compiled_with(cache=InMemoryCache()), TWICE, {}),
    "cache policy": (
        lambda: compiled_with(policies={"cache_policy": CachePolicy()}, cache=InMemoryCache()),
        [{"n": 1}, {"n": 1}],
        {"stream_mode": "updates"},
    ),
    "interrupt_before the graph": (
        saved(interrupt_before=["add"]),
        [{"n": 1}, None],
        {"config": THREAD},
    ),
    "interrupt_after the graph": (
        saved(interrupt_after="*"),
        [{"n": 1}, None],
        {"config": THREAD},
    ),
    "interrupt_before": (compiled_with, TWICE, {"interrupt_before": ["add"]}),
    "interrupt_after": (compiled_with, TWICE, {"interrupt_after": ["add"]}),
    "interrupt and resume": (asking, [{"n": 1}, Command(resume=3)], {"config": THREAD}),
    "interrupt, exit": (
        asking,
        [{"n": 1}, Command(resume=3)],
        {"config": THREAD, "durability": "exit"},
    ),
    "Command": (compiled_with, [Command(update={"n": 1}), Command(goto="add")], {}),
    "debug": (saved(), TWICE, {"stream_mode": "debug", "config": THREAD}),
    "messages": (talking, [{"messages": [("human", "1")]}], {"stream_mode": "messages"}),
    "custom": (writing, TWICE, {"stream_mode": "custom"}),
    "tasks": (compiled_with, TWICE, {"stream_mode": "tasks"}),
    "checkpoints": (saved(), TWICE, {"stream_mode": "checkpoints", "config": THREAD}),
    "several modes": (writing, TWICE, {"stream_mode": ["values", "custom"]}),
    "all modes": (saved(), TWICE, {"stream_mode": ALL_MODES, "config": THREAD}),
    "no mode": (compiled_with, TWICE, {"stream_mode": []}),
    "version": (compiled_with, TWICE, {"version": "v2", "stream_mode": ["values", "updates"]}),
    "print_mode": (compiled_with, TWICE, {"print_mode": ["values", "tasks"]}),
    "debug of the graph": (lambda: compiled_with(debug=True), TWICE, {}),
    "subgraph": (nested, TWICE, {"stream_mode": "updates"}),
    "subgraph with a checkpointer": (
        lambda: nested(checkpointer=InMemorySaver()),
        TWICE,
        {"config": THREAD, "stream_mode": ["debug", "values"]},
    ),
    "handler": (compiled_with, TWICE, {"config": {"callbacks": [Quiet()]}}),
    "handler and checkpointer": (saved(), TWICE, {"config": {**THREAD, "callbacks": [Quiet()]}}),
    "error handler": (failing, TWICE, {}),
    "retry policy": (retried, TWICE, {}),
    "step timeout": (
        lambda: setattr(graph := compiled_with(), "step_timeout", 60) or graph,
        TWICE,
        {},
    ),
    "Send": (spread, TWICE, {"stream_mode": "values"}),
    "Send with a checkpointer": (
        lambda: spread(checkpointer=InMemorySaver()),
        TWICE,
        {"config": {**THREAD, "max_concurrency": 1}},
    ),
    "recursion_limit": (compiled_with, TWICE, {"config": {"recursion_limit": 1}}),
}
STREAMED: dict[str, tuple[Make, list[Any], Call]] = {
    "subgraphs": (nested, TWICE, {"subgraphs": True}),
    "subgraphs and modes": (
        lambda: nested(checkpointer=InMemorySaver()),
        TWICE,
        {"subgraphs": True, "stream_mode": ["updates", "tasks"], "config": THREAD},
    ),
    "subgraphs, version": (nested, TWICE, {"subgraphs": True, "version": "v2"}),
    "debug": (compiled_with, TWICE, {"debug": True}),
    "modes in a tuple": (compiled_with, TWICE, {"stream_mode": ("values", "updates")}),
    "output_keys": (compiled_with, TWICE, {"stream_mode": "values", "output_keys": ["n"]}),
}
SYNCHRONOUS: dict[str, tuple[Make, list[Any], Call]] = {
    "workflow": (workflow, TWICE, {}),
    "workflow with a checkpointer": (
        lambda: workflow(checkpointer=InMemorySaver()),
        TWICE,
        {"config": THREAD},
    ),
    "node timeout": (
        lambda: compiled_with(RunnableLambda(add_one, slow), policies={"timeout": 60}),
        TWICE,
        {},
    ),
}
ASYNCHRONOUS: dict[str, tuple[Make, list[Any], Call]] = {
    "workflow": (aworkflow, TWICE, {}),
    "workflow with a checkpointer": (
        lambda: aworkflow(checkpointer=InMemorySaver()),
        TWICE,
        {"config": THREAD},
    ),
    "node timeout": (lambda: compiled_with(slow, policies={"timeout": 60}), TWICE, {}),
    "node that waits": (lambda: compiled_with(slow), TWICE, {}),
}


def invoke(graph: Any, value: Any, call: Call) -> Any:
    return graph.invoke(value, **call)


def stream(graph: Any, value: Any, call: Call) -> Any:
    return list(graph.stream(value, **call))


def ainvoke(graph: Any, value: Any, call: Call) -> Any:
    return asyncio.run(graph.ainvoke(value, **call))


def astream(graph: Any, value: Any, call: Call) -> Any:
    async def read() -> list[Any]:
        return [chunk async for chunk in graph.astream(value, **call)]

    return asyncio.run(read())


WAYS = (invoke, stream, ainvoke, astream)
CASES = [
    pytest.param(way, kind, id=f"{name}-{way.__name__}")
    for kinds, ways in (
        (KINDS, WAYS),
        (STREAMED, (stream, astream)),
        (SYNCHRONOUS, (invoke, stream)),
        (ASYNCHRONOUS, (ainvoke, astream)),
    )
    for name, kind in kinds.items()
    for way in ways
]


@pytest.mark.parametrize(("way", "kind"), CASES)
def test_is_compiled_and_comes_to_the_same(
    way: Callable[[Any, Any, Call], Any],
    kind: tuple[Make, list[Any], Call],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Results, chunks, errors, what is printed, and the history that is stored."""
    make, inputs, call = kind

    def played() -> list[str]:
        graph = make()
        found = []
        for value in inputs:
            try:
                found.append(shown(way(graph, value, call)))
            except Exception as error:
                found.append(f"{type(error).__name__}: {shown(str(error))}")
        if graph.checkpointer:
            found += [shown(state) for state in graph.get_state_history(THREAD)]
        return [*found, shown(capsys.readouterr().out)]

    with STOCK.running():
        expected = played()
    with COMPILED.running():
        found = played()
        COMPILED.check()
    assert found == expected
    assert expected[0] != ""


# calls that upstream refuses: the graph, and what it is called with
REFUSED: dict[str, tuple[Make, Call]] = {
    "recursion_limit below 1": (compiled_with, {"config": {"recursion_limit": 0}}),
    "checkpointer without a thread": (saved(), {}),
    "Command to resume without a checkpointer": (compiled_with, {"input": Command(resume=1)}),
    "no input": (compiled_with, {"input": None}),
    "unknown output key": (compiled_with, {"output_keys": ["other"]}),
    "unknown interrupt": (
        asking,
        {"input": Command(resume=1), "config": THREAD, "interrupt_before": ["other"]},
    ),
    "checkpoint_during and durability": (
        saved(),
        {"config": THREAD, "checkpoint_during": True, "durability": "sync"},
    ),
}


@pytest.mark.filterwarnings("ignore:.*checkpoint_during.*")
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_as_on_stock(name: str, way: Callable[[Any, Any, Call], Any]) -> None:
    """With the same error, and never on stock's engine."""
    make, call = REFUSED[name]
    call = {**call}
    value = call.pop("input", {"n": 1})

    def refused() -> str:
        with pytest.raises(Exception) as caught:  # noqa: PT011  which one is what is compared
            way(make(), value, call)
        return f"{type(caught.value).__name__}: {shown(str(caught.value))}"

    with STOCK.running():
        expected = refused()
    with COMPILED.running():
        assert refused() == expected
        assert taken()[1] == 0


@pytest.mark.core
def test_an_empty_command_is_refused_as_stock_means_to() -> None:
    """Stock trips over a name of its own on the way to its `EmptyInputError`."""
    with STOCK.running(), pytest.raises(UnboundLocalError):
        compiled_with().invoke(Command())
    with COMPILED.running(), pytest.raises(EmptyInputError, match="Received empty Command input"):
        compiled_with().invoke(Command())
