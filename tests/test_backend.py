"""install, uninstall, installed, accelerate, and the counts of which engine ran what."""

import asyncio
import copy
import functools
import inspect
import json
import sys
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import langgraph.pregel
import pytest
from langgraph.channels import LastValue
from langgraph.func import entrypoint
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.pregel import Pregel as ImportedBefore
from langgraph.types import interrupt

import langgraph_cy
from langgraph_cy import accelerate, engine_stats, install, installed, uninstall

from .engines import State, add_one, chain, python, taken

pytestmark = pytest.mark.shim

INVOKE_IMPORTED_BEFORE = Pregel.invoke
METHODS = ("invoke", "stream", "astream", "ainvoke")
COMPILED_BEFORE = chain(add_one)
UNUSUAL: Any = {"recursion_limit": 1 << 62}  # which only stock's engine takes


@pytest.fixture(autouse=True)
def counted() -> Iterator[None]:
    """Each test starts without the engine installed and with counts at zero."""
    uninstall()
    langgraph_cy.reset_engine_stats()
    yield
    uninstall()
    langgraph_cy.reset_engine_stats()


def upstream_methods() -> dict[str, Any]:
    return {name: vars(Pregel)[name] for name in METHODS}


STOCK_METHODS = upstream_methods()


def hand_built(cls: Any = Pregel) -> Any:
    return cls(
        nodes={"one": NodeBuilder().subscribe_only("in").do(lambda n: n + 1).write_to("out")},
        channels={"in": LastValue(int), "out": LastValue(int)},
        input_channels="in",
        output_channels="out",
    )


class TestInstall:
    def test_runs_graphs_compiled_before_and_after(self) -> None:
        before = chain(add_one)
        install()
        after = chain(add_one)
        assert before.invoke({"n": 1}) == after.invoke({"n": 1}) == {"n": 2}
        assert COMPILED_BEFORE.invoke({"n": 1}) == {"n": 2}
        assert taken() == (3, 0)

    def test_reaches_what_was_imported_before(self) -> None:
        install()
        graph = hand_built(ImportedBefore)
        assert graph.invoke(1) == 2
        assert langgraph.pregel.Pregel is ImportedBefore
        assert taken() == (1, 0)

    def test_graphs_of_every_make(self) -> None:
        install()
        assert hand_built().invoke(1) == 2
        assert chain(add_one).invoke({"n": 1}) == {"n": 2}
        builder = langgraph_cy.StateGraph(State)
        builder.add_node("add", add_one)
        builder.set_entry_point("add")
        assert builder.compile().invoke({"n": 1}) == {"n": 2}
        assert taken() == (3, 0)

    def test_uninstall_brings_stock_back(self) -> None:
        install()
        uninstall()
        assert upstream_methods() == STOCK_METHODS
        assert chain(add_one).invoke({"n": 1}) == {"n": 2}
        assert taken() == (0, 0)

    def test_repeated(self) -> None:
        install()
        install()
        uninstall()
        assert upstream_methods() == STOCK_METHODS
        uninstall()
        assert upstream_methods() == STOCK_METHODS
        install()
        assert chain(add_one).invoke({"n": 1}) == {"n": 2}
        assert taken() == (1, 0)

    def test_uninstall_without_install(self) -> None:
        uninstall()
        assert upstream_methods() == STOCK_METHODS

    def test_during_a_run(self) -> None:
        """A run that has begun ends on the engine on which it began."""

        def node(state: State) -> dict[str, int]:
            (uninstall if state["n"] % 2 else install)()
            return {"n": state["n"] + 1}

        graph = chain(node, node, node)
        assert graph.invoke({"n": 0}) == {"n": 3}
        install()
        assert graph.invoke({"n": 1}) == {"n": 4}

    def test_from_many_threads(self) -> None:
        graph = chain(add_one)
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(30):
                    with installed():
                        assert graph.invoke({"n": 1}) == {"n": 2}
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert errors == []
        assert upstream_methods() == STOCK_METHODS


