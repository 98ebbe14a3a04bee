"""Counts over all sessions of a test run, for its summary."""

from collections import Counter
from typing import Any

from .session import Run, Session, Workflow


class Tally:
    """What was played, on which engine, and what was left to chance."""

    def __init__(self) -> None:
        self.sessions = 0
        self.kinds: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        self.compiled = 0
        self.reasons: Counter[str] = Counter()
        self.errors: Counter[str] = Counter()
        self.refused = 0
        self.left_to_chance: list[tuple[Session, Any]] = []

    def session(self, session: Session, stats: Any, stock: Any) -> None:
        """Count a session with the engine's statistics and stock's transcript."""
        self.sessions += 1
        self.compiled += stats.compiled
        self.reasons.update(stats.reasons)
        if len(stock) <= len(session.steps):
            self.kinds["cut short"] += 1
        for place, step in enumerate(session.steps[: len(stock)]):
            if isinstance(step, Run):
                self.runs["invoke" if step.modes is None else "stream"] += 1
                if error := stock[place].get("error"):
                    self.errors[error[0].split("'")[3]] += 1
            else:
                self.runs["update_state"] += 1
        workflow = isinstance(session.graph, Workflow)
        self.kinds["workflow" if workflow else "graph"] += 1
        self.kinds["async" if session.asynchronous else "sync"] += 1
        self.kinds[f"saver {session.saver.kind}" if session.saver else "no saver"] += 1
        if session.saver and session.saver.fault:
            self.kinds["failing saver"] += 1
        if session.racing:
            self.kinds["racing"] += 1

    def chance(self, session: Session, places: Any) -> None:
        """Count a session on which stock differs from itself."""
        self.left_to_chance.append((session, places))

    def lines(self) -> list[str]:
        """The summary."""
        total = self.compiled + sum(self.reasons.values())
        share = 100 * self.compiled / total if total else 100

        def listing(counter: Counter[str]) -> str:
            return ", ".join(f"{name} {count}" for name, count in counter.most_common())

        return [
            f"sessions: {self.sessions} ({listing(self.kinds)})",
            f"steps: {listing(self.runs)}; runs that raised: {listing(self.errors)}",
            f"left to chance: {len(self.left_to_chance)}; not playable: {self.refused}",
            f"runs compiled: {self.compiled} of {total} ({share:.0f} %)",
            *(f"  on stock: {count} {reason}" for reason, count in self.reasons.most_common()),
        ]


TALLY = Tally()
