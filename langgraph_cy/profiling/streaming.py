"""Streams of a measured run: when it is their consumer's turn, and when the engine's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from langgraph_cy.profiling.recorder import Part


class Measured:
    """Hands chunks on, and measures how long their consumer takes.

    Args:
        present: what makes chunks fit for the consumer.
        trace: the `RunTrace` of the run.
    """

    def __init__(self, present: Callable[[Any], Iterable[Any]], trace: Any) -> None:
        self._present = present
        self._trace = trace

    def __call__(self, chunks: Any) -> Iterator[Any]:
        part = self._trace.switch(Part.STREAM)
        for chunk in self._present(chunks):
            self._trace.switch(Part.CONSUMER)
            try:
                yield chunk
            finally:
                self._trace.go_on(Part.STREAM)
        self._trace.switch(part)


class StockChunks:
    """The chunks of a run on stock's engine; to its consumer the same as that engine's generator.

    Args:
        chunks: that generator.
        trace: the `RunTrace` of the run.
    """

    def __init__(self, chunks: Any, trace: Any) -> None:
        self._chunks = chunks
        self._trace = trace

    def __iter__(self) -> StockChunks:
        return self

    def __next__(self) -> Any:
        return self._go_on(self._chunks.__next__)

    def throw(self, *error: Any) -> Any:
        """Raise an error of the consumer's inside of the engine."""
        return self._go_on(self._chunks.throw, *error)

    def close(self) -> None:
        """End the run before its time."""
        self._trace.enter_stock()
        try:
            self._chunks.close()
        finally:
            self._trace.end_stock(GeneratorExit())

    def _go_on(self, method: Callable[..., Any], *arguments: Any) -> Any:
        self._trace.enter_stock()
        try:
            chunk = method(*arguments)
        except StopIteration:
            self._trace.end_stock(None)
            raise
        except BaseException as error:
            self._trace.end_stock(error)
            raise
        self._trace.exit_stock()
        return chunk


async def await_stock_chunks(chunks: Any, trace: Any) -> AsyncIterator[Any]:
    """The same for an asynchronous run."""
    trace.enter_stock()
    try:
        async for chunk in chunks:
            trace.exit_stock()
            try:
                yield chunk
            finally:
                trace.enter_stock()
        trace.end_stock(None)
    except BaseException as error:
        await chunks.aclose()
        trace.end_stock(error)
        raise
