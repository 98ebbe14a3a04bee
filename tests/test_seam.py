"""Which runs go to stock's engine: odd graphs and configs, and methods that are not upstream's."""

import asyncio
import functools
import inspect
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers._streaming import _StreamingCallbackHandler
from langgraph._internal._constants import CONFIG_KEY_RUNNER_SUBMIT
from langgraph.cache.memory import InMemoryCache
from langgraph.channels import (
    AnyValue,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValue,
    NamedBarrierValue,
    Topic,
    UntrackedValue,
)
from langgraph.channels.delta import DeltaChannel
from langgraph.channels.last_value import LastValueAfterFinish
from langgraph.channels.named_barrier_value import NamedBarrierValueAfterFinish
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.pregel._read import PregelNode
from langgraph.types import CachePolicy, Command, interrupt
from typing_extensions import TypedDict

import langgraph_cy
from langgraph_cy import accelerate, engine_stats, installed, seam, uninstall

from .engines import COMPILED, STOCK, State, add_one, chain, outcome_of, shown

THREAD: Any = {"configurable": {"thread_id": "1"}}


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    """Each test starts without the engine installed and with counts at zero."""
    uninstall()
    langgraph_cy.reset_engine_stats()
    yield
    uninstall()
    langgraph_cy.reset_engine_stats()


def hand_built(**channels: Any) -> Any:
    """A graph that writes the number after its input to `out` and to all other channels."""
    write = {name: (lambda number: number) for name in channels}
    return Pregel(
        nodes={
            "one": NodeBuilder()
            .subscribe_only("in")
            .do(lambda number: number + 1)
            .write_to("out", **write)
        },
        channels={"in": LastValue(int), "out": LastValue(int), **channels},
        input_channels="in",
        output_channels=["out", *channels],
    )


# graphs and configs that are too odd


class OwnNode(PregelNode):
    pass


class OwnList(list[Any]):
    pass


def of_own_class() -> Any:
    graph = hand_built()
    graph.nodes["one"].__class__ = OwnNode
    return graph


def with_nodes(**changes: Any) -> Callable[[], Any]:
    def make() -> Any:
        graph = hand_built()
        for name, value in changes.items():
            setattr(graph.nodes["one"], name, value)
        return graph

    return make


def with_attributes(name: str) -> Callable[[], Any]:
    def make() -> Any:
        graph = hand_built()
        setattr(graph, name, OrderedDict(getattr(graph, name)))
        return graph

    return make


class Stubborn:
    """Can't be asked whether it is true, as a plan asks each node's tags."""

    def __bool__(self) -> bool:
        raise ValueError("neither")

    def __iter__(self) -> Iterator[str]:
        return iter(())


def submits(function: Any, *args: Any, **options: Any) -> Any:
    raise RuntimeError("started by another runner")


# why a run goes to stock: the graph, and the config it is called with
ODD: dict[str, tuple[str, Callable[[], Any], Any]] = {
    "recursion_limit": ("unusual recursion_limit", hand_built, {"recursion_limit": 1 << 62}),
    "recursion_limit, text": ("unusual recursion_limit", hand_built, {"recursion_limit": "9"}),
    "recursion_limit, float": ("unusual recursion_limit", hand_built, {"recursion_limit": 9.5}),
    "max_concurrency 0": ("unusual max_concurrency", hand_built, {"max_concurrency": 0}),
    "max_concurrency -1": ("unusual max_concurrency", hand_built, {"max_concurrency": -1}),
    "max_concurrency, text": ("unusual max_concurrency", hand_built, {"max_concurrency": "2"}),
    "runner": (
        "custom runner",
        hand_built,
        {"configurable": {CONFIG_KEY_RUNNER_SUBMIT: submits}},
    ),
    "subclass of PregelNode": ("node is not a plain PregelNode", of_own_class, None),
    "unknown channel": (
        "node reads an unknown channel",
        with_nodes(channels=["in", "nowhere"]),
        None,
    ),
    "channels in a tuple": (
        "node channels are neither a name nor a list",
        with_nodes(channels=("in",)),
        None,
    ),
    "nodes in an OrderedDict": (
        "nodes or channels not in a dict",
        with_attributes("nodes"),
        None,
    ),
    "channels in an OrderedDict": (
        "nodes or channels not in a dict",
        with_attributes("channels"),
        None,
    ),
    "triggers of the graph in an OrderedDict": (
        "nodes or channels not in a dict",
        with_attributes("trigger_to_nodes"),
        None,
    ),
    "triggers in a list of its own": (
        "triggers, channels or writers in a sequence of its own",
        with_nodes(triggers=OwnList(["in"])),
        None,
    ),
    "odd tags": ("no plan: ValueError", with_nodes(tags=Stubborn()), None),
}


