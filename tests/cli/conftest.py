"""The command line called in this process, and what it leaves behind taken away again."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import langgraph_cy
from langgraph_cy.__main__ import main

SAMPLES = Path(__file__).with_name("sample_graphs.py")
DEMO = Path(__file__).parents[2] / "tools" / "demo_graphs.py"


@dataclass
class Called:
    """A command line that was called: its exit code, and what it wrote."""

    code: int
    out: str
    err: str


Call = Callable[..., Called]


@pytest.fixture
def cli(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Call]:
    """Calls the command line from an empty folder."""
    modules = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    langgraph_cy.uninstall()

    def call(*arguments: str | os.PathLike[str]) -> Called:
        capsys.readouterr()
        try:
            code = main([os.fspath(argument) for argument in arguments])
        except SystemExit as leaving:  # as argparse leaves
            code = int(str(leaving.code))
        return Called(code, *capsys.readouterr())

    yield call
    langgraph_cy.uninstall()
    installed = Path(pytest.__file__).parents[1], Path(os.__file__).parent
    for name in sys.modules.keys() - modules.keys():  # programs and graphs, not what they import
        file = getattr(sys.modules[name], "__file__", None)
        own = name.startswith("langgraph_cy.")
        if file and not own and not any(folder in Path(file).parents for folder in installed):
            del sys.modules[name]


def sample(name: str) -> str:
    """A graph of `sample_graphs.py`, as commands take it."""
    return f"{SAMPLES}:{name}"