class TestInstalled:
    def test_for_the_length_of_a_block(self) -> None:
        graph = chain(add_one)
        with installed():
            graph.invoke({"n": 1})
        graph.invoke({"n": 1})
        assert taken() == (1, 0)
        assert upstream_methods() == STOCK_METHODS

    def test_nested(self) -> None:
        graph = chain(add_one)
        with installed():
            with installed():
                graph.invoke({"n": 1})
            graph.invoke({"n": 1})
        assert taken() == (2, 0)
        assert upstream_methods() == STOCK_METHODS

    def test_after_install(self) -> None:
        install()
        with installed():
            pass
        chain(add_one).invoke({"n": 1})
        assert taken() == (1, 0)

    def test_left_by_an_error(self) -> None:
        with pytest.raises(ValueError, match="out"), installed():
            raise ValueError("out")
        assert upstream_methods() == STOCK_METHODS

    def test_used_again(self) -> None:
        for _ in range(3):
            with installed():
                chain(add_one).invoke({"n": 1})
        assert taken() == (3, 0)

    def test_as_a_decorator(self) -> None:
        @installed()
        def work() -> Any:
            return chain(add_one).invoke({"n": 1})

        assert work() == work() == {"n": 2}
        assert taken() == (2, 0)


# what upstream itself sets anew as it runs: the time of its last checkpoint id
CLOCK = "_last_v6_timestamp"


def everything() -> dict[str, dict[str, Any]]:
    """Every attribute of every module and class of upstream's that is loaded."""
    found: dict[str, dict[str, Any]] = {}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] not in ("langgraph", "langchain_core"):
            continue
        found[name] = {key: value for key, value in vars(module).items() if key != CLOCK}
        for value in list(vars(module).values()):
            owner = getattr(value, "__module__", None)
            if (
                isinstance(value, type)
                and isinstance(owner, str)
                and owner.startswith(("langgraph.", "langchain_core."))
            ):
                found[f"{owner}.{value.__qualname__}"] = dict(vars(value))
    return found


def changes(before: dict[str, dict[str, Any]], now: dict[str, dict[str, Any]]) -> list[str]:
    """The names of attributes that are not what they were, by identity."""
    missing = object()
    changed = [f"{owner} itself" for owner in before.keys() - now.keys()]
    for owner, attributes in before.items():
        other = now.get(owner, {})
        for name in attributes.keys() | other.keys():
            if attributes.get(name, missing) is not other.get(name, missing):
                changed.append(f"{owner}.{name}")
    return sorted(changed)


def use() -> None:
    """Run graphs in every way, so that whatever is loaded or cached late is there."""
    graph = chain(add_one, add_one)
    graph.invoke({"n": 1})
    list(graph.stream({"n": 1}, stream_mode=["values", "updates"]))
    asyncio.run(graph.ainvoke({"n": 1}))
    graph.invoke({"n": 1}, stream_mode="debug")
    chain(lambda state: {"n": interrupt("?")}).invoke({"n": 1})
    hand_built().invoke(1)
    copied = accelerate(graph)
    copied.invoke({"n": 1})


def test_uninstall_leaves_nothing_changed() -> None:
    use()
    with installed():
        use()
    before = everything()
    assert len(before) > 300
    install()
    during = changes(before, everything())
    use()
    uninstall()
    assert changes(before, everything()) == []
    assert set(during) >= {"langgraph.pregel.main.Pregel.invoke"}
    assert {each.rpartition(".")[0] for each in during} == {"langgraph.pregel.main.Pregel"}


WALKERS = f"CLOCK = {CLOCK!r}\n" + "\n\n".join(
    inspect.getsource(each) for each in (everything, changes)
)


def test_import_changes_nothing_of_upstreams() -> None:
    """Importing the package leaves upstream's modules and classes as they were."""
    done = python(
        "-c",
        f"""
import json, sys
from typing import Any
import langgraph.graph, langgraph.func, langgraph.prebuilt, langgraph.runtime, langgraph.config
import langgraph.pregel.remote, langgraph.managed.is_last_step, langgraph.checkpoint.memory
import langgraph.channels.delta
{WALKERS}
before = everything()
import langgraph_cy
now = everything()
print(json.dumps(changes(before, now)))
langgraph_cy.install()
langgraph_cy.uninstall()
print(json.dumps(changes(now, everything())))
""",
    )
    assert done.code == 0, done.err
    first, second = map(json.loads, done.out.splitlines())
    assert first == []
    assert second == []


