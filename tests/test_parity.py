"""Names, signatures and docstrings against upstream's, in both directions."""

import inspect
import typing
from typing import Any

import langgraph.func
import langgraph.graph
import langgraph.pregel
import pytest

import langgraph_cy

from .engines import State, add_one, chain

pytestmark = pytest.mark.shim

PAIRS = [
    pytest.param(langgraph_cy.Pregel, langgraph.pregel.Pregel, id="Pregel"),
    pytest.param(langgraph_cy.NodeBuilder, langgraph.pregel.NodeBuilder, id="NodeBuilder"),
    pytest.param(langgraph_cy.StateGraph, langgraph.graph.StateGraph, id="StateGraph"),
    pytest.param(langgraph_cy.entrypoint, langgraph.func.entrypoint, id="entrypoint"),
]


def public(cls: type) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


def members(cls: type) -> list[tuple[str, Any]]:
    """The public members of a class as they stand in the class, and its constructor."""
    names = sorted(public(cls) | {"__init__", "__call__"} & set(dir(cls)))
    return [(name, inspect.getattr_static(cls, name)) for name in names]


def plain(member: Any) -> Any:
    """The function in a static or class method."""
    return member.__func__ if isinstance(member, (classmethod, staticmethod)) else member


def kind(function: Any) -> tuple[bool, ...]:
    """How others find out what calling a function gives."""
    return (
        inspect.isfunction(function),
        inspect.isgeneratorfunction(function),
        inspect.iscoroutinefunction(function),
        inspect.isasyncgenfunction(function),
    )


def test_the_public_names_are_the_documented_ones() -> None:
    assert sorted(langgraph_cy.__all__) == sorted(
        [
            "COMPILED",
            "EngineStats",
            "NodeBuilder",
            "Pregel",
            "StateGraph",
            "UPSTREAM_VERSION",
            "__version__",
            "accelerate",
            "engine_stats",
            "entrypoint",
            "explain",
            "install",
            "installed",
            "profile",
            "reset_engine_stats",
            "task",
            "uninstall",
        ]
    )
    for name in langgraph_cy.__all__:
        assert hasattr(langgraph_cy, name), name


def test_every_public_name_is_documented() -> None:
    assert langgraph_cy.__doc__
    for name in langgraph_cy.__all__:
        member = getattr(langgraph_cy, name)
        if getattr(member, "__module__", "").startswith("langgraph_cy"):
            assert member.__doc__, name


@pytest.mark.parametrize(("ours", "upstream"), PAIRS)
class TestClass:
    def test_public_names_are_the_same(self, ours: type, upstream: type) -> None:
        assert public(ours) == public(upstream)

    def test_name_is_the_same(self, ours: type, upstream: type) -> None:
        assert ours.__name__ == upstream.__name__
        assert ours.__qualname__ == upstream.__qualname__

    def test_constructor_has_the_same_signature(self, ours: type, upstream: type) -> None:
        assert inspect.signature(ours) == inspect.signature(upstream)

    def test_members_are_of_the_same_kind(self, ours: type, upstream: type) -> None:
        differing = []
        for name, member in members(upstream):
            found = inspect.getattr_static(ours, name)
            if type(found) is not type(member) or kind(plain(found)) != kind(plain(member)):
                differing.append(name)
        assert differing == []

    def test_methods_have_the_same_signature(self, ours: type, upstream: type) -> None:
        differing = []
        for name, member in members(upstream):
            if not inspect.isroutine(plain(member)):
                continue
            expected = inspect.signature(getattr(upstream, name))
            found = inspect.signature(getattr(ours, name))
            if found != expected:
                differing.append((name, str(found), str(expected)))
        assert differing == []

    def test_what_upstream_documents_is_documented(self, ours: type, upstream: type) -> None:
        assert bool(ours.__doc__) >= bool(upstream.__doc__)
        missing = [
            name
            for name, member in members(upstream)
            if inspect.getdoc(member) and not inspect.getdoc(getattr(ours, name))
        ]
        assert missing == []

    def test_annotations_are_the_same(self, ours: type, upstream: type) -> None:
        assert typing.get_type_hints(ours).keys() == typing.get_type_hints(upstream).keys()

    def test_stands_in_for_upstreams_class(self, ours: type, upstream: type) -> None:
        assert issubclass(ours, upstream)

    def test_takes_the_same_type_arguments(self, ours: Any, upstream: Any) -> None:
        count = len(getattr(upstream, "__parameters__", ()))
        assert len(getattr(ours, "__parameters__", ())) == count
        if count:
            assert typing.get_args(ours[(int,) * count]) == (int,) * count


