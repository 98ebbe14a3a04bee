"""`doctor`: what is wrong is found, named with its cause, and has a cure."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from langgraph.pregel import Pregel
from langgraph.pregel._loop import PregelLoop

import langgraph_cy
from langgraph_cy import _core, entry_points, seam
from langgraph_cy.cli import doctor, installation
from langgraph_cy.cli.doctor import NOTE, PROBLEM, examine

from .conftest import Call


def test_a_healthy_installation(cli: Call) -> None:
    called = cli("doctor", "--json")
    found = json.loads(called.out)
    assert (called.code, found["healthy"], found["findings"]) == (0, True, [])
    assert found["versions"]["langgraph"]
    assert found["versions"]["langgraph-cy"] == langgraph_cy.__version__
    assert found["state"]["trial runs"] == "2 of 2 compiled"
    assert str(Path(langgraph_cy.__file__).parent) in found["state"]["compiled core"]


def wrapped(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize(
    ("owner", "name"), [(PregelLoop, "tick"), (Pregel, "stream"), (Pregel, "ainvoke")]
)
def test_what_else_patches_langgraph(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, cli: Call
) -> None:
    """The finding names the function, and the module whose code now runs."""
    monkeypatch.setattr(owner, name, wrapped(vars(owner)[name]))
    called = cli("doctor")
    assert called.code == 1
    assert called.out.startswith("graphs run on stock's engine here")
    assert f"problem: {owner.__name__}.{name} of langgraph replaced by" in called.out
    assert __name__.rpartition(".")[2] in called.out
    assert "what to do: switch off" in called.out


def test_replacements_agree_with_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seam.replaced() is None
    assert seam.replacements() == []
    with langgraph_cy.installed():
        assert seam.replacements() == []
    monkeypatch.setattr(PregelLoop, "tick", wrapped(PregelLoop.tick))
    assert seam.replaced() is not None
    assert [name for name, _ in seam.replacements()] == ["PregelLoop.tick"]


def test_what_the_application_patches(cli: Call, tmp_path: Path) -> None:
    """A tracing product is often switched on by the application only."""
    (tmp_path / "tracing.py").write_text(
        "import functools\n"
        "from langgraph.pregel._runner import PregelRunner\n"
        "original = PregelRunner.tick\n"
        "PregelRunner.tick = functools.wraps(original)(lambda *a, **k: original(*a, **k))\n"
    )
    (tmp_path / "app.py").write_text("import tracing\n")
    try:
        called = cli("doctor", "app.py")
    finally:
        if "tracing" in sys.modules:
            vars(sys.modules["tracing"])["PregelRunner"].tick = sys.modules["tracing"].original
    assert called.code == 1
    assert "PregelRunner.tick of langgraph replaced by tracing" in called.out
    assert str(tmp_path / "tracing.py") in called.out


def test_who_watches_every_run(monkeypatch: pytest.MonkeyPatch, cli: Call) -> None:
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "none")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    from langsmith.utils import get_env_var

    get_env_var.cache_clear()
    try:
        found = examine()
    finally:
        monkeypatch.undo()
        get_env_var.cache_clear()
    assert found.healthy
    assert found.state["watching every run"] == "LangChainTracer"
    assert [finding.level for finding in found.findings] == [NOTE]


def test_variables(monkeypatch: pytest.MonkeyPatch, cli: Call) -> None:
    monkeypatch.setenv("LANGGRAPH_CY_REQUIRE_COMPILED", "1")
    monkeypatch.setenv("LANGGRAPH_CY_REQIURE", "1")
    called = cli("doctor")
    assert called.code == 0
    assert "LANGGRAPH_CY_REQUIRE_COMPILED=1" in called.out
    assert "note: LANGGRAPH_CY_REQIURE is set, which is no variable" in called.out


def findings(levels: tuple[str, ...] = (PROBLEM,)) -> list[str]:
    return [f"{each.what}; {each.cure}" for each in examine().findings if each.level in levels]


def test_another_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        doctor.fingerprints, "difference", lambda folder, version: "langgraph.pregel._loop.tick"
    )
    (note,) = findings((PROBLEM, NOTE))
    assert "LANGGRAPH_CY_ANY_UPSTREAM is set" in note
    monkeypatch.setattr(_core, "NEVER", "other upstream version")
    (found,) = findings()
    assert "first: langgraph.pregel._loop.tick" in found
    assert f"pip install langgraph=={langgraph_cy.UPSTREAM_VERSION}" in found


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"is_source_tree": True}, "is the source tree"),
        ({"foreign_extensions": {"cpython-39-x86_64-linux-gnu.so"}}, "interpreter (cpython-39-x86"),
        (
            {"is_pure_wheel": True},
            "there was no C compiler when it was built; install a C compiler",
        ),
        ({}, "missing: langgraph_cy.core.plan; pip install --no-cache-dir"),
    ],
)
def test_missing_extension_modules(
    what: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [name for name in installation.extension_modules() if not name.endswith("core.plan")]
    answers = {"is_source_tree": False, "foreign_extensions": set(), "is_pure_wheel": False, **what}
    for name, answer in {"extension_modules": there, **answers}.items():
        monkeypatch.setattr(installation, name, lambda answer=answer: answer)
    (found,) = findings()
    assert said in found


def test_finds_the_modules_there_are() -> None:
    assert "langgraph_cy.core.plan" in installation.expected_modules()
    assert set(installation.expected_modules()) <= set(installation.extension_modules())
    assert not installation.is_source_tree()


def test_names_the_code_behind_a_function() -> None:
    assert installation.module_behind(wrapped(PregelLoop.tick)) == __name__
    assert installation.module_behind(PregelLoop.tick) == "langgraph.pregel._loop"
    assert installation.module_behind(doctor.Finding("", "", "").__init__).startswith(
        "langgraph_cy"
    )
    assert str(installation.distribution_of("pytest")).startswith("pytest ")
    assert not entry_points.foreign(PregelLoop.tick)
