"""`verify`: a graph on both engines, and the first difference in what they show."""

from __future__ import annotations

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from langgraph.pregel import Pregel

from langgraph_cy.cli import output
from langgraph_cy.cli.commands import make_parser
from langgraph_cy.cli.comparison import Found, compare
from langgraph_cy.cli.difference import Renaming
from langgraph_cy.cli.errors import DIFFERENT, NOT_COMPILED, SAME, with_hint
from langgraph_cy.cli.inputs import INPUT_HELP, graph_input, read_inputs, read_object
from langgraph_cy.cli.playing import MODES, Player, Transcript
from langgraph_cy.cli.shapes import show as shape_text
from langgraph_cy.cli.target import GRAPH_HELP, load_graph
from langgraph_cy.plan_report import explain

ONCE = (
    "Each node runs once on each engine for each input: "
    "a side effect of a node happens twice in all."
)


@dataclass(frozen=True)
class Verdict:
    """What came of one input.

    Attributes:
        found: the first difference, None where there is none.
        stock, compiled: what the runs showed.
    """

    found: Found | None
    stock: Transcript
    compiled: Transcript

    @property
    def was_compiled(self) -> bool:
        """Whether the run that was to be compiled was."""
        return self.compiled.counts.compiled > 0

    def as_dict(self) -> dict[str, Any]:
        """What `--json` says of an input."""
        return {
            "same": self.found is None and self.was_compiled,
            "compiled": self.was_compiled,
            "difference": self.found and self.found.as_dict(),
            "chunks": len(self.stock.chunks),
            "checkpoints": sum(map(len, self.stock.checkpoints.values())),
            "raises": None if self.stock.error is None else shape_text(self.stock.error),
            "runs": self.compiled.counts._asdict(),
        }


def parser() -> ArgumentParser:
    """The command's options."""
    made = make_parser(
        "verify",
        example="verify my_agent.py:graph --input question.json\n"
        'verify my_agent.py:graph --input \'{"messages": [["user", "hello"]]}\' --async',
        exit_codes="0  no difference\n"
        "1  a difference\n"
        "2  the command line can't be used\n"
        "3  a run was not compiled, so there was nothing to compare",
    )
    made.add_argument("graph", metavar="MODULE:GRAPH", help=GRAPH_HELP)
    made.add_argument("--input", required=True, metavar="FILE", help=INPUT_HELP)
    made.add_argument("--config", metavar="FILE", help="the runs' config, as a JSON object")
    made.add_argument("--context", metavar="FILE", help="the runs' context, as a JSON object")
    made.add_argument("--async", dest="asynchronous", action="store_true", help="run by astream")
    made.add_argument(
        "--modes",
        type=_modes,
        default=MODES,
        metavar="MODE,...",
        help="stream modes to compare (default: all); without messages, nodes run as they do "
        "where no callback handler watches",
    )
    made.add_argument(
        "--one-thread", action="store_true", help="inputs follow each other on one thread"
    )
    made.add_argument("--json", action="store_true", help="print JSON")
    return made


