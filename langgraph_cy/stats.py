"""Counts of which engine ran what, and why stock's engine ran the rest."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from langgraph_cy.locks import fork_safe

_lock = fork_safe(threading.Lock())
_compiled = 0
_reasons: Counter[str] = Counter()
# runs by name of the graph and reason, empty for compiled ones; None where nobody has asked
_graphs: Counter[tuple[str, str]] | None = None


@dataclass(frozen=True)
class EngineStats:
    """Graph runs in this process since the start or the last reset.

    Attributes:
        compiled: runs on the compiled engine.
        stock: runs on upstream's engine through an entry point of this package.
        reasons: why, with how many runs each.
    """

    compiled: int
    stock: int
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All runs that were counted."""
        return self.compiled + self.stock

    @property
    def share(self) -> float:
        """The part of the runs that was compiled, from 0 to 1; 1 where nothing ran."""
        return self.compiled / self.total if self.total else 1.0


def count_compiled(graph: Any) -> None:
    """Count a run on the compiled engine.

    Args:
        graph: the graph that runs.
    """
    global _compiled
    with _lock:
        _compiled += 1
        if _graphs is not None:
            _graphs[graph.get_name(), ""] += 1


def count_stock(reason: str, graph: Any = None) -> None:
    """Count a run on stock's engine.

    Args:
        reason: what about the run the compiled engine does not cover, in a few words.
        graph: the graph that runs.
    """
    with _lock:
        _reasons[reason] += 1
        if _graphs is not None and graph is not None:
            _graphs[graph.get_name(), reason] += 1


def count_graphs() -> None:
    """Count runs by graph too, from now on."""
    global _graphs
    with _lock:
        if _graphs is None:
            _graphs = Counter()


def graph_counts() -> dict[tuple[str, str], int]:
    """Runs by name of the graph and reason, since `count_graphs`; compiled ones have no reason."""
    with _lock:
        return {} if _graphs is None else dict(_graphs.most_common())


def engine_stats() -> EngineStats:
    """Which engine ran what in this process so far."""
    with _lock:
        return EngineStats(_compiled, sum(_reasons.values()), dict(_reasons.most_common()))


def reset_engine_stats() -> None:
    """Start counting from zero."""
    global _compiled
    with _lock:
        _compiled = 0
        _reasons.clear()
        if _graphs is not None:
            _graphs.clear()
