"""`bench`: both engines against the clock, on standard workloads or on a graph of the user's."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import langgraph_cy
from langgraph_cy import _core
from langgraph_cy.cli import output
from langgraph_cy.cli.cases import Case, Workload
from langgraph_cy.cli.commands import make_parser
from langgraph_cy.cli.errors import DONE, REFUSED, UsageError
from langgraph_cy.cli.figures import around, duration, factor
from langgraph_cy.cli.inputs import INPUT_HELP, graph_input, read_inputs, read_object
from langgraph_cy.cli.installation import python_version
from langgraph_cy.cli.target import GRAPH_HELP, load_graph
from langgraph_cy.cli.timing import COMPILED, STOCK, RefusedError, Result, measure
from langgraph_cy.cli.workloads import STANDARD


def parser() -> ArgumentParser:
    """The command's options."""
    made = make_parser(
        "bench",
        example="bench --plot times.png\nbench --only loop,send\n"
        "bench my_agent.py:graph --input question.json",
        exit_codes="0  everything was timed\n"
        "1  something could not be compared, or was not compiled\n"
        "2  the command line can't be used",
    )
    made.add_argument(
        "graph",
        nargs="?",
        metavar="MODULE:GRAPH",
        help=f"{GRAPH_HELP}; it is run once for real, then timed with the results of its nodes in "
        "their place. Without it, standard workloads are timed",
    )
    of_graph = made.add_argument_group("with a graph")
    of_graph.add_argument("--input", metavar="FILE", help=f"{INPUT_HELP}; here one input")
    of_graph.add_argument("--config", metavar="FILE", help="the run's config, as a JSON object")
    of_graph.add_argument("--context", metavar="FILE", help="the run's context, as a JSON object")
    of_graph.add_argument("--async", dest="asynchronous", action="store_true", help="by ainvoke")
    standard = made.add_argument_group("without a graph")
    standard.add_argument("--list", action="store_true", help="name the workloads and stop")
    standard.add_argument("--only", type=_names, metavar="NAME,...", help="these, not all")
    made.add_argument("--rounds", type=_positive, default=7, help="samples a side (default 7)")
    made.add_argument(
        "--sample", type=_seconds, default=0.1, help="least seconds of a sample (default 0.1)"
    )
    made.add_argument(
        "--budget",
        type=_seconds,
        default=20,
        help="rounds of a workload beyond so many seconds are left out, down to 3 (default 20)",
    )
    made.add_argument("--plot", metavar="FILE", help="draw the times; needs matplotlib")
    made.add_argument("--json", action="store_true", help="print JSON, with every sample")
    return made


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in STANDARD]:
        raise ArgumentTypeError(
            f"no workload {', '.join(unknown)}; there are {', '.join(STANDARD)}"
        )
    return names


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text!r} is no number of rounds: give an integer above 0")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds < 1e6:
        raise ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


def main(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    options = parser().parse_args(arguments)
    if options.list:
        output.table(
            [["workload", "what it runs"], *([w.name, w.about] for w in STANDARD.values())]
        )
        return DONE
    save_plot = _plotter(options.plot)
    if _core.NEVER is not None:
        raise UsageError(f"no run would be compiled ({_core.NEVER}): see the command doctor")
    if options.graph is None:
        if options.input or options.config or options.context or options.asynchronous:
            raise UsageError("--input, --config, --context and --async go with a graph")
        chosen = [STANDARD[name] for name in options.only or STANDARD]
    else:
        if options.input is None:
            raise UsageError("a graph is run with an input: give --input")
        if options.only:
            raise UsageError("--only goes with the standard workloads, not with a graph")
        with output.apart(options.json):
            chosen = _of_graph(options)
    results: list[Result] = []
    with output.progress(len(chosen)) as begin:
        for workload in chosen:
            begin(workload.name)
            results += _timed(workload, options)
    if options.json:
        results_json = [result.as_json() for result in results]
        output.emit({"environment": environment(), "results": results_json})
    elif results:
        output.table(rows(results))
        print("\n" + ", ".join(f"{name} {value}" for name, value in environment().items()))
    if save_plot is not None and results:
        save_plot(results)
        output.note(f"plot: {options.plot}")
    return DONE if chosen and len(results) == len(chosen) else REFUSED


def environment() -> dict[str, str]:
    """What the times depend on."""
    import os
    from importlib.metadata import version

    return {
        "python": python_version(),
        "CPUs": str(os.cpu_count()),
        "langgraph": version("langgraph"),
        "langgraph-cy": langgraph_cy.__version__,
    }


def rows(results: Sequence[Result]) -> list[list[str]]:
    """The table of times; the first row is the header."""
    found = [["workload", "size", "a unit is a", "stock, a unit", "compiled, a unit", "ratio"]]
    for result in results:
        found.append(
            [
                result.workload.name,
                f"{result.size:,}",
                result.workload.unit,
                around(result.time(STOCK), duration),
                around(result.time(COMPILED), duration),
                around(result.ratio, factor),
            ]
        )
    return found


def _of_graph(options: Any) -> list[Workload]:
    """The workload of the user's graph; none where its run can't be played back."""
    from langgraph_cy.cli.recording import UnrepeatableError
    from langgraph_cy.cli.replay import workload_of

    inputs = read_inputs(options.input)
    if len(inputs) > 1:
        raise UsageError(f"bench takes one input, and --input has {len(inputs)}")
    config = read_object(options.config, "--config")
    context = read_object(options.context, "--context")
    graph = load_graph(options.graph)
    langgraph_cy.uninstall()  # where the module has installed the engine
    report = langgraph_cy.explain(graph)
    if not report.compiled:
        output.note(f"{options.graph}: REFUSED: {report.verdict()}")
        return []
    output.note("The graph is run once for real, to record what its nodes return.")
    if graph.checkpointer:
        output.note("Its saver is not used: an InMemorySaver takes its place.")
    try:
        return [workload_of(graph, graph_input(inputs[0]), config, context, options.asynchronous)]
    except UnrepeatableError as error:
        output.note(f"{options.graph}: REFUSED: {error}")
        return []


def _timed(workload: Workload, options: Any) -> list[Result]:
    """Measure a workload; nothing where the engines can't be compared on it."""

    def make(size: int) -> Case:
        return replace(workload.make(size), floor=None)

    bare = replace(workload, make=make)
    try:
        results = measure(bare, workload.sizes, options.rounds, options.sample, options.budget)
    except RefusedError as refused:
        output.note(f"{workload.name}: REFUSED: {refused}")
        return []
    if stock := [result for result in results if result.counts.stock]:
        output.note(f"{workload.name}: REFUSED: not all runs were compiled: {stock[0].counts}")
        return []
    return results


def _plotter(file: str | None) -> Any:
    """What draws the times into a file; None where none is asked for.

    Raises:
        UsageError: matplotlib is missing, or can't write such a file there.
    """
    if file is None:
        return None
    path = Path(file)
    try:
        from langgraph_cy.cli import plot
    except ModuleNotFoundError as missing:
        raise UsageError(
            f"--plot needs matplotlib ({missing}): pip install 'langgraph-cy[plot]'"
        ) from None
    if path.suffix.lstrip(".") not in plot.SUFFIXES:
        raise UsageError(f"--plot {file}: the suffix can be {', '.join(sorted(plot.SUFFIXES))}")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {file}: there is no folder {path.parent}")
    return lambda results: plot.save(results, path)
