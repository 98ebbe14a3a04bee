"""The pure parts of the tool that judges the engine by upstream's suite; no network, no suite."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import socket
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from langgraph_cy import UPSTREAM_VERSION

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import processes
import services
import suite_environment
import upstream_suite
from processes import ToolError
from suite_results import (
    SuiteResult,
    TestResult,
    compare,
    counts_table,
    exit_problem,
    node_id,
    not_compiled,
    read_junit,
    reasons_table,
    reruns_table,
    to_rerun,
)

SUITE = upstream_suite.Suite("langgraph", "1.0", "1.0")
JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="" name="tests.test_skipped" file="tests/test_skipped.py" time="0.0">
  <skipped message="collection skipped">no docker</skipped></testcase>
<testcase classname="tests.test_a" name="test_plain" file="tests/test_a.py" time="0.5"/>
<testcase classname="tests.test_a.TestX.TestY" name="test_in[a.b::c]" file="tests/test_a.py"/>
<testcase classname="tests.test_a" name="test_bad" file="tests/test_a.py" time="1">
  <system-out>noise</system-out><failure message="boom&#10;more">trace</failure></testcase>
<testcase classname="tests.test_a" name="test_xfail" file="tests/test_a.py">
  <skipped type="pytest.xfail" message="known"/></testcase>
<testcase classname="tests.test_a" name="test_teardown" file="tests/test_a.py"/>
<testcase classname="tests.test_a" name="test_teardown" file="tests/test_a.py">
  <error message="left open">trace</error></testcase>
</testsuite></testsuites>
"""


def suite(**outcomes: str) -> SuiteResult:
    return SuiteResult({name: TestResult(outcome) for name, outcome in outcomes.items()}, 1.0)


# ---- reading pytest's report -------------------------------------------------------------------


def test_read_junit(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    report.write_text(JUNIT)
    results = read_junit(report)
    assert {name: result.outcome for name, result in results.items()} == {
        "tests/test_skipped.py": "skipped",
        "tests/test_a.py::test_plain": "passed",
        "tests/test_a.py::TestX::TestY::test_in[a.b::c]": "passed",
        "tests/test_a.py::test_bad": "failed",
        "tests/test_a.py::test_xfail": "xfailed",
        "tests/test_a.py::test_teardown": "failed",
    }
    assert results["tests/test_a.py::test_plain"].seconds == 0.5
    assert results["tests/test_a.py::test_bad"].message == "boom"
    assert results["tests/test_a.py::test_teardown"].message == "left open"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (("tests/test_a.py", "tests.test_a", "test_b"), "tests/test_a.py::test_b"),
        (("tests\\test_a.py", "tests.test_a.C", "test_b"), "tests/test_a.py::C::test_b"),
        (("tests/test_a.py", "", "tests.test_a"), "tests/test_a.py"),
    ],
)
def test_node_id(case: tuple[str, str, str], expected: str) -> None:
    assert node_id(*case) == expected


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, ""),
        (1, ""),
        (2, "exit code 2"),
        (3, "exit code 3"),
        (4, "exit code 4"),
        (5, "no tests"),
        (-11, "signal 11"),
        (None, "within 20 minutes"),
    ],
)
def test_exit_problem(code: int | None, text: str) -> None:
    problem = exit_problem(code, 20.0)
    assert text in problem
    assert bool(problem) == bool(text)


# ---- comparing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["failed", "skipped", "xfailed"])
def test_anything_but_passing_is_a_regression(outcome: str) -> None:
    found = compare(suite(a="passed", b="passed"), suite(a=outcome, b="passed")).regressions
    assert [(d.name, d.ours) for d in found] == [("a", outcome)]


def test_a_missing_test_is_a_regression() -> None:
    found = compare(suite(a="passed", b="passed", c="skipped"), suite(b="passed")).regressions
    assert [(d.name, d.ours) for d in found] == [("a", "missing")]


def test_failures_that_stock_does_not_have_are_regressions() -> None:
    stock = suite(a="passed", b="skipped")
    found = compare(stock, suite(a="passed", b="failed", module="failed")).regressions
    assert [d.name for d in found] == ["b", "module"]