class TestAccelerate:
    def test_runs_one_graph(self) -> None:
        graph = chain(add_one)
        fast = accelerate(graph)
        assert fast.invoke({"n": 1}) == graph.invoke({"n": 1}) == {"n": 2}
        assert taken() == (1, 0)

    def test_leaves_the_graph_as_it_is(self) -> None:
        graph = chain(add_one)
        before, kind = dict(vars(graph)), type(graph)
        fast = accelerate(graph)
        fast.invoke({"n": 1})
        assert type(graph) is kind
        assert vars(graph).keys() == before.keys()
        assert all(vars(graph)[name] is value for name, value in before.items())
        assert fast is not graph

    def test_gives_a_graph_of_the_same_class(self) -> None:
        fast = accelerate(chain(add_one))
        assert isinstance(fast, CompiledStateGraph)
        assert type(fast).__name__ == "CompiledStateGraph"
        assert type(accelerate(hand_built())) is langgraph_cy.Pregel

    def test_twice(self) -> None:
        fast = accelerate(chain(add_one))
        assert accelerate(fast) is fast

    def test_when_installed(self) -> None:
        graph = accelerate(chain(add_one))
        with installed():
            assert graph.invoke({"n": 1}) == {"n": 2}
            assert accelerate(chain(add_one)).invoke({"n": 1}) == {"n": 2}
        assert taken() == (2, 0)

    def test_copies(self) -> None:
        fast = accelerate(chain(add_one))
        for each in (
            fast.with_config({"tags": ["a"]}),
            fast.with_config(recursion_limit=5),
            copy.copy(fast),
            fast.copy(),
            fast.copy({"name": "other"}),
        ):
            assert each.invoke({"n": 1}) == {"n": 2}
        assert taken() == (5, 0)

    def test_bound_in_a_sequence(self) -> None:
        fast = accelerate(chain(add_one))
        assert (fast | (lambda state: state["n"])).invoke({"n": 1}) == 2
        assert fast.batch([{"n": 1}, {"n": 2}]) == [{"n": 2}, {"n": 3}]

    def test_as_a_node(self) -> None:
        inner = accelerate(chain(add_one))
        assert chain(add_one, inner).invoke({"n": 1}) == {"n": 3}
        assert accelerate(chain(add_one, inner)).invoke({"n": 1}) == {"n": 3}

    def test_keeps_what_was_set_later(self) -> None:
        graph = chain(add_one)
        fast = accelerate(graph)
        fast.stream_mode = "values"
        assert graph.stream_mode == "updates"
        assert list(fast.stream({"n": 1})) == [{"n": 1}, {"n": 2}]

    def test_user_subclass(self) -> None:
        class Own(Pregel):
            mark = "own"

            def doubled(self, n: int) -> Any:
                return 2 * self.invoke(n)

        graph = hand_built(Own)
        fast = accelerate(graph)
        assert isinstance(fast, Own)
        assert fast.mark == "own"
        assert fast.doubled(1) == 4
        assert taken() == (1, 0)

    def test_user_subclass_with_methods_of_its_own(self) -> None:
        """What a user's class overrides is called, and calls upstream's as before."""
        calls = []

        class Own(Pregel):
            def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
                calls.append("stream")
                yield from super().stream(*args, **kwargs)

            def invoke(self, *args: Any, **kwargs: Any) -> Any:
                calls.append("invoke")
                return super().invoke(*args, **kwargs)

        graph = hand_built(Own)
        assert graph.invoke(1) == 2
        assert calls == ["invoke", "stream"]
        for fast in (True, False):
            calls.clear()
            if fast:
                assert accelerate(graph).invoke(1) == 2
            else:
                with installed():
                    assert graph.invoke(1) == 2
            assert calls == ["invoke", "stream"]

    @pytest.mark.parametrize("value", [None, 3, "graph", object(), add_one, [], Pregel])
    def test_refuses_what_is_no_graph(self, value: Any) -> None:
        with pytest.raises(TypeError, match="compiled graph"):
            accelerate(value)

    def test_says_what_to_do_with_a_builder(self) -> None:
        with pytest.raises(TypeError, match=r"StateGraph.*compile\(\)"):
            accelerate(StateGraph(State))


