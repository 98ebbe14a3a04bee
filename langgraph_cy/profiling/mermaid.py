"""The graphs of a profile as a Mermaid flowchart, shaded by time."""

from __future__ import annotations

from typing import Any

from langgraph_cy.profiling.record import Node, Record
from langgraph_cy.profiling.table import duration

# from no time to all of it; dark enough for white text from the middle on
SHADES = ("#fff7ec", "#fee8c8", "#fdd49e", "#fdbb84", "#fc8d59", "#ef6548", "#d7301f", "#990000")


def flowchart(record: Record) -> str:
    """The flowchart: one part for each graph, with every node's time and tasks."""
    whole = sum(node.run for node in record.nodes) or 1
    lines = ["flowchart TD"]
    used: dict[str, list[str]] = {}
    for scope in record.scopes:
        nodes = {node.name: node for node in record.nodes if node.scope == scope.number}
        if not nodes:
            continue  # it ran on stock's engine
        lines.append(f'    subgraph g{scope.number}["{_text(scope.path)}"]')
        drawn = scope.graph.get_graph()
        names = {name: f"g{scope.number}_{place}" for place, name in enumerate(drawn.nodes)}
        for name, place in names.items():
            lines.append(f"        {place}{_shape(name, nodes.get(name))}")
            shade = _shade(nodes[name].run / whole) if name in nodes else "idle"
            used.setdefault(shade, []).append(place)
        for edge in drawn.edges:
            arrow = "-.->" if edge.conditional else "-->"
            if edge.data is not None and str(edge.data) != edge.target:
                arrow += f'|"{_text(str(edge.data))}"|'
            lines.append(f"        {names[edge.source]} {arrow} {names[edge.target]}")
        lines.append("    end")
    lines.append("    classDef idle fill:#f4f4f5,stroke:#a1a1aa,color:#52525b")
    for heat, shade in enumerate(SHADES):
        text = "#ffffff" if heat > len(SHADES) // 2 else "#27272a"
        lines.append(f"    classDef heat{heat} fill:{shade},stroke:#7f1d1d,color:{text}")
    for shade, places in used.items():
        lines.append(f"    class {','.join(places)} {shade}")
    return "\n".join(lines) + "\n"


def _shape(name: str, node: Node | None) -> str:
    text = _text(name)
    if node is None:
        return f'(["{text}"])' if name in ("__start__", "__end__") else f'["{text}"]'
    tasks = f"{node.tasks:,} task{'' if node.tasks == 1 else 's'}"
    label = f'"{text}<br/>{duration(node.run)} · {tasks}"'
    return f"([{label}])" if name == "__start__" else f"[{label}]"


def _shade(share: float) -> str:
    return f"heat{min(int(share * len(SHADES)), len(SHADES) - 1)}"


def _text(text: Any) -> str:
    """Text inside of quotes of a flowchart."""
    for sign, code in (("#", "35"), ('"', "quot"), ("<", "lt"), (">", "gt")):
        text = text.replace(sign, f"#{code};")
    return str(text)