def test_shared_and_gained() -> None:
    stock = suite(a="failed", b="failed", c="skipped", d="passed")
    result = compare(stock, suite(a="failed", b="passed", c="skipped", d="passed", e="passed"))
    assert (result.regressions, result.shared, result.gained) == ([], ["a"], ["b"])


def test_a_rerun_forgives_only_when_it_passes_every_time() -> None:
    stock = suite(a="passed", b="passed", c="passed")
    ours = suite(a="failed", b="failed", c="failed")
    ours.reruns = {"a": ["passed", "passed"], "b": ["failed", "passed"], "c": []}
    result = compare(stock, ours)
    assert result.flaky == ["a"]
    assert [d.name for d in result.regressions] == ["b", "c"]
    shown = "\n".join(reruns_table("with the engine", ours))
    assert "a: failed, then passed, passed" in shown
    assert "b: failed, then failed, passed" in shown


def test_what_stock_passes_on_its_own_must_pass() -> None:
    stock, ours = suite(a="failed"), suite(a="failed")
    stock.reruns = {"a": ["passed", "passed"]}
    assert [d.name for d in compare(stock, ours).regressions] == ["a"]


def test_only_failures_of_the_engine_are_rerun_and_never_crashes() -> None:
    ours = suite(a="failed", b="failed", c="passed", d="skipped")
    ours.tests["crash"] = TestResult("failed", 0, "worker 'gw0' crashed while running 'crash'")
    stock = suite(a="passed", b="failed", c="passed", d="passed", crash="passed")
    assert to_rerun(stock, ours) == ["a"]


def test_a_result_survives_its_file() -> None:
    result = suite(a="passed", b="failed")
    result.reruns = {"b": ["passed"]}
    assert SuiteResult.from_json(json.loads(json.dumps(result.as_json()))) == result


# ---- in words ----------------------------------------------------------------------------------


def test_counts_side_by_side() -> None:
    lines = counts_table(suite(a="passed", b="skipped"), suite(a="failed", b="skipped"))
    assert [line.split() for line in lines[:4]] == [
        ["stock", "langgraph_cy"],
        ["passed", "1", "0"],
        ["failed", "0", "1"],
        ["skipped", "1", "1"],
    ]
    assert not any("xfailed" in line for line in lines)


def test_reasons_table() -> None:
    reasons = {"async": 40, "checkpointer": 50}
    lines = reasons_table({"compiled": 900, "stock": 100, "lost": 1, "reasons": reasons})
    assert "1,000, of which 900 compiled (90.0%) and 100" in lines[0]
    assert "1 worker processes" in lines[1]
    assert [line.split(maxsplit=2) for line in lines[3:]] == [
        ["50", "5.0%", "checkpointer"],
        ["40", "4.0%", "async"],
        ["10", "1.0%", "(no reason was recorded)"],
    ]


def test_reasons_table_without_runs() -> None:
    none = {"compiled": 0, "stock": 0, "lost": 0, "reasons": {}}
    assert reasons_table(none) == ["local graph runs: none was counted"]
    assert "2 worker processes" in reasons_table({**none, "lost": 2})[1]


@pytest.mark.parametrize(
    ("compiled", "stock", "lost", "texts"),
    [
        (5, 0, 0, []),
        (5, 1200, 0, ["1,200 local graph runs went to stock"]),
        (5, 0, 2, ["of 2 worker processes were not counted"]),
        (5, 1, 2, ["1 local graph runs", "2 worker processes"]),
        (0, 0, 0, ["not one local graph run was counted"]),
    ],
)
def test_not_compiled(compiled: int, stock: int, lost: int, texts: list[str]) -> None:
    problems = not_compiled({"compiled": compiled, "stock": stock, "lost": lost})
    assert len(problems) == len(texts)
    assert all(text in problem for text, problem in zip(texts, problems, strict=True))


# ---- the engine's own counts -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stats", "partial", "text"),
    [
        ({"core_compiled": True, "compiled": 1}, False, ""),
        ({"core_compiled": True, "compiled": 0}, True, ""),
        ({"core_compiled": True, "compiled": 0}, False, "not one graph run was compiled"),
        ({"core_compiled": False, "compiled": 1}, True, "core was not loaded"),
    ],
)
def test_read_stats(tmp_path: Path, stats: dict[str, object], partial: bool, text: str) -> None:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(stats))
    found, problem = upstream_suite.read_stats(path, partial=partial)
    assert found == stats
    assert text in problem
    assert bool(problem) == bool(text)


