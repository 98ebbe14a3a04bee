"""Runs a workload on both engines: first to compare what they return, then against the clock.

Nothing is timed before both engines have returned what the case expects and the engine's own
counters say that the one run was compiled and the other was not.
"""

import asyncio
import gc
import inspect
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import langgraph_cy
from bench.registry import Case, Workload

STOCK, COMPILED, FLOOR = "stock", "compiled", "floor"

Call = Callable[[], Any]


class RefusedError(Exception):
    """The two runs cannot be compared, so no time of theirs would mean anything."""


class Spread(NamedTuple):
    """A median with the extremes around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Result:
    """The times of one workload at one size.

    Args:
        size: the size of the case.
        seconds: by side (`stock`, `compiled`, perhaps `floor`), the seconds for one unit in each
            round.
        compiled_runs: how many runs of the compiled side the engine counted as compiled.
    """

    workload: Workload
    size: int
    seconds: dict[str, list[float]]
    compiled_runs: int

    @property
    def ratios(self) -> list[float]:
        """Stock's time over the compiled engine's, round by round."""
        pairs = zip(self.seconds[STOCK], self.seconds[COMPILED], strict=True)
        return [stock / compiled for stock, compiled in pairs]

    @property
    def ratio(self) -> Spread:
        return Spread.of(self.ratios)

    def time(self, side: str) -> Spread:
        return Spread.of(self.seconds[side])

    def as_json(self) -> dict[str, Any]:
        """Everything measured, seconds for one unit, in types that `json` writes."""
        return {
            "name": self.workload.name,
            "size": self.size,
            "unit": self.workload.unit,
            "target": self.workload.target,
            "seconds": self.seconds,
            "ratios": self.ratios,
            "ratio": self.ratio._asdict(),
            "compiled_runs": self.compiled_runs,
        }


class Counts(NamedTuple):
    """How many runs the engine counted, since some moment."""

    compiled: int
    stock: int
    reasons: dict[str, int]

    @classmethod
    def now(cls) -> "Counts":
        stats = langgraph_cy.engine_stats()
        return cls(stats.compiled, stats.stock, dict(stats.reasons))

    def since(self, before: "Counts") -> "Counts":
        reasons = {why: n - before.reasons.get(why, 0) for why, n in self.reasons.items()}
        return Counts(
            self.compiled - before.compiled,
            self.stock - before.stock,
            {why: n for why, n in reasons.items() if n},
        )


def verify(workload: Workload, size: int) -> None:
    """Run the workload once on each engine.

    Raises:
        RefusedError: a run did not return what is expected, the run meant to be compiled was not,
            or the run meant for stock's engine was.
    """
    with _verified(workload, size):
        pass


def measure(workload: Workload, size: int, rounds: int, sample: float) -> Result:
    """Verify the workload, then time it.

    Each round takes one sample of every side in turn, so that a machine that slows down or
    speeds up does so for all of them. Garbage collection stays on, since what an engine
    allocates is a part of its cost; what was alive before is frozen, so that neither side pays
    for scanning it, and a sample starts from a collected heap.

    Args:
        rounds: how many samples of each side.
        sample: the least length of one sample in seconds; runs are repeated to fill it.

    Raises:
        RefusedError: as `verify`, and where a run in between fell back to stock's engine.
    """
    with _verified(workload, size) as (case, calls):
        before = Counts.now()
        gc.collect()
        gc.freeze()
        try:
            runs = {side: _runs_to_fill(sample, call) for side, call in calls.items()}
            seconds: dict[str, list[float]] = {side: [] for side in calls}
            for _ in range(rounds):
                for side, call in calls.items():
                    gc.collect()
                    seconds[side].append(_clock(call, runs[side]) / (runs[side] * case.units))
        finally:
            gc.unfreeze()
        counted = Counts.now().since(before)
        if counted.stock or counted.compiled < rounds * runs[COMPILED]:
            raise RefusedError(f"not every timed run was compiled: {_describe(counted)}")
        return Result(workload, size, seconds, counted.compiled)


@contextmanager
def _verified(workload: Workload, size: int) -> Iterator[tuple[Case, dict[str, Call]]]:
    """The case, and by side a call that makes one run; entered only if both sides are right."""
    # Two cases, so that `accelerate` may do to its graph what it likes.
    case, twin = workload.make(size), workload.make(size)
    with closing(asyncio.new_event_loop()) as loop:
        calls = {
            STOCK: _bind(loop, case.run, case.graph),
            COMPILED: _bind(loop, twin.run, langgraph_cy.accelerate(twin.graph)),
        }
        for side, call in calls.items():
            before = Counts.now()
            returned = call()
            counted = Counts.now().since(before)
            if type(returned) is not type(case.expect) or returned != case.expect:
                raise RefusedError(
                    f"{side} returned {_shorten(returned)}, expected {_shorten(case.expect)}"
                )
            if side == STOCK and counted.compiled:
                raise RefusedError("stock's run was compiled: is the engine installed?")
            if side == COMPILED and (counted.stock or not counted.compiled):
                raise RefusedError(f"the run was not compiled: {_describe(counted)}")
        if case.floor:
            calls[FLOOR] = _bind(loop, case.floor)
        yield case, calls


def _bind(loop: asyncio.AbstractEventLoop, run: Callable[..., Any], *args: Any) -> Call:
    """`run(*args)` as a call without arguments, which also waits for a coroutine."""
    if inspect.iscoroutinefunction(run):
        return lambda: loop.run_until_complete(run(*args))
    return lambda: run(*args)


def _clock(call: Call, runs: int) -> float:
    """The seconds that `runs` calls take."""
    start = perf_counter()
    for _ in range(runs):
        call()
    return perf_counter() - start


def _runs_to_fill(sample: float, call: Call) -> int:
    """How many runs last `sample` seconds; finding out warms up what is warmed up by running."""
    runs = 1
    while (elapsed := _clock(call, runs)) < sample:
        # At most tenfold, for the first runs are slower than those that follow.
        runs = min(runs * 10, max(runs + 1, math.ceil(1.1 * runs * sample / elapsed)))
    return runs


def _describe(counted: Counts) -> str:
    reasons = "".join(f"; {n} because: {why}" for why, n in counted.reasons.items())
    return f"{counted.compiled} runs compiled, {counted.stock} on stock{reasons}"


def _shorten(value: object, width: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}..."
