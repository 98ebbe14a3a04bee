"""Savers as a measured run calls them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any

from langgraph_cy.profiling import serializers
from langgraph_cy.profiling.recorder import Part

_PARTS = {
    "put": Part.SAVE,
    "put_writes": Part.SAVE,
    "aput": Part.SAVE,
    "aput_writes": Part.SAVE,
    "dumped_writes": Part.SERIALISE,
    "dumped_superstep": Part.SERIALISE,
    "put_dumped": Part.SAVE,
    "aput_dumped": Part.SAVE,
}


class MeasuredSaver:
    """A saver whose calls are measured; all else about it is the saver's own.

    Args:
        saver: a `BaseCheckpointSaver`.
        trace: the `RunTrace` of the run that calls it.
    """

    def __init__(self, saver: Any, trace: Any) -> None:
        self._saver = saver
        self._trace = trace
        serializers.measure(getattr(saver, "serde", None))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._saver, name)
        if name in _PARTS:
            value = self.measured(value, _PARTS[name])
            setattr(self, name, value)
        return value

    def measured(self, method: Callable[..., Any], part: Part = Part.SAVE) -> Callable[..., Any]:
        """A method of the saver that measures itself."""
        trace = self._trace

        @wraps(method)
        def call(*args: Any, **kwargs: Any) -> Any:
            save = trace.begin_save(part, False)
            try:
                return method(*args, **kwargs)
            finally:
                save.end()

        @wraps(method)
        async def await_call(*args: Any, **kwargs: Any) -> Any:
            save = trace.begin_save(part, True)
            try:
                return await method(*args, **kwargs)
            finally:
                save.end()

        return await_call if inspect.iscoroutinefunction(method) else call