@pytest.mark.parametrize("replaced", [[], ["langgraph.checkpoint.memory.InMemorySaver"]])
def test_savers_must_have_been_in_place(tmp_path: Path, replaced: list[str]) -> None:
    path = tmp_path / "stats.json"
    path.write_text(json.dumps({"core_compiled": True, "compiled": 1, "replaced": replaced}))
    _, problem = upstream_suite.read_stats(path, partial=False, replaces=True)
    assert ("stood for a saver of ours" in problem) is not bool(replaced)
    assert upstream_suite.read_stats(path, partial=False)[1] == ""


def test_read_stats_that_were_never_written(tmp_path: Path) -> None:
    found, problem = upstream_suite.read_stats(tmp_path / "stats.json", partial=True)
    assert found is None
    assert "wrote no counts" in problem


# ---- upstream's sdist and our wheel ------------------------------------------------------------


def make_sdist(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    return path


def test_unpacks_the_tests_and_nothing_else(tmp_path: Path) -> None:
    names = ["pyproject.toml", "tests/a.py", "tests/d/b.json", "langgraph/c.py", "tests/../../d.py"]
    sdist = make_sdist(tmp_path / "s.tar.gz", *(f"langgraph-1.0/{name}" for name in names))
    suite_environment.unpack_tests(sdist, tmp_path / "out")
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"s.tar.gz", "out/pyproject.toml", "out/tests/a.py", "out/tests/d/b.json"}


def test_an_sdist_without_tests_is_an_error(tmp_path: Path) -> None:
    sdist = make_sdist(tmp_path / "s.tar.gz", "langgraph-1.0/pyproject.toml")
    with pytest.raises(ToolError, match="has no tests"):
        suite_environment.unpack_tests(sdist, tmp_path / "out")


def test_something_else_than_an_sdist_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "s.tar.gz"
    path.write_bytes(b"no archive at all")
    with pytest.raises(ToolError, match="not a tar archive"):
        suite_environment.unpack_tests(path, tmp_path / "out")


def test_requirements_follow_included_groups() -> None:
    text = """
        [dependency-groups]
        test = ["pytest", {include-group = "base"}, "py-spy", "langgraph-cli[inmem]; a == 'b'"]
        base = ["syrupy", {include-group = "test"}]
        lint = ["ruff"]
    """
    pyproject = suite_environment.read_toml(text)
    assert suite_environment.test_requirements(pyproject) == ["pytest", "syrupy"]
    with pytest.raises(ToolError, match="no dependency group"):
        suite_environment.test_requirements({"dependency-groups": {"lint": ["ruff"]}})


def test_wheel_requirements_leave_langgraph_out(tmp_path: Path) -> None:
    wheel = tmp_path / "w.whl"
    required = ["langgraph<1.3,>=1.2", "orjson", "langgraph_sdk>=0.4", 'rich; extra == "demo"']
    header = ["Name: w", *(f"Requires-Dist: {r}" for r in required)]
    text = "\n".join([*header, "", "Requires-Dist: no"])
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("w-1.dist-info/METADATA", text)
    assert suite_environment.wheel_requirements(wheel) == ["orjson", "langgraph_sdk>=0.4"]
    with pytest.raises(ToolError, match="not a wheel"):
        suite_environment.wheel_requirements(tmp_path / "none.whl")


def test_environment_checks_version_and_requirements() -> None:
    environment = suite_environment.Environment(Path(sys.executable))
    have = environment.packages["langgraph"]
    environment.check(have, ["pytest>=1", "not-there; sys_platform == 'plan9'"])
    with pytest.raises(ToolError, match=r"not 0\.0\.1"):
        environment.check("0.0.1", [])
    with pytest.raises(ToolError, match=r"lacks .*: no-such-package$"):
        environment.check(have, ["no_such.package>=1"])


def test_the_environment_of_tests_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONPATH", "PYTEST_ADDOPTS", "LANGSMITH_TRACING", "LANGGRAPH_STRICT_MSGPACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HTTPS_PROXY", "kept")
    environ = suite_environment.clean_environ()
    assert environ["HTTPS_PROXY"] == "kept"
    assert not [name for name in environ if name.startswith(("PYT", "LANG" + "G", "LANG" + "S"))]


