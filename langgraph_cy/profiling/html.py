"""A profile as a page that needs nothing else: timeline, tables, no network."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import Any

from langgraph_cy._version import __version__
from langgraph_cy.profiling import layout
from langgraph_cy.profiling.record import PARTS, Record
from langgraph_cy.profiling.recorder import Part
from langgraph_cy.profiling.table import notes

MOST_ROWS = 500  # of a table

PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>{title}</h1>
<p id="summary"></p>
{notes}</header>
<main>
<section>
<h2>Where the time went</h2>
<p class="hint">At any moment a run is in exactly one part, so they add up to its wall time. Runs
within runs are not counted twice.</p>
<div id="parts"></div>
<ul id="legend"></ul>
</section>
<section>
<h2>Timeline</h2>
<p class="hint">Drag to move, scroll to zoom (with Ctrl where the rows scroll), double-click a bar
to zoom to it. Keys: W, S zoom; A, D move; 0 shows all.</p>
<div id="timeline" tabindex="0" role="img" aria-label="Timeline of all runs">
<canvas></canvas><div id="space"></div></div>
<div id="tip" hidden></div>
</section>
<section>
<h2>Nodes</h2>
<p class="hint">Queue: from the moment at which a task could have begun to the one at which it did.
Reduce, serialise and save: each task's equal share of what its supersteps took.</p>
<div class="scroll"><table id="nodes"></table></div>
</section>
<section>
<h2>Supersteps</h2>
<p class="hint">The critical path is what the superstep waited for, in this order.</p>
<div class="scroll"><table id="steps"></table></div>
</section>
<section>
<h2>Runs</h2>
<div class="scroll"><table id="runs"></table></div>
</section>
</main>
<footer>langgraph_cy {version}</footer>
<script type="application/json" id="data">{data}</script>
<script>
{script}</script>
</body>
</html>
"""


def page(record: Record) -> str:
    """The page."""
    here = files("langgraph_cy.profiling")
    data = json.dumps(_data(record), separators=(",", ":"))
    return PAGE.format(
        title="Profile of " + escape(_graphs(record)),
        style=here.joinpath("timeline.css").read_text("utf-8"),
        script=here.joinpath("timeline.js").read_text("utf-8"),
        notes="".join(f'<p class="note">{escape(note)}</p>\n' for note in notes(record)),
        version=escape(__version__),
        data=data.replace("<", "\\u003c"),  # nothing in it can end the element
    )


def _graphs(record: Record) -> str:
    names = list(dict.fromkeys(run.path for run in record.runs if not run.above))
    if len(names) > 3:
        return ", ".join(names[:3]) + f" and {len(names) - 3} more"
    return ", ".join(names) or "no runs"


class _Names:
    """Texts by number, each once."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def _data(record: Record) -> dict[str, Any]:
    """What the script draws; times in nanoseconds from the start of the profile."""
    names = _Names()
    slowest = sorted(
        ((step, run) for run in record.runs for step in run.steps),
        key=lambda found: -found[0].spent,
    )
    runs = sorted(record.runs, key=lambda run: -run.spent)
    return {
        "wall": record.ended - record.began,
        "measured": record.measured,
        "engine": record.engine,
        "runs_count": len(record.runs) + record.runs_left_out,
        "stock_count": sum(run.reason is not None for run in record.runs),
        "tasks": sum(node.tasks for node in record.nodes),
        "kinds": PARTS,
        "run_kind": int(Part.RUN),
        "parts": sorted(record.parts.items(), key=lambda item: -item[1]),
        "rows": [_row(row, record, names) for row in layout.rows(record)],
        "nodes": [
            [
                *(node.graph, node.name, node.tasks, node.cached, node.errors, node.failed),
                *(node.run, node.run / max(1, node.tasks), node.longest, node.queued),
                *(node.reduced, node.serialised, node.saved),
            ]
            for node in record.nodes
        ],
        "steps": [
            [run.path, step.number, step.tasks, step.spent, step.critical]
            for step, run in slowest[:MOST_ROWS]
        ],
        "steps_count": len(slowest),
        "runs": [
            [
                *(run.path, record.threads[run.thread], run.ending, run.reason or ""),
                *(run.began - record.began, run.spent, len(run.steps)),
            ]
            for run in runs[:MOST_ROWS]
        ],
        "names": list(names.numbers),
    }


def _row(row: layout.Row, record: Record, names: _Names) -> dict[str, Any]:
    """A row in columns; starts as differences."""
    bars = sorted(row.bars, key=lambda bar: bar.start)
    before = record.began
    starts = []
    for bar in bars:
        starts.append(bar.start - before)
        before = bar.start
    return {
        "kind": row.kind,
        "label": row.label,
        "depth": row.depth,
        "start": starts,
        "spent": [bar.spent for bar in bars],
        "part": [bar.kind for bar in bars],
        "name": [names(bar.name) for bar in bars],
        "step": [bar.step for bar in bars],
        "more": {
            place: [[names(name), value] for name, value in bar.details]
            for place, bar in enumerate(bars)
            if bar.details
        },
    }
