"""The pytest plugin: what it installs, counts, reports and restores."""

from __future__ import annotations

import json
import textwrap
import types
from pathlib import Path

import pytest
from langgraph.checkpoint import memory
from langgraph.checkpoint.memory import InMemorySaver

import langgraph_cy
from langgraph_cy import checkpoint, pytest_plugin
from langgraph_cy.pytest_plugin import RunCounts

pytest_plugins = ["pytester"]

CONFTEST = """
    from langgraph.pregel import Pregel

    SEEN_BY_CONFTEST = Pregel.invoke
"""

SUITE = """
    from typing_extensions import TypedDict

    from langgraph.graph import END, START, StateGraph
    from langgraph.pregel import Pregel


    class State(TypedDict):
        n: int


    def test_one_run(request):
        conftest = request.config.pluginmanager.getplugin(str(request.path.parent / "conftest.py"))
        graph = StateGraph(State)
        graph.add_node("add", lambda state: {"n": state["n"] + 1})
        graph.add_edge(START, "add")
        graph.add_edge("add", END)
        assert graph.compile().invoke({"n": 1}) == {"n": 2}
        # Installed before the conftest was read, so that it, too, saw the engine's method.
        assert conftest.SEEN_BY_CONFTEST is Pregel.invoke
"""


STOCK = """
    import inspect

    from langgraph.pregel import Pregel


    def test_every_method_is_upstreams():
        functions = [f for _, f in inspect.getmembers(Pregel, inspect.isfunction)]
        assert functions
        assert not [f for f in functions if f.__module__.startswith("langgraph_cy")]
"""


SAVERS = """
    import pytest

    import langgraph_cy.checkpoint
    from langgraph.checkpoint import memory
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer


    def test_savers(request):
        conftest = request.config.pluginmanager.getplugin(str(request.path.parent / "conftest.py"))
        for name in ("InMemorySaver", "MemorySaver"):
            assert getattr(memory, name) is langgraph_cy.checkpoint.InMemorySaver
        # A conftest imports names, not modules.
        assert conftest.InMemorySaver is langgraph_cy.checkpoint.InMemorySaver


    @pytest.mark.parametrize("kind", ["sqlite", "postgres"])
    def test_savers_of_optional_packages(kind):
        module = pytest.importorskip(f"langgraph.checkpoint.{kind}")
        aio = pytest.importorskip(f"langgraph.checkpoint.{kind}.aio")
        for place, prefix in ((module, ""), (aio, "Async")):
            name = f"{prefix}{kind.capitalize()}Saver"
            assert getattr(place, name) is getattr(langgraph_cy.checkpoint, name)


    def test_serializer():
        ours = langgraph_cy.checkpoint.OrjsonSerializer
        assert (JsonPlusSerializer is ours) is SERIALIZER
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test suite of somebody else's, with one graph run."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_app=SUITE)
    return pytester


def run(suite: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    options = ["-p", "langgraph_cy.pytest_plugin", "-p", "no:cacheprovider", *arguments]
    return suite.runpytest_subprocess(*options)


def test_runs_a_suite_on_the_engine_and_counts(suite: pytest.Pytester) -> None:
    result = run(suite, "--langgraph-cy-stats", "stats.json")
    result.assert_outcomes(passed=1)
    stats = json.loads((suite.path / "stats.json").read_text())
    assert stats["total"] == stats["compiled"] + stats["stock"] == 1
    assert stats["processes"] == 1
    assert stats["version"] == langgraph_cy.__version__
    assert stats["core_compiled"] is langgraph_cy.COMPILED
    line = f"langgraph_cy: {stats['compiled']} runs compiled, {stats['stock']} on stock"
    header = "langgraph_cy: *, made for langgraph *"
    result.stdout.fnmatch_lines([header, "*= langgraph_cy =*", line])


def test_off_leaves_stock_in_place(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_stock=STOCK)
    result = run(suite, "--langgraph-cy-off", "--langgraph-cy-stats", "stats.json")
    result.assert_outcomes(passed=2)
    stats = json.loads((suite.path / "stats.json").read_text())
    assert (stats["total"], stats["processes"]) == (0, 0)
    result.stdout.fnmatch_lines(["langgraph_cy: off, stock*", "langgraph_cy: off, every run on*"])


@pytest.mark.parametrize("serializer", [False, True])
def test_our_savers_in_place_of_upstreams(pytester: pytest.Pytester, serializer: bool) -> None:
    pytester.makeconftest("from langgraph.checkpoint.memory import InMemorySaver")
    pytester.makepyfile(test_savers=f"SERIALIZER = {serializer}\n" + textwrap.dedent(SAVERS))
    options = ["--langgraph-cy-savers", "--langgraph-cy-stats", "stats.json"]
    if serializer:
        options.append("--langgraph-cy-serializer")
    result = run(pytester, *options)
    assert result.ret == pytest.ExitCode.OK
    replaced = json.loads((pytester.path / "stats.json").read_text())["replaced"]
    assert "langgraph.checkpoint.memory.MemorySaver" in replaced
    assert ("langgraph.checkpoint.serde.jsonplus.JsonPlusSerializer" in replaced) is serializer
    result.stdout.fnmatch_lines([f"langgraph_cy: in place of {', '.join(replaced)}"])


def test_refuses_a_stats_file_without_a_folder(suite: pytest.Pytester) -> None:
    result = run(suite, "--langgraph-cy-stats", "missing/stats.json")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--langgraph-cy-stats: no directory *missing"])


# ---- hook by hook, without a process for each -------------------------------------------------


class FakeEngine:
    """Stands where the engine is switched, and writes down how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        monkeypatch.setattr(langgraph_cy, "install", lambda: self.calls.append("install"))
        monkeypatch.setattr(langgraph_cy, "uninstall", lambda: self.calls.append("uninstall"))
        stats = types.SimpleNamespace(compiled=3, stock=1, reasons={"checkpointer": 1})
        monkeypatch.setattr(langgraph_cy, "engine_stats", lambda: stats)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    return FakeEngine(monkeypatch)


