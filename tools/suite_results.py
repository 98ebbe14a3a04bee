"""The results of a test suite: read from pytest's report, compared, and put into words."""

from __future__ import annotations

import dataclasses
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

# From best to worst: a test may report more than once (its call, then its teardown).
OUTCOMES = ("passed", "xfailed", "skipped", "failed")
# pytest's exit codes that stand for "the tests ran": all passed, some failed.
RAN = (0, 1)
WORKER_DIED = "crashed while running"


@dataclasses.dataclass(frozen=True)
class TestResult:
    """How one test ended.

    Args:
        outcome: one of OUTCOMES; an error in set-up or teardown counts as failed.
        seconds: how long it took.
        message: the first line of the failure or of the reason to skip.
    """

    __test__ = False  # pytest would collect it for its name

    outcome: str
    seconds: float = 0.0
    message: str = ""


@dataclasses.dataclass
class SuiteResult:
    """One run of the suite.

    Args:
        tests: each test's result by its pytest node id.
        seconds: wall time of the run.
        problem: why the run as a whole cannot be trusted; empty when pytest ran to its end.
        cached: when the result was recorded, if this is not a new run.
        reruns: outcomes of tests that failed and were then run again, alone.
    """

    tests: dict[str, TestResult]
    seconds: float
    problem: str = ""
    cached: str = ""
    reruns: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def count(self, outcome: str) -> int:
        """How many tests ended so."""
        return sum(1 for result in self.tests.values() if result.outcome == outcome)

    def failed(self) -> list[str]:
        """The node ids of tests that failed."""
        return sorted(name for name, result in self.tests.items() if result.outcome == "failed")

    def passes(self, name: str) -> bool:
        """Whether the test passed, at once or each time that it was run again."""
        result = self.tests.get(name)
        if result is None:
            return False
        again = self.reruns.get(name)
        return result.outcome == "passed" or bool(again and set(again) == {"passed"})

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file; `from_json` reads it back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SuiteResult:
        """The inverse of `as_json`."""
        tests = {name: TestResult(**result) for name, result in data["tests"].items()}
        return cls(**{**data, "tests": tests})


def node_id(file: str, classname: str, name: str) -> str:
    """The pytest node id behind a ``testcase`` of a JUnit report.

    Args:
        file: the test's file, relative to pytest's root, with forward or backward slashes.
        classname: dotted module and classes; empty where a whole module is meant.
        name: function with parameters, or a dotted module.
    """
    path = file.replace("\\", "/")
    module = re.sub(r"\.py$", "", path).replace("/", ".")
    if not classname:
        return path if name == module else f"{path}::{name}"
    classes = classname.removeprefix(module).strip(".")
    return "::".join([path, *(classes.split(".") if classes else []), name])


def read_junit(path: Path) -> dict[str, TestResult]:
    """Each test's result in a report that pytest wrote with ``junit_family=xunit1``.

    Raises:
        OSError: there is no such file.
        xml.etree.ElementTree.ParseError: it is not XML.
    """
    results: dict[str, TestResult] = {}
    for case in ElementTree.parse(path).iter("testcase"):
        name = node_id(case.get("file", ""), case.get("classname", ""), case.get("name", ""))
        result = _result(case)
        before = results.get(name)
        if before is None or OUTCOMES.index(before.outcome) <= OUTCOMES.index(result.outcome):
            results[name] = result
    return results


def _result(case: ElementTree.Element) -> TestResult:
    seconds = float(case.get("time", 0))
    worst = TestResult("passed", seconds)
    for child in case:
        if child.tag in ("failure", "error"):
            outcome = "failed"
        elif child.tag == "skipped":
            outcome = "xfailed" if child.get("type") == "pytest.xfail" else "skipped"
        else:
            continue
        if OUTCOMES.index(outcome) > OUTCOMES.index(worst.outcome):
            lines = (child.get("message") or child.text or "").strip().splitlines()
            worst = TestResult(outcome, seconds, lines[0][:300] if lines else "")
    return worst


def exit_problem(exit_code: int | None, minutes: float) -> str:
    """Why pytest's exit code means that the run cannot be trusted; empty when it can."""
    if exit_code is None:
        return f"pytest did not end within {minutes:g} minutes"
    if exit_code < 0:
        return f"pytest was killed by signal {-exit_code}"
    if exit_code == 5:
        return "pytest found no tests"
    return "" if exit_code in RAN else f"pytest broke off with exit code {exit_code}"


