"""The benchmarks are right about what they compare; how fast anything is, is not tested here."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import langgraph_cy
from bench import tables
from bench.__main__ import main
from bench.registry import Graph, Workload
from bench.runner import COMPILED, FLOOR, STOCK, RefusedError, Result, Spread, measure, verify
from bench.workloads import CURVES, WORKLOADS, loop

LOOP = WORKLOADS["loop"]


def altered(run: Callable[[Graph], Any], **changes: Any) -> Workload:
    """`loop` with another way to run it."""
    return replace(LOOP, make=lambda n: replace(loop(n), run=run, **changes))


@pytest.mark.parametrize("workload", [*WORKLOADS.values(), *CURVES.values()], ids=lambda w: w.name)
def test_both_engines_agree(workload: Workload) -> None:
    verify(workload, workload.tiny)


def test_measures_every_side_in_every_round() -> None:
    result = measure(WORKLOADS["send"], 4, rounds=3, sample=0)
    assert {side: len(times) for side, times in result.seconds.items()} == {
        STOCK: 3,
        COMPILED: 3,
        FLOOR: 3,
    }
    assert all(time > 0 for times in result.seconds.values() for time in times)
    assert result.compiled_runs == 4  # one to see how long it takes, one a round


def test_repeats_runs_to_fill_a_sample() -> None:
    result = measure(WORKLOADS["one_node"], 1, rounds=1, sample=0.02)
    assert result.compiled_runs * result.time(COMPILED).high > 0.02


def test_refuses_a_run_that_was_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langgraph_cy, "accelerate", lambda graph: graph)
    with pytest.raises(RefusedError, match="the run was not compiled: 0 runs compiled"):
        verify(LOOP, 3)


def test_refuses_a_stock_run_that_was_compiled() -> None:
    accelerated = langgraph_cy.accelerate(loop(3).graph)
    with pytest.raises(RefusedError, match="is the engine installed"):
        verify(altered(lambda graph: accelerated.invoke({"n": 0})), 3)


def test_refuses_unequal_outputs() -> None:
    returned: Iterator[Any] = iter([{"n": 3}, {"n": 4}])

    def run(graph: Graph) -> Any:
        graph.invoke({"n": 0})
        return next(returned)

    with pytest.raises(RefusedError, match=r"compiled returned \{'n': 4\}, expected \{'n': 3\}"):
        verify(altered(run), 3)


def test_refuses_equal_outputs_that_are_wrong() -> None:
    with pytest.raises(RefusedError, match="stock returned"):
        verify(altered(lambda graph: graph.invoke({"n": 1}), expect={"n": 1}), 3)


def test_refuses_a_fall_back_while_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fading:
        """Runs compiled once, then on stock."""

        def __init__(self, graph: Graph) -> None:
            self.graphs = iter([compile_graph(graph)])
            self.stock = graph

        def invoke(self, state: Any) -> Any:
            return next(self.graphs, self.stock).invoke(state)

    compile_graph = langgraph_cy.accelerate
    monkeypatch.setattr(langgraph_cy, "accelerate", Fading)
    with pytest.raises(RefusedError, match="not every timed run was compiled"):
        measure(LOOP, 3, rounds=1, sample=0)


def test_awaits_a_coroutine_function() -> None:
    async def run(graph: Graph) -> Any:
        return graph.invoke({"n": 0})

    verify(altered(run), 3)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "times.json"
    quick = ["--tiny", "--rounds", "2", "--sample", "0"]
    assert main(["--only", "loop", "send", *quick, "--markdown", "--json", str(record)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("| workload | unit | stock | compiled | ratio | target | floor |")
    assert "loop 3: outputs equal" in err
    results = json.loads(record.read_text())["results"]
    assert [(r["name"], len(r["ratios"])) for r in results] == [("loop", 2), ("send", 2)]


def test_command_line_fails_on_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(langgraph_cy, "accelerate", lambda graph: graph)
    assert main(["--only", "loop", "--tiny", "--rounds", "1", "--sample", "0"]) == 1
    assert "loop 3: REFUSED" in capsys.readouterr().err


def test_command_line_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*WORKLOADS]
    with pytest.raises(SystemExit) as stopped:
        main(["--only", "nothing"])
    assert stopped.value.code == 2
    assert "no such name: nothing" in capsys.readouterr().err


def test_ratio_pairs_the_rounds() -> None:
    result = Result(LOOP, 1_000, {STOCK: [8e-4, 9e-4, 6e-4], COMPILED: [1e-5, 3e-5, 2e-5]}, 3)
    assert result.ratio == pytest.approx(Spread(median=30, low=30, high=80))
    table = tables.ratios([result], markdown=False)
    assert "800 us [600 us .. 900 us]" in table
    assert "50x missed" in table


def test_curve_says_how_flat_it_is() -> None:
    times = [(10, 4e-6), (100, 2e-6), (1_000, 3e-6)]
    results = [Result(CURVES["steps"], n, {STOCK: [t], COMPILED: [t]}, 1) for n, t in times]
    assert "compiled 1.50" in tables.curve(CURVES["steps"], results, markdown=False)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (3e-7, "300 ns"),
        (3.017e-6, "3.02 us"),
        (9.996e-6, "10.0 us"),
        (99.96e-6, "100 us"),
        (999.4e-6, "999 us"),
        (999.6e-6, "1.00 ms"),
        (2.5, "2.50 s"),
    ],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert tables.duration(seconds) == text