def configured(
    folder: Path, *, off: bool = False, stats: str | None = None, savers: bool = False
) -> types.SimpleNamespace:
    """As much of a pytest.Config as the plugin reads, after the plugin's first hook."""
    options = types.SimpleNamespace(
        langgraph_cy_off=off,
        langgraph_cy_stats=stats,
        langgraph_cy_savers=savers,
        langgraph_cy_serializer=False,
    )
    config = types.SimpleNamespace(
        stash=pytest.Stash(),
        option=options,
        known_args_namespace=options,
        invocation_params=types.SimpleNamespace(dir=folder),
    )
    pytest_plugin.pytest_load_initial_conftests(config)
    return config


def finish(config: types.SimpleNamespace) -> None:
    pytest_plugin.pytest_sessionfinish(types.SimpleNamespace(config=config))


def test_installs_once_and_uninstalls(engine: FakeEngine, tmp_path: Path) -> None:
    config = configured(tmp_path)
    pytest_plugin.pytest_configure(config)
    assert engine.calls == ["install"]
    pytest_plugin.pytest_unconfigure(config)
    pytest_plugin.pytest_unconfigure(config)
    assert engine.calls == ["install", "uninstall"]


def test_off_touches_nothing(engine: FakeEngine, tmp_path: Path) -> None:
    config = configured(tmp_path, off=True)
    pytest_plugin.pytest_configure(config)
    pytest_plugin.pytest_unconfigure(config)
    assert engine.calls == []


def test_savers_without_the_engine_and_back(engine: FakeEngine, tmp_path: Path) -> None:
    config = configured(tmp_path, off=True, savers=True)
    try:
        assert memory.InMemorySaver is memory.MemorySaver is checkpoint.InMemorySaver
        header = pytest_plugin.pytest_report_header(config)
    finally:
        pytest_plugin.pytest_unconfigure(config)
    assert [line.split(",")[0].split(" of ")[0] for line in header] == [
        "langgraph_cy: off",
        "langgraph_cy: in place",
    ]
    assert memory.InMemorySaver is memory.MemorySaver is InMemorySaver
    assert engine.calls == []


def test_what_is_not_installed_is_left_out() -> None:
    replacements = pytest_plugin.Replacements()
    absent = {"langgraph.checkpoint.absent": {"Saver": "InMemorySaver"}}
    try:
        replacements.make({**absent, memory.__name__: {"MemorySaver": "InMemorySaver"}})
        assert replacements.names == [f"{memory.__name__}.MemorySaver"]
        assert memory.InMemorySaver is InMemorySaver
    finally:
        replacements.restore()
    assert replacements.names == []
    assert memory.MemorySaver is InMemorySaver


def test_unconfigure_before_anything_was_started(engine: FakeEngine) -> None:
    pytest_plugin.pytest_unconfigure(types.SimpleNamespace(stash=pytest.Stash()))
    assert engine.calls == []


@pytest.mark.usefixtures("engine")
def test_workers_send_their_counts_to_the_controller(tmp_path: Path) -> None:
    controller = configured(tmp_path, stats="stats.json")
    for _ in range(2):
        worker = configured(tmp_path, stats="stats.json")
        worker.workeroutput = {}
        finish(worker)
        # What goes between processes is plain data.
        output = json.loads(json.dumps(worker.workeroutput))
        node = types.SimpleNamespace(config=controller, workeroutput=output)
        pytest_plugin.pytest_testnodedown(node, None)
    assert not (tmp_path / "stats.json").exists()
    pytest_plugin.pytest_testnodedown(types.SimpleNamespace(config=controller), "crashed")
    finish(controller)
    stats = json.loads((tmp_path / "stats.json").read_text())
    # The controller is a process of its own; the fake engine counts 3 and 1 in each.
    assert (stats["compiled"], stats["stock"], stats["processes"]) == (9, 3, 3)
    assert stats["reasons"] == {"checkpointer": 3}
    assert stats["lost"] == 1


@pytest.mark.usefixtures("engine")
def test_a_worker_without_the_engine_is_not_lost(tmp_path: Path) -> None:
    controller = configured(tmp_path, off=True, stats="stats.json")
    worker = configured(tmp_path, off=True)
    worker.workeroutput = {}
    finish(worker)
    node = types.SimpleNamespace(config=controller, workeroutput=worker.workeroutput)
    pytest_plugin.pytest_testnodedown(node, None)
    finish(controller)
    stats = json.loads((tmp_path / "stats.json").read_text())
    assert (stats["total"], stats["lost"], stats["processes"]) == (0, 0, 0)


def test_summary_lists_reasons_by_frequency() -> None:
    counts = RunCounts(5, 6, {"b": 1, "async": 4, "a": 1})
    assert counts.lines() == [
        "langgraph_cy: 5 runs compiled, 6 on stock",
        "       4  async",
        "       1  a",
        "       1  b",
    ]
    counts.add(RunCounts(lost=2))
    assert counts.lines()[0].endswith("(not counted: 2 workers that died)")


def test_share_is_whole_where_nothing_ran() -> None:
    assert RunCounts().as_json()["share"] == langgraph_cy.EngineStats(0, 0).share == 1.0
    assert RunCounts(3, 1).as_json()["share"] == 0.75