def test_cache_is_where_the_platform_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = suite_environment.cache_folder()
    assert folder.is_dir()
    assert tmp_path in folder.parents


# ---- running -----------------------------------------------------------------------------------


@pytest.fixture
def recipe(tmp_path: Path) -> upstream_suite.Recipe:
    """A suite of three tests in place of upstream's."""
    tests = tmp_path / "suite"
    (tests / "tests").mkdir(parents=True)
    (tests / "pyproject.toml").write_text("[tool.pytest.ini_options]\n")
    (tests / "tests/test_it.py").write_text(
        "import os\n"
        "def test_good(): pass\n"
        "def test_bad(): assert os.environ['NO_DOCKER'] == 'false'\n"
        "def test_clean(): assert 'LANGGRAPH_CY_REQUIRE_COMPILED' not in os.environ\n"
    )
    (tests / "tests/test_redis.py").write_text("def test_empties_a_server(): assert 0\n")
    left_out = ("tests/test_redis.py",)
    return upstream_suite.Recipe(
        Path(sys.executable), tests, None, False, 1, None, 1.0, left_out=left_out
    )


def test_run_suite_reruns_and_reports(
    recipe: upstream_suite.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGGRAPH_CY_REQUIRE_COMPILED", "1")
    result = upstream_suite.run_suite(recipe, tmp_path / "run", engine=False)
    assert result.problem == ""
    assert {name: test.outcome for name, test in result.tests.items()} == {
        "tests/test_it.py::test_good": "passed",
        "tests/test_it.py::test_bad": "failed",
        "tests/test_it.py::test_clean": "passed",
    }
    monkeypatch.setattr(upstream_suite, "RERUNS", 1)
    again = upstream_suite.run_again(recipe, result.failed(), tmp_path / "run", engine=False)
    assert again == {"tests/test_it.py::test_bad": ["failed"]}
    many = ["tests/test_it.py::test_bad"] * (upstream_suite.MAX_RERUN_TESTS + 1)
    assert upstream_suite.run_again(recipe, many, tmp_path / "run", engine=False) == {}


def test_a_run_that_breaks_is_no_result(recipe: upstream_suite.Recipe, tmp_path: Path) -> None:
    (recipe.tests / "tests/conftest.py").write_text("raise RuntimeError('broken conftest')\n")
    result = upstream_suite.run_suite(recipe, tmp_path / "run", engine=False)
    assert "exit code 4" in result.problem
    assert "broken conftest" in result.problem


def test_stock_is_run_once_and_then_recalled(
    recipe: upstream_suite.Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    def run_suite(*args: object, **kwargs: object) -> SuiteResult:
        runs.append(args)
        return suite(a="passed")

    monkeypatch.setattr(upstream_suite, "run_suite", run_suite)
    environment = suite_environment.Environment(Path(sys.executable))

    def stock(version: str, distribution: str = "langgraph", *, fresh: bool = False) -> SuiteResult:
        suite = upstream_suite.Suite(distribution, version, "1.0")
        return upstream_suite.stock_result(recipe, environment, suite, tmp_path, tmp_path, fresh)

    assert stock("1.0").cached == ""
    assert stock("1.0").cached != ""
    assert len(runs) == 1
    assert stock("1.0", fresh=True).cached == ""
    assert stock("1.1").cached == ""
    assert stock("1.0", upstream_suite.PREBUILT).cached == ""
    assert len(runs) == 4


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (SuiteResult({}, 1.0, "pytest found no tests"), "found no tests"),
        (suite(a="skipped"), "not one"),
    ],
)
def test_nothing_to_compare_with_is_an_error(
    recipe: upstream_suite.Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    result: SuiteResult,
    message: str,
) -> None:
    monkeypatch.setattr(upstream_suite, "run_suite", lambda *args, **kwargs: result)
    environment = suite_environment.Environment(Path(sys.executable))
    with pytest.raises(ToolError, match=message):
        upstream_suite.stock_result(recipe, environment, SUITE, tmp_path, tmp_path, False)
    assert not (tmp_path / "stock").exists()


