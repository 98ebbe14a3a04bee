"""The curves as a picture; the one module that needs matplotlib."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from bench.registry import Workload
from bench.runner import COMPILED, STOCK, Result


def save(curves: Sequence[tuple[Workload, Sequence[Result]]], path: Path) -> None:
    """Draw one panel a curve, time of one unit over size, and write it to `path`.

    The format follows from the suffix of `path`, as matplotlib has it.
    """
    figure = Figure(figsize=(5 * len(curves), 4), layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for panel, (workload, results) in zip(panels, curves, strict=True):
        sizes = [result.size for result in results]
        for side in (STOCK, COMPILED):
            spreads = [result.time(side) for result in results]
            micros = [spread.median * 1e6 for spread in spreads]
            panel.plot(sizes, micros, marker="o", label=side)
            low, high = ([spread[i] * 1e6 for spread in spreads] for i in (1, 2))
            panel.fill_between(sizes, low, high, alpha=0.2)
        panel.set(title=workload.name, xlabel=workload.axis, xscale="log", yscale="log")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("microseconds a step")
    panels[0].legend()
    figure.savefig(path)
