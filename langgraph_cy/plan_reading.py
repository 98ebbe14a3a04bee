"""Reads a graph plan for `explain`: what each step became, and what kept it from becoming more.

Why a step was not lowered follows from the same properties that `core/plan` decides by.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from langgraph_cy import seam
from langgraph_cy import upstream as up
from langgraph_cy.core import plan as plans
from langgraph_cy.plan_report import (
    COMPILED,
    DIRECT,
    UPSTREAM,
    ChannelReport,
    NodeReport,
    StepReport,
    named,
)
from langgraph_cy.pregel import Pregel

_TO = "branch:to:"


class Reading:
    """The plan of a graph, in words.

    Args:
        graph: a compiled graph.
    """

    def __init__(self, graph: Any) -> None:
        self._graph = graph
        self._plan: Any = plans.plan_of(graph)

    @property
    def unreadable(self) -> bool:
        """Whether the graph has no plan to speak of."""
        return self._plan.unsupported is not None

    @property
    def reason(self) -> str | None:
        """Why runs of the graph go to stock's engine; None where they are compiled."""
        return (
            seam.replaced()
            or self._plan.unsupported
            or seam.unsupported_config(up.ensure_config(self._graph.config))
        )

    # ---- nodes ---------------------------------------------------------------------------------

    def nodes(self) -> tuple[NodeReport, ...]:
        """The nodes with their steps, in the order of the graph."""
        return tuple(
            NodeReport(
                str(node.name),
                tuple(map(str, node.triggers)),
                _names(node.channels),
                (self._first(node), *(self._writer(step) for step in node.writers)),
                tuple(self._settings(node)),
            )
            for node in self._plan.nodes
        )

    def _first(self, node: Any) -> StepReport:
        step = node.first
        if step is None:
            return self._whole(node)
        if isinstance(step, plans.CallStep):
            return StepReport(_signature(step), DIRECT, "")
        if isinstance(step, plans.GraphStep):
            return _graph_step(step.runnable)
        if isinstance(step, plans.WriteStep):
            return _write_step(step.runnable)
        return StepReport(named(step.runnable), UPSTREAM, _why_not_called(step.runnable, False))

    def _whole(self, node: Any) -> StepReport:
        """A node that could not be split into steps."""
        proc = node.proc
        if proc is None:
            return StepReport("nothing", COMPILED)
        if isinstance(proc, up.RunnableSeq):
            names = " | ".join(named(step) for step in proc.steps)
            return StepReport(names, UPSTREAM, "its trace policy is to see every input and output")
        if isinstance(proc, up.ChannelWrite):
            return StepReport(_entries(proc.writes), UPSTREAM, _why_not_written(proc))
        return StepReport(named(proc), UPSTREAM, "it is all there is to the node, and no function")

    def _writer(self, step: Any) -> StepReport:
        if isinstance(step, plans.WriteStep):
            return _write_step(step.runnable)
        if isinstance(step, plans.BranchStep):
            called = _function_of(step.call)
            text = f"conditional edge {named(called)}() -> {_ends(step.ends)}"
            return StepReport(text, COMPILED, f"calls {named(called)}()")
        branch = getattr(getattr(step.runnable, "func", None), "__self__", None)
        if isinstance(branch, up.BranchSpec):
            text = f"conditional edge {named(branch.path)} -> {_ends(branch.ends)}"
            return StepReport(text, UPSTREAM, self._why_not_routed(branch))
        if isinstance(step.runnable, up.ChannelWrite):
            return StepReport(
                _entries(step.runnable.writes), UPSTREAM, _why_not_written(step.runnable)
            )
        return StepReport(named(step.runnable), UPSTREAM, "a writer of another kind")

    def _why_not_routed(self, branch: Any) -> str:
        if self._plan.custom:
            names = ", ".join(self._plan.channel_names[i] for i in self._plan.custom)
            return f"it reads the state, which has channels of other classes: {names}"
        return _why_not_called(branch.path, True) or "it reads and writes in a way of its own"

    def _settings(self, node: Any) -> Iterable[str]:
        spec = node.spec
        if spec.retry_policy:
            most = max(policy.max_attempts for policy in spec.retry_policy)
            yield f"retried, at most {most} attempts"
        if spec.cache_policy is not None:
            yield "its writes are cached"
        if spec.timeout is not None:
            yield "has a timeout: LangGraph runs and cancels it"
        if node.error_handler:
            yield f"a failure is handled by {node.error_handler}"

    # ---- channels and the graph ----------------------------------------------------------------

    def channels(self) -> tuple[ChannelReport, ...]:
        """The channels and managed values, in the order of the graph."""
        custom = {self._plan.channel_names[index] for index in self._plan.custom}
        return tuple(
            _channel(str(name), spec, name in custom, name in self._plan.managed)
            for name, spec in self._graph.channels.items()
        )

    def facts(self) -> tuple[str, ...]:
        """What about the graph as a whole decides how its runs go."""
        graph, found = self._graph, []
        if not isinstance(graph, Pregel):
            found.append(
                "LangGraph's own class: compiled under install(), or by accelerate(graph)"
            )
        if self.reason is None and not self._plan.plain:
            found.append("each run makes a config, since the graph has settings of its own")
        saver = graph.checkpointer
        if isinstance(saver, up.BaseCheckpointSaver):
            cls = type(saver)
            found.append(f"checkpoints are saved by {cls.__module__}.{cls.__qualname__}")
        if graph.step_timeout is not None:
            found.append(
                f"a superstep may take {graph.step_timeout} s, so it runs on worker threads"
            )
        if graph.stream_eager:
            found.append("streams eagerly, so nodes run on worker threads or in tasks of their own")
        for when in ("before", "after"):
            nodes = getattr(graph, f"interrupt_{when}_nodes")
            if nodes:
                found.append(f"interrupted {when} {', '.join(_names(nodes))}")
        manager: Any = up.get_callback_manager_for_config(up.ensure_config(graph.config))
        if manager.handlers or manager.inheritable_handlers:
            found.append("callback handlers watch its runs: LangGraph's machinery runs every node")
        return tuple(found)