@pytest.mark.parametrize(
    ("outcome", "strict", "problems"),
    [("passed", False, 0), ("failed", False, 1), ("passed", True, 1), ("failed", True, 2)],
)
def test_the_report_decides(
    recipe: upstream_suite.Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    outcome: str,
    strict: bool,
    problems: int,
) -> None:
    stats = {"core_compiled": True, "compiled": 3, "stock": 1, "lost": 0, "reasons": {"async": 1}}
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/stats.json").write_text(json.dumps(stats))
    environment = suite_environment.Environment(Path(sys.executable))
    stock, ours = suite(**{"t.py::a": "passed"}), suite(**{"t.py::a": outcome})
    found = upstream_suite.report(
        recipe, environment, SUITE, tmp_path, stock, ours, require_compiled=strict
    )
    printed = capsys.readouterr().out
    assert len(found["problems"]) == problems
    assert ("langgraph_cy does not: none" in printed) == (outcome == "passed")
    assert ("-p langgraph_cy.pytest_plugin t.py::a" in printed) == (outcome == "failed")
    assert ("FAILED: 1 local graph runs went to stock's engine" in printed) == strict
    assert "3 compiled (75.0%)" in printed
    assert f"langgraph {environment.packages['langgraph']}, langgraph-checkpoint " in printed
    assert found["packages"]["langgraph"] == environment.packages["langgraph"]


@pytest.mark.parametrize("distribution", ["langgraph", upstream_suite.CHECKPOINT])
def test_a_report_on_savers(
    recipe: upstream_suite.Recipe,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    distribution: str,
) -> None:
    """It names what was replaced; tests that are about savers alone need not run a graph."""
    name = "langgraph.checkpoint.memory.MemorySaver"
    stats = {"core_compiled": True, "compiled": 0, "stock": 0, "lost": 0, "reasons": {}}
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine/stats.json").write_text(json.dumps({**stats, "replaced": [name]}))
    environment = suite_environment.Environment(Path(sys.executable))
    judged = upstream_suite.Suite(distribution, "1.0", "1.0", savers=True)
    recipe = dataclasses.replace(recipe, replaces=judged.replaces)
    results = suite(**{"t.py::a": "passed"}), suite(**{"t.py::a": "failed"})
    found = upstream_suite.report(recipe, environment, judged, tmp_path, *results)
    printed = capsys.readouterr().out
    assert f"ours in place of:\n  {name}\n" in printed
    assert f"-p langgraph_cy.pytest_plugin {' '.join(judged.replaces)} t.py::a" in printed
    not_in_place = [p for p in found["problems"] if "the engine was not in place" in p]
    assert bool(not_in_place) is (distribution == "langgraph")


