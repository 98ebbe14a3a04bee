"""`bench`: what is timed is the same on both engines; no test here looks at a time."""

import json
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import HumanMessage
from langgraph.graph import START, MessagesState, StateGraph

import langgraph_cy
from langgraph_cy import _core
from langgraph_cy.cli import bench, replay, timing
from langgraph_cy.cli.recording import Recording, UnrepeatableError
from langgraph_cy.cli.replay import workload_of
from langgraph_cy.cli.target import load_graph
from langgraph_cy.cli.timing import Counts, Result
from langgraph_cy.cli.workloads import STANDARD

from ..engines import chain
from .conftest import Call, sample

QUICK = ["--rounds", "1", "--sample", "0"]


@pytest.mark.parametrize("workload", STANDARD.values(), ids=lambda each: each.name)
def test_standard_workloads_run_compiled(workload: Any) -> None:
    assert timing.verify(workload, workload.tiny).stock == 0


def test_standard_workloads(cli: Call, tmp_path: Path) -> None:
    called = cli("bench", "--only", "chain,one_node", *QUICK, "--plot", "times.svg")
    assert called.code == 0
    header, _, *lines = called.out.splitlines()
    assert header.split()[:2] == ["workload", "size"]
    assert [line.split()[:3] for line in lines[:2]] == [
        ["chain", "10", "node"],
        ["one_node", "1", "run"],
    ]
    assert lines[-1].startswith("python CPython")
    assert called.err == "plot: times.svg\n"
    assert "<svg" in (tmp_path / "times.svg").read_text(encoding="utf-8")


def test_json(cli: Call) -> None:
    called = cli("bench", "--only", "one_node", *QUICK, "--json")
    (result,) = json.loads(called.out)["results"]
    assert (result["name"], len(result["seconds"]["stock"])) == ("one_node", 1)
    assert result["counts"]["stock"] == 0


def test_list(cli: Call) -> None:
    called = cli("bench", "--list")
    assert [line.split()[0] for line in called.out.splitlines()[2:]] == [*STANDARD]


@pytest.mark.parametrize(
    ("graph", "input", "tasks", "options"),
    [
        pytest.param("loop", {"n": 0}, 3, [], id="a cycle"),
        pytest.param("accelerated", {"n": 0}, 3, [], id="on the compiled engine already"),
        pytest.param("awaited", {"n": 0}, 1, ["--async"], id="async"),
        pytest.param("drawing", {"n": 0}, 2, [], id="random"),
        pytest.param("make_squares", {"items": [3, 1, 2]}, 4, [], id="Send and Command"),
        pytest.param("make_squares", {"items": [3, 1, 2]}, 4, ["--async"], id="Send, async"),
        pytest.param("make_nested", {"n": 0}, 3, [], id="graphs within, and a Runnable"),
        pytest.param("remembering", {"n": 0}, 1, [], id="with a saver"),
        pytest.param("talking", {"messages": [["user", "hi"]]}, 1, [], id="messages"),
        pytest.param("make_hand_built", [3], 1, [], id="hand-built"),
        pytest.param("workflow", [3], 1, [], id="a workflow"),
    ],
)
def test_a_graph_of_the_users(
    graph: str, input: Any, tasks: int, options: list[str], cli: Call
) -> None:
    command = ["bench", sample(graph), "--input", json.dumps(input), *QUICK, "--json", *options]
    called = cli(*command)
    assert called.code == 0, called.err
    (result,) = json.loads(called.out)["results"]
    assert (result["size"], result["unit"]) == (tasks, "task")
    assert (result["counts"]["compiled"], result["counts"]["stock"]) == (1, 0)


@pytest.mark.parametrize(
    ("graph", "input", "said"),
    [
        ("failing", {"n": 0}, "the run to record failed: ValueError: can't take 1"),
        ("asking", {"n": 0}, "the run was interrupted"),
        ("awaited", {"n": 0}, "(run it with --async)"),
        ("make_odd", [3], "runs go to stock's engine: node is not a plain PregelNode"),
    ],
)
def test_a_graph_that_can_not_be_timed(graph: str, input: Any, said: str, cli: Call) -> None:
    called = cli("bench", sample(graph), "--input", json.dumps(input), *QUICK)
    assert (called.code, called.out) == (1, "")
    assert "REFUSED: " in called.err
    assert said in called.err


