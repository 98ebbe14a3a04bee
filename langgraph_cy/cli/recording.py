"""A graph whose nodes do nothing: one real run is recorded, and its results are played back.

Every node, and every function that decides on an edge, is replaced by one that returns what the
original returned. So the engine does what it did in the real run, and nothing else is done.

A node that runs once in a superstep has its results played back in order. Tasks that `Send` starts
run at the same time, in no order: each `Send` of the recorded run gets a ticket in its argument, by
which the node finds its result.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.types import Command, Send

from langgraph_cy import upstream as up

_TICKET = "__langgraph_cy_ticket__"
_NO_NODE = up.PregelNode(channels=[], triggers=[]).bound


class UnrepeatableError(Exception):
    """A run can't be recorded, or not be played back."""


@dataclass
class Script:
    """What one function returned in the recorded run.

    Attributes:
        name: of the node or path.
        in_order: the results of calls without a ticket.
        by_ticket: the results of the others.
    """

    name: str
    in_order: list[Any] = field(default_factory=list)
    by_ticket: dict[int, Any] = field(default_factory=dict)
    _rest: Iterator[Any] = field(default_factory=lambda: iter(()))

    def rewind(self) -> None:
        """Start again with the first result."""
        self._rest = iter(self.in_order)

    def player(self) -> Callable[[Any], Any]:
        """A function that returns the results, one a call."""
        if not self.by_ticket:
            return lambda value: self.next()
        by_ticket = self.by_ticket

        def play(value: Any) -> Any:
            if type(value) is dict and _TICKET in value:
                return by_ticket[value[_TICKET]]
            return self.next()

        return play

    def next(self) -> Any:
        """The next of the results in order."""
        for result in self._rest:
            return result
        raise UnrepeatableError(f"{self.name} was called more often than in the recorded run")


class Recording:
    """Records runs of a graph, and makes graphs that play them back.

    Args:
        graph: the graph; it is left as it is.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._arguments: list[Any] = []  # of every `Send`, by its ticket
        self._scripts: list[Script] = []

    @property
    def tasks(self) -> int:
        """How many tasks the recorded run had."""
        nodes = (script for script in self._scripts if not script.name.startswith("the edge"))
        return sum(len(script.in_order) + len(script.by_ticket) for script in nodes)

    def rewind(self) -> None:
        """Make ready to play back another run."""
        for script in self._scripts:
            script.rewind()

    def recorder(self) -> Any:
        """The graph with every function recorded; to be run once."""
        self._scripts = []
        return self._copied(self._recorded, self._new_script)

    def player(self) -> Any:
        """The graph with every function replaced by its results."""
        scripts = iter(self._scripts)
        return self._copied(_played, lambda name: next(scripts))

    def _new_script(self, name: str) -> Script:
        self._scripts.append(Script(name))
        return self._scripts[-1]

    def _copied(
        self, made: Callable[[Any, Script], Any], script_for: Callable[[str], Script]
    ) -> Any:
        """A copy of the graph in which each node and path is what `made` makes of it."""
        graph = copy.copy(self._graph)
        graph.cache = graph.cache_policy = None
        graph.nodes = {}
        for name, spec in self._graph.nodes.items():
            update: dict[str, Any] = {"cache_policy": None, "subgraphs": []}
            if spec.bound is not _NO_NODE:
                update["bound"] = made(spec.bound, script_for(f"node {name}"))
            update["writers"] = [
                self._writer(writer, name, made, script_for) for writer in spec.writers
            ]
            graph.nodes[name] = spec.copy(update)
        return graph

    def _writer(
        self,
        writer: Any,
        node: str,
        made: Callable[[Any, Script], Any],
        script_for: Callable[[str], Script],
    ) -> Any:
        branch = getattr(getattr(writer, "func", None), "__self__", None)
        if not isinstance(branch, up.BranchSpec):
            return writer
        path = made(branch.path, script_for(f"the edge from {node}"))
        return branch._replace(path=path).run(**writer.kwargs)

    def _recorded(self, original: Any, script: Script) -> Any:
        """A Runnable that runs the original and takes down what it returns."""

        def take(value: Any, result: Any) -> Any:
            result = self._with_tickets(result)
            ticket = value.get(_TICKET) if type(value) is dict else None
            if ticket is None:
                script.in_order.append(result)
            else:
                script.by_ticket[ticket] = result
            return result

        def call(value: Any, config: RunnableConfig) -> Any:
            return take(value, original.invoke(self._without_ticket(value), config))

        async def acall(value: Any, config: RunnableConfig) -> Any:
            return take(value, await original.ainvoke(self._without_ticket(value), config))

        return up.RunnableCallable(call, acall, name=script.name, trace=False)

    def _without_ticket(self, value: Any) -> Any:
        if type(value) is dict and _TICKET in value:
            return self._arguments[value[_TICKET]]
        return value

    def _with_tickets(self, result: Any) -> Any:
        """A result in which every `Send` has a ticket."""
        if isinstance(result, Send):
            ticketed = copy.copy(result)
            known = result.arg if type(result.arg) is dict else {}
            ticketed.arg = {**known, _TICKET: len(self._arguments)}
            self._arguments.append(result.arg)
            return ticketed
        if isinstance(result, Command):
            return replace(result, goto=self._with_tickets(result.goto))
        if type(result) in (list, tuple):
            return type(result)(map(self._with_tickets, result))
        return result


def _played(original: Any, script: Script) -> Any:
    """A Runnable of the original's kind that does nothing but return what that returned."""
    play = script.player()

    async def aplay(value: Any) -> Any:
        return play(value)

    if isinstance(original, up.Pregel):
        return up.RunnableCallable(play, aplay, name=script.name, trace=False)
    if not isinstance(original, up.RunnableCallable):
        return RunnableLambda(play, aplay, name=script.name)
    return up.RunnableCallable(
        play if original.func else None,
        aplay if original.afunc else None,
        name=script.name,
        trace=original.trace,
    )
