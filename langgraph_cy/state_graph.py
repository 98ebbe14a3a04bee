"""`StateGraph`, `entrypoint` and `task` whose graphs run on the compiled engine."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic

from langgraph.func import entrypoint as upstream_entrypoint
from langgraph.func import task
from langgraph.graph import StateGraph as UpstreamStateGraph
from langgraph.pregel import NodeBuilder
from langgraph.typing import ContextT, InputT, OutputT, StateT

from langgraph_cy.backend import accelerate

__all__ = ("NodeBuilder", "StateGraph", "entrypoint", "task")


class StateGraph(
    UpstreamStateGraph[StateT, ContextT, InputT, OutputT],
    Generic[StateT, ContextT, InputT, OutputT],
):
    """Upstream's `StateGraph`, compiled to a graph on the compiled engine."""

    if not TYPE_CHECKING:  # which knows upstream's signature

        @wraps(UpstreamStateGraph.compile)
        def compile(self, *args: Any, **kwargs: Any) -> Any:
            return accelerate(super().compile(*args, **kwargs))


class entrypoint(upstream_entrypoint[ContextT], Generic[ContextT]):
    """Upstream's `entrypoint`, whose workflow is a graph on the compiled engine."""

    if not TYPE_CHECKING:  # which knows upstream's signature

        @wraps(upstream_entrypoint.__call__)
        def __call__(self, func: Callable[..., Any]) -> Any:
            return accelerate(super().__call__(func))
