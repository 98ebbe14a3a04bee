"""Runs a workload on both engines: first to compare what they return, then against the clock.

Nothing is timed before both engines have returned what the case expects. The engine's own counters
say which engine the checked runs took, and that every timed run took the same.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import langgraph_cy
from langgraph_cy.cli.cases import Case, Workload

STOCK, COMPILED, FLOOR = "stock", "compiled", "floor"

# Makes the context in which a sample runs.
Engine = Callable[[], AbstractContextManager[None]]

# Below this a median with its extremes says nothing.
FEWEST_ROUNDS = 3


class RefusedError(Exception):
    """The two runs cannot be compared, so no time of theirs would mean anything."""


class Spread(NamedTuple):
    """A median with the extremes around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))


class Counts(NamedTuple):
    """How many runs the engine counted, since some moment."""

    compiled: int
    stock: int
    reasons: dict[str, int]

    @classmethod
    def now(cls) -> Counts:
        stats = langgraph_cy.engine_stats()
        return cls(stats.compiled, stats.stock, dict(stats.reasons))

    def since(self, before: Counts) -> Counts:
        reasons = {why: n - before.reasons.get(why, 0) for why, n in self.reasons.items()}
        return Counts(
            self.compiled - before.compiled,
            self.stock - before.stock,
            {why: n for why, n in reasons.items() if n},
        )

    def __str__(self) -> str:
        if not self.stock:
            return f"{self.compiled:,} compiled"
        reasons = "".join(f"; {n:,} because: {why}" for why, n in self.reasons.items())
        return f"{self.compiled:,} compiled, {self.stock:,} on stock's engine{reasons}"


@dataclass(frozen=True)
class Result:
    """The times of one workload at one size.

    Args:
        size: the size of the case.
        seconds: by side (`stock`, `compiled`, perhaps `floor`), the seconds for one unit in each
            round.
        timed_runs: how many runs of the compiled side were timed.
        counts: which engine took one of these, and the runs nested in it.
    """

    workload: Workload
    size: int
    seconds: dict[str, list[float]]
    timed_runs: int
    counts: Counts

    @property
    def ratios(self) -> list[float]:
        """Stock's time over the compiled engine's, round by round."""
        return self._over(STOCK, COMPILED)

    @property
    def ratio(self) -> Spread:
        return Spread.of(self.ratios)

    @property
    def of_the_floor(self) -> Spread | None:
        """The compiled engine's time over the floor's, where there is a floor."""
        return Spread.of(self._over(COMPILED, FLOOR)) if FLOOR in self.seconds else None

    def time(self, side: str) -> Spread:
        return Spread.of(self.seconds[side])

    def as_json(self) -> dict[str, Any]:
        """Everything measured, seconds for one unit, in types that `json` writes."""
        floor = self.of_the_floor
        return {
            "name": self.workload.name,
            "size": self.size,
            "unit": self.workload.unit,
            "at_least": self.workload.at_least,
            "within": self.workload.within,
            "seconds": self.seconds,
            "ratios": self.ratios,
            "ratio": self.ratio._asdict(),
            "of_the_floor": floor._asdict() if floor else None,
            "timed_runs": self.timed_runs,
            "counts": self.counts._asdict(),
        }

    def _over(self, side: str, other: str) -> list[float]:
        pairs = zip(self.seconds[side], self.seconds[other], strict=True)
        return [time / other_time for time, other_time in pairs]


def verify(workload: Workload, size: int) -> Counts:
    """Run the workload once on each engine.

    Returns:
        Which engine took the run that was meant to be compiled, and the runs nested in it.

    Raises:
        RefusedError: a run did not return what is expected, the one meant for stock's engine was
            compiled, or the other one was not counted at all.
    """
    with _event_loop() as loop:
        return _Comparison(workload, size, loop).counts


def measure(
    workload: Workload,
    sizes: Sequence[int],
    rounds: int,
    sample: float,
    budget: float = math.inf,
) -> list[Result]:
    """Verify the workload, then time it.

    Each round takes one sample of every side in turn at every size, so that a machine that slows
    down or speeds up does so for all of them. Garbage collection stays on, since what an engine
    allocates is a part of its cost; what was alive before is frozen, so that neither side pays
    for scanning it, and a sample starts from a collected heap.

    Args:
        rounds: how many samples of each side.
        sample: the least length of one sample in seconds; runs are repeated to fill it.
        budget: seconds after which there should be no more rounds, down to `FEWEST_ROUNDS`.

    Returns:
        A result for each size.

    Raises:
        RefusedError: as `verify`, and where a timed run went to another engine than the checked
            one.
    """
    with _event_loop() as loop:
        comparisons = [_Comparison(workload, size, loop) for size in sizes]
        gc.collect()
        gc.freeze()
        try:
            seconds = sum(comparison.fill(sample) for comparison in comparisons)
            if rounds > FEWEST_ROUNDS:
                rounds = max(FEWEST_ROUNDS, int(min(rounds, budget / seconds)))
            for _ in range(rounds):
                for comparison in comparisons:
                    comparison.round()
        finally:
            gc.unfreeze()
    return [comparison.result() for comparison in comparisons]


