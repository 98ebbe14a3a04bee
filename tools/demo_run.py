"""Runs the demo's graphs on stock and compiled, step by step and then for time.

Exits with 1 if results or streamed chunks differ, or if a run that should have been compiled was
not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

import demo_graphs
from langchain_core.messages import AIMessage, BaseMessage
from langgraph.pregel import Pregel
from rich.console import Console
from rich.table import Table
from rich.text import Text

import langgraph_cy

console = Console(highlight=False)
Chunk = tuple[str, Any]


@dataclass(frozen=True)
class Case:
    """One graph with its input, and how often it is run for time."""

    title: str
    graph: Pregel
    input: dict[str, Any]
    runs: int


@dataclass(frozen=True)
class Outcome:
    """What a case gave: milliseconds of each run by engine, and what went wrong."""

    case: Case
    stock: list[float]
    compiled: list[float]
    problems: list[str]


def steps(graph: Pregel, value: dict[str, Any]) -> Iterator[tuple[list[Chunk], float]]:
    """The chunks of each superstep, and the milliseconds until they had all come."""
    chunks: list[Chunk] = []
    start = perf_counter()
    for mode, chunk in graph.stream(value, stream_mode=["updates", "values"]):
        chunks.append((mode, chunk))
        if mode == "values":  # the last chunk of a step
            yield chunks, (perf_counter() - start) * 1e3
            chunks = []
            start = perf_counter()
    if chunks:
        yield chunks, (perf_counter() - start) * 1e3


def comparable(chunks: list[Chunk]) -> list[Chunk]:
    """A step's chunks in an order that does not depend on which worker thread was first."""
    return sorted(chunks, key=lambda chunk: (chunk[0], repr(chunk[1])))


def shortened(text: str, width: int = 56) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."


def said(message: BaseMessage) -> str:
    if isinstance(message, AIMessage) and message.tool_calls:
        calls = (
            f"{call['name']}({', '.join(map(str, call['args'].values()))})"
            for call in message.tool_calls
        )
        return "; ".join(calls)
    return str(message.content)


def described(chunks: list[Chunk]) -> list[tuple[str, str]]:
    """Each node of a step, and what it wrote, in a few words."""
    updates = [item for mode, chunk in chunks if mode == "updates" for item in chunk.items()]
    if not updates:
        return [("input", "")]
    if len(updates) > 1:
        node, last = updates[-1]
        return [(f"{node} x {len(updates)}", shortened(f"... {last}"))]
    node, update = updates[0]
    if "messages" in update:
        return [(node, shortened(said(message))) for message in update["messages"]]
    return [(node, shortened(str(update)))]


def watch(case: Case, fast: Pregel) -> list[str]:
    """Streams one run of both engines, a step of each at a time; returns what differed."""
    console.print()
    console.print(Text(case.title, style="bold"))
    console.print(Text(f"{'stock':>12}{'compiled':>12}   step", style="dim"))
    problems = []
    both = [steps(case.graph, case.input), steps(fast, case.input)]
    number = 0
    while True:
        stock, compiled = (next(each, None) for each in both)
        if stock is None and compiled is None:
            return problems
        if stock is None or compiled is None:
            late = "stock" if compiled is None else "the compiled engine"
            return [*problems, f"only {late} has a step {number}"]
        for row, (node, text) in enumerate(described(compiled[0])):
            times = f"{stock[1]:9.2f} ms{compiled[1]:9.2f} ms" if row == 0 else " " * 24
            console.print(Text(f"{times}   {node:<12} {text}"), soft_wrap=True)
        if comparable(stock[0]) != comparable(compiled[0]):
            problems.append(f"the chunks of step {number} differ")
        number += 1


def timed(graph: Pregel, value: dict[str, Any]) -> tuple[float, Any]:
    start = perf_counter()
    result = graph.invoke(value)
    return (perf_counter() - start) * 1e3, result


def run(case: Case) -> Outcome:
    """Watches a case, then times interleaved `invoke`s, comparing every result."""
    fast = langgraph_cy.accelerate(case.graph)
    langgraph_cy.reset_engine_stats()
    problems = watch(case, fast)
    stock_times, compiled_times = [], []
    for _ in range(case.runs):
        stock_time, stock = timed(case.graph, case.input)
        compiled_time, compiled = timed(fast, case.input)
        stock_times.append(stock_time)
        compiled_times.append(compiled_time)
        if stock != compiled and "results differ" not in problems:
            problems.append("results differ")
    stats = langgraph_cy.engine_stats()
    expected = case.runs + 1
    if stats.compiled < expected or stats.stock:
        problems.append(
            f"{stats.compiled} of {expected} runs ran compiled, {stats.stock} fell back to stock: "
            f"{stats.reasons}"
        )
    return Outcome(case, stock_times, compiled_times, problems)


def report(outcomes: list[Outcome]) -> None:
    table = Table(title="invoke, milliseconds a run, engines taking turns", title_justify="left")
    table.add_column("graph")
    table.add_column("engine")
    for heading in ("runs", "median", "min", "max", "ratio"):
        table.add_column(heading, justify="right")
    table.add_column("equal")
    for outcome in outcomes:
        ratio = median(outcome.stock) / median(outcome.compiled)
        for engine, times in (("stock", outcome.stock), ("compiled", outcome.compiled)):
            first = engine == "stock"
            table.add_row(
                outcome.case.graph.name if first else "",
                engine,
                str(len(times)),
                *(f"{value:.2f}" for value in (median(times), min(times), max(times))),
                "" if first else f"{ratio:.1f}x",
                "" if first else "NO" if outcome.problems else "yes",
                end_section=not first,
            )
    console.print()
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    parser.add_argument("--runs", type=int, default=30, help="timed runs of each (default: 30)")
    parser.add_argument("--documents", type=int, default=200, help="Send tasks (default: 200)")
    options = parser.parse_args()
    if options.runs < 1 or options.documents < 1:
        parser.error("--runs and --documents must be at least 1")
    cases = [
        Case(
            "A tool-calling agent: model and tools take turns until the model answers",
            demo_graphs.agent(),
            demo_graphs.AGENT_INPUT,
            options.runs,
        ),
        Case(
            f"Map-reduce: {options.documents} Send tasks in one step, then one that adds up",
            demo_graphs.map_reduce(),
            demo_graphs.corpus(options.documents),
            options.runs,
        ),
    ]
    console.print(
        f"langgraph_cy {langgraph_cy.__version__}, langgraph {langgraph_cy.UPSTREAM_VERSION}'s "
        f"engine, Python {sys.version.split()[0]}"
    )
    outcomes = [run(case) for case in cases]
    report(outcomes)
    failed = False
    for outcome in outcomes:
        for problem in outcome.problems:
            failed = True
            console.print(Text(f"{outcome.case.graph.name}: {problem}", style="red"))
    if not failed:
        console.print("Results and streamed chunks are equal; every compiled run ran compiled.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
