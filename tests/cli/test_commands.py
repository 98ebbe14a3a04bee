"""Help and exit codes of all commands; and each as a process of its own, on the demo's graphs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import langgraph_cy
from langgraph_cy.cli.commands import BROKEN_PIPE, COMMANDS

from ..engines import python
from .conftest import DEMO, Call

QUESTION = {
    "messages": [{"role": "user", "content": "Lisbon to Braga: what does it cost?", "id": "q"}]
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_exit_codes(command: str, cli: Call) -> None:
    shown = cli(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    assert f"\nexample:\n  python -m langgraph_cy {command}" in shown.out
    assert "\nexit codes:\n  " in shown.out


def test_help(cli: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = cli("--help")
    assert shown.code == 0
    assert all(f"\n  {command} " in shown.out for command in COMMANDS)
    monkeypatch.setattr(sys, "argv", ["/somewhere/langgraph-cy"])
    assert cli("--help").out.startswith("usage: langgraph-cy app.py")
    assert cli("--version").out == f"langgraph-cy {langgraph_cy.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGPIPE there")
def test_a_reader_that_goes_away() -> None:
    """No traceback, and no exit code that would be an answer."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "langgraph_cy", "explain", f"{DEMO}:agent", "--json"]
    with os.fdopen(writing, "wb") as output:
        ended = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (BROKEN_PIPE, b"")


@pytest.mark.parametrize("command", ["explain", "verify"])
def test_a_graph_is_needed(command: str, cli: Call) -> None:
    called = cli(command)
    assert (called.code, called.out) == (2, "")
    assert "MODULE:GRAPH" in called.err


def test_every_command_on_the_demos_graphs(tmp_path: Path) -> None:
    """As a user calls them: from elsewhere, as processes, without a terminal."""
    question = tmp_path / "question.json"
    question.write_text(json.dumps(QUESTION), encoding="utf-8")
    program = tmp_path / "app.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(DEMO.parent)!r})\n"
        "import demo_graphs\n"
        "print(demo_graphs.agent().invoke(demo_graphs.AGENT_INPUT)['messages'][-1].content)\n"
    )

    def call(*arguments: str) -> tuple[int, str, str]:
        done = python("-m", "langgraph_cy", *arguments, cwd=tmp_path)
        return done.code, done.out, done.err

    agent = f"{DEMO}:agent"
    code, out, err = call("doctor")
    assert (code, err) == (0, "")
    assert out.startswith("graphs run compiled here\n")
    code, out, err = call("run", "--stats", "app.py")
    assert (code, err.splitlines()[0]) == (0, "langgraph_cy: 1 of 1 runs compiled")
    assert err.splitlines()[-1] == "agent  1     compiled"
    assert out.startswith("Two nights cost ")
    code, out, err = call("explain", agent)
    assert (code, err) == (0, "")
    assert "conditional edge tools_condition() -> tools, __end__" in out
    code, out, err = call("verify", agent, "--input", "question.json")
    assert (code, err.startswith("Each node runs once on each engine")) == (0, True)
    assert out == "no difference: 72 chunks, 9 checkpoints, and the result are the same\n"
    code, out, err = call(
        "bench", agent, "--input", "question.json", "--rounds", "1", "--sample", "0"
    )
    assert code == 0, err
    assert "agent     7     task " in out


@pytest.mark.parametrize(
    ("command", "options", "said"),
    [
        ("explain", [], "conditional edge _fan_out() -> count"),
        ("verify", ["--input", '{"documents": ["a b", "b c c", "a b"]}'], "no difference: "),
        ("verify", ["--async", "--input", '{"documents": ["a", "b"]}'], "no difference: "),
        ("bench", ["--input", '{"documents": ["a", "b"]}', "--rounds", "1"], "map-reduce  3 "),
    ],
)
def test_the_demos_map_reduce(command: str, options: list[str], said: str, cli: Call) -> None:
    called = cli(command, f"{DEMO}:map_reduce", *options)
    assert called.code == 0, called.err
    assert said in called.out
