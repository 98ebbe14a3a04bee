"""`explain`: what of a graph the engine does in C, what stays Python, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from typing import Any

from langgraph.graph import START, StateGraph
from langgraph.pregel import Pregel

from langgraph_cy._core import NEVER
from langgraph_cy.tables import aligned

# How a step is carried out.
COMPILED = "C"
DIRECT = "direct call"  # a Python function, called from C
UPSTREAM = "LangGraph"  # by LangGraph's Runnable machinery

_INTERNAL = ("branch:to:", "join:", "__start__", "__pregel_")
_STYLES = {
    COMPILED: "fill:#d3f9d8,stroke:#2b8a3e,color:#000",
    DIRECT: "fill:#d0ebff,stroke:#1971c2,color:#000",
    UPSTREAM: "fill:#fff3bf,stroke:#e67700,color:#000",
}
_CLASSES = {COMPILED: "compiled", DIRECT: "direct", UPSTREAM: "langgraph"}


@dataclass(frozen=True)
class StepReport:
    """One step of a node: its function, a write, a conditional edge.

    Attributes:
        what: the step in a few words.
        runs: how it is carried out: `C`, `direct call` of a Python function, or `LangGraph`.
        why: what keeps it from being compiled, or more about it; empty where there is no more.
    """

    what: str
    runs: str
    why: str = ""


@dataclass(frozen=True)
class NodeReport:
    """One node.

    Attributes:
        name: of the node.
        triggers: the channels whose updates start it.
        reads: the channels that its input is read from.
        steps: what it runs: the node itself, then its writers.
        settings: what else it has, such as retry policies.
    """

    name: str
    triggers: tuple[str, ...]
    reads: tuple[str, ...]
    steps: tuple[StepReport, ...]
    settings: tuple[str, ...] = ()

    @property
    def runs(self) -> str:
        """How the node itself is carried out, as in `StepReport`."""
        return self.steps[0].runs if self.steps else UPSTREAM


@dataclass(frozen=True)
class ChannelReport:
    """One channel or managed value.

    Attributes:
        name: of the channel.
        kind: its class.
        compiled: whether a compiled twin stands in for it.
        why: why not, or more about it.
    """

    name: str
    kind: str
    compiled: bool
    why: str = ""


@dataclass(frozen=True)
class PlanReport:
    """What becomes of a graph on the compiled engine; printed, a table.

    Attributes:
        name: of the graph.
        compiled: whether runs of it are compiled, where the engine is installed.
        reason: why not, as `engine_stats` counts it; None where they are.
        facts: what else matters about the graph.
        nodes: in the order of the graph.
        channels: in the order of the graph.
        edges: (source, target, label, whether it is conditional) of the graph's drawing.
        subgraphs: by node, the report of the graph that it runs.
    """

    name: str
    compiled: bool
    reason: str | None
    facts: tuple[str, ...]
    nodes: tuple[NodeReport, ...]
    channels: tuple[ChannelReport, ...]
    edges: tuple[tuple[str, str, str, bool], ...]
    subgraphs: dict[str, PlanReport]

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def verdict(self) -> str:
        """One line: whether runs are compiled, and why not."""
        if self.compiled:
            return f"graph {self.name}: runs are compiled"
        return f"graph {self.name}: runs go to stock's engine: {self.reason}"

    def node_rows(self) -> list[list[str]]:
        """The table of nodes, a row for each step; the first row is the header."""
        rows = [["node", "triggered by", "reads", "step", "runs in", "why"]]
        for node in self.nodes:
            facts = [node.name, ", ".join(node.triggers), ", ".join(node.reads)]
            for step in node.steps:
                rows.append([*facts, step.what, step.runs, step.why])
                facts = ["", "", ""]
            rows += [["", "", "", setting, "", ""] for setting in node.settings]
        return rows

    def channel_rows(self) -> list[list[str]]:
        """The table of channels, a header first, without those that LangGraph adds."""
        rows = [["channel", "class", "runs in", "why"]]
        for each in self.channels:
            if not (each.compiled and each.name.startswith(_INTERNAL)):
                rows.append(
                    [each.name, each.kind, COMPILED if each.compiled else "Python", each.why]
                )
        return rows

    def mermaid(self) -> str:
        """A Mermaid flowchart: green nodes run in C, blue are called, yellow are LangGraph's."""
        places: dict[str, str] = {}
        for source, target, _, _ in self.edges:
            for name in (source, target):
                places.setdefault(name, f"n{len(places)}")
        nodes = {node.name: node for node in self.nodes}
        lines = ["flowchart TD"]
        for name in [*places, *(name for name in nodes if name not in places)]:
            place = places.setdefault(name, f"n{len(places)}")
            node = nodes.get(name)
            text = _quoted(name if node is None else f"{name}\n{node.steps[0].what}")
            style = "" if node is None else f":::{_CLASSES[node.runs]}"
            lines.append(f'    {place}(["{text}"]){style}')
        for source, target, label, conditional in self.edges:
            arrow = "-.->" if conditional else "-->"
            text = f'|"{_quoted(label)}"|' if label else ""
            lines.append(f"    {places[source]} {arrow}{text} {places[target]}")
        lines += [f"    classDef {_CLASSES[kind]} {style}" for kind, style in _STYLES.items()]
        return "\n".join(lines) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """All of it in types that `json` writes."""
        fields = asdict(self)
        fields["subgraphs"] = {name: each.as_dict() for name, each in self.subgraphs.items()}
        return fields

    def _lines(self) -> Iterator[str]:
        yield self.verdict()
        for fact in self.facts:
            yield f"  {fact}"
        for rows in (self.node_rows(), self.channel_rows()):
            if len(rows) > 1:
                yield ""
                yield from aligned(rows)
        for node, report in self.subgraphs.items():
            yield ""
            yield f"in node {node}:"
            yield from report._lines()


