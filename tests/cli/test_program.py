"""`python -m langgraph_cy`: a program runs as under `python` itself, on the compiled engine."""

import os
import py_compile
import textwrap
from pathlib import Path

import pytest

from langgraph_cy.__main__ import main

from ..engines import Finished, python
from .conftest import Call

SHOW = """
import json, os, sys

print(json.dumps({
    "argv": sys.argv,
    "name": __name__,
    "first": os.path.realpath(sys.path[0]),
    "main": sys.modules["__main__"].__name__,
    "same": sys.modules["__main__"].__dict__ is globals(),
    "file": os.path.normpath(__file__),
    "spec": getattr(__spec__, "name", None),
    "beside": __import__("beside").WHERE,
}))
"""

GRAPH = """
import langgraph_cy
from typing import TypedDict
from langgraph.graph import StateGraph

class State(TypedDict):
    n: int

builder = StateGraph(State)
builder.add_node("add", lambda state: {"n": state["n"] + 1})
builder.set_entry_point("add")
assert builder.compile().invoke({"n": 1}) == {"n": 2}
print(langgraph_cy.engine_stats())
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with programs, and another one to start them from."""
    programs = tmp_path / "programs"
    package = programs / "package"
    package.mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    files = {
        "app.py": SHOW,
        "beside.py": "WHERE = __file__.rpartition('programs')[2]",
        "graph.py": GRAPH,
        "leaves.py": "import sys; sys.exit(int(sys.argv[1]))",
        "complains.py": "import sys; sys.exit('the reason')",
        "raises.py": "def fail():\n    raise ValueError('no good')\n\n\nfail()\n",
        "wrong.py": "def (:\n",
        "interrupted.py": "raise KeyboardInterrupt\n",
        "slow.py": (
            "import multiprocessing\n"
            "def work(n): return n + 1\n"
            "if __name__ == '__main__':\n"
            "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
            "        print(pool.map(work, [1]))\n"
        ),
    }
    for name, text in files.items():
        (programs / name).write_text(textwrap.dedent(text).lstrip("\n"))
    (package / "__init__.py").write_text("")
    (package / "__main__.py").write_text(SHOW.lstrip("\n"))
    (package / "part.py").write_text(SHOW.lstrip("\n"))
    return tmp_path


def twice(folder: Path, *arguments: str, cwd: str = "programs") -> tuple[Finished, Finished]:
    """The same command line under Python alone and with the engine."""
    plain = python(*arguments, cwd=folder / cwd)
    ours = python("-m", "langgraph_cy", *arguments, cwd=folder / cwd)
    return plain, ours


@pytest.mark.parametrize(
    ("arguments", "cwd"),
    [
        pytest.param(["../programs/app.py", "one", "-h", "-m", "3"], "elsewhere", id="a file"),
        pytest.param(["-m", "app", "--help"], "programs", id="a module"),
        pytest.param(["-m", "package.part"], "programs", id="a part of a package"),
    ],
)
def test_a_program_sees_what_it_sees_under_python(
    folder: Path, arguments: list[str], cwd: str
) -> None:
    """sys.argv, __name__, sys.path[0], __main__ and imports from beside the program."""
    plain, ours = twice(folder, *arguments, cwd=cwd)
    assert plain.code == 0, plain.err
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err)


def test_a_programs_annotations_are_its_own(folder: Path) -> None:
    """Not as strings, which the `__future__` imports of this package would make of them."""
    (folder / "programs/notes.py").write_text("def f(x: int): ...\nprint(f.__annotations__)\n")
    plain, ours = twice(folder, "notes.py")
    assert (ours.code, ours.out) == (plain.code, plain.out) == (0, "{'x': <class 'int'>}\n")


def test_a_compiled_program(folder: Path) -> None:
    source = folder / "programs/leaves.py"
    compiled = py_compile.compile(str(source), str(folder / "programs/leaves.pyc"))
    assert compiled is not None
    plain, ours = twice(folder, "leaves.pyc", "6")
    assert (ours.code, plain.code) == (6, 6), ours.err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["leaves.py", "7"], id="exit 7"),
        pytest.param(["complains.py"], id="exit with a text"),
        pytest.param(["-m", "leaves", "5"], id="a module exits 5"),
    ],
)
def test_exit_codes(folder: Path, arguments: list[str]) -> None:
    plain, ours = twice(folder, *arguments)
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err)


