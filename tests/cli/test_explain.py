"""`explain`: the plan of a graph as a table, as Mermaid and as a dict."""

import json
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, StateGraph

import langgraph_cy
from langgraph_cy import explain, plan_report
from langgraph_cy.cli.target import load_graph
from langgraph_cy.core.plan import CallStep, GraphStep, WriteStep, plan_of
from langgraph_cy.plan_report import COMPILED, DIRECT, UPSTREAM

from ..engines import State, add_one, chain
from .conftest import Call, sample

GRAPHS = [
    *(
        "loop",
        "make_squares",
        "make_nested",
        "make_hand_built",
        "workflow",
        "asking",
        "remembering",
    ),
    *("awaited", "failing", "talking"),
]


def test_table(cli: Call) -> None:
    called = cli("explain", sample("loop"))
    assert (called.code, called.err) == (0, "")
    assert called.out.splitlines() == [
        "graph loop: runs are compiled",
        "  LangGraph's own class: compiled under install(), or by accelerate(graph)",
        "",
        "node       triggered by   reads      step                                     "
        "runs in      why",
        "---------  -------------  ---------  ---------------------------------------  "
        "-----------  ------------",
        "__start__  __start__      __start__  write n; go to add                       C",
        "add        branch:to:add  n          add(state)                               direct call",
        "                                     write n                                  C",
        "                                     conditional edge more() -> add, __end__  "
        "C            calls more()",
        "",
        "channel  class      runs in  why",
        "-------  ---------  -------  ---",
        "n        LastValue  C",
    ]
    assert str(explain(load_graph(sample("loop")))) == called.out.rstrip("\n")


@pytest.mark.parametrize("name", GRAPHS)
def test_agrees_with_the_plan(name: str, cli: Call) -> None:
    """What is said to run in C is what the plan has lowered, and the rest has a reason."""
    graph: Any = load_graph(sample(name))
    report, nodes = explain(graph), plan_of(graph).nodes
    assert report.compiled
    assert [each.name for each in report.nodes] == [node.name for node in nodes]
    for each, node in zip(report.nodes, nodes, strict=True):
        lowered = isinstance(node.first, (CallStep, WriteStep, GraphStep))
        assert lowered or each.runs == UPSTREAM
        assert (each.runs == DIRECT) is isinstance(node.first, CallStep)
        assert len(each.steps) == 1 + len(node.writers)
        assert each.triggers == node.triggers
        assert all(step.why for step in each.steps if step.runs == UPSTREAM)
    langgraph_cy.reset_engine_stats()


@pytest.mark.parametrize(
    ("graph", "node", "kind", "why"),
    [
        ("make_nested", "first", COMPILED, "as a part of this run"),
        ("make_nested", "second", UPSTREAM, "RunnableLambda is a Runnable"),
        ("make_nested", "third", UPSTREAM, "a run of its own"),
        ("make_hand_built", "one", UPSTREAM, "callbacks see it as a run of its own"),
        ("make_squares", "square", DIRECT, ""),
    ],
)
def test_why(graph: str, node: str, kind: str, why: str, cli: Call) -> None:
    report = explain(load_graph(sample(graph)))
    (found,) = (each for each in report.nodes if each.name == node)
    assert found.runs == kind
    assert why in found.steps[0].why


def test_settings_channels_and_facts(cli: Call) -> None:
    assert "retried, at most 2 attempts" in cli("explain", sample("make_squares")).out
    assert "calls its reducer add()" in cli("explain", sample("make_squares")).out
    assert "a subclass of LastValue, driven" in cli("explain", sample("make_hand_built")).out
    assert (
        "saved by langgraph.checkpoint.memory.Inm".lower()
        in cli("explain", sample("remembering")).out.lower()
    )
    assert (
        "in node first: graph inner: runs are compiled" in cli("explain", sample("make_nested")).out
    )


def test_a_conditional_edge_that_stays_python() -> None:
    builder = StateGraph(State).add_node("add", add_one).add_edge(START, "add")
    path = RunnableLambda(lambda state: "__end__", name="path")
    builder.add_conditional_edges("add", path, ["__end__"])
    *_, step = explain(builder).nodes[1].steps
    assert (step.runs, step.why) == (
        UPSTREAM,
        "RunnableLambda is a Runnable, run by its own invoke",
    )


def test_a_graph_for_stocks_engine(cli: Call) -> None:
    called = cli("explain", sample("make_odd"))
    assert called.code == 1
    assert "runs go to stock's engine: node is not a plain PregelNode" in called.out


def test_without_the_compiled_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_report, "NEVER", "compiled core not loaded")
    report = explain(chain(add_one))
    assert (report.compiled, report.reason) == (False, "compiled core not loaded")
    assert {step.runs for node in report.nodes for step in node.steps} == {UPSTREAM}
    assert "node0" in str(report)


def test_json_is_the_dict(cli: Call) -> None:
    found = json.loads(cli("explain", sample("make_nested"), "--json").out)
    report = explain(load_graph(sample("make_nested")))
    assert found == json.loads(json.dumps(report.as_dict()))
    assert [node["name"] for node in found["nodes"]] == ["__start__", "first", "second", "third"]
    assert found["subgraphs"]["first"]["name"] == "inner"


def test_mermaid(cli: Call) -> None:
    text = cli("explain", sample("loop"), "--mermaid").out
    assert text.splitlines()[:7] == [
        "flowchart TD",
        '    n0(["__start__<br/>write n; go to add"]):::compiled',
        '    n1(["add<br/>add(state)"]):::direct',
        '    n2(["__end__"])',
        "    n0 --> n1",
        "    n1 -.-> n2",
        "    n1 -.-> n1",
    ] or text.splitlines()[5:7] == ["    n1 -.-> n1", "    n1 -.-> n2"]
    assert text == explain(load_graph(sample("loop"))).mermaid()
    odd = StateGraph(State).add_node('say "<hi>"', add_one).add_edge(START, 'say "<hi>"')
    assert "say #quot;#lt;hi#gt;#quot;<br/>" in explain(odd).mermaid()


def test_nothing_is_run() -> None:
    def fail(state: State) -> State:
        raise AssertionError("was run")

    langgraph_cy.reset_engine_stats()
    assert explain(chain(fail)).compiled
    assert langgraph_cy.engine_stats().total == 0


def test_refuses_what_is_no_graph() -> None:
    with pytest.raises(TypeError, match="takes a compiled graph or a StateGraph, not int"):
        explain(3)
