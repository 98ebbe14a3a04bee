"""`run`: a program on the compiled engine, with counts of its runs and a profile at its end."""

from __future__ import annotations

import atexit
import json
import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import langgraph_cy
from langgraph_cy.cli.commands import make_parser
from langgraph_cy.cli.errors import UsageError
from langgraph_cy.cli.program import run_program
from langgraph_cy.stats import count_graphs, graph_counts
from langgraph_cy.tables import aligned

PROFILES = (".html", ".json", ".mmd", ".txt")


def parser() -> ArgumentParser:
    """The options that stand before the program."""
    made = make_parser(
        "run",
        arguments="[options] (app.py | -m module) [args ...]",
        example="run --stats my_agent.py --question hello\nrun --profile out.html -m my_package",
        exit_codes="those of the program\n2  the command line can't be used",
    )
    made.add_argument(
        "--stats", action="store_true", help="say on stderr, at exit, which runs were compiled"
    )
    made.add_argument("--stats-json", metavar="FILE", help="write the same to FILE as JSON")
    made.add_argument(
        "--profile",
        metavar="FILE",
        help="write where the time of all runs went, by the suffix of FILE: .html a timeline, "
        ".json a trace for Perfetto, .mmd a Mermaid graph, .txt a table",
    )
    return made


def main(arguments: Sequence[str]) -> int:
    """Run the command line; returns when the program does."""
    mine, program = split(arguments)
    made = parser()
    options = made.parse_args(mine)
    if not program:
        raise UsageError(f"run needs a program\n\n{made.format_usage()}")
    for file in filter(None, (options.stats_json, options.profile)):
        if not Path(file).absolute().parent.is_dir():
            raise UsageError(f"can't write {file}: there is no folder {Path(file).parent}")
    if options.profile and Path(options.profile).suffix.lower() not in PROFILES:
        raise UsageError(
            f"--profile {options.profile}: the suffix says what to write, "
            f"and can be {', '.join(PROFILES)}"
        )
    run_program(program, lambda: at_exit(options.stats, options.stats_json, options.profile))
    return 0


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options of this command, and the program with everything behind it."""
    place = 0
    while place < len(arguments):
        word = arguments[place]
        if word == "--":
            return list(arguments[:place]), list(arguments[place + 1 :])
        if not word.startswith("-") or word == "-m":
            break
        place += 2 if word in ("--stats-json", "--profile") else 1
    return list(arguments[:place]), list(arguments[place:])


def at_exit(stats: bool, stats_json: str | None, profile: str | None) -> None:
    """See to it that results are written when the process ends, however the program does.

    What is registered first is called last: the program's threads and exit functions have ended
    by then.
    """
    process = os.getpid()
    # the program may change its working directory
    stats_file = Path(stats_json).absolute() if stats_json else None
    profile_file = Path(profile).absolute() if profile else None
    if stats or stats_json:
        count_graphs()
    profiled = ExitStack()
    measured: Any = None
    if profile_file is not None:
        from langgraph_cy.profiling import profile as profiling

        try:
            measured = profiled.enter_context(profiling())
        except ImportError as error:
            raise UsageError(f"--profile needs the compiled engine: {error}") from None

    def finish() -> None:
        if os.getpid() != process:
            return  # a fork of the program, whose results are its own
        profiled.close()
        counts = langgraph_cy.engine_stats()
        try:
            if stats_file is not None:
                stats_file.write_text(json.dumps(as_json(counts), indent=2) + "\n", "utf-8")
            if profile_file is not None:
                measured.save(profile_file)
        except OSError as error:
            print(f"langgraph_cy: {error}", file=sys.stderr)
        if stats:
            print(as_text(counts), file=sys.stderr)

    atexit.register(finish)


def as_json(counts: langgraph_cy.EngineStats) -> dict[str, Any]:
    """The counts as `--stats-json` writes them."""
    return {
        "version": langgraph_cy.__version__,
        "compiled": counts.compiled,
        "stock": counts.stock,
        "share": counts.share,
        "reasons": counts.reasons,
        "graphs": [
            {"graph": graph, "compiled": not reason, "reason": reason or None, "runs": runs}
            for (graph, reason), runs in graph_counts().items()
        ],
    }


def as_text(counts: langgraph_cy.EngineStats) -> str:
    """The counts as `--stats` shows them: in all, then for each graph."""
    if not counts.total:
        return "langgraph_cy: no graph was run"
    text = f"langgraph_cy: {counts.compiled:,} of {counts.total:,} runs compiled"
    rows = [["graph", "runs", "engine", "because"]]
    for (graph, reason), runs in graph_counts().items():
        rows.append([graph, f"{runs:,}", "stock" if reason else "compiled", reason])
    return "\n".join((text, *aligned(rows)))
