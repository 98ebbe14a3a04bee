"""Run a test suite with the engine installed: ``pytest -p langgraph_cy.pytest_plugin``.

The engine is in place before the first ``conftest.py`` is read, in every process that runs tests
(also the workers of pytest-xdist), and stock LangGraph is restored when pytest has finished. So are
the savers and the serializer of `langgraph_cy.checkpoint`, where ``--langgraph-cy-savers`` and
``--langgraph-cy-serializer`` ask for them: a test that imports upstream's gets these.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import langgraph_cy

_WORKER_KEY = "langgraph_cy"

# Upstream's public names by module, each with the name in langgraph_cy.checkpoint of what stands
# in for it.
_SAVERS = {
    "langgraph.checkpoint.memory": {
        "InMemorySaver": "InMemorySaver",
        "MemorySaver": "InMemorySaver",
    },
    "langgraph.checkpoint.sqlite": {"SqliteSaver": "SqliteSaver"},
    "langgraph.checkpoint.sqlite.aio": {"AsyncSqliteSaver": "AsyncSqliteSaver"},
    "langgraph.checkpoint.postgres": {"PostgresSaver": "PostgresSaver"},
    "langgraph.checkpoint.postgres.aio": {"AsyncPostgresSaver": "AsyncPostgresSaver"},
}
_SERIALIZER = {"langgraph.checkpoint.serde.jsonplus": {"JsonPlusSerializer": "OrjsonSerializer"}}


@dataclasses.dataclass
class RunCounts:
    """Graph runs of one test session, summed over the processes that ran its tests.

    Args:
        compiled: runs on the compiled engine.
        stock: runs on stock LangGraph's engine.
        reasons: why runs went to stock, with the number of runs for each reason.
        processes: how many processes reported their counts.
        lost: how many worker processes died before they could report theirs.
    """

    compiled: int = 0
    stock: int = 0
    reasons: dict[str, int] = dataclasses.field(default_factory=dict)
    processes: int = 0
    lost: int = 0

    @classmethod
    def of_this_process(cls) -> RunCounts:
        """What `langgraph_cy.engine_stats` counts here, now."""
        stats = langgraph_cy.engine_stats()
        return cls(stats.compiled, stats.stock, dict(stats.reasons), processes=1)

    @property
    def total(self) -> int:
        """All runs, on either engine."""
        return self.compiled + self.stock

    def add(self, other: RunCounts) -> None:
        """Add the counts of another process to these."""
        self.compiled += other.compiled
        self.stock += other.stock
        self.processes += other.processes
        self.lost += other.lost
        for reason, runs in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + runs

    def as_json(self) -> dict[str, Any]:
        """The content of the file that ``--langgraph-cy-stats`` names."""
        return {
            "version": langgraph_cy.__version__,
            "upstream_version": langgraph_cy.UPSTREAM_VERSION,
            "core_compiled": langgraph_cy.COMPILED,
            "total": self.total,
            "share": self.compiled / self.total if self.total else 1.0,
            **dataclasses.asdict(self),
        }

    def lines(self) -> list[str]:
        """The summary line and the table of reasons, most frequent first."""
        lines = [f"langgraph_cy: {self.compiled} runs compiled, {self.stock} on stock"]
        if self.lost:
            lines[0] += f" (not counted: {self.lost} workers that died)"
        for reason, runs in sorted(self.reasons.items(), key=lambda item: (-item[1], item[0])):
            lines.append(f"{runs:8d}  {reason}")
        return lines


class Replacements:
    """Names in upstream's modules that stand for our classes, until they are restored."""

    def __init__(self) -> None:
        self._upstream: list[tuple[ModuleType, str, Any]] = []

    @property
    def names(self) -> list[str]:
        """The dotted names that stand for our classes now."""
        return sorted(f"{module.__name__}.{name}" for module, name, _ in self._upstream)

    def make(self, table: Mapping[str, Mapping[str, str]]) -> None:
        """Put classes of `langgraph_cy.checkpoint` in place of upstream's.

        All modules are imported before a name is replaced: our classes derive from upstream's, and
        upstream's modules, which import from each other, keep what they have. A module of
        upstream's that cannot be imported, since its distribution or a driver that it needs is not
        installed, is left out.

        Args:
            table: upstream's names by module, each with the name of ours.
        """
        ours = importlib.import_module("langgraph_cy.checkpoint")
        found = []
        for module_name, names in table.items():
            try:
                module = importlib.import_module(module_name)
            except ImportError:
                continue
            found += [(module, name, getattr(ours, our_name)) for name, our_name in names.items()]
        for module, name, replacement in found:
            self._upstream.append((module, name, getattr(module, name)))
            setattr(module, name, replacement)

    def restore(self) -> None:
        """Give upstream's names back."""
        while self._upstream:
            setattr(*self._upstream.pop())


