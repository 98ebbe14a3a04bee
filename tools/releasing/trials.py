"""Installs artefacts in empty environments outside of the tree, and uses them there."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from environment import venv_python
from processes import ToolError, run

from releasing.artefacts import EXTENSIONS, environ, install, make_venv

SHIM = "pytest.mark.shim"
NO_CORE = "langgraph_cy's compiled core"

# One graph through all ways in; imported once in the whole process, from wherever it is found.
USE = """
import json, warnings
from importlib.metadata import version
from typing import TypedDict

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import langgraph_cy
    import langgraph_cy.backend
    from langgraph.graph import START, StateGraph

    class State(TypedDict):
        n: int

    def build(cls):
        builder = cls(State).add_node("double", lambda state: {"n": state["n"] * 2})
        return builder.add_edge(START, "double").compile()

    graph = build(StateGraph)
    results = [
        langgraph_cy.accelerate(graph).invoke({"n": 1}),
        build(langgraph_cy.StateGraph).invoke({"n": 2}),
    ]
    with langgraph_cy.installed():
        results.append(graph.invoke({"n": 3}))

stats = langgraph_cy.engine_stats()
print(json.dumps({
    "file": langgraph_cy.__file__,
    "version": langgraph_cy.__version__,
    "metadata": version("langgraph-cy"),
    "compiled": langgraph_cy.COMPILED,
    "results": results,
    "taken": stats.compiled,
    "fallen_back": stats.stock,
    "warnings": [str(each.message) for each in caught if "langgraph_cy" in str(each.message)],
}))
"""


@dataclass(frozen=True)
class Trial:
    """One artefact in one environment.

    Attributes:
        what: the artefact, in words.
        compiled: whether its extension modules are there.
        tests: how many tests passed; None where none were run.
    """

    what: str
    compiled: bool
    tests: int | None


def shim_tests(source: Path) -> list[Path]:
    """The files of tests that hold on either engine.

    Raises:
        ToolError: there are none.
    """
    files = sorted((source / "tests").rglob("test_*.py"))
    found = [file for file in files if SHIM in file.read_text(encoding="utf-8")]
    if not found:
        raise ToolError(f"no file below {source / 'tests'} holds {SHIM}")
    return found


def remove_extensions(python: Path) -> int:
    """Deletes the installed extension modules, and says how many there were."""
    found = [
        file
        for file in python.parents[1].rglob("langgraph_cy/**/*")
        if file.name.endswith(EXTENSIONS)
    ]
    for file in found:
        file.unlink()
    return len(found)


def try_installed(
    what: str, python: Path, source: Path, folder: Path, *, compiled: bool, tests: bool = True
) -> Trial:
    """Uses the package of an environment, then runs the shim's tests on it.

    Args:
        what: the artefact, in words.
        python: of the environment.
        source: the unpacked sdist, whose tests are run.
        folder: a working directory outside of the source tree.
        compiled: whether its extension modules have to be there, or have to be missing.
        tests: whether to run the tests.

    Raises:
        ToolError: anything is other than it should be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = {"LANGGRAPH_CY_REQUIRE_COMPILED": "1"} if compiled else {}
    printed = run(f"use {what}", [python, "-c", USE], cwd=folder, env=environ(**settings))
    judge(what, json.loads(printed), python, compiled=compiled)
    if not tests:
        return Trial(what, compiled, None)
    marked = "shim" if compiled else "shim and not core"
    options: list[str | Path] = ["-q", "-p", "no:cacheprovider", "-m", marked]
    options += ["-c", source / "setup.cfg", "--rootdir", source]
    # On 3.10 stock's engine leaves coroutines of cancelled tasks to be collected at the very end.
    # pytest would fail for it after all tests have passed; `tools/test` goes on looking at this.
    options += ["-p", "no:unraisableexception"]
    if not compiled:
        options += ["-W", f"ignore:{NO_CORE}:RuntimeWarning"]
    output = run(
        f"pass the shim's tests on {what}",
        [python.parent / "pytest", *options, *shim_tests(source)],
        cwd=folder,
        env=environ(**settings),
    )
    passed = re.search(r"(\d+) passed", output)
    if passed is None:
        raise ToolError(f"no test ran on {what}:\n{output[-2000:]}")
    return Trial(what, compiled, int(passed[1]))


def judge(what: str, seen: Mapping[str, object], python: Path, *, compiled: bool) -> None:
    """Checks what `USE` printed.

    Raises:
        ToolError: it is not what such a package has to come to.
    """
    problems = []
    if not Path(str(seen["file"])).resolve().is_relative_to(python.parents[1].resolve()):
        problems.append(f"it was imported from {seen['file']}")
    if seen["version"] != seen["metadata"]:
        problems.append(f"it is {seen['version']}, its metadata say {seen['metadata']}")
    if seen["compiled"] is not compiled:
        problems.append(f"COMPILED is {seen['compiled']}")
    if seen["results"] != [{"n": 2}, {"n": 4}, {"n": 6}]:
        problems.append(f"its graphs returned {seen['results']}")
    if [seen["taken"], seen["fallen_back"]] != ([3, 0] if compiled else [0, 3]):
        problems.append(f"{seen['taken']} runs were compiled, {seen['fallen_back']} fell back")
    texts = seen["warnings"]
    assert isinstance(texts, list)
    if len(texts) != (0 if compiled else 1) or any(NO_CORE not in text for text in texts):
        problems.append(f"it warned {len(texts)} times: {texts}")
    if problems:
        raise ToolError(f"{what}: {'; '.join(problems)}")


def environment(interpreter: Path, folder: Path, artefact: Path, *, tests: bool = True) -> Path:
    """An empty environment with an artefact, and what the shim's tests need; its Python."""
    python = make_venv(interpreter, folder)
    install(python, f"{artefact}[trial]" if tests else artefact)
    return python


def without_compiler(
    interpreter: Path, folder: Path, sdist: Path, how: str, *, tests: bool = True
) -> Path:
    """An environment into which pip has built the sdist where no C compiler works; its Python.

    Args:
        how: `PATH`: no program but the environment's is on PATH; `CC`: it names one that fails.
    """
    python = make_venv(interpreter, folder)
    path = str(venv_python(folder).parent)
    settings = {"PATH": path} if how == "PATH" else {"CC": "false"}
    # Without its cache, in which pip keeps a wheel that it built with or without a compiler.
    install(python, "--no-cache-dir", "--no-deps", sdist, **settings)
    install(python, "langgraph-cy[trial]" if tests else "langgraph-cy")
    return python