def test_a_run_that_hangs_is_ended(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    environ = dict(os.environ)
    code = processes.run_logged(command, tmp_path / "log", cwd=tmp_path, env=environ, timeout=0.2)
    assert code is None


def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    script = "import sys; sys.exit('no such luck')"
    with pytest.raises(ToolError, match=r"(?s)could not try: exit code 1.*no such luck"):
        processes.run("try", [sys.executable, "-c", script])
    with pytest.raises(ToolError, match="could not try"):
        processes.run("try", [tmp_path / "missing"])


# ---- the command line --------------------------------------------------------------------------


def test_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = upstream_suite.arguments(["1.2.22", "1.2.21", "--services", "-k", "a or b"])
    assert (args.versions, args.services, args.expression) == (["1.2.22", "1.2.21"], True, "a or b")
    assert (args.distribution, args.savers) == ("langgraph", False)
    args = upstream_suite.arguments(["--prebuilt", "--require-compiled"])
    assert (args.versions, args.require_compiled) == ([UPSTREAM_VERSION], True)
    assert args.distribution == upstream_suite.PREBUILT
    for option, distribution in (
        ("--checkpoint", upstream_suite.CHECKPOINT),
        ("--checkpoint-sqlite", upstream_suite.SQLITE),
        ("--checkpoint-postgres", upstream_suite.POSTGRES),
    ):
        assert upstream_suite.arguments([option]).distribution == distribution
    for wrong in (
        ["1.0", "--jobs", "0"],
        ["1.0", "--prebuilt", "--checkpoint"],
        ["1.0", "--wheel", str(tmp_path / "no.whl")],
    ):
        with pytest.raises(SystemExit):
            upstream_suite.arguments(wrong)
    assert "no file" in capsys.readouterr().err


def test_which_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution's version is the environment's, or the one that langgraph brings."""
    args = upstream_suite.arguments(["1.0"])
    suite = upstream_suite.Suite.of(args, "1.0", Path("python"))
    assert (suite.name, suite.pins, suite.replaces) == ("langgraph-1.0", [], ())
    args = upstream_suite.arguments(["1.0", "--savers"])
    suite = upstream_suite.Suite.of(args, "1.0", Path("python"))
    assert suite.replaces == (upstream_suite.SAVERS,)

    def run(what: str, command: list[object], **options: object) -> str:
        assert command[-2:] == ["langgraph==1.0", args.distribution]
        found = [{"metadata": {"name": n, "version": v}} for n, v in brought.items()]
        return json.dumps({"install": found})

    monkeypatch.setattr(suite_environment, "run", run)
    args = upstream_suite.arguments(["1.0", "--prebuilt"])
    brought = {"langgraph": "1.0", "langgraph_prebuilt": "0.7"}
    suite = upstream_suite.Suite.of(args, "1.0", Path("python"))
    assert (suite.distribution, suite.version) == ("langgraph-prebuilt", "0.7")
    assert suite.name == "langgraph-prebuilt-0.7-langgraph-1.0"
    assert suite.pins == ["langgraph-prebuilt==0.7"]
    brought = {"langgraph": "1.0"}
    with pytest.raises(ToolError, match=r"not install langgraph-prebuilt beside langgraph 1\.0"):
        upstream_suite.Suite.of(args, "1.0", Path("python"))
    args = upstream_suite.arguments(["1.0", "--checkpoint"])
    brought = {"langgraph": "1.0", "langgraph-checkpoint": "4.0"}
    suite = upstream_suite.Suite.of(args, "1.0", Path("python"))
    assert suite.pins == ["langgraph-checkpoint==4.0", "pycryptodome"]
    assert suite.replaces == (upstream_suite.SAVERS, upstream_suite.SERIALIZER)
    monkeypatch.undo()

    args = upstream_suite.arguments(["1.0", "--prebuilt", "--env", str(tmp_path)])
    suite = upstream_suite.Suite.of(args, "1.0", Path(sys.executable))
    have = suite_environment.Environment(Path(sys.executable)).packages["langgraph-prebuilt"]
    assert suite.version == have


def test_tests_that_empty_a_redis_run_only_where_it_may_be_used() -> None:
    kind = upstream_suite.KINDS[upstream_suite.CHECKPOINT]
    assert set(kind.left_out(services=False)) - set(kind.left_out(services=True)) == {
        "tests/test_redis_cache.py"
    }


def test_a_tool_error_ends_with_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(upstream_suite.signal, "signal", lambda *args: None)
    command = ["1.0", "--env", str(tmp_path / "none"), "--keep", str(tmp_path / "keep")]
    assert upstream_suite.main(command) == 2
    assert "no Python at" in capsys.readouterr().err


# ---- services ----------------------------------------------------------------------------------


@pytest.fixture
def answering() -> Iterator[tuple[int, list[bytes]]]:
    """A server that gives each caller the next of some answers."""
    answers: list[bytes] = []
    with socket.create_server((services.HOST, 0)) as server:

        def serve() -> None:
            caller, _ = server.accept()
            with caller:
                caller.recv(100)
                caller.sendall(answers[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], answers
        thread.join()


@pytest.mark.parametrize("answer", [b"+PONG\r\n", b"-NOAUTH Authentication required.\r\n"])
def test_redis_must_answer(answering: tuple[int, list[bytes]], answer: bytes) -> None:
    port, answers = answering
    answers.append(answer)
    if answer.startswith(b"+PONG"):
        services.check_redis(port)
    else:
        with pytest.raises(ToolError, match="NOAUTH"):
            services.check_redis(port)


def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "initdb").write_text("")
    assert services.find_program("initdb", [tmp_path]) == tmp_path / "initdb"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="needs redis-server: not found"):
        services.find_program("redis-server", [])


def test_a_postgres_that_refuses_is_an_error() -> None:
    with pytest.raises(ToolError, match="port 5442 is taken"):
        services.check_postgres(Path(sys.executable, "no-such-python"))
