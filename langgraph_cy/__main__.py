"""Run a program unchanged with the compiled engine installed.

python -m langgraph_cy app.py [args]
python -m langgraph_cy -m module [args]
"""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import types
from importlib.machinery import SourceFileLoader
from typing import NoReturn

from langgraph_cy.backend import install

USAGE = """\
usage: python -m langgraph_cy app.py [args ...]
       python -m langgraph_cy -m module [args ...]

Runs a Python program unchanged with LangGraph's engine replaced by the compiled one.

example: python -m langgraph_cy my_agent.py --question "What is a superstep?"
"""


def main() -> None:
    """Install the engine, then run the program as `python` itself would."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        sys.exit(0 if arguments else 2)
    if arguments[0] == "-m":
        if len(arguments) < 2:
            refuse("-m needs the name of a module to run")
        install()
        sys.argv = arguments[1:]
        new_main()
        # What `python -m` itself calls: its errors, its exit codes, its `__main__`. Private,
        # so typeshed leaves it out, but debuggers and profilers have long relied on it.
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        return
    if arguments[0].startswith("-"):
        refuse(f"unknown option {arguments[0]}\n\n{USAGE}")
    program = arguments[0]
    if not os.path.exists(program):
        refuse(f"can't open {program!r}: no such file")
    install()
    sys.argv = arguments
    if not os.path.isfile(program):
        runpy.run_path(program, run_name="__main__")  # a folder or a zip archive
        return
    program = os.path.abspath(program)
    # `python app.py` puts the program's folder where `python -m` puts the current one
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(program)
    run_program(program)


def refuse(problem: str) -> NoReturn:
    """Leave with the exit code that `python` has for a command line it can't use."""
    print(f"langgraph_cy: {problem}", file=sys.stderr)
    sys.exit(2)


def new_main() -> types.ModuleType:
    """An empty main module in the place of this one, for the program to run in."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return module


def run_program(path: str) -> None:
    """Run a source file as the main module, with the attributes that `python` gives it.

    Not by `runpy.run_path`, which shows the program another `__file__` and `sys.argv[0]`.

    Args:
        path: absolute path of the file.
    """
    with io.open_code(path) as source:
        code = compile(source.read(), path, "exec")
    module = new_main()
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__dict__["__cached__"] = None
    exec(code, module.__dict__)


if __name__ == "__main__":
    main()