@dataclasses.dataclass
class _Session:
    off: bool
    installed: bool = False
    counts: RunCounts = dataclasses.field(default_factory=RunCounts)
    replacements: Replacements = dataclasses.field(default_factory=Replacements)


_SESSION = pytest.StashKey[_Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's options."""
    group = parser.getgroup("langgraph_cy", "LangGraph's engine, compiled")
    group.addoption(
        "--langgraph-cy-stats",
        metavar="FILE",
        help="write the counts of graph runs, compiled and on stock, to FILE as JSON",
    )
    group.addoption(
        "--langgraph-cy-off",
        action="store_true",
        default=False,
        help="leave stock LangGraph's engine in place, to run the same command on it",
    )
    group.addoption(
        "--langgraph-cy-savers",
        action="store_true",
        default=False,
        help="let langgraph.checkpoint's names for the in-memory, SQLite and PostgreSQL savers "
        "stand for those of langgraph_cy.checkpoint",
    )
    group.addoption(
        "--langgraph-cy-serializer",
        action="store_true",
        default=False,
        help="let langgraph.checkpoint's JsonPlusSerializer stand for OrjsonSerializer",
    )


# First, since pytest itself reads the initial conftest.py files in this same hook.
@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Install the engine before any ``conftest.py`` can import LangGraph."""
    _start(early_config, early_config.known_args_namespace)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Install where the plugin was named in a ``conftest.py`` and so came too late for above.

    Raises:
        pytest.UsageError: the directory of the ``--langgraph-cy-stats`` file does not exist.
    """
    stats_file = _stats_file(config)
    if stats_file is not None and not stats_file.parent.is_dir():
        raise pytest.UsageError(f"--langgraph-cy-stats: no directory {stats_file.parent}")
    _start(config, config.option)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Name the engine that this run is on, and the names that stand for our classes."""
    state = config.stash[_SESSION]
    core = "compiled core" if langgraph_cy.COMPILED else "NO compiled core, all runs go to stock"
    lines = [
        f"langgraph_cy: {langgraph_cy.__version__}, {core}, "
        f"made for langgraph {langgraph_cy.UPSTREAM_VERSION}"
    ]
    if state.off:
        lines = ["langgraph_cy: off, stock LangGraph's engine"]
    if state.replacements.names:
        lines.append(f"langgraph_cy: in place of {', '.join(state.replacements.names)}")
    return lines


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Take over the counts of a pytest-xdist worker that has finished."""
    session = node.config.stash[_SESSION]
    output = getattr(node, "workeroutput", {}).get(_WORKER_KEY)
    if output is not None:
        session.counts.add(RunCounts(**output))
    elif not session.off:
        session.counts.add(RunCounts(lost=1))


# Last: with pytest-xdist, the controller's workers are down only after its own hook.
@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the counts on: a worker to its controller, everything else to the file."""
    config = session.config
    state = config.stash[_SESSION]
    if not state.off:
        state.counts.add(RunCounts.of_this_process())
    if hasattr(config, "workeroutput"):
        if not state.off:
            config.workeroutput[_WORKER_KEY] = dataclasses.asdict(state.counts)
        return
    stats_file = _stats_file(config)
    if stats_file is not None:
        content = {**state.counts.as_json(), "replaced": state.replacements.names}
        text = json.dumps(content, indent=2, sort_keys=True)
        stats_file.write_text(text + "\n", encoding="utf-8")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many graph runs each engine took, and why stock took those it did."""
    state = terminalreporter.config.stash[_SESSION]
    terminalreporter.section("langgraph_cy")
    if state.off:
        terminalreporter.line("langgraph_cy: off, every run on stock")
        return
    for line in state.counts.lines():
        terminalreporter.line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restore stock LangGraph, if this plugin was what replaced it."""
    state = config.stash.get(_SESSION, None)
    if state is None:
        return
    state.replacements.restore()
    if state.installed:
        state.installed = False
        langgraph_cy.uninstall()


def _start(config: pytest.Config, options: Any) -> None:
    if _SESSION in config.stash:
        return
    state = config.stash[_SESSION] = _Session(options.langgraph_cy_off)
    if not state.off:
        langgraph_cy.install()
        state.installed = True
    tables: dict[str, dict[str, str]] = {}
    if options.langgraph_cy_savers:
        tables |= _SAVERS
    if options.langgraph_cy_serializer:
        tables |= _SERIALIZER
    if tables:
        state.replacements.make(tables)


def _stats_file(config: pytest.Config) -> Path | None:
    name = config.option.langgraph_cy_stats
    return None if name is None else config.invocation_params.dir / name
