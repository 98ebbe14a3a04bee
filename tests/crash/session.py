"""Threads that are killed and resumed until they are finished, and what was wrong with them."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import rules, shapes
from .databases import Database
from .journal import DONE, START, Journal, Line, read
from .stored import Stored, read_stored
from .zygote import Zygote

# How often one thread is killed at most: what is resumed must be able to stand another kill.
MOST_KILLS = 3
# Kills that may come while the saver is being opened: this share of the time for that.
_OPENING_SHARE = 0.15


@dataclasses.dataclass(frozen=True)
class Case:
    """What is run.

    Attributes:
        shape: of the graph.
        asynchronous: by `ainvoke`, with an asynchronous saver and coroutine functions as nodes.
        durability: "sync", "async" or "exit".
        engine: "compiled" or "stock".
        savers: as `databases.saver_class` takes it.
    """

    shape: str
    asynchronous: bool
    durability: str
    engine: str = "compiled"
    savers: str = "ours"

    @property
    def name(self) -> str:
        """For tables and file names."""
        return f"{self.shape}-{'async' if self.asynchronous else 'sync'}-{self.durability}"


def cases(durability: str, **options: Any) -> list[Case]:
    """All cases of a durability mode.

    Args:
        options: other fields of a `Case`.
    """
    return [
        Case(shape, asynchronous, durability, **options)
        for shape in shapes.SHAPES
        for asynchronous in (False, True)
        if durability == "sync" or shape not in shapes.ONLY_SYNC
    ]


@dataclasses.dataclass
class Outcome:
    """What came of one or more threads.

    Attributes:
        kills: runs that were killed.
        moments: how many kills hit where, see `rules.moment`.
        again: tasks that were done and ran again, as they may.
        partly: kills that left a superstep of which only some tasks were stored.
        stock: threads that upstream's engine and saver also finished, from a copy.
        violations: what was wrong, with the seed and where to look.
    """

    kills: int = 0
    moments: Counter[str] = dataclasses.field(default_factory=Counter)
    again: int = 0
    partly: int = 0
    stock: int = 0
    violations: list[str] = dataclasses.field(default_factory=list)

    @property
    def mid_run(self) -> int:
        """Kills that hit a graph at work."""
        return self.moments["in a task"] + self.moments["between tasks"]

    def __iadd__(self, other: Outcome) -> Outcome:
        for field in dataclasses.fields(self):
            mine = getattr(self, field.name)
            mine += getattr(other, field.name)
            setattr(self, field.name, mine)
        return self


@dataclasses.dataclass(frozen=True)
class Undisturbed:
    """A thread that is never killed.

    Attributes:
        ready: seconds after which its saver is open.
        seconds: how long its process lives.
        stored: what it stores.
    """

    ready: float
    seconds: float
    stored: Stored


class Sessions:
    """Plays threads of one case.

    Args:
        case: what is run.
        database: where it is stored.
        zygote: where processes come from.
        folder: for journals and, where threads have files, the database.
        whole: what to compare with; measured at first use where it is not given.
    """

    def __init__(
        self,
        case: Case,
        database: Database,
        zygote: Zygote,
        folder: Path,
        whole: Undisturbed | None = None,
    ) -> None:
        self.case = case
        self.database = database
        self.zygote = zygote
        self.folder = folder
        self._whole = whole

    @property
    def whole(self) -> Undisturbed:
        """A thread that is never killed: what others must come to, and how long that takes."""
        if self._whole is None:
            self._whole = self.measure()
        return self._whole

    def spec(self, thread: str, attempt: int, **changes: Any) -> dict[str, Any]:
        """What the zygote has to run."""
        return {
            **dataclasses.asdict(self.case),
            "kind": self.database.kind,
            "target": self.database.target(thread),
            "thread": self.database.thread_id(thread),
            "attempt": attempt,
            "journal": str(self.journal(thread)),
            "errors": str(self._errors(thread)),
            **changes,
        }

    def journal(self, thread: str) -> Path:
        """Where a thread's tasks leave their lines."""
        return self.folder / f"{thread}.journal"

    def _errors(self, thread: str) -> Path:
        return self.folder / f"{thread}.errors"

    def error_of(self, thread: str) -> str:
        """What a thread's run has raised."""
        path = self._errors(thread)
        return path.read_text("utf-8") if path.exists() else "no error was written"

    @contextlib.contextmanager
    def _graph(self, thread: str) -> Iterator[Any]:
        """The graph on upstream's engine with upstream's saver, to read a thread."""
        with self.database.stock(thread) as saver:
            journal = Journal(self.journal(thread), 0)
            try:
                yield shapes.compiled(self.case.shape, journal, saver, asynchronous=False)
            finally:
                journal.close()

    def read(self, thread: str, lines: list[Line]) -> Stored:
        """What a thread has stored."""
        with self._graph(thread) as graph:
            late = self.case.durability == "exit"
            return read_stored(graph, self.database.thread_id(thread), lines, exits_late=late)

    def measure(self, runs: int = 1) -> Undisturbed:
        """Run undisturbed, so many times; the length is the median."""
        ready, seconds = [], []
        for number in range(runs):
            thread = f"{self.case.name}-whole{number}".replace(" ", "-")
            self._forget(thread)
            ended = self.zygote.run(self.spec(thread, 1))
            if ended["code"]:
                raise RuntimeError(f"an undisturbed run failed:\n{self.error_of(thread)}")
            ready.append(ended["ready"])
            seconds.append(ended["seconds"])
            stored = self.read(thread, read(self.journal(thread)))
            self._forget(thread)
        return Undisturbed(statistics.median(ready), statistics.median(seconds), stored)

    def _forget(self, thread: str) -> None:
        for name in (thread, f"{thread}-copy", f"{thread}-seen"):
            self.database.forget(name)
            self.journal(name).unlink(missing_ok=True)
            self._errors(name).unlink(missing_ok=True)

    def play(self, seed: str, *, kills: int = MOST_KILLS, with_stock: bool = False) -> Outcome:
        """Kill a thread and resume it until it is finished.

        Args:
            seed: decides the moments.
            kills: the most there may be; the thread gets from one to that many tries.
            with_stock: upstream's engine and saver have to finish a copy of the thread as it was
                after the first kill.

        Returns:
            What came of it. A thread with violations is kept, any other is removed.
        """
        rng = random.Random(seed)
        outcome = Outcome()
        thread = f"{self.case.name}-{seed}".replace(" ", "-").replace("/", "-")
        self._forget(thread)
        problems: list[str] = []
        kept: list[tuple[int, Stored]] = []
        tries = rng.randint(1, kills)
        attempt = 0
        while True:
            attempt += 1
            lines = read(self.journal(thread))
            done = {line.label for line in lines if line.event == DONE}
            delay = self._moment(rng, done) if attempt <= tries else None
            ended = self.zygote.run(self.spec(thread, attempt), delay)
            if not ended["killed"]:
                break
            self.database.settle(thread)
            lines = read(self.journal(thread))
            seen = self.database.seen(thread)
            problems += self.database.faults(seen)
            stored = self.read(seen, lines)
            problems += [
                f"after attempt {attempt}: {problem}"
                for problem in rules.after_kill(
                    self.case.durability, lines, stored, self.whole.stored
                )
            ]
            if with_stock and not kept:
                copied = self.database.copy(thread)
                problems += self._finish_with_stock(thread, copied, attempt, stored)
                outcome.stock += 1
            kept.append((attempt, stored))
            outcome.kills += 1
            outcome.partly += stored.partly
            outcome.moments[rules.moment(lines, attempt)] += 1
        if ended["code"]:
            problems.append(f"attempt {attempt} failed:\n{self.error_of(thread)}")
        else:
            problems += self._judge_finished(thread, kept)
            starts = Counter(
                line.label for line in read(self.journal(thread)) if line.event == START
            )
            outcome.again = sum(count - 1 for count in starts.values())
        if problems:
            kept_in = self.database.keep(thread, self.folder)
            where = f"{kept_in}, journal {self.journal(thread)}"
            outcome.violations = [f"{self.case.name}, seed {seed}: {p} ({where})" for p in problems]
        else:
            self._forget(thread)
        return outcome

    def _moment(self, rng: random.Random, done: set[str]) -> float:
        """When to kill a process, in seconds: at any time of what it has left to do."""
        left = 1 - len(done) / len(self.whole.stored.labels)
        first = self.whole.ready * (1 - _OPENING_SHARE)
        return rng.uniform(first, first + (self.whole.seconds - first) * left)

    def _judge_finished(self, thread: str, kept: list[tuple[int, Stored]]) -> list[str]:
        lines = read(self.journal(thread))
        problems = self.database.faults(thread)
        for attempt, stored in kept:
            problems += rules.ran_again(stored, lines, attempt)
        return problems + rules.when_finished(lines, self.read(thread, lines), self.whole.stored)

    def _finish_with_stock(
        self, thread: str, copied: str, attempt: int, stored: Stored
    ) -> list[str]:
        """What is wrong where upstream goes on from here.

        Args:
            copied: the thread as the attempt has left it.
            stored: what is in it.
        """
        self.journal(copied).write_bytes(
            self.journal(thread).read_bytes() if self.journal(thread).exists() else b""
        )
        spec = self.spec(copied, attempt + 1, engine="stock", savers="stock")
        ended = self.zygote.run(spec)
        if ended["code"]:
            return [f"upstream could not finish {copied}:\n{self.error_of(copied)}"]
        return [
            f"finished by upstream: {problem}"
            for problem in self._judge_finished(copied, [(attempt, stored)])
        ]
