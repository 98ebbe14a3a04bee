"""`explain`: what of a graph is compiled, what stays Python and why."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence

from langgraph_cy.cli import output
from langgraph_cy.cli.commands import make_parser
from langgraph_cy.cli.errors import DONE, REFUSED
from langgraph_cy.cli.target import GRAPH_HELP, load_graph
from langgraph_cy.plan_report import PlanReport, explain


def parser() -> ArgumentParser:
    """The command's options."""
    made = make_parser(
        "explain",
        example="explain my_agent.py:graph\nexplain my_package.agent:make_graph --mermaid",
        exit_codes="0  runs of the graph are compiled\n"
        "1  they go to stock's engine\n"
        "2  the command line can't be used",
    )
    made.add_argument("graph", metavar="MODULE:GRAPH", help=GRAPH_HELP)
    form = made.add_mutually_exclusive_group()
    form.add_argument("--mermaid", action="store_true", help="print a Mermaid flowchart")
    form.add_argument("--json", action="store_true", help="print JSON")
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    options = parser().parse_args(arguments)
    with output.apart(options.json or options.mermaid):
        report = explain(load_graph(options.graph))
    if options.json:
        output.emit(report.as_dict())
    elif options.mermaid:
        print(report.mermaid(), end="")
    else:
        show(report)
    return DONE if report.compiled else REFUSED


def show(report: PlanReport, within: str = "") -> None:
    """Print a report, and those of the graphs in it."""
    output.say(within + report.verdict(), "bold green" if report.compiled else "bold red")
    for fact in report.facts:
        print(f"  {fact}")
    for rows in (report.node_rows(), report.channel_rows()):
        if len(rows) > 1:
            print()
            output.table(rows)
    for node, below in report.subgraphs.items():
        print()
        show(below, f"in node {node}: ")
