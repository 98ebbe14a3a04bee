"""Times and ratios as text."""

from __future__ import annotations

from collections.abc import Callable

from langgraph_cy.cli.timing import Spread


def duration(seconds: float) -> str:
    """Three significant digits in the unit that fits: `3.02 us`, `285 us`, `1.20 ms`."""
    for unit, scale in (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3)):
        # 999.5 would be written as 1000 of this unit.
        if seconds < 999.5 * scale:
            return f"{_digits(seconds / scale)} {unit}"
    return f"{_digits(seconds)} s"


def factor(value: float) -> str:
    """Three significant digits of a ratio: `89.0x`."""
    return f"{_digits(value)}x"


def around(spread: Spread, text: Callable[[float], str]) -> str:
    """A median with its extremes: `157 us [152 us .. 165 us]`."""
    return f"{text(spread.median)} [{text(spread.low)} .. {text(spread.high)}]"


def _digits(value: float) -> str:
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"
