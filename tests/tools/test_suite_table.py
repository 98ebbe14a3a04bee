"""The table that the runner of upstream's suite writes into a page; no suite is run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import suite_table
import upstream_suite
from processes import ToolError
from suite_results import SuiteResult, TestResult

ALL = "passed"


def outcome(stock: dict[str, str], ours: dict[str, str], **changes: Any) -> dict[str, Any]:
    def result(outcomes: dict[str, str]) -> SuiteResult:
        tests = {f"tests/{name}": TestResult(ended) for name, ended in outcomes.items()}
        return SuiteResult(tests, 1.0)

    return {
        "suite": "langgraph",
        "version": "1.0",
        "environment": "CPython 3.11.7, Linux-5-machine",
        "services": False,
        "stock": result(stock).as_json(),
        "engine": result(ours).as_json(),
        "engine_stats": {"compiled": 9, "stock": 1, "reasons": {"custom runner": 1}},
        **changes,
    }


def rows(text: str) -> dict[str, list[str]]:
    cells = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {first.strip(): rest for first, *rest in cells}


@pytest.mark.parametrize(
    ("test", "feature"),
    [
        ("tests/test_pregel.py::test_x", "graphs, `invoke` and `stream`"),
        ("tests/test_pregel_async.py::test_x[a::b]", "graphs, `ainvoke` and `astream`"),
        ("tests/test_pregel_stream_events_v3.py::C::test", "stream modes, events and transformers"),
        ("tests/test_delta_channel_fork.py::test", "`DeltaChannel`"),
        ("tests/test_runner_futures.py::test", "retries, timeouts and error handlers"),
        ("tests/test_never_heard_of.py::test", suite_table.OTHERS),
    ],
)
def test_feature_of_a_test(test: str, feature: str) -> None:
    assert suite_table.feature_of(test) == feature


def test_a_cell_counts_what_stock_passes() -> None:
    stock = {"test_retry.py::a": ALL, "test_retry.py::b": ALL, "test_retry.py::c": "failed"}
    ours = {"test_retry.py::a": ALL, "test_retry.py::b": "failed", "test_retry.py::c": ALL}
    found = rows(suite_table.table([outcome(stock, ours)]))
    assert found["retries, timeouts and error handlers"] == ["1 of 2"]
    assert found["**all**"] == ["**1 of 2**"]
    assert found["graph runs compiled"] == ["9 of 10"]


def test_a_test_that_passes_alone_counts_and_is_told() -> None:
    one = outcome({"test_retry.py::a": ALL}, {"test_retry.py::a": "failed"})
    one["engine"]["reruns"] = {"tests/test_retry.py::a": [ALL, ALL]}
    found = rows(suite_table.table([one]))
    assert found["**all**"] == ["**1 of 1**"]
    assert found["passed only when run again, alone; on stock"] == ["1; 0"]


def test_versions_are_columns_and_a_feature_may_be_missing() -> None:
    old = outcome({"test_retry.py::a": ALL}, {"test_retry.py::a": ALL}, version="0.9")
    new = outcome({"test_state.py::a": ALL, "test_state.py::s": "skipped"}, {})
    text = suite_table.table([new, old])
    found = rows(text)
    assert found["feature"] == ["langgraph 1.0", "langgraph 0.9"]
    assert found["state and channels"] == ["0 of 1", "no such tests"]
    assert found["skipped; on stock"] == ["0; 1", "0; 0"]
    assert "`custom runner`" in text
    assert "Linux, without services" in text


def test_it_replaces_what_is_between_the_comments(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{suite_table.BEGIN}\nold\n{suite_table.END}\nafter\n")
    for _ in range(2):
        one = outcome({"test_x.py::a": ALL}, {"test_x.py::a": ALL})
        suite_table.write([one], "the command", page)
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count("`the command`") == 1
    assert "old" not in text


def test_no_table_of_a_run_that_broke_off(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"{suite_table.BEGIN}\nold\n{suite_table.END}\n")
    one = outcome({"test_x.py::a": ALL}, {"test_x.py::a": ALL})
    one["engine"]["problem"] = "ended by signal 9"
    with pytest.raises(ToolError, match=r"1\.0 cannot be counted"):
        suite_table.write([one], "the command", page)
    assert "old" in page.read_text()


@pytest.mark.parametrize(
    ("content", "arguments"),
    [
        ("no place", []),
        (f"{suite_table.END} {suite_table.BEGIN}", []),
        (f"{suite_table.BEGIN}{suite_table.END}" * 2, []),
        (f"{suite_table.BEGIN}{suite_table.END}", ["-k", "some"]),
        (f"{suite_table.BEGIN}{suite_table.END}", ["--stock-only"]),
    ],
)
def test_bad_arguments_end_it_before_any_run(
    content: str, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text(content)
    with pytest.raises(SystemExit) as ended:
        upstream_suite.arguments(["1.0", "--table", str(page), *arguments])
    assert ended.value.code == 2
    assert "--table" in capsys.readouterr().err
