"""Runs that are killed at any moment: what has to be stored is, and threads go on from there.

`tools/crash_test` does the same with as many kills as one likes.
"""

import dataclasses
import threading
import time
from pathlib import Path

import pytest

from langgraph_cy.drivers.saving import BACKLOG

from .campaign import campaign
from .databases import Database, Sqlite
from .journal import DONE, START, Line, read
from .rules import after_kill, ran_again, when_finished
from .session import Case, Outcome, Sessions, cases
from .shapes import FAN_OUT_TASKS
from .stored import State, Stored
from .zygote import Zygote

KILLS = 8
# How long tasks may take to be stored that nothing holds up.
PATIENCE = 30.0


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_killed_runs_resume(
    database: Database, durability: str, zygote: Zygote, tmp_path: Path
) -> None:
    chosen = cases(durability)[::2] if database.kind == "sqlite" else cases(durability)[1::2]
    total = Outcome()
    for _, outcome in campaign(
        chosen, database, zygote, tmp_path, kills=KILLS, seed="ci", stock_every=1, measured=1
    ):
        total += outcome
    assert not total.violations, "\n".join(total.violations)
    assert total.kills >= KILLS
    assert total.stock > 0


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_tasks_are_stored_while_their_siblings_run(
    database: Database, asynchronous: bool, durability: str, zygote: Zygote, tmp_path: Path
) -> None:
    where = (database, zygote, tmp_path)
    whole = Sessions(Case("fan-out", asynchronous, durability), *where).whole
    sessions = Sessions(Case("straggler", asynchronous, durability), *where, whole)
    thread, gate, ended = f"straggler-{asynchronous}-{durability}", tmp_path / "gate", []

    def run() -> None:
        ended.append(zygote.run(sessions.spec(thread, 1), gate=gate))

    running = threading.Thread(target=run)
    running.start()
    siblings = {f"1.0.work{item}" for item in range(1, FAN_OUT_TASKS)}
    deadline = time.monotonic() + PATIENCE
    stored: set[str] = set()
    while not stored >= siblings and running.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
        lines = read(sessions.journal(thread))
        if siblings <= {line.label for line in lines if line.event == DONE}:
            stored = sessions.read(thread, lines).labels
    gate.touch()
    running.join()
    assert ended[0]["killed"], sessions.error_of(thread)
    assert stored >= siblings, f"not stored while a sibling runs: {siblings - stored}"

    found = sessions.read(thread, read(sessions.journal(thread)))
    assert found.partly
    assert zygote.run(sessions.spec(thread, 2))["code"] == 0, sessions.error_of(thread)
    lines = read(sessions.journal(thread))
    assert ran_again(found, lines, 1) == []
    assert when_finished(lines, sessions.read(thread, lines), whole.stored) == []
    assert "1.0.work0" in {line.label for line in lines if line.attempt == 2}


def test_a_saver_that_stores_too_late_is_found_out(zygote: Zygote, tmp_path: Path) -> None:
    honest = Case("loop", False, "sync", savers="stock")
    where = (Sqlite(tmp_path), zygote, tmp_path)
    whole = Sessions(honest, *where).whole
    late = dataclasses.replace(honest, savers="crash.write_behind")
    sessions = Sessions(late, *where, whole)
    found: list[str] = []
    for number in range(100):
        found = sessions.play(f"late.{number}").violations
        if any("are lost, although" in violation for violation in found):
            break
    assert any("are lost, although" in violation for violation in found), found


# ---- the rules themselves ----------------------------------------------------------------------


def lines(*events: tuple[int, str, str, int]) -> list[Line]:
    """Lines of a journal: attempt, event, label and superstep of each."""
    return [Line(a, event, label, "", step, f"id of {label}") for a, event, label, step in events]


def state(step: int) -> State:
    return State("loop", step, {"log": [str(n) for n in range(1, step + 1)]}, ("count",))


def stored(steps: int, *extra: str) -> Stored:
    """A thread of single tasks with checkpoints after so many supersteps."""
    labels = {str(n) for n in range(1, steps + 1)}
    places = {("", step) for step in range(-1, steps + 1)}
    return Stored(
        [state(n) for n in range(1, steps + 1)], places, labels | set(extra), set(), False, []
    )


def ran(*steps: int, attempt: int = 1) -> list[Line]:
    """Lines of tasks that were done, one in a superstep."""
    return lines(*((attempt, e, str(n), n) for n in steps for e in (START, DONE)))


def test_rules_let_only_the_running_superstep_be_lost_under_sync() -> None:
    whole = stored(9)
    assert after_kill("sync", ran(1, 2, 3), stored(2), whole) == []
    assert after_kill("sync", ran(1, 2, 3), stored(3), whole) == []
    begun = after_kill("sync", ran(1, 2, 3), stored(1), whole)
    assert len(begun) == 2, begun
    assert "superstep 3" in begun[0]
    assert "task '2'" in begun[1]
    assert "are lost" in begun[1]


def test_rules_bound_what_is_lost_under_async() -> None:
    whole = stored(9)
    assert after_kill("async", ran(*range(1, BACKLOG + 3)), stored(1), whole) == []
    (problem,) = after_kill("async", ran(*range(1, BACKLOG + 4)), stored(1), whole)
    assert f"{BACKLOG + 1} checkpoints are lost" in problem


def test_rules_see_another_history() -> None:
    other = stored(2)
    other.history[1] = State("loop", 2, {"log": ["1", "1"]}, ("count",))
    (problem,) = after_kill("async", ran(1, 2), other, stored(9))
    assert "not a beginning" in problem


def test_rules_want_nothing_of_a_killed_run_under_exit() -> None:
    nothing = Stored([], set(), set(), set(), False, [])
    whole = Stored([state(9)], {("", 9)}, {str(n) for n in range(1, 10)}, set(), False, [])
    assert after_kill("exit", ran(1, 2, 3), nothing, whole) == []
    assert after_kill("exit", ran(*range(1, 10)), whole, whole) == []
    assert len(after_kill("exit", ran(1, 2, 3), stored(2), whole)) == 1
    returned = [*ran(*range(1, 10)), Line(1, "return")]
    (problem,) = after_kill("exit", returned, nothing, whole)
    assert "lost, although the run had returned" in problem
    half = Stored([], set(), set(), {"1"}, False, [])
    (problem,) = after_kill("exit", ran(1), half, whole)
    assert "had not ended" in problem


def test_rules_see_tasks_that_run_again() -> None:
    both = [*ran(1, 2), *ran(2, 3, attempt=2)]
    assert ran_again(stored(1), both, 1) == []
    (problem,) = ran_again(stored(2), both, 1)
    assert "task '2' ran again" in problem


def test_rules_see_an_unfinished_thread() -> None:
    whole = stored(3)
    assert when_finished(ran(1, 2, 3), whole, whole) == []
    assert len(when_finished(ran(1, 2), stored(2), whole)) == 2