class TestStats:
    @pytest.mark.core
    def test_count(self) -> None:
        graph = accelerate(chain(add_one))
        graph.invoke({"n": 1})
        list(graph.stream({"n": 1}))
        graph.invoke({"n": 1}, UNUSUAL)
        stats = engine_stats()
        assert (stats.compiled, stats.stock, stats.total) == (2, 1, 3)
        assert stats.share == pytest.approx(2 / 3)
        assert sum(stats.reasons.values()) == stats.stock

    @pytest.mark.core
    def test_reset(self) -> None:
        accelerate(chain(add_one)).invoke({"n": 1})
        earlier = engine_stats()
        langgraph_cy.reset_engine_stats()
        assert engine_stats() == langgraph_cy.EngineStats(0, 0, {})
        assert earlier.compiled == 1
        assert engine_stats().share == 1.0

    def test_is_a_copy(self) -> None:
        graph = accelerate(chain(add_one))
        graph.invoke({"n": 1}, UNUSUAL)
        engine_stats().reasons.clear()
        assert len(engine_stats().reasons) == 1

    @pytest.mark.core
    def test_commonest_reason_first(self) -> None:
        graph = accelerate(chain(add_one))
        graph.invoke({"n": 1}, UNUSUAL)
        graph.nodes = OrderedDict(graph.nodes)
        for _ in range(3):
            graph.invoke({"n": 1})
        assert list(engine_stats().reasons.values()) == [3, 1]

    def test_nested_runs_count_each(self) -> None:
        inner = chain(add_one)
        with installed():
            chain(lambda state: inner.invoke(state)).invoke({"n": 1})
        assert taken() == (2, 0)

    def test_a_stream_counts_once_it_is_read(self) -> None:
        chunks = accelerate(chain(add_one)).stream({"n": 1})
        assert taken() == (0, 0)
        next(chunks)
        assert taken() == (1, 0)

    @pytest.mark.core
    def test_asynchronous_runs_count(self) -> None:
        async def work() -> None:
            graph = accelerate(chain(add_one))
            chunks = graph.astream({"n": 1})
            assert taken() == (0, 0)
            async for _ in chunks:
                assert taken() == (1, 0)
            await graph.ainvoke({"n": 1})
            await graph.ainvoke({"n": 1}, UNUSUAL)

        asyncio.run(work())
        assert taken() == (2, 1)


def test_workflows_give_the_same_wherever_they_run() -> None:
    with installed():
        assert entrypoint()(lambda number: number).invoke(3) == 3
    assert taken() == (1, 0)


def called(graph: Any, name: str) -> Any:
    """What an entry point comes to, read to its end."""
    if name == "invoke":
        return graph.invoke({"n": 1})
    if name == "stream":
        return list(graph.stream({"n": 1}, stream_mode="values"))[-1]
    if name == "ainvoke":
        return asyncio.run(graph.ainvoke({"n": 1}))

    async def read() -> list[Any]:
        return [chunk async for chunk in graph.astream({"n": 1}, stream_mode="values")]

    return asyncio.run(read())[-1]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("way", ["class", "graph"])
def test_a_tool_that_wraps_an_entry_point_is_called(
    name: str, when: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tracing products wrap `Pregel.invoke` and the others, as often with `wraps`."""
    graph = chain(add_one)
    owner: Any = Pregel if way == "class" else graph
    calls: list[str] = []

    def wrap() -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def traced(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, traced)

    if when == "before":
        wrap()
    install()
    if when == "after":
        wrap()
    assert called(graph, name) == {"n": 2}
    assert calls == [name]
    if when == "after":
        monkeypatch.undo()  # in the order in which a tool would have to go, too
    uninstall()
    calls.clear()
    if when == "before":
        # what was there before `install` is there again, the tool's wrapper included
        assert called(graph, name) == {"n": 2}
        assert calls == [name]
        monkeypatch.undo()
    assert upstream_methods() == STOCK_METHODS


@pytest.mark.parametrize("way", ["stock", "compiled"])
def test_plans_follow_changes_of_the_graph(way: str) -> None:
    """A graph whose nodes, channels or keys are changed after a run runs as changed."""

    def adding(number: int) -> Any:
        return NodeBuilder().subscribe_only("in").do(lambda n: n + number).write_to("out").build()

    graph = hand_built() if way == "stock" else accelerate(hand_built())
    assert graph.invoke(1) == 2
    graph.nodes["one"] = adding(10)
    assert graph.invoke(1) == 11
    graph.nodes = {"one": adding(20)}
    assert graph.invoke(1) == 21
    graph.channels["more"] = LastValue(int)
    graph.output_channels = ["out", "more"]
    assert graph.invoke(1) == {"out": 21}
    graph.channels = {"in": LastValue(int), "out": LastValue(int)}
    graph.output_channels = "out"
    assert graph.invoke(1) == 21
    assert taken() == ((5, 0) if way == "compiled" else (0, 0))


def test_warnings_are_stocks() -> None:
    """The engine adds none of its own to a covered run."""
    with warnings.catch_warnings(record=True) as caught, installed():
        warnings.simplefilter("always")
        chain(add_one).invoke({"n": 1})
    assert [str(each.message) for each in caught] == []
