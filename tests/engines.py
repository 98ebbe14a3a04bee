"""What the tests share: running on either engine, comparing outcomes, other interpreters."""

import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

import langgraph_cy

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ENGINES = re.compile(r"[\\/](langgraph|langgraph_cy)[\\/][^.]*\.py$")
ADDRESS = re.compile(r"0x[0-9a-f]{6,}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00")
NO_CORE = "compiled core not loaded"
DIGEST = re.compile(r"\b[0-9a-f]{32}\b")


class State(TypedDict):
    """The state of the smallest graphs: one number."""

    n: int


def add_one(state: State) -> dict[str, int]:
    return {"n": state["n"] + 1}


def chain(*functions: Callable[..., Any], schema: Any = State, builder: Any = StateGraph) -> Any:
    """The compiled graph that runs the functions one after the other."""
    graph = builder(schema)
    graph.add_sequence([(f"node{place}", each) for place, each in enumerate(functions)])
    graph.add_edge(START, "node0")
    graph.add_edge(f"node{len(functions) - 1}", END)
    return graph.compile()


def taken() -> tuple[int, int]:
    """How many runs the compiled engine took, and how many went to stock's.

    Where the package has no compiled core, which only tests marked `shim` put up with, the runs
    that went to stock's engine for want of it count as taken.
    """
    stats = langgraph_cy.engine_stats()
    for_want_of_it = 0 if langgraph_cy.COMPILED else stats.reasons.get(NO_CORE, 0)
    return stats.compiled + for_want_of_it, stats.stock - for_want_of_it


@dataclass
class Engine:
    """One of the two engines.

    Attributes:
        compiled: whether it is the compiled one.
    """

    compiled: bool

    @contextmanager
    def running(self) -> Iterator[None]:
        """Graphs of upstream's classes run on this engine; counts start at zero."""
        langgraph_cy.uninstall()
        langgraph_cy.reset_engine_stats()
        if self.compiled:
            langgraph_cy.install()
        try:
            yield
        finally:
            langgraph_cy.uninstall()
            langgraph_cy.reset_engine_stats()

    def check(self) -> None:
        """Every run so far was on this engine: nothing of it went to the other one."""
        compiled, stock = taken()
        assert stock == 0, langgraph_cy.engine_stats()
        assert (compiled > 0) is self.compiled, langgraph_cy.engine_stats()


STOCK = Engine(compiled=False)
COMPILED = Engine(compiled=True)


@dataclass
class Outcome:
    """What came of a call, in a form in which two engines can be compared."""

    chunks: list[Any] = field(default_factory=list)
    result: Any = None
    kind: type | None = None
    text: str = ""
    notes: list[str] = field(default_factory=list)
    last_frame: tuple[str, str, int | None] | None = None
    cause: tuple[type, str] | None = None


def mask(text: str) -> str:
    """Text without what differs from one run to the next."""
    return ADDRESS.sub("<address>", UUID.sub("<id>", text))


def shown(value: Any) -> str:
    """A value as text, without ids and times, which no two runs share."""
    return DIGEST.sub("<digest>", TIME.sub("<time>", mask(repr(value))))


def frame_of(frame: traceback.FrameSummary) -> tuple[str, str, int | None]:
    """A frame of a traceback; all of an engine's own count as the same."""
    if frame.filename.endswith(".pyx") or ENGINES.search(frame.filename):
        return ("the engine", "", None)
    return (frame.filename, frame.name, frame.lineno)


def notes_of(error: BaseException) -> list[str]:
    """An error's notes, but for the one that only the compiled engine adds to a saver's."""
    notes = getattr(error, "__notes__", ())
    return [note for note in notes if not note.startswith("Raised while storing ")]


def outcome_of(call: Callable[[list[Any]], Any]) -> Outcome:
    """Call a function and take down what happens.

    Args:
        call: is given the list that chunks of a stream go to, and returns a result.
    """
    outcome = Outcome()
    try:
        outcome.result = call(outcome.chunks)
    except BaseException as error:
        outcome.kind = type(error)
        outcome.text = mask(str(error))
        outcome.notes = [mask(note) for note in notes_of(error)]
        outcome.last_frame = frame_of(traceback.extract_tb(error.__traceback__)[-1])
        if error.__cause__ is not None:
            outcome.cause = (type(error.__cause__), mask(str(error.__cause__)))
    return outcome


def both(
    call: Callable[[list[Any]], Any],
    *,
    covered: bool = True,
    blur: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Make the same call on both engines and check that it comes to the same.

    Args:
        call: see `outcome_of`.
        covered: the compiled engine has to take every run itself.
        blur: takes out of an outcome what stock itself leaves to chance.

    Returns:
        What it comes to.
    """
    with STOCK.running():
        expected = outcome_of(call)
    with COMPILED.running():
        found = outcome_of(call)
        if covered:
            COMPILED.check()
    if blur is not None:
        blur(expected)
        blur(found)
    assert found == expected, f"\nstock:    {expected}\ncompiled: {found}"
    return expected


def environ(**extra: str) -> dict[str, str]:
    """The environment for another interpreter that has the same packages."""
    left_out = ("COVERAGE_", "LANGGRAPH_CY_", "PYTHONSAFEPATH", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return {**kept, **extra}


@dataclass
class Finished:
    """Another interpreter that has ended, and the seconds it took."""

    code: int
    out: str
    err: str
    seconds: float


def python(*arguments: str, cwd: Path | None = None, limit: float = 30, **extra: str) -> Finished:
    """Run another interpreter.

    Args:
        arguments: its command line.
        limit: seconds after which it is stopped and the test fails.
        extra: variables added to its environment.
    """
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, *arguments],
        # not the root of the repository, whose uncompiled package would come first
        cwd=cwd or tempfile.gettempdir(),
        env=environ(**extra),
        capture_output=True,
        text=True,
        timeout=limit,
    )
    return Finished(done.returncode, done.stdout, done.stderr, time.monotonic() - before)
