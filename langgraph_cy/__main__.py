"""The command line: a program on the compiled engine, or one of the commands.

python -m langgraph_cy app.py [args]
python -m langgraph_cy -m module [args]
python -m langgraph_cy COMMAND [options]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from langgraph_cy.cli.commands import COMMANDS, run_command, usage
from langgraph_cy.cli.errors import UsageError
from langgraph_cy.cli.program import run_program


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, or a program as `python` itself would, with the engine installed.

    Args:
        argv: the command line without the name of this program; None for that of the process.

    Returns:
        The exit code. A program may also leave by `SystemExit` or any other exception of its own.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments:
        print(usage(), end="", file=sys.stderr)
        return 2
    first = arguments[0]
    if first in ("-h", "--help", "help"):
        print(usage(), end="")
        return 0
    if first == "--version":
        from langgraph_cy import __version__

        print(f"langgraph-cy {__version__}")
        return 0
    if first in COMMANDS:
        return run_command(first, arguments[1:])
    try:
        if first.startswith("-") and first != "-m":
            raise UsageError(f"unknown option {first}\n\n{usage()}")
        run_program(arguments)
    except UsageError as error:
        print(f"langgraph_cy: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
