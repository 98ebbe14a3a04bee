"""`doctor`: whether graphs run compiled in this environment, and what to do if they don't."""

from __future__ import annotations

import asyncio
import os
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from langgraph import pregel as upstream_pregel
from langgraph.pregel import Pregel as UpstreamPregel
from langsmith import tracing_context

import langgraph_cy
from langgraph_cy import _core, entry_points, fingerprints
from langgraph_cy.cli import installation, output
from langgraph_cy.cli.commands import make_parser
from langgraph_cy.cli.errors import HEALTHY, UNHEALTHY
from langgraph_cy.cli.target import load_module
from langgraph_cy.cli.workload_graphs import row

VARIABLES = {
    _core.REQUIRE: "importing langgraph_cy fails where the compiled core can't be loaded",
    _core.ANY_UPSTREAM: "runs are compiled with any langgraph, tested or not",
    "LANGGRAPH_CY_PURE": "while installing: no extension modules are built",
}
PROBLEM, NOTE = "problem", "note"
_REASONS = "look the reason up in the documentation, on the page Compatibility"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        level: `problem`, which makes runs go to stock's engine, or `note`, which does not.
        what: what was found.
        cure: what to do about it.
    """

    level: str
    what: str
    cure: str


@dataclass
class Examination:
    """What `doctor` found out.

    Attributes:
        python: the interpreter and the machine.
        versions: of each package, None where it is not installed.
        state: in order, each thing looked at with what it is like.
        findings: what is not as it should be.
    """

    python: str
    versions: dict[str, str | None]
    state: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def healthy(self) -> bool:
        """Whether nothing was found that makes runs go to stock's engine."""
        return all(finding.level != PROBLEM for finding in self.findings)

    def add(self, level: str, what: str, cure: str) -> None:
        """Note a finding."""
        self.findings.append(Finding(level, what, cure))