def _channel(name: str, spec: Any, custom: bool, managed: bool) -> ChannelReport:
    if managed:
        return ChannelReport(name, named(spec), False, "a managed value, asked for by each task")
    kind = type(spec).__name__
    if not custom:
        reducer = getattr(spec, "operator", None) or getattr(spec, "reducer", None)
        why = f"calls its reducer {named(reducer)}()" if reducer else ""
        return ChannelReport(name, kind, True, why)
    base = next((cls for cls in up.CHANNELS if isinstance(spec, cls)), None)
    why = f"a subclass of {base.__name__}" if base else "a class of its own"
    return ChannelReport(name, kind, False, f"{why}, driven through its Python methods")


def _function_of(step: Any) -> Any:
    return step.func or step.afunc


def _signature(step: Any) -> str:
    """A function with what it is given: the state, and what is injected."""
    function = _function_of(step)
    arguments = ", ".join(("state", *(name for name, _ in step.accepts)))
    return f"{'' if step.func else 'async '}{named(function)}({arguments})"


def _graph_step(graph: Any) -> StepReport:
    text = f"graph {graph.get_name()}"
    below: Any = plans.plan_of(graph)
    if below.unsupported is not None:
        return StepReport(text, UPSTREAM, below.unsupported)
    if not below.plain:
        return StepReport(text, UPSTREAM, "a run of its own, since the graph has own settings")
    return StepReport(text, COMPILED, "as a part of this run; compiled itself")


def _write_step(write: Any) -> StepReport:
    mappers = [f"{named(mapper)}()" for entry in write.writes if (mapper := _own_mapper(entry))]
    why = f"calls {', '.join(mappers)}" if mappers else ""
    return StepReport(_entries(write.writes), COMPILED, why)


def _own_mapper(entry: Any) -> Any:
    """The function of an entry that the engine has to call; None where it needs none."""
    mapper = getattr(entry, "mapper", None)
    if mapper is up._control_branch or getattr(mapper, "__code__", None) is up.UPDATES_CODE:
        return None
    return mapper


def _entries(entries: Any) -> str:
    """What a `ChannelWrite` writes, in words."""
    found: list[str] = []
    for entry in entries:
        mapper: Any = getattr(entry, "mapper", None)
        channel: Any = getattr(entry, "channel", None)
        if isinstance(entry, up.Send):
            found.append(f"send to {entry.node}")
        elif mapper is up._control_branch:
            continue  # every node of a StateGraph may return a Command or a Send
        elif getattr(mapper, "__code__", None) is up.UPDATES_CODE:
            cells = dict(zip(mapper.__code__.co_freevars, mapper.__closure__ or (), strict=True))
            keys = sorted(map(str, cells[up.UPDATES_KEYS].cell_contents))
            found.append(f"write {', '.join(keys)}")
        elif channel is None:
            found.append(f"write what {named(mapper)}() says")
        elif str(channel).startswith(_TO):
            found.append(f"go to {str(channel)[len(_TO) :]}")
        else:
            found.append(f"write {channel}")
    return "; ".join(found) or "write nothing"


def _why_not_written(write: Any) -> str:
    for entry in write.writes:
        if getattr(entry, "channel", None) == up.TASKS:
            return "it writes tasks, which LangGraph refuses when it runs"
    return "it writes a constant that depends on the run"


def _why_not_called(runnable: Any, traced: bool) -> str:
    """Why a Runnable can't be called as the function that it was made from; empty if it can."""
    if type(runnable) is not up.RunnableCallable:
        return f"{type(runnable).__name__} is a Runnable, run by its own invoke"
    if runnable.explode_args:
        return "its input is spread over several arguments"
    if runnable.kwargs:
        return f"it has arguments of its own: {', '.join(runnable.kwargs)}"
    if bool(runnable.trace) is not traced:
        return f"callbacks {'do not ' if traced else ''}see it as a run of its own"
    if "error" in runnable.func_accepts:
        return "it takes the error of another node"
    return ""


def _ends(ends: Any) -> str:
    return ", ".join(dict.fromkeys(map(str, ends.values()))) if ends else "any node"


def _names(channels: Any) -> tuple[str, ...]:
    return (channels,) if isinstance(channels, str) else tuple(map(str, channels))
