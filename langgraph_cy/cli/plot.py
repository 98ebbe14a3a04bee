"""The times of `bench` as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.figure import Figure

from langgraph_cy.cli.figures import factor
from langgraph_cy.cli.timing import COMPILED, STOCK, Result

SUFFIXES = frozenset(FigureCanvasBase.get_supported_filetypes())
_COLOURS = {STOCK: "#868e96", COMPILED: "#2b8a3e"}


def save(results: Sequence[Result], path: Path) -> None:
    """Draw two bars a workload, the time of a unit on either engine, and write them to a file.

    A bar ends at the median, the line over it goes from the shortest to the longest time.

    Args:
        results: what was measured.
        path: of the picture; its suffix says which format.
    """
    figure = Figure(figsize=(8, 1.2 + 0.7 * len(results)), layout="constrained")
    axes = figure.subplots()
    for offset, (side, colour) in zip((-0.2, 0.2), _COLOURS.items(), strict=True):
        spreads = [result.time(side) for result in results]
        micros = [spread.median * 1e6 for spread in spreads]
        errors = [
            [(spread.median - spread.low) * 1e6 for spread in spreads],
            [(spread.high - spread.median) * 1e6 for spread in spreads],
        ]
        places = [place + offset for place in range(len(results))]
        axes.barh(places, micros, 0.38, xerr=errors, label=side, color=colour, capsize=2)
    names = [f"{r.workload.name} {r.size:,}\n{factor(r.ratio.median)}" for r in results]
    axes.set_yticks(range(len(results)), names)
    axes.invert_yaxis()
    axes.set(xscale="log", xlabel="microseconds a unit (step, node, task, run)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend()
    figure.savefig(path)