def parser() -> ArgumentParser:
    """The command's options."""
    made = make_parser(
        "doctor",
        example="doctor\ndoctor my_agent.py --json",
        exit_codes="0  graphs run compiled here\n"
        "1  something makes their runs go to stock's engine\n"
        "2  the command line can't be used",
    )
    made.add_argument(
        "app",
        nargs="?",
        metavar="APP",
        help="a module or file to import first, so that what it patches is seen",
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    options = parser().parse_args(arguments)
    with output.apart(options.json):
        if options.app:
            load_module(options.app)
        found = examine()
    if options.json:
        output.emit({"healthy": found.healthy, **asdict(found)})
    else:
        show(found)
    return HEALTHY if found.healthy else UNHEALTHY


def examine() -> Examination:
    """Look at everything that decides whether runs are compiled in this process."""
    found = Examination(installation.python_version(), installation.versions())
    for look in (_upstream, _core_modules, _patches, _trial_runs, _watchers, _variables):
        look(found)
    return found


def show(found: Examination) -> None:
    """Print what was found."""
    verdict = "graphs run compiled here" if found.healthy else "graphs run on stock's engine here"
    output.say(verdict, "bold green" if found.healthy else "bold red")
    print()
    packages = [["package", "version"], ["python", found.python]]
    packages += [[name, version or "not installed"] for name, version in found.versions.items()]
    output.table(packages)
    print()
    output.table([["looked at", "found"], *map(list, found.state.items())])
    for finding in found.findings:
        print()
        output.say(f"{finding.level}: {finding.what}", "red" if finding.level == PROBLEM else "")
        print(f"  what to do: {finding.cure}")


def _upstream(found: Examination) -> None:
    """Whether the installed langgraph has an engine that this one knows."""
    installed = found.versions["langgraph"] or "unknown"
    folder = Path(str(upstream_pregel.__file__)).parents[1]
    known = fingerprints.UPSTREAM_VERSION
    differs = fingerprints.difference(folder, installed)
    if differs is None:
        found.state["upstream's engine"] = f"known: langgraph {installed}"
        return
    which = differs or "its sources can't be read"
    found.state["upstream's engine"] = f"not known: langgraph {installed} ({which})"
    cure = f"pip install langgraph=={known}"
    if _core.NEVER == "other upstream version":
        text = f"langgraph {installed} has another engine than those known here; first: {which}"
        found.add(PROBLEM, text, f"{cure}, or set {_core.ANY_UPSTREAM}=1 to try it all the same")
    else:
        text = f"{_core.ANY_UPSTREAM} is set, and langgraph {installed} has an engine not known"
        found.add(NOTE, f"{text} here: results may differ", cure)


def _core_modules(found: Examination) -> None:
    """Whether the extension modules are there and load, and from where."""
    expected, there = installation.expected_modules(), installation.extension_modules()
    missing = sorted(set(expected) - set(there))
    where = str(installation.FOLDER)
    if not missing and (error := _load_error()) is None:
        found.state["compiled core"] = f"{len(there)} extension modules in {where}"
        return
    if not missing:
        found.state["compiled core"] = f"does not load, in {where}"
        cure = "pip install --no-cache-dir --force-reinstall langgraph-cy"
        found.add(PROBLEM, f"the compiled core does not load: {error}", cure)
        return
    found.state["compiled core"] = f"{len(missing)} of {len(expected)} modules missing in {where}"
    others = ", ".join(sorted(installation.foreign_extensions()))
    again = "pip install --no-cache-dir --force-reinstall langgraph-cy"
    if installation.is_source_tree():
        what = f"{where} is the source tree, in which nothing is compiled, and is imported first"
        cure = "start Python from another folder (python -m puts the current one first)"
    elif others:
        what = f"the extension modules are built for another interpreter ({others})"
        cure = again
    elif installation.is_pure_wheel():
        what = "installed is a pure-Python wheel: there was no C compiler when it was built"
        cure = (
            f"install a C compiler, then {again}; without --no-cache-dir pip takes the wheel "
            "that it built before"
        )
    else:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        what, cure = f"missing: {missing[0]}{others}", again
    found.add(PROBLEM, what, cure)


def _load_error() -> str | None:
    """Why the engine does not load; None where it does, or where nothing is to be loaded."""
    if _core.NEVER != "compiled core not loaded":
        return None
    try:
        import_module("langgraph_cy.runs")
    except (ImportError, AttributeError, LookupError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _patches(found: Examination) -> None:
    """What other tools have put in the place of upstream's functions."""
    replaced = list(_replacements())
    found.state["replaced by others"] = ", ".join(name for name, _ in replaced) or "nothing"
    by_module: dict[str, list[str]] = {}
    for name, value in replaced:
        by_module.setdefault(installation.module_behind(value), []).append(name)
    for module, names in by_module.items():
        source = installation.distribution_of(module) or installation.file_of(module) or module
        found.add(
            PROBLEM,
            f"{', '.join(names)} of langgraph replaced by {module} ({source})",
            f"switch off the part of {source} that instruments LangGraph; many such tools can also "
            "be given to a run as a callback handler, which compiled runs serve",
        )


def _replacements() -> Iterator[tuple[str, Any]]:
    """The functions of upstream that are not its own, by dotted name."""
    if langgraph_cy.COMPILED:
        yield from import_module("langgraph_cy.seam").replacements()
        return
    for name in entry_points.genuine:
        if not entry_points.is_genuine(name):
            yield f"{UpstreamPregel.__name__}.{name}", vars(UpstreamPregel)[name]


def _trial_runs(found: Examination) -> None:
    """Runs a graph of one node, and looks which engine took it."""
    before = langgraph_cy.engine_stats()
    graph = row(1)
    with langgraph_cy.installed(), tracing_context(enabled=False):
        graph.invoke({"n": 0})
        asyncio.run(_ainvoke(graph))
    after = langgraph_cy.engine_stats()
    compiled = after.compiled - before.compiled
    reasons = [why for why, runs in after.reasons.items() if runs > before.reasons.get(why, 0)]
    found.state["trial runs"] = f"{compiled} of 2 compiled"
    if compiled < 2 and found.healthy:
        why = "; ".join(reasons) or "they were not counted: another tool has wrapped the engine"
        found.add(PROBLEM, f"trial runs were not compiled: {why}", _REASONS)


async def _ainvoke(graph: Any) -> Any:
    return await graph.ainvoke({"n": 0})


def _watchers(found: Examination) -> None:
    """Who watches every run here: tracers that are switched on for the process."""
    if not langgraph_cy.COMPILED:
        return
    manager = import_module("langgraph_cy.upstream").callback_managers.CallbackManager.configure()
    names = sorted(
        {type(each).__name__ for each in (*manager.handlers, *manager.inheritable_handlers)}
    )
    found.state["watching every run"] = ", ".join(names) or "nobody"
    if names:
        found.add(
            NOTE,
            f"{', '.join(names)} watches every run: runs are compiled, and nodes are run by "
            "LangGraph's own machinery under the handler's eyes, which takes more time",
            "nothing, if it is wanted; else switch it off, such as by LANGSMITH_TRACING=false",
        )


def _variables(found: Examination) -> None:
    """The variables of this package that are set."""
    said: list[str] = []
    for name in sorted(each for each in os.environ if each.startswith("LANGGRAPH_CY")):
        value = os.environ[name]
        said.append(f"{name}={value}")
        if name not in VARIABLES:
            cure = f"unset it, or use one of {', '.join(VARIABLES)}"
            found.add(NOTE, f"{name} is set, which is no variable of langgraph_cy", cure)
        elif value not in ("", "0"):
            said[-1] += f" ({VARIABLES[name]})"
    found.state["variables set"] = ", ".join(said) or "none"
