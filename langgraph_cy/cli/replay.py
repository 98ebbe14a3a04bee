"""A graph of the user's as a workload: recorded in one real run, timed without its nodes' work."""

from __future__ import annotations

import asyncio
import copy
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_cy.backend import stock_graph
from langgraph_cy.cli.cases import Case, Workload
from langgraph_cy.cli.difference import Renaming, first_difference
from langgraph_cy.cli.errors import with_hint
from langgraph_cy.cli.recording import Recording, UnrepeatableError
from langgraph_cy.cli.shapes import shape_of
from langgraph_cy.pregel import stock_only

_THREAD = "bench"


def workload_of(
    graph: Any,
    input: Any,
    config: dict[str, Any] | None = None,
    context: Any = None,
    asynchronous: bool = False,
) -> Workload:
    """Run a graph once for real, and make a workload of what its nodes returned.

    A saver of the graph's is not used: an `InMemorySaver` takes its place.

    Args:
        graph: the graph.
        input, config, context: of the run.
        asynchronous: by `ainvoke`, also when it is timed.

    Raises:
        UnrepeatableError: the run failed, was interrupted, or can't be played back.
    """
    recording = Recording(stock_graph(graph))
    calls = _Calls(graph, input, config, context)
    recorder = recording.recorder()
    with stock_only("recorded by bench"):
        expected = _attempt(lambda: calls.run(recorder, asynchronous), "the run to record")
        if isinstance(expected, dict) and "__interrupt__" in expected:
            raise UnrepeatableError(
                "the run was interrupted: give an input with which the graph runs to its end"
            )
        if not recording.tasks:
            raise UnrepeatableError("no node ran, so there is nothing to time")
        player = recording.player()
        recording.rewind()
        repeated = _attempt(lambda: calls.run(player, asynchronous), "the run played back")
    if found := first_difference(shape_of(expected), shape_of(repeated), Renaming()):
        raise UnrepeatableError(
            "played back, the run comes to another result, so its nodes' results do not tell all: "
            f"at {found.path or 'the result'}, {found.stock} was recorded, and now it is "
            f"{found.compiled}"
        )

    def run(graph: Any) -> Any:
        recording.rewind()
        return calls.invoke(graph)

    async def arun(graph: Any) -> Any:
        recording.rewind()
        return await calls.ainvoke(graph)

    def make(size: int) -> Case:
        made = arun if asynchronous else run
        return Case(recording.player(), made, expected, recording.tasks, same=_same)

    about = (
        f"{'ainvoke' if asynchronous else 'invoke'}: {recording.tasks} tasks, without their work"
    )
    return Workload(str(graph.get_name()), about, "task", make, (recording.tasks,), recording.tasks)


def _same(returned: Any, expected: Any) -> bool:
    """Whether two results are the same but for ids, which messages get as they are added."""
    return first_difference(shape_of(expected), shape_of(returned), Renaming()) is None


def _attempt(call: Any, what: str) -> Any:
    try:
        return call()
    except UnrepeatableError:
        raise
    except Exception as error:
        text = with_hint(f"{what} failed: {type(error).__name__}: {error}")
        raise UnrepeatableError(text) from error


class _Calls:
    """Runs of the graph and its copies, each from the same start."""

    def __init__(self, graph: Any, input: Any, config: dict[str, Any] | None, context: Any) -> None:
        self._input = input
        self._options = {} if context is None else {"context": context}
        self._config = copy.deepcopy(config or {})
        self._saver: InMemorySaver | None = None
        if isinstance(graph.checkpointer, BaseCheckpointSaver):
            self._saver = InMemorySaver()
            self._config.setdefault("configurable", {})["thread_id"] = _THREAD

    def run(self, graph: Any, asynchronous: bool) -> Any:
        """Run a graph, and wait for it."""
        return asyncio.run(self.ainvoke(graph)) if asynchronous else self.invoke(graph)

    def invoke(self, graph: Any) -> Any:
        """Run a graph on a new thread."""
        self._begin(graph)
        return graph.invoke(self._input, self._config or None, **self._options)

    async def ainvoke(self, graph: Any) -> Any:
        """Run a graph on a new thread."""
        self._begin(graph)
        return await graph.ainvoke(self._input, self._config or None, **self._options)

    def _begin(self, graph: Any) -> None:
        if self._saver is not None:
            graph.checkpointer = self._saver
            self._saver.delete_thread(_THREAD)
