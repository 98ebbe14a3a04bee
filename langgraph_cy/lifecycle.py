"""Lifecycle callbacks: handlers that want to know when a run resumes or is interrupted."""

from __future__ import annotations

from collections import deque
from typing import Any

from langgraph_cy import upstream as up


class Lifecycle:
    """The lifecycle events of one run, on their way to its handlers.

    Args:
        manager: upstream's graph callback manager, synchronous or not.
    """

    def __init__(self, manager: Any) -> None:
        self.manager = manager
        self._events: deque[tuple[bool, dict[str, Any]]] = deque()

    @classmethod
    def of(cls, config: Any, run_id: Any, asynchronous: bool) -> Lifecycle | None:
        """The events of a run with this config, None where no handler wants any."""
        manager: Any
        if asynchronous:
            manager = up.get_async_graph_callback_manager_for_config(config, run_id=run_id)
        else:
            manager = up.get_sync_graph_callback_manager_for_config(config, run_id=run_id)
        return cls(manager) if manager.handlers else None

    def _event(self, run: Any) -> dict[str, Any]:
        return {
            "run_id": self.manager.run_id,
            "status": run.status.name.lower(),
            "checkpoint_id": run.checkpoint_like()["id"],
            "checkpoint_ns": run.namespace,
        }

    def resumed(self, run: Any) -> None:
        """Note that the run has resumed a thread."""
        self._events.append((True, self._event(run)))

    def interrupted(self, run: Any, error: Any) -> None:
        """Note that the run ends with an interrupt."""
        interrupts = tuple(error.args[0]) if error.args else ()
        self._events.append((False, {**self._event(run), "interrupts": interrupts}))

    def tell(self) -> None:
        """Hand the events to the handlers."""
        while self._events:
            resumed, event = self._events.popleft()
            if resumed:
                self.manager.on_resume(up.GraphResumeEvent(**event))
            else:
                self.manager.on_interrupt(up.GraphInterruptEvent(**event))

    async def await_tell(self) -> None:
        """The same in an asynchronous run."""
        while self._events:
            resumed, event = self._events.popleft()
            if resumed:
                await self.manager.on_resume(up.GraphResumeEvent(**event))
            else:
                await self.manager.on_interrupt(up.GraphInterruptEvent(**event))