def ainvoke(graph: Any, value: Any, config: Any) -> Any:
    return asyncio.run(graph.ainvoke(value, config))


def invoke(graph: Any, value: Any, config: Any) -> Any:
    return graph.invoke(value, config)


@pytest.mark.parametrize("way", [invoke, ainvoke])
@pytest.mark.parametrize("case", ODD)
def test_odd_runs_go_to_stock(case: str, way: Callable[[Any, Any, Any], Any]) -> None:
    """Each is counted once, with its reason, and comes to what it comes to on stock."""
    reason, make, config = ODD[case]
    with STOCK.running():
        expected = outcome_of(lambda chunks: way(make(), 1, config))
    with COMPILED.running():
        found = outcome_of(lambda chunks: way(make(), 1, config))
        stats = engine_stats()
    assert found == expected
    assert (stats.compiled, stats.reasons) == (0, {reason: 1})


def test_the_odd_cases_cover_every_reason_but_replaced_methods() -> None:
    """And those of a package that has no engine at all, which test_fallback.py is about."""
    from .test_docs import reasons_in_source

    tested = {reason.split(": ")[0] for reason, _, _ in ODD.values()}
    known = {reason.split(": ")[0] for reason in reasons_in_source()}
    assert known - tested == {
        "compiled core not loaded",
        "other upstream version",
        "upstream's {} has been replaced",
    }
    assert tested <= known


# upstream's methods, replaced by another tool


def looped() -> Any:
    """A graph that goes through a conditional edge."""
    builder = StateGraph(State)
    builder.add_node("add", add_one)
    builder.add_edge(START, "add")
    builder.add_conditional_edges("add", lambda state: "add" if state["n"] < 3 else END)
    return builder.compile()


def joined(held: list[int], new: Sequence[list[int]]) -> list[int]:
    return held + [each for part in new for each in part]


class Total(TypedDict):
    n: Annotated[int, operator.add]
    seen: Annotated[
        list[int],
        DeltaChannel(lambda held, new: held + [each for part in new for each in part], list),
    ]


def rich() -> Any:
    """A graph with a node that is cached, one that interrupts, and one that fails."""

    def fail(state: Total) -> dict[str, Any]:
        raise ValueError("handled")

    def ask(state: Total) -> dict[str, Any]:
        return {"n": interrupt("how much?"), "seen": [state["n"]]}

    builder = StateGraph(Total)
    builder.add_node("cached", add_one, cache_policy=CachePolicy())
    builder.add_node("ask", ask)
    builder.add_node("fail", fail, error_handler=lambda state: {"n": 100})
    builder.add_edge(START, "cached")
    builder.add_edge("cached", "ask")
    builder.add_edge("ask", "fail")
    return builder.compile(
        checkpointer=InMemorySaver(), cache=InMemoryCache(), interrupt_before=["fail"]
    )


@task
def double(number: int) -> int:
    return 2 * number


@task
async def adouble(number: int) -> int:
    return 2 * number


class Streaming(BaseCallbackHandler, _StreamingCallbackHandler):
    """A handler that wants nodes streamed, as `astream_events` has one."""

    def tap_output_aiter(self, run_id: Any, output: Any) -> Any:
        return output

    def tap_output_iter(self, run_id: Any, output: Any) -> Any:
        return output


def use() -> str:
    """Synchronous runs that go through everything the engine does."""
    found: list[Any] = [looped().invoke({"n": 1})]
    found.append(list(looped().stream({"n": 1}, stream_mode=["updates", "values", "custom"])))
    for durability in ("sync", "exit"):
        graph = rich()
        for value in ({"n": 1}, Command(resume=10), None):
            found.append(graph.invoke(value, THREAD, durability=durability))

    @entrypoint(checkpointer=InMemorySaver())
    def work(number: int) -> int:
        return double(number).result()

    found.append(work.invoke(4, THREAD))
    return shown(found)


