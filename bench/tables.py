"""Results as text: aligned for a terminal, or as Markdown for the README."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version

import langgraph_cy
from bench.registry import Workload
from bench.runner import COMPILED, FLOOR, STOCK, Result
from langgraph_cy.cli.figures import around, duration, factor
from langgraph_cy.tables import aligned

Row = Sequence[str]

# How much more a unit may cost at one size of a curve than at another.
FLAT = 1.2


def environment() -> dict[str, str]:
    """What the times depend on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "langgraph": version("langgraph"),
        "langgraph_cy": langgraph_cy.__version__,
    }


def ratios(results: Sequence[Result], markdown: bool) -> str:
    """One row a workload: times, ratio and the least ratio aimed at, and the same for a floor."""
    floors = any(result.of_the_floor for result in results)
    header = ["workload", "unit", "stock", "compiled", "ratio", "at least"]
    rows = [header + ["floor", "x of the floor", "within"] * floors]
    for result in results:
        # Aims are meant for the size that is timed, not for a tiny one.
        aims = result.workload if result.size in result.workload.sizes else None
        row = [
            f"{result.workload.name} {result.size:,}",
            result.workload.unit,
            around(result.time(STOCK), duration),
            _compiled(result),
            around(result.ratio, factor),
            _at_least(result.ratio.median, aims.at_least if aims else None),
        ]
        if floor := result.of_the_floor:
            row += [
                around(result.time(FLOOR), duration),
                around(floor, factor),
                _within(floor.median, aims.within if aims else None),
            ]
        rows.append(row + [""] * (len(rows[0]) - len(row)))
    return _table(rows, markdown)


def curve(workload: Workload, results: Sequence[Result], markdown: bool) -> str:
    """One row a size, and a last line that says how far each side is from flat."""
    rows = [[workload.axis or "size", f"stock, a {workload.unit}", "compiled", "ratio"]]
    for result in results:
        stock = around(result.time(STOCK), duration)
        rows.append([f"{result.size:,}", stock, _compiled(result), around(result.ratio, factor)])
    text = f"{workload.name}: {workload.about}\n\n{_table(rows, markdown)}"
    if len(results) < 2:
        return text
    spread = {side: unevenness(results, side) for side in (STOCK, COMPILED)}
    return (
        f"{text}\n\ndearest size over the cheapest: compiled {factor(spread[COMPILED])}, "
        f"within {_within(spread[COMPILED], FLAT)}; stock {factor(spread[STOCK])}"
    )


def unevenness(results: Sequence[Result], side: str) -> float:
    """The cost of a unit where it is highest over that where it is lowest; 1 for a flat curve."""
    medians = [result.time(side).median for result in results]
    return max(medians) / min(medians)


def _compiled(result: Result) -> str:
    """The time of the compiled side, and whether that was the compiled engine's."""
    text, counts = around(result.time(COMPILED), duration), result.counts
    if not counts.stock:
        return text
    return f"{text} ({'partly ' if counts.compiled else ''}stock's engine)"


def _at_least(ratio: float, aim: float | None) -> str:
    return f"{aim:g}x {'met' if ratio >= aim else 'MISSED'}" if aim else ""


def _within(ratio: float, aim: float | None) -> str:
    return f"{aim:g}x {'met' if ratio <= aim else 'MISSED'}" if aim else ""


def _table(rows: Sequence[Row], markdown: bool) -> str:
    if markdown:
        header, *body = rows
        lines = [header, ["---"] * len(header), *body]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n".join(aligned(rows))
