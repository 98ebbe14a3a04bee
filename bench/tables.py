"""Results as text: aligned for a terminal, or as Markdown for the README."""

import os
import platform
from collections.abc import Callable, Sequence
from importlib.metadata import version

import langgraph_cy
from bench.registry import Workload
from bench.runner import COMPILED, FLOOR, STOCK, Result, Spread

Row = Sequence[str]


def environment() -> dict[str, str]:
    """What the times depend on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "langgraph": version("langgraph"),
        "langgraph_cy": langgraph_cy.__version__,
    }


def ratios(results: Sequence[Result], markdown: bool) -> str:
    """One row a workload: times, ratio and target."""
    floors = any(FLOOR in result.seconds for result in results)
    header = ["workload", "unit", "stock", "compiled", "ratio", "target"]
    rows = [header + ["floor"] * floors]
    for result in results:
        # A target is meant for the size that is timed, not for a tiny one.
        target = result.workload.target if result.size in result.workload.sizes else None
        floor = _spread(result.time(FLOOR), duration) if FLOOR in result.seconds else ""
        rows.append(
            [
                f"{result.workload.name} {result.size:,}",
                result.workload.unit,
                *(_spread(result.time(side), duration) for side in (STOCK, COMPILED)),
                _spread(result.ratio, factor),
                _verdict(result.ratio.median, target) if target else "",
                *([floor] * floors),
            ]
        )
    return _table(rows, markdown)


def curve(workload: Workload, results: Sequence[Result], markdown: bool) -> str:
    """One row a size, and a last line that says how far each side is from flat."""
    rows = [[workload.axis or "size", f"stock, a {workload.unit}", "compiled", "ratio"]]
    for result in results:
        times = (_spread(result.time(side), duration) for side in (STOCK, COMPILED))
        rows.append([f"{result.size:,}", *times, _spread(result.ratio, factor)])
    growth = []
    for side in (STOCK, COMPILED):
        medians = [result.time(side).median for result in results]
        growth.append(f"{side} {medians[-1] / min(medians):.2f}")
    flatness = f"largest size over the cheapest (1.00 is flat): {', '.join(growth)}"
    return f"{workload.name}: {workload.about}\n\n{_table(rows, markdown)}\n\n{flatness}"


def duration(seconds: float) -> str:
    """Three significant digits in the unit that fits: `3.02 us`, `285 us`, `1.20 ms`."""
    for unit, scale in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3)):
        # 999.5 would be written as 1000 of this unit.
        if seconds < 999.5 * scale:
            return f"{_digits(seconds / scale)} {unit}"
    return f"{_digits(seconds)} s"


def factor(value: float) -> str:
    return f"{_digits(value)}x"


def _digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _spread(spread: Spread, text: Callable[[float], str]) -> str:
    low, high = text(spread.low), text(spread.high)
    return f"{text(spread.median)} [{low} .. {high}]"


def _verdict(ratio: float, target: float) -> str:
    return f"{target:g}x {'met' if ratio >= target else 'missed'}"


def _table(rows: Sequence[Row], markdown: bool) -> str:
    header, *body = rows
    if markdown:
        lines = [header, ["---"] * len(header), *body]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *body]
    aligned = (zip(line, widths, strict=True) for line in lines)
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in line).rstrip() for line in aligned)