class _Comparison:
    """A case on every side, checked, and the samples taken of it so far."""

    def __init__(self, workload: Workload, size: int, loop: asyncio.AbstractEventLoop) -> None:
        # Two cases, so that the engines may keep with their graph what they like.
        case, twin = workload.make(size), workload.make(size)
        # As an application has it: nothing is said about the graphs, nor about those within them.
        sides: list[tuple[str, Case, Engine]] = [
            (STOCK, case, nullcontext),
            (COMPILED, twin, langgraph_cy.installed),
        ]
        self._workload, self._size = workload, size
        # by side, the run and where there is one the shorter run to take off
        self._timed = {
            side: [
                _Timed(side, loop, engine, each, each.run, each.graph)
                for each in (given, given.shorter)
                if each
            ]
            for side, given, engine in sides
        }
        if case.floor:
            self._timed[FLOOR] = [_Timed(FLOOR, loop, nullcontext, case, case.floor)]
        self._units = case.units - (case.shorter.units if case.shorter else 0)
        self._seconds: dict[str, list[float]] = {side: [] for side in self._timed}
        self.counts = self._timed[COMPILED][0].counts
        counted = self.counts.compiled or self.counts.stock
        if case.graph is None and counted:
            raise RefusedError("there is no graph, and yet a run was counted")
        if case.graph is not None and not counted:
            raise RefusedError("the run was not counted: has another tool wrapped the engine?")
        if self._timed[STOCK][0].counts.compiled:
            raise RefusedError("stock's run was compiled: is the engine installed?")

    def fill(self, sample: float) -> float:
        """Make samples last `sample` seconds; returns the seconds that a round takes."""
        return sum(timed.fill(sample) for side in self._timed.values() for timed in side)

    def round(self) -> None:
        """Take one sample of every side."""
        for side, (run, *shorter) in self._timed.items():
            seconds = run.sample() - sum(timed.sample() for timed in shorter)
            self._seconds[side].append(seconds / self._units)

    def result(self) -> Result:
        timed_runs = self._timed[COMPILED][0].runs * len(self._seconds[COMPILED])
        return Result(self._workload, self._size, self._seconds, timed_runs, self.counts)


class _Timed:
    """Something to run and to time, checked by one run of it.

    Args:
        side: the name of the side.
        loop: where a coroutine function is awaited.
        engine: makes the context for a sample.
        case: says what `run` must return.
        run: what to run; it takes `args`, or what the case prepares for each run.

    Raises:
        RefusedError: the run did not return what is expected.
    """

    def __init__(
        self,
        side: str,
        loop: asyncio.AbstractEventLoop,
        engine: Engine,
        case: Case,
        run: Callable[..., Any],
        *args: Any,
    ) -> None:
        self._side, self._loop, self._engine, self._run, self._args = side, loop, engine, run, args
        self._prepare = case.prepare
        self.runs = 1  # in a sample
        self._lasted = 0.0  # seconds of the last sample, with what was prepared
        _, returned, self.counts = self._clock()
        if not case.same(returned, case.expect):
            raise RefusedError(
                f"{side} returned {_shorten(returned)}, expected {_shorten(case.expect)}"
            )

    def fill(self, sample: float) -> float:
        """Repeat runs to last `sample` seconds; this warms up what is warmed up by running.

        Returns:
            The seconds that a sample takes.
        """
        while self._lasted < sample:
            # At most tenfold, for the first runs are slower than those that follow.
            wanted = math.ceil(1.1 * self.runs * sample / self._lasted)
            self.runs = min(self.runs * 10, max(self.runs + 1, wanted))
            self._clock()
        return self._lasted

    def sample(self) -> float:
        """The seconds of one run, the average over a sample.

        Raises:
            RefusedError: not every run took the engine that the checked one took.
        """
        gc.collect()
        seconds, _, counts = self._clock()
        expected = (self.runs * self.counts.compiled, self.runs * self.counts.stock)
        if (counts.compiled, counts.stock) != expected:
            raise RefusedError(
                f"{self._side} took another engine than when it was checked: "
                f"{self.runs:,} runs were {counts}, and the checked one {self.counts}"
            )
        return seconds / self.runs

    def _clock(self) -> tuple[float, Any, Counts]:
        """The seconds that a sample takes, what its last run returned, and what was counted."""
        with self._engine():
            before, begun = Counts.now(), perf_counter()
            # One await for all runs, since entering the loop costs as much as a short run.
            if inspect.iscoroutinefunction(self._run):
                seconds, returned = self._loop.run_until_complete(self._await_runs())
            elif self._prepare:
                seconds = 0.0
                for _ in range(self.runs):
                    given = self._prepare()
                    start = perf_counter()
                    returned = self._run(given)
                    seconds += perf_counter() - start
            else:
                start = perf_counter()
                for _ in range(self.runs):
                    returned = self._run(*self._args)
                seconds = perf_counter() - start
            self._lasted = perf_counter() - begun if self._prepare else seconds
            return seconds, returned, Counts.now().since(before)

    async def _await_runs(self) -> tuple[float, Any]:
        start = perf_counter()
        for _ in range(self.runs):
            returned = await self._run(*self._args)
        return perf_counter() - start, returned


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    try:
        yield loop
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def _shorten(value: object, width: int = 200) -> str:
    text = repr(value)
    return text if len(text) <= width else f"{text[:width]}..."
