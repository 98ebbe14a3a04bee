"""The commands, and what their command lines have in common."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from langgraph_cy.cli.errors import UsageError

# By name, what each does; a command is the module of that name in this package.
COMMANDS = {
    "run": "run a program on the compiled engine; say which runs were compiled; profile it",
    "doctor": "say whether graphs run compiled here, and what to do if not",
    "explain": "show what of a graph is compiled, what stays Python and why",
    "verify": "run a graph on both engines and show the first difference",
    "bench": "time both engines, on standard workloads or on a graph of yours",
}

# Where the reader of the output goes away first: as of a program that SIGPIPE ends.
BROKEN_PIPE = 141


def program_name() -> str:
    """How this program was called: by its script, or as a module."""
    name = os.path.basename(sys.argv[0])
    return "langgraph-cy" if name.startswith("langgraph-cy") else "python -m langgraph_cy"


def usage() -> str:
    """The text of `--help`."""
    name = program_name()
    commands = "\n".join(f"  {command:<10}{about}" for command, about in COMMANDS.items())
    return f"""\
usage: {name} app.py [args ...]
       {name} -m module [args ...]
       {name} COMMAND ...

Runs a Python program unchanged with LangGraph's engine replaced by the compiled one.

example: {name} my_agent.py --question "What is a superstep?"

commands ({name} COMMAND --help shows options and an example):
{commands}

A file that has the name of a command is run as ./NAME.
"""


def make_parser(
    command: str, *, example: str, exit_codes: str, arguments: str | None = None
) -> argparse.ArgumentParser:
    """The parser of a command, with its example and its exit codes in the help.

    Args:
        command: its name.
        example: command lines, without the name of the program.
        exit_codes: what they mean, one a line.
        arguments: the usage line, where the parser's own would say too little.
    """
    name = program_name()
    lines = "\n".join(f"  {name} {line}" for line in example.splitlines())
    codes = "\n".join(f"  {line}" for line in exit_codes.splitlines())
    about = COMMANDS[command]
    return argparse.ArgumentParser(
        prog=f"{name} {command}",
        usage=f"{name} {command} {arguments}" if arguments else None,
        description=f"{about[0].upper()}{about[1:]}.",
        epilog=f"example:\n{lines}\n\nexit codes:\n{codes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def run_command(command: str, arguments: Sequence[str]) -> int:
    """Run a command; its exit code.

    Args:
        command: one of `COMMANDS`.
        arguments: what stands behind it on the command line.
    """
    if os.path.isfile(command) or os.path.isfile(os.path.join(command, "__main__.py")):
        name = program_name()
        print(
            f"langgraph_cy: {command!r} is taken for the command; "
            f"the file of that name is run by: {name} .{os.sep}{command}",
            file=sys.stderr,
        )
    try:
        code = import_module(f"langgraph_cy.cli.{command}").main(arguments)
        if command != "run":
            sys.stdout.flush()
    except BrokenPipeError:
        if command == "run":
            raise  # the program's own
        # who read the output has gone, and nothing may be left to be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except UsageError as error:
        print(f"langgraph_cy: {error}", file=sys.stderr)
        return 2
    return int(code)