def _modes(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    if unknown := [name for name in names if name not in MODES]:
        raise ArgumentTypeError(
            f"no stream mode {', '.join(unknown)}; there are {', '.join(MODES)}"
        )
    return names


def main(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    options = parser().parse_args(arguments)
    inputs = read_inputs(options.input)
    config = read_object(options.config, "--config")
    context = read_object(options.context, "--context")
    for value in inputs:
        graph_input(value)
    with output.apart(options.json):
        graph = load_graph(options.graph)
    if (reason := explain(graph).reason) is not None:
        return refuse(reason, options.json)
    output.note(ONCE)
    with output.apart(options.json):
        verifier = Verifier(graph, options.asynchronous, options.modes, config, context)
        output.note(verifier.about_saver())
        output.note(verifier.about_store())
        thread = verifier.new_thread() if options.one_thread else None
        verdicts = []
        try:
            with output.progress(len(inputs)) as begin:
                for number, value in enumerate(inputs, 1):
                    begin(f"input {number}")
                    verdicts.append(verifier.check(value, thread or verifier.new_thread()))
                    if verdicts[-1].found:
                        break
        finally:
            verifier.forget()
    if options.json:
        same = all(verdict.found is None and verdict.was_compiled for verdict in verdicts)
        shown = [verdict.as_dict() for verdict in verdicts]
        output.emit({"same": same, "inputs": shown, "reason": None})
    else:
        show(verdicts, len(inputs))
    if any(verdict.found for verdict in verdicts):
        return DIFFERENT
    return SAME if all(verdict.was_compiled for verdict in verdicts) else NOT_COMPILED


def refuse(reason: str, machine_readable: bool) -> int:
    """Say that runs of the graph would not be compiled, before any; the exit code."""
    if machine_readable:
        output.emit({"same": False, "inputs": [], "reason": reason})
    else:
        output.say(f"NOT COMPARED: runs of the graph go to stock's engine: {reason}", "bold red")
    return NOT_COMPILED


class Verifier:
    """Runs one graph on both engines.

    Args:
        graph: the graph.
        asynchronous: run it by `astream`.
        modes: the stream modes to compare.
        config, context: of every run.
    """

    def __init__(
        self,
        graph: Pregel[Any, Any, Any, Any],
        asynchronous: bool = False,
        modes: tuple[str, ...] = MODES,
        config: dict[str, Any] | None = None,
        context: dict[str, Any] | None = None,
    ) -> None:
        self._players = [
            Player(graph, compiled=compiled, asynchronous=asynchronous, modes=modes)
            for compiled in (False, True)
        ]
        self._modes = modes
        self._config, self._context = config, context
        self._renaming = Renaming()
        self._renaming.keep(json.dumps([config, context]))

    def new_thread(self) -> tuple[str, str]:
        """The ids of a thread for either engine; where these have a saver each, they are equal."""
        if self._players[0].own_saver:
            return str(uuid4()), str(uuid4())
        given = (self._config or {}).get("configurable", {}).get("thread_id")
        thread = str(given or uuid4())
        return thread, thread

    def about_saver(self) -> str:
        """Where the runs of either engine keep their checkpoints."""
        player = self._players[0]
        if player.own_saver:
            name = type(player.saver).__name__
            return (
                f"Checkpoints: in the graph's {name}, on new threads, which are deleted at the end."
            )
        if player.saver is None:
            return "Checkpoints: none, the graph is compiled without them."
        return "Checkpoints: in a new InMemorySaver for each engine, the graph has no saver."

    def about_store(self) -> str:
        """What the two runs share besides their input; empty where it is nothing."""
        store = self._players[0].shared_store
        if store is None:
            return ""
        name = type(store).__name__
        return f"Store: the graph's {name} for both runs: the second finds what the first stored."

    def check(self, value: Any, thread: tuple[str, str]) -> Verdict:
        """Run the graph on stock's engine, then on the compiled one, and compare.

        Args:
            value: the input as JSON.
            thread: ids, as `new_thread` makes them.
        """
        stock, compiled = (
            player.play(graph_input(value), self._config, self._context, name)
            for player, name in zip(self._players, thread, strict=True)
        )
        self._renaming.keep(json.dumps(value))
        if thread[0] == thread[1]:
            self._renaming.keep(thread[0])
        return Verdict(compare(stock, compiled, self._modes, self._renaming), stock, compiled)

    def forget(self) -> None:
        """Delete what was stored in a saver of the graph's."""
        for player in self._players:
            player.forget()


def show(verdicts: Sequence[Verdict], inputs: int) -> None:
    """Print what came of the inputs."""
    for number, verdict in enumerate(verdicts, 1):
        prefix = f"input {number}: " if inputs > 1 else ""
        if verdict.found is not None:
            _show_difference(prefix, verdict.found)
        elif not verdict.was_compiled:
            reasons = "; ".join(verdict.compiled.counts.reasons) or "it was not counted"
            output.say(
                f"{prefix}NOT COMPARED: the run went to stock's engine: {reasons}", "bold red"
            )
        else:
            output.say(f"{prefix}no difference: {_amounts(verdict)}", "green")
    if len(verdicts) < inputs:
        print(f"{inputs - len(verdicts)} more inputs were not run")


def _show_difference(prefix: str, found: Found) -> None:
    output.say(f"{prefix}DIFFERENT: {found.where}", "bold red")
    if found.difference.path:
        print(f"  at        {found.difference.path.strip()}")
    print(f"  stock     {found.difference.stock}")
    print(f"  compiled  {found.difference.compiled}")
    if found.chance:
        print("  Several tasks ran in that superstep: which of their failures is raised is chance.")
    print(
        "  A node that draws random numbers, reads the clock or calls a model gives other results "
        "in any two runs, on one engine too."
    )


def _amounts(verdict: Verdict) -> str:
    stock = verdict.stock
    saved = sum(map(len, stock.checkpoints.values()))
    text = f"{len(stock.chunks)} chunks, {saved} checkpoints, and the result are the same"
    if stock.error is not None:
        text = (
            f"{len(stock.chunks)} chunks, {saved} checkpoints; both raise {shape_text(stock.error)}"
        )
        text = with_hint(text)
    nested = verdict.compiled.counts
    return text if not nested.stock else f"{text} (partly on stock's engine: {nested})"
