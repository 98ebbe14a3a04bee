"""`run`: the program is unchanged, and counts and profile are written however it ends."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from langgraph_cy.cli.run import as_text, split
from langgraph_cy.stats import EngineStats

from ..engines import Finished, python
from .conftest import Call

PROGRAM = """
import sys
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict):
    n: int

graph = StateGraph(State).add_node("add", lambda state: {"n": state["n"] + 1})
graph = graph.set_entry_point("add").compile()
print(graph.invoke({"n": 1}), sys.argv[1:], __name__)
graph.invoke({"n": 1}, {"recursion_limit": 1 << 62})
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Finished]:
    """Runs `app.py` with another last line, after the options of the command."""

    def run(*options: str, end: str = "", program: tuple[str, ...] = ("app.py",)) -> Finished:
        text = textwrap.dedent(PROGRAM).lstrip("\\n") + end
        (tmp_path / "app.py").write_text(text, encoding="utf-8")
        return python("-m", "langgraph_cy", "run", *options, *program, cwd=tmp_path)

    return run


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param("", 0, id="ends"),
        pytest.param("sys.exit(5)\n", 5, id="sys.exit"),
        pytest.param("raise ValueError('no good')\n", 1, id="raises"),
    ],
)
def test_stats_come_however_the_program_ends(
    run: Callable[..., Finished], end: str, code: int, tmp_path: Path
) -> None:
    done = run("--stats", "--stats-json", "counts.json", end=end)
    assert done.code == code, done.err
    assert done.out == "{'n': 2} [] __main__\n"
    assert done.err.splitlines()[-5:] == [
        "langgraph_cy: 1 of 2 runs compiled",
        "graph      runs  engine    because",
        "---------  ----  --------  -----------------------",
        "LangGraph  1     compiled",
        "LangGraph  1     stock     unusual recursion_limit",
    ]
    assert ("ValueError: no good" in done.err) is (code == 1)
    counts = json.loads((tmp_path / "counts.json").read_text())
    assert (counts["compiled"], counts["stock"]) == (1, 1)
    assert counts["reasons"] == {"unusual recursion_limit": 1}
    assert [(each["graph"], each["compiled"], each["runs"]) for each in counts["graphs"]] == [
        ("LangGraph", True, 1),
        ("LangGraph", False, 1),
    ]


def test_options_of_the_program_are_its_own(run: Callable[..., Finished]) -> None:
    done = run(program=("-m", "app", "--stats", "-h"))
    assert (done.code, done.err) == (0, "")
    assert done.out == "{'n': 2} ['--stats', '-h'] __main__\n"


def test_counts_of_threads_and_exit_functions(run: Callable[..., Finished]) -> None:
    done = run(
        "--stats",
        end="import atexit, os, threading\n"
        "atexit.register(graph.invoke, {'n': 1})\n"
        "threading.Timer(0.2, graph.invoke, [{'n': 1}]).start()\n"
        "os.chdir('/')\n",
    )
    assert "3 of 4 runs compiled" in done.err


def test_profile(run: Callable[..., Finished], tmp_path: Path) -> None:
    done = run("--profile", "out.html", end="sys.exit(3)\n")
    assert (done.code, done.err) == (3, "")
    assert "<html" in (tmp_path / "out.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "run needs a program", id="nothing"),
        pytest.param(["--stats"], "run needs a program", id="only options"),
        pytest.param(["-m"], "-m needs the name of a module", id="no module"),
        pytest.param(["missing.py"], "can't open 'missing.py'", id="no such file"),
        pytest.param(["--surprise", "app.py"], "--surprise", id="unknown option"),
        pytest.param(["--profile", "out.png", "app.py"], ".html, .json, .mmd", id="suffix"),
        pytest.param(["--profile", "no/where.html", "app.py"], "no folder no", id="no folder"),
        pytest.param(["--stats-json", "no/where.json", "app.py"], "no folder no", id="nor there"),
    ],
)
def test_command_line_errors(arguments: list[str], said: str, cli: Call, tmp_path: Path) -> None:
    if "app.py" in arguments:
        (tmp_path / "app.py").write_text("raise SystemExit('was run')\n")
    called = cli("run", *arguments)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


def test_where_the_program_begins() -> None:
    assert split(["--stats", "app.py", "--stats"]) == (["--stats"], ["app.py", "--stats"])
    assert split(["--profile", "a.html", "-m", "b"]) == (["--profile", "a.html"], ["-m", "b"])
    assert split(["--profile=a.html", "b"]) == (["--profile=a.html"], ["b"])
    assert split(["--stats", "--", "-odd.py"]) == (["--stats"], ["-odd.py"])
    assert split(["--profile"]) == (["--profile"], [])


def test_stats_as_text() -> None:
    assert as_text(EngineStats(0, 0, {})) == "langgraph_cy: no graph was run"
    assert as_text(EngineStats(1200, 0, {})).startswith(
        "langgraph_cy: 1,200 of 1,200 runs compiled\n"
    )


def test_a_file_with_the_name_of_a_command(cli: Call, tmp_path: Path) -> None:
    """Commands win, and it is said how such a file is run."""
    (tmp_path / "doctor").write_text("print('I am a program', __name__)\n")
    called = cli("doctor")
    assert "looked at" in called.out
    assert "./doctor" in called.err.replace("\\\\", "/")
    done = python("-m", "langgraph_cy", "./doctor", cwd=tmp_path)
    assert (done.out, done.err) == ("I am a program __main__\n", "")


def test_script(tmp_path: Path) -> None:
    """The installed script has the program's folder, not its own, on the import path."""
    (tmp_path / "beside.py").write_text("WHERE = 'beside'\n")
    (tmp_path / "app.py").write_text("import beside, sys; print(beside.WHERE, sys.argv)\n")
    script = tmp_path / "bin" / "langgraph-cy"
    script.parent.mkdir()
    script.write_text("import sys\nfrom langgraph_cy.__main__ import main\nsys.exit(main())\n")
    for arguments in (["-m", "app"], ["run", "app.py"]):
        done = python(str(script), *arguments, cwd=tmp_path)
        assert done.err == ""
        assert done.out.startswith("beside [")
