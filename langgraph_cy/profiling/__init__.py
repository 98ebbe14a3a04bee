"""Where the time of graph runs goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langgraph_cy.profiling.profiler import Profile

__all__ = ("profile",)

_RECORDER = "langgraph_cy.profiling.recorder"


def profile(*, limit: int = 1_000_000, opentelemetry: bool = False, tracer: Any = None) -> Profile:
    """Measure where the time of the graph runs in a `with` block goes.

    Every run is measured that begins while the block is open, on whichever thread or event loop.
    What a run does after the block has been left is not measured any more, and a run that was
    under way already is not measured at all. Blocks may be nested, or overlap on several threads:
    each measures all runs that begin while it is open.

    Args:
        limit: how many events, of 56 bytes each, are kept, and how many runs. Totals go on
            beyond that.
        opentelemetry: also make a span of every run, superstep and node, with the tracer of the
            global tracer provider.
        tracer: make them with this OpenTelemetry tracer.

    Returns:
        The profile. Read it after the block, or inside for what there is so far.

    Raises:
        ImportError: `opentelemetry-api` is not installed, and spans are asked for; or the
            compiled core can't be loaded.
        ValueError: `limit` is less than 1.
    """
    from langgraph_cy.profiling.profiler import Profile

    return Profile(limit=limit, opentelemetry=opentelemetry, tracer=tracer)


def _active() -> bool:
    """Whether runs are measured now."""
    recorder = sys.modules.get(_RECORDER)
    return recorder is not None and bool(recorder.active)


def measured_stock(chunks: Any, graph: Any, reason: str) -> Any:
    """The chunks of a run on stock's engine, measured if runs are.

    Args:
        chunks: the generator that stock's `stream` has returned.
        reason: why stock's engine runs the graph.
    """
    if not _active():
        return chunks
    from langgraph_cy.profiling import run_trace, streaming
    from langgraph_cy.profiling.recorder import clock

    trace = run_trace.begin_run(graph, False, clock(), reason)
    return chunks if trace is None else streaming.StockChunks(chunks, trace)


def awaited_measured_stock(chunks: Any, graph: Any, reason: str) -> Any:
    """The same for stock's `astream`."""
    if not _active():
        return chunks
    from langgraph_cy.profiling import run_trace, streaming
    from langgraph_cy.profiling.recorder import clock

    trace = run_trace.begin_run(graph, True, clock(), reason)
    return chunks if trace is None else streaming.await_stock_chunks(chunks, trace)
