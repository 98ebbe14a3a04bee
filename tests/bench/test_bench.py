"""The benchmarks are right about what they compare; how fast anything is, is not tested here."""

import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest

import langgraph_cy
from bench import runner, tables
from bench.__main__ import main
from bench.graphs import counting
from bench.registry import Case, Graph, Workload
from bench.runner import (
    COMPILED,
    FEWEST_ROUNDS,
    FLOOR,
    STOCK,
    Counts,
    RefusedError,
    Result,
    Spread,
    measure,
    verify,
)
from bench.workloads import CURVES, WORKLOADS
from bench.workloads.loops import loop
from langgraph_cy.cli import timing
from langgraph_cy.stats import count_stock

LOOP = WORKLOADS["loop"]
ALL_COMPILED = Counts(1, 0, {})


def altered(run: Callable[[Graph], Any], **changes: Any) -> Workload:
    """`loop` with another way to run it."""
    return replace(LOOP, make=lambda n: replace(loop(n), run=run, **changes))


class Clock:
    """A clock that stands still but for what is added to it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "perf_counter", clock)
    return clock


@pytest.mark.parametrize("workload", [*WORKLOADS.values(), *CURVES.values()], ids=lambda w: w.name)
def test_both_engines_agree(workload: Workload) -> None:
    counts = verify(workload, workload.tiny)
    of_a_graph = workload.make(workload.tiny).graph is not None
    assert (counts.compiled > 0) == of_a_graph
    assert (counts.stock, counts.reasons) == (0, {})


@pytest.mark.parametrize("name", ["send", "asend"])
def test_measures_every_side_in_every_round(name: str) -> None:
    (result,) = measure(WORKLOADS[name], [4], rounds=3, sample=0)
    assert {side: len(times) for side, times in result.seconds.items()} == {
        STOCK: 3,
        COMPILED: 3,
        FLOOR: 3,
    }
    assert all(time > 0 for times in result.seconds.values() for time in times)
    assert result.timed_runs == 3


def test_does_not_time_what_is_prepared(clock: Clock) -> None:
    def prepare() -> int:
        clock.now += 100
        return 7

    def run(given: int) -> int:
        clock.now += 1
        return given

    case = Case(None, run, 7, 1, prepare=prepare)
    (result,) = measure(replace(LOOP, make=lambda n: case), [3], rounds=1, sample=150)
    assert result.seconds == {STOCK: [1], COMPILED: [1]}
    assert result.timed_runs == 2
    assert result.counts == Counts(0, 0, {})


def test_refuses_a_run_where_there_is_no_graph() -> None:
    graph = loop(3).graph
    case = Case(None, lambda _: graph.invoke({"n": 0}), {"n": 3}, 1)
    with pytest.raises(RefusedError, match="there is no graph"):
        verify(replace(LOOP, make=lambda n: case), 3)


def test_repeats_runs_to_fill_a_sample() -> None:
    (result,) = measure(WORKLOADS["one_node"], [1], rounds=1, sample=0.02)
    assert result.timed_runs > 1
    assert result.counts == ALL_COMPILED


def test_takes_off_the_shorter_run(clock: Clock) -> None:
    def make(n: int) -> Case:
        def case(length: int, shorter: Case | None = None) -> Case:
            def run(graph: Graph) -> Any:
                clock.now += 5 + 2 * length
                return graph.invoke({"n": 0})

            return Case(counting(3), run, {"n": 3}, length, shorter=shorter)

        return case(n, case(1))

    for result in measure(replace(LOOP, make=make), [10, 1_000], rounds=2, sample=0):
        assert result.seconds == {STOCK: [2, 2], COMPILED: [2, 2]}


def test_leaves_out_rounds_beyond_the_budget(clock: Clock) -> None:
    def run(graph: Graph) -> Any:
        clock.now += 1
        return graph.invoke({"n": 0})

    def rounds(**options: Any) -> int:
        (result,) = measure(altered(run), [3], sample=1, **options)
        return len(result.ratios)

    assert rounds(rounds=9) == 9
    assert rounds(rounds=9, budget=10) == 5
    assert rounds(rounds=9, budget=1) == FEWEST_ROUNDS
    assert rounds(rounds=2, budget=1) == 2


def test_awaits_a_coroutine_function(clock: Clock) -> None:
    async def run(graph: Graph) -> Any:
        clock.now += 1
        return await graph.ainvoke({"n": 0})

    (result,) = measure(altered(run), [3], rounds=1, sample=4)
    assert result.seconds == {STOCK: [1 / 3], COMPILED: [1 / 3]}
    assert result.timed_runs >= 4


def test_says_when_runs_were_on_stock() -> None:
    def run(graph: Graph) -> Any:
        count_stock("a reason")
        return graph.invoke({"n": 0})

    (result,) = measure(altered(run), [3], rounds=1, sample=0)
    assert result.counts == (1, 1, {"a reason": 1})
    assert str(result.counts) == "1 compiled, 1 on stock's engine; 1 because: a reason"
    assert "(partly stock's engine)" in tables.ratios([result], markdown=True)
    alone = replace(result, counts=Counts(0, 1, {"a reason": 1}))
    assert "(stock's engine)" in tables.ratios([alone], markdown=True)
    assert "stock's engine" not in tables.ratios([replace(result, counts=ALL_COMPILED)], True)


def test_refuses_a_run_that_was_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(langgraph_cy, "installed", nullcontext)
    with pytest.raises(RefusedError, match="the run was not counted"):
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


def test_refuses_a_wrong_shorter_run_and_a_wrong_floor() -> None:
    wrong = replace(loop(3), expect={"n": 4})
    with pytest.raises(RefusedError, match="stock returned"):
        verify(replace(LOOP, make=lambda n: replace(loop(n), shorter=wrong)), 3)
    with pytest.raises(RefusedError, match="floor returned 'nothing'"):
        verify(replace(LOOP, make=lambda n: replace(loop(n), floor=lambda: "nothing")), 3)


def test_refuses_a_change_of_engine_while_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    # Installed for the run that is checked, and not again.
    engines: Iterator[runner.Engine] = chain([langgraph_cy.installed], repeat(nullcontext))
    monkeypatch.setattr(langgraph_cy, "installed", lambda: next(engines)())
    with pytest.raises(RefusedError, match="compiled took another engine than when it was checked"):
        measure(LOOP, [3], rounds=1, sample=0)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = tmp_path / "times.json"
    quick = ["--tiny", "--rounds", "2", "--sample", "0"]
    assert main(["--only", "loop", "send", *quick, "--markdown", "--json", str(record)]) == 0
    out, err = capsys.readouterr()
    columns = ["workload", "unit", "stock", "compiled", "ratio", "at least"]
    columns += ["floor", "x of the floor", "within"]
    assert out.startswith(f"| {' | '.join(columns)} |")
    assert "loop: outputs equal" in err
    assert "3: 2 rounds, 2 timed runs, each 1 compiled" in err
    results = json.loads(record.read_text())["results"]
    assert [(r["name"], len(r["ratios"])) for r in results] == [("loop", 2), ("send", 2)]


def test_command_line_fails_on_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(langgraph_cy, "installed", nullcontext)
    assert main(["--only", "loop", "--tiny", "--rounds", "1", "--sample", "0"]) == 1
    assert "loop: REFUSED" in capsys.readouterr().err


def test_command_line_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [*WORKLOADS]
    with pytest.raises(SystemExit) as stopped:
        main(["--only", "nothing"])
    assert stopped.value.code == 2
    assert "no such name: nothing" in capsys.readouterr().err


def test_command_line_draws_curves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "curves.svg"
    assert (
        main(["--curves", "--only", "steps", "--rounds", "1", "--tiny", "--plot", str(picture)])
        == 0
    )
    assert capsys.readouterr().out.startswith(
        "steps: `loop`, shorter and longer\n\nsteps in the run"
    )
    assert "<svg" in picture.read_text(encoding="utf-8")


def result_of(workload: Workload, size: int, **seconds: list[float]) -> Result:
    return Result(workload, size, seconds, len(seconds[COMPILED]), ALL_COMPILED)


def test_ratio_pairs_the_rounds() -> None:
    result = result_of(LOOP, 1_000, stock=[8e-4, 9e-4, 6e-4], compiled=[1e-5, 3e-5, 2e-5])
    assert result.ratio == pytest.approx(Spread(median=30, low=30, high=80))
    table = tables.ratios([result], markdown=False)
    assert "800 us [600 us .. 900 us]" in table
    assert "80x MISSED" in table
    fast = result_of(LOOP, 1_000, stock=[1e-3], compiled=[1e-5])
    assert "80x met" in tables.ratios([fast], markdown=False)


def test_floor_pairs_the_rounds() -> None:
    send = WORKLOADS["send"]
    result = result_of(send, 1_000, stock=[4e-4] * 2, compiled=[8e-6, 2e-6], floor=[1e-6, 1e-6])
    assert result.of_the_floor == pytest.approx(Spread(median=5, low=2, high=8))
    table = tables.ratios([result], markdown=True)
    assert "| 1.00 us [1.00 us .. 1.00 us] | 5.00x [2.00x .. 8.00x] | 3x MISSED |" in table
    # A row without a floor has as many columns.
    other = tables.ratios([result, result_of(LOOP, 3, stock=[1], compiled=[1])], markdown=True)
    assert len({line.count("|") for line in other.splitlines()}) == 1


@pytest.mark.parametrize(
    ("dearest", "verdict"),
    [(2.3e-6, "1.15x, within 1.2x met"), (3e-6, "1.50x, within 1.2x MISSED")],
)
def test_curve_says_how_flat_it_is(dearest: float, verdict: str) -> None:
    steps = CURVES["steps"]
    times = [(10, 2.1e-6), (100, dearest), (1_000, 2e-6)]
    results = [result_of(steps, n, stock=[4 * t], compiled=[t]) for n, t in times]
    assert f"compiled {verdict}" in tables.curve(steps, results, markdown=False)
    assert "dearest" not in tables.curve(steps, results[:1], markdown=False)


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