@pytest.mark.parametrize(
    "arguments", [["raises.py"], ["interrupted.py"]], ids=["ValueError", "KeyboardInterrupt"]
)
def test_errors_of_the_program(folder: Path, arguments: list[str]) -> None:
    """Exit code, and a traceback that ends as under Python."""
    plain, ours = twice(folder, *arguments)
    assert ours.code == plain.code != 0
    assert ours.out == plain.out
    assert ours.err.splitlines()[-1] == plain.err.splitlines()[-1]
    frames = [line for line in plain.err.splitlines() if "programs" in line]
    assert frames
    assert [line for line in ours.err.splitlines() if "programs" in line] == frames


def test_the_engine_is_installed(folder: Path) -> None:
    for arguments in (["graph.py"], ["-m", "graph"]):
        done = python("-m", "langgraph_cy", *arguments, cwd=folder / "programs")
        assert (done.code, done.err) == (0, "")
        assert done.out == "EngineStats(compiled=1, stock=0, reasons={})\n"


def test_worker_processes_of_the_program(folder: Path) -> None:
    """A program that starts others like itself still can."""
    plain, ours = twice(folder, "slow.py")
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err) == (0, "[2]\n", "")


def test_safe_path(folder: Path) -> None:
    """Nothing is put in the place of another entry where Python adds no folder of its own."""
    environment = {
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": os.pathsep.join(
            [str(folder / "programs"), *filter(None, [os.environ.get("PYTHONPATH")])]
        ),
    }
    arguments = ["../programs/app.py"]
    plain = python(*arguments, cwd=folder / "elsewhere", **environment)
    ours = python("-m", "langgraph_cy", *arguments, cwd=folder / "elsewhere", **environment)
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err)
    assert plain.code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        pytest.param([], 2, "", "usage: python -m langgraph_cy", id="nothing"),
        pytest.param(["-h"], 0, "usage: python -m langgraph_cy", "", id="-h"),
        pytest.param(["--help"], 0, "usage: python -m langgraph_cy", "", id="--help"),
        pytest.param(["missing.py"], 2, "", "missing.py", id="no such file"),
        pytest.param(["-m"], 2, "", "-m needs", id="no module named"),
        pytest.param(["-m", "no.such.module"], 1, "", "no.such", id="no such module"),
        pytest.param(["--surprise", "app.py"], 2, "", "--surprise", id="unknown option"),
    ],
)
def test_command_line_errors(
    arguments: list[str], code: int, out: str, err: str, cli: Call
) -> None:
    """As Python's own: 2 for a command line that it can't use, 1 for a module it can't find."""
    if code == 1:
        with pytest.raises(SystemExit, match=err):  # which the interpreter would print
            main(arguments)
        return
    called = cli(*arguments)
    assert called.code == code
    assert err in called.err
    assert bool(called.err) is bool(err)
    assert out in called.out
    assert bool(called.out) is bool(out)


def test_a_folder_as_program(folder: Path) -> None:
    """`python folder` runs its `__main__`; so does this."""
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "__main__.py").write_text(SHOW.lstrip("\n"))
    (bundle / "beside.py").write_text("WHERE = __file__.rpartition('bundle')[2]")
    plain, ours = twice(folder, "../bundle", "one", cwd="elsewhere")
    assert (plain.code, plain.err) == (0, "")
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err)


def test_a_program_that_goes_on_after_its_last_line(folder: Path) -> None:
    """Threads and exit functions still find the program's own module as `__main__`."""
    (folder / "programs" / "late.py").write_text(
        textwrap.dedent(
            """
            import atexit, pickle, sys, threading

            class Value:
                pass

            def late(*_):
                assert pickle.loads(pickle.dumps(Value())).__class__ is Value
                assert sys.modules["__main__"].Value is Value
                print("late")

            def wait():
                threading.main_thread().join(1)
                late()

            atexit.register(late)
            threading.Thread(target=wait).start()
            """
        )
    )
    plain, ours = twice(folder, "late.py")
    assert plain.out == "late\nlate\n", plain.err
    assert (ours.code, ours.out, ours.err) == (plain.code, plain.out, plain.err)