def test_task_has_upstreams_signature() -> None:
    assert inspect.signature(langgraph_cy.task) == inspect.signature(langgraph.func.task)
    assert langgraph_cy.task.__name__ == langgraph.func.task.__name__
    assert langgraph_cy.task.__doc__


@pytest.mark.parametrize("name", ["invoke", "stream", "astream", "ainvoke"])
def test_overloads_are_upstreams(name: str) -> None:
    if not hasattr(typing, "get_overloads"):  # Python 3.10 keeps none
        own = getattr(langgraph_cy.Pregel, name)
        assert inspect.unwrap(own) is getattr(langgraph.pregel.Pregel, name)
        return
    expected = typing.get_overloads(getattr(langgraph.pregel.Pregel, name))
    assert typing.get_overloads(getattr(langgraph_cy.Pregel, name)) == expected


def test_a_compiled_graph_has_the_same_attributes() -> None:
    stock = chain(add_one)
    ours = chain(add_one, builder=langgraph_cy.StateGraph)
    assert vars(ours).keys() == vars(stock).keys()
    assert public(type(ours)) == public(type(stock))
    assert {name for name in dir(ours) if not name.startswith("__")} == {
        name for name in dir(stock) if not name.startswith("__")
    }
    assert (type(ours).__name__, type(ours).__module__) == (
        type(stock).__name__,
        type(stock).__module__,
    )


def test_a_compiled_graph_answers_as_stocks() -> None:
    stock = chain(add_one)
    ours = chain(add_one, builder=langgraph_cy.StateGraph)
    assert ours.get_name() == stock.get_name()
    assert ours.get_input_jsonschema() == stock.get_input_jsonschema()
    assert ours.get_output_jsonschema() == stock.get_output_jsonschema()
    assert ours.get_graph().draw_mermaid() == stock.get_graph().draw_mermaid()
    assert ours.config_specs == stock.config_specs
    assert ours.stream_channels_asis == stock.stream_channels_asis


def test_a_workflow_answers_as_stocks() -> None:
    def workflow(number: int) -> int:
        return number + 1

    stock = langgraph.func.entrypoint()(workflow)
    ours = langgraph_cy.entrypoint()(workflow)
    assert isinstance(ours, langgraph.pregel.Pregel)
    assert ours.get_name() == stock.get_name()
    assert ours.get_input_jsonschema() == stock.get_input_jsonschema()
    assert ours.get_output_jsonschema() == stock.get_output_jsonschema()
    assert ours.invoke(1) == stock.invoke(1) == 2
    assert langgraph_cy.entrypoint.final is langgraph.func.entrypoint.final


def test_state_graph_takes_the_same_arguments() -> None:
    builder = langgraph_cy.StateGraph(State, input_schema=State, output_schema=State)
    builder.add_node("add", add_one)
    builder.set_entry_point("add")
    graph = builder.compile(name="counter", debug=False, interrupt_before=None)
    assert graph.get_name() == "counter"
    assert graph.invoke({"n": 1}) == {"n": 2}


def test_stream_gives_a_generator(engine: Any) -> None:
    chunks = chain(add_one).stream({"n": 1}, stream_mode="values")
    assert inspect.isgenerator(chunks)
    assert list(chunks) == [{"n": 1}, {"n": 2}]
    asynchronous = chain(add_one).astream({"n": 1})
    assert inspect.isasyncgen(asynchronous)


def test_type_hints_resolve() -> None:
    for name in ("invoke", "stream", "astream"):
        expected = typing.get_type_hints(getattr(langgraph.pregel.Pregel, name))
        assert typing.get_type_hints(getattr(langgraph_cy.Pregel, name)) == expected
