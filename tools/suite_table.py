"""The compatibility table of the documentation: upstream's tests by version and feature."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from processes import ToolError
from suite_results import SuiteResult

BEGIN, END = "<!-- upstream suite -->", "<!-- /upstream suite -->"
OTHERS = "other tests"

# The features, each with the beginnings of the names of upstream's test files that are about it.
FEATURES: dict[str, tuple[str, ...]] = {
    "graphs, `invoke` and `stream`": ("pregel.py", "large_cases.py", "algo"),
    "graphs, `ainvoke` and `astream`": ("pregel_async", "large_cases_async", "config_async"),
    "state and channels": ("channels", "state.py", "messages_state", "pydantic", "managed_values"),
    "`DeltaChannel`": ("delta_channel",),
    "checkpoints": ("checkpoint", "serde", "prune"),
    "interrupts and resuming": ("interrupt", "strict_resume"),
    "time travel": ("time_travel",),
    "subgraphs": ("subgraph", "parent_command"),
    "stream modes, events and transformers": (
        "stream",
        "pregel_stream",
        "pregel_debug",
        "interleave",
        "tool_stream",
    ),
    "retries, timeouts and error handlers": ("retry", "runner"),
    "callbacks and tracing": ("graph_callbacks", "trac"),
    "`Runtime`, runnables and functions": ("runtime", "runnable"),
    "`RemoteGraph`": ("remote_graph",),
}


def feature_of(test: str) -> str:
    """The feature that a test is about.

    Args:
        test: its pytest node id, such as ``tests/test_retry.py::test_once``.
    """
    file = test.split("::")[0].rsplit("/", 1)[-1].removeprefix("test_")
    fits = [
        (len(beginning), feature)
        for feature, beginnings in FEATURES.items()
        for beginning in beginnings
        if file.startswith(beginning)
    ]
    return max(fits)[1] if fits else OTHERS


def features(stock: SuiteResult, ours: SuiteResult) -> dict[str, tuple[int, int]]:
    """For each feature, how many of the tests that stock passes the engine passes, and of how many.

    A test counts as passed where it passed at once, or each time that it was run again alone.
    """
    passed: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for name in stock.tests:
        if stock.passes(name):
            cell = passed[feature_of(name)]
            cell[0] += ours.passes(name)
            cell[1] += 1
    return {feature: (mine, theirs) for feature, (mine, theirs) in passed.items()}


def table(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """The table in Markdown, a column for each version.

    Args:
        outcomes: what the runner found for each version, as it writes it for ``--json``.

    Raises:
        ToolError: a run broke off, so that its tests cannot be counted.
    """
    columns = []
    for outcome in outcomes:
        stock = SuiteResult.from_json(outcome["stock"])
        ours = SuiteResult.from_json(outcome["engine"])
        if ours.problem or not outcome["engine_stats"]:
            raise ToolError(f"no table: the run of {outcome['version']} cannot be counted")
        columns.append((stock, ours, features(stock, ours), outcome["engine_stats"]))
    found = {feature for _, _, of, _ in columns for feature in of}
    rows = [["feature", *(f"{outcome['suite']} {outcome['version']}" for outcome in outcomes)]]
    rows.append(["---"] * len(rows[0]))
    for feature in [*FEATURES, OTHERS]:
        if feature in found:
            rows.append([feature, *(_of(*of.get(feature, (0, 0))) for _, _, of, _ in columns)])
    rows.append(["**all**", *(f"**{_of(*_sum(of.values()))}**" for _, _, of, _ in columns)])
    both = [(ours, stock) for stock, ours, *_ in columns]
    rows.append(
        [
            "passed only when run again, alone; on stock",
            *(f"{_again(a)}; {_again(b)}" for a, b in both),
        ]
    )
    skipped = ((a.count("skipped"), b.count("skipped")) for a, b in both)
    rows.append(["skipped; on stock", *(f"{mine:,}; {theirs:,}" for mine, theirs in skipped)])
    rows.append(["graph runs compiled", *(_of(s["compiled"], _runs(s)) for *_, s in columns)])
    lines = [f"| {' | '.join(row)} |" for row in rows]
    reasons = sorted({reason for *_, stats in columns for reason in stats["reasons"]})
    if reasons:
        lines += [
            "",
            f"Graph runs on stock's engine: {', '.join(f'`{each}`' for each in reasons)}.",
        ]
    # Of the platform only the system: the rest tells one machine from another.
    made = dict.fromkeys(outcome["environment"].partition("-")[0] for outcome in outcomes)
    services = dict.fromkeys(
        "with PostgreSQL and Redis" if outcome["services"] else "without services"
        for outcome in outcomes
    )
    return "\n".join([*lines, "", f"{'; '.join(made)}, {', '.join(services)}:"])


def _again(result: SuiteResult) -> int:
    """How many tests failed in the run, and then passed each time that they ran alone."""
    return sum(1 for name in result.reruns if result.passes(name))


def _of(mine: int, theirs: int) -> str:
    return f"{mine:,} of {theirs:,}" if theirs else "no such tests"


def _sum(pairs: Iterable[tuple[int, int]]) -> tuple[int, int]:
    mine, theirs = zip(*pairs, strict=True)
    return sum(mine), sum(theirs)


def _runs(stats: Mapping[str, Any]) -> int:
    return int(stats["compiled"] + stats["stock"])


def write(outcomes: Sequence[Mapping[str, Any]], command: str, page: Path) -> None:
    """Replace the table of a page, which stands between two comments.

    Args:
        outcomes: see `table`.
        command: what made it, for the reader to run.
        page: the file; it has the comments BEGIN and END, once each and in this order.

    Raises:
        ToolError: it has not, or there is nothing to count.
    """
    text = page.read_text("utf-8")
    if not has_place(text):
        raise ToolError(f"{page}: no place for the table between {BEGIN} and {END}")
    new = f"{BEGIN}\n\n{table(outcomes)}\n\n`{command}`\n\n{END}"
    replaced = _PLACE.sub(lambda _: new, text)
    page.write_text(replaced, encoding="utf-8")


_PLACE = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)


def has_place(text: str) -> bool:
    """Whether a page has one place for the table."""
    return len(_PLACE.findall(text)) == 1 and text.count(BEGIN) == text.count(END) == 1