@dataclasses.dataclass(frozen=True)
class Difference:
    """A test that came out worse with the engine than on stock.

    Args:
        name: its node id.
        ours: what happened instead: "failed", "skipped", "xfailed", "missing".
        message: the first line of the failure.
    """

    name: str
    ours: str
    message: str


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What the two runs have to say about the engine.

    Args:
        regressions: tests that stock passes and the engine does not, and those that only the
            engine fails.
        flaky: tests that failed with the engine in the run, but passed whenever run alone.
        shared: tests that fail on both.
        gained: tests that stock does not pass and the engine does.
    """

    regressions: list[Difference]
    flaky: list[str]
    shared: list[str]
    gained: list[str]


def compare(stock: SuiteResult, ours: SuiteResult) -> Comparison:
    """Compare the engine's run with stock's, test by test."""
    regressions, flaky, shared, gained = [], [], [], []
    for name in sorted(stock.tests.keys() | ours.tests.keys()):
        mine = ours.tests.get(name, TestResult("missing"))
        # Not in stock's run: the module may be one that cannot be imported with the engine.
        theirs = stock.tests.get(name, TestResult("missing"))
        if ours.passes(name):
            if mine.outcome == "failed":
                flaky.append(name)
            elif theirs.outcome != "missing" and not stock.passes(name):
                gained.append(name)
        elif stock.passes(name) or (mine.outcome == "failed" and theirs.outcome != "failed"):
            regressions.append(Difference(name, mine.outcome, mine.message))
        elif mine.outcome == "failed":
            shared.append(name)
    return Comparison(regressions, flaky, shared, gained)


def to_rerun(stock: SuiteResult, ours: SuiteResult) -> list[str]:
    """Tests to give a second chance: failed with the engine, passed on stock.

    A test that took its whole process down gets none: that is never a matter of timing.
    """
    return [
        name
        for name in ours.failed()
        if stock.passes(name) and WORKER_DIED not in ours.tests[name].message
    ]


# ---- in words ------------------------------------------------------------------------------


def counts_table(stock: SuiteResult, ours: SuiteResult | None) -> list[str]:
    """Passed, failed and skipped of both runs, side by side."""
    runs = [("stock", stock)] + ([("langgraph_cy", ours)] if ours else [])
    lines = [" " * 12 + "".join(f"{title:>14}" for title, _ in runs)]
    for outcome in ("passed", "failed", "skipped", "xfailed"):
        numbers = [result.count(outcome) for _, result in runs]
        if outcome != "xfailed" or any(numbers):
            lines.append(f"{outcome:<12}" + "".join(f"{number:>14,}" for number in numbers))
    lines.append(f"{'seconds':<12}" + "".join(f"{result.seconds:>14.1f}" for _, result in runs))
    return lines


def reruns_table(title: str, result: SuiteResult) -> list[str]:
    """Every test that was run again, and how that went."""
    if not result.reruns:
        return []
    lines = [f"run again alone, {title}:"]
    lines += [f"  {name}: failed, then {', '.join(o)}" for name, o in result.reruns.items()]
    return lines


def reasons_table(stats: Mapping[str, Any]) -> list[str]:
    """The share of local graph runs that ran compiled, and why the others did not.

    What a `RemoteGraph` has another process run is not counted at all.

    Args:
        stats: the content of the file that ``--langgraph-cy-stats`` wrote.
    """
    compiled, stock = stats["compiled"], stats["stock"]
    total = compiled + stock
    lines = ["local graph runs: none was counted"]
    if total:
        lines = [
            f"local graph runs: {total:,}, of which {compiled:,} compiled ({compiled / total:.1%}) "
            f"and {stock:,} on stock's engine"
        ]
    if stats["lost"]:
        lines.append(f"not counted: the runs of {stats['lost']} worker processes that died")
    ordered = Counter(stats["reasons"]).most_common()
    if ordered:
        lines.append(f"{'runs':>10}{'share':>8}  reason for stock's engine")
    for reason, runs in sorted(ordered, key=lambda item: (-item[1], item[0])):
        lines.append(f"{runs:>10,}{runs / total:>8.1%}  {reason}")
    unexplained = stock - sum(stats["reasons"].values())
    if unexplained > 0:
        lines.append(f"{unexplained:>10,}{unexplained / total:>8.1%}  (no reason was recorded)")
    return lines


def not_compiled(stats: Mapping[str, Any]) -> list[str]:
    """Why the counts do not show that every local graph run was compiled; empty when they do."""
    problems = []
    if stats["stock"]:
        problems.append(f"{stats['stock']:,} local graph runs went to stock's engine")
    if stats["lost"]:
        problems.append(f"the graph runs of {stats['lost']} worker processes were not counted")
    if not stats["compiled"] + stats["stock"]:
        problems.append("not one local graph run was counted")
    return problems


def names_list(title: str, names: Iterable[str]) -> list[str]:
    """A heading with test names below it; nothing where there are none."""
    listed = [f"  {name}" for name in names]
    return [f"{title} ({len(listed)}):", *listed] if listed else []