def test_nodes_run_once_and_not_again() -> None:
    calls: list[int] = []

    def count(state: Any) -> dict[str, int]:
        calls.append(state["n"])
        return {"n": state["n"] + 1}

    workload = workload_of(chain(count, count), {"n": 5})
    (result,) = timing.measure(workload, workload.sizes, 2, 0)
    assert calls == [5, 6]
    assert result.size == 2
    assert result.counts == Counts(1, 0, {})


def test_plays_back_what_belongs_to_each_task(cli: Call) -> None:
    """Whichever of the tasks of a superstep is called first gets its own result."""
    recording = Recording(load_graph(sample("make_squares")))
    recorded = recording.recorder().invoke({"items": [5, 4, 3]})
    played = recording.player()
    node = played.nodes["square"].bound
    recording.rewind()
    sends = played.nodes["__start__"].writers[-1].func.__self__.path.invoke({})
    results = [node.invoke(send.arg) for send in reversed(sends)]
    assert results == [{"squares": [9]}, {"squares": [16]}, {"squares": [25]}]
    recording.rewind()
    assert played.invoke({"items": [5, 4, 3]}) == recorded


def test_the_users_graph_is_left_as_it_is(cli: Call) -> None:
    graph = load_graph(sample("make_squares"))
    nodes = dict(graph.nodes)
    workload_of(graph, {"items": [1]})
    assert graph.nodes == nodes
    assert graph.invoke({"items": [3]})["squares"] == [9, 9]


def test_a_run_that_can_not_be_played_back() -> None:
    """A node that changes its input does what no result tells of."""

    def change(state: Any) -> dict[str, Any]:
        state["messages"][0].content = "changed"
        return {}

    builder = StateGraph(MessagesState).add_node("change", change).add_edge(START, "change")
    graph = builder.compile()
    message = {"messages": [{"role": "user", "content": "hi"}]}
    with pytest.raises(UnrepeatableError, match="comes to another result"):
        workload_of(graph, message)
    assert isinstance(graph.invoke(message)["messages"][0], HumanMessage)


def test_refuses_runs_that_were_not_compiled(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(workload: Any, *arguments: Any) -> list[Result]:
        seconds = {"stock": [1.0], "compiled": [1.0]}
        return [Result(workload, 1, seconds, 1, Counts(0, 1, {"a reason": 1}))]

    monkeypatch.setattr(bench, "measure", measure)
    called = cli("bench", "--only", "loop", *QUICK)
    assert (called.code, called.out) == (1, "")
    assert "loop: REFUSED: not all runs were compiled" in called.err
    assert "a reason" in called.err


def test_refuses_results_that_differ(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "_same", lambda returned, expected: False)
    called = cli("bench", sample("loop"), "--input", '{"n": 0}', *QUICK)
    assert called.code == 1
    assert "REFUSED: stock returned {'n': 3}, expected" in called.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "nothing"], "no workload nothing; there are loop, "),
        (["--rounds", "0"], "'0' is no number of rounds"),
        (["--sample", "long"], "'long' is no number of seconds"),
        (["--input", "{}"], "go with a graph"),
        ([sample("loop")], "give --input"),
        ([sample("loop"), "--input", "{}", "--only", "loop"], "not with a graph"),
        ([sample("loop"), "--input", "[{}, {}]"], "takes one input, and --input has 2"),
        (["--plot", "times.exe"], "the suffix can be"),
        (["--plot", "no/times.png"], "there is no folder no"),
    ],
)
def test_command_line_errors(options: list[str], said: str, cli: Call) -> None:
    called = cli("bench", *options)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


def test_without_the_compiled_core(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_core, "NEVER", "compiled core not loaded")
    called = cli("bench", "--only", "loop")
    assert called.code == 2
    assert "no run would be compiled (compiled core not loaded)" in called.err


def test_without_matplotlib(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "langgraph_cy.cli.plot", raising=False)
    monkeypatch.delattr("langgraph_cy.cli.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backend_bases", None)
    called = cli("bench", "--only", "loop", "--plot", "times.png")
    assert called.code == 2
    assert "pip install 'langgraph-cy[plot]'" in called.err
    assert langgraph_cy.COMPILED
