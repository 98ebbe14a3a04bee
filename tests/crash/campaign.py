"""Many threads of all cases, until enough runs were killed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from .databases import Database
from .session import Case, Outcome, Sessions
from .zygote import Zygote


def campaign(
    cases: Iterable[Case],
    database: Database,
    zygote: Zygote,
    folder: Path,
    *,
    kills: int,
    seed: str,
    stock_every: int = 4,
    measured: int = 3,
) -> Iterator[tuple[str, Outcome]]:
    """Play threads of the cases in turn.

    Args:
        cases: each gets at least one thread.
        folder: for journals, databases in files, and what is kept of violations.
        kills: how many runs have to be killed, at least.
        seed: of all moments.
        stock_every: of so many threads upstream has to finish one.
        measured: undisturbed runs, whose median length the kills are spread over.

    Yields:
        After each thread the name of its case, and what came of it.
    """
    sessions = []
    for case in cases:
        whole = Sessions(case, database, zygote, folder).measure(measured)
        sessions.append(Sessions(case, database, zygote, folder, whole))
    done = 0
    for number in itertools.count():
        session = sessions[number % len(sessions)]
        with_stock = number // len(sessions) % stock_every == 0
        outcome = session.play(f"{seed}.{number}", with_stock=with_stock)
        done += outcome.kills
        yield session.case.name, outcome
        if done >= kills and number >= len(sessions) - 1:
            return