async def ause() -> str:
    """The same, awaited."""
    found: list[Any] = [await looped().ainvoke({"n": 1})]
    modes: Any = ["updates", "values", "custom"]
    found.append([chunk async for chunk in looped().astream({"n": 1}, stream_mode=modes)])
    for durability in ("sync", "exit"):
        graph = rich()
        for value in ({"n": 1}, Command(resume=10), None):
            found.append(await graph.ainvoke(value, THREAD, durability=durability))

    @entrypoint(checkpointer=InMemorySaver())
    async def work(number: int) -> int:
        return await adouble(number)

    found.append(await work.ainvoke(4, THREAD))
    found.append(await looped().ainvoke({"n": 1}, {"callbacks": [Streaming()]}))
    return shown(found)


WRITTEN: dict[type, Callable[[], Any]] = {
    AnyValue: lambda: AnyValue(int),
    BinaryOperatorAggregate: lambda: BinaryOperatorAggregate(int, operator.add),
    DeltaChannel: lambda: DeltaChannel(lambda held, new: held + sum(new), int),
    EphemeralValue: lambda: EphemeralValue(int),
    LastValue: lambda: LastValue(int),
    LastValueAfterFinish: lambda: LastValueAfterFinish(int),
    NamedBarrierValue: lambda: NamedBarrierValue(int, {2}),
    NamedBarrierValueAfterFinish: lambda: NamedBarrierValueAfterFinish(int, {2}),
    Topic: lambda: Topic(int),
    UntrackedValue: lambda: UntrackedValue(int),
}

BYPASSED = [(owner, name) for owner, names in seam._BYPASSED for name in names]


def label(owner: Any, name: str) -> str:
    return f"{getattr(owner, '__qualname__', owner.__name__)}.{name}"


def counting(owner: Any, name: str, calls: list[str]) -> Any:
    """What stands for an attribute of upstream's and does the same, noting that it was used."""
    original = inspect.getattr_static(owner, name)
    static = isinstance(original, staticmethod)
    original = getattr(owner, name)
    if isinstance(original, type):

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            calls.append(name)
            original.__init__(self, *args, **kwargs)

        return type(original.__name__, (original,), {"__init__": init})

    @functools.wraps(original)
    def replacement(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    return staticmethod(replacement) if static else replacement


def used(owner: Any) -> str:
    if owner in WRITTEN:
        return shown(hand_built(written=WRITTEN[owner]()).invoke(1))
    return use() + asyncio.run(ause())


@pytest.mark.parametrize(("owner", "name"), BYPASSED, ids=[label(*each) for each in BYPASSED])
def test_a_replaced_method_is_called(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on stock; and once it is back in its place, runs are compiled again."""
    calls: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, counting(owner, name, calls))
        expected = used(owner)
        on_stock = len(calls)
        assert on_stock > 0
        with installed():
            assert used(owner) == expected
        assert len(calls) > on_stock
        if name not in ("wait", "_output"):  # called as often as threads happen to wake the run
            assert len(calls) == 2 * on_stock
        stats = engine_stats()
        assert stats.compiled == 0
        assert list(stats.reasons) == [f"upstream's {name} has been replaced"]
    langgraph_cy.reset_engine_stats()
    with installed():
        assert used(owner) == expected
    stats = engine_stats()
    assert (stats.compiled > 0, stats.stock) == (True, 0)


@pytest.mark.parametrize("name", ["invoke", "stream", "ainvoke", "astream"])
def test_an_accelerated_graph_calls_replaced_methods_too(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    graph = accelerate(chain(add_one))
    owner = next(owner for owner, names in seam._BYPASSED if "after_tick" in names)
    monkeypatch.setattr(owner, "after_tick", counting(owner, "after_tick", calls))

    async def read() -> None:
        if name == "ainvoke":
            assert await graph.ainvoke({"n": 1}) == {"n": 2}
        else:
            assert [each async for each in graph.astream({"n": 1})] == [{"node0": {"n": 2}}]

    if name == "invoke":
        assert graph.invoke({"n": 1}) == {"n": 2}
    elif name == "stream":
        assert list(graph.stream({"n": 1})) == [{"node0": {"n": 2}}]
    else:
        asyncio.run(read())
    assert len(calls) == 2  # one superstep for the input, and one for the node
    assert engine_stats().reasons == {"upstream's after_tick has been replaced": 1}


def test_the_runs_above_are_compiled_where_nothing_is_replaced() -> None:
    """And come to the same."""
    with STOCK.running():
        expected = [use(), asyncio.run(ause())]
    with COMPILED.running():
        assert [use(), asyncio.run(ause())] == expected
        COMPILED.check()