def explain(graph: Any) -> PlanReport:
    """What becomes of a graph on the compiled engine, in the way of a database's EXPLAIN.

    Nothing is run.

    Args:
        graph: a compiled graph, or a `StateGraph`, which is compiled for it.

    Raises:
        TypeError: `graph` is neither.
    """
    if isinstance(graph, StateGraph):
        graph = graph.compile()
    if not isinstance(graph, Pregel):
        raise TypeError(
            f"explain() takes a compiled graph or a StateGraph, not {type(graph).__name__}"
        )
    reading: Any = None
    if NEVER is None:
        reading = import_module("langgraph_cy.plan_reading").Reading(graph)
    reason = NEVER if reading is None else reading.reason
    if reading is None or reading.unreadable:
        nodes, channels, facts = _nodes(graph, str(reason)), _channels(graph, str(reason)), ()
    else:
        nodes, channels, facts = reading.nodes(), reading.channels(), reading.facts()
    return PlanReport(
        name=str(graph.get_name()),
        compiled=reason is None,
        reason=reason,
        facts=facts,
        nodes=nodes,
        channels=channels,
        edges=_edges(graph),
        subgraphs={
            name: explain(node.subgraphs[0])
            for name, node in graph.nodes.items()
            if node.subgraphs and isinstance(node.subgraphs[0], Pregel)
        },
    )


def named(value: Any) -> str:
    """A function or Runnable in a word."""
    for attribute in ("__name__", "name"):
        name = getattr(value, attribute, None)
        if isinstance(name, str) and name:
            return name
    inner = getattr(value, "func", None)  # a functools.partial
    return named(inner) if callable(inner) else type(value).__name__


def _nodes(graph: Any, why: str) -> tuple[NodeReport, ...]:
    """The nodes of a graph that only stock's engine can run."""
    return tuple(
        NodeReport(
            str(name),
            tuple(map(str, node.triggers)),
            (node.channels,) if isinstance(node.channels, str) else tuple(map(str, node.channels)),
            (StepReport("the input" if name == START else named(node.bound), UPSTREAM, why),),
        )
        for name, node in graph.nodes.items()
    )


def _channels(graph: Any, why: str) -> tuple[ChannelReport, ...]:
    """The channels of a graph that only stock's engine can run."""
    return tuple(
        ChannelReport(str(name), type(channel).__name__, False, why)
        for name, channel in graph.channels.items()
    )


def _edges(graph: Any) -> tuple[tuple[str, str, str, bool], ...]:
    """The edges of a graph as LangGraph draws it; none where it can't."""
    try:
        drawn = graph.get_graph()
    except Exception:
        return ()
    return tuple(
        (edge.source, edge.target, "" if edge.data is None else str(edge.data), edge.conditional)
        for edge in drawn.edges
    )


def _quoted(text: str) -> str:
    """Text within the quotes of a Mermaid label."""
    for sign, code in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(sign, code)
    return text.replace("\n", "<br/>")
