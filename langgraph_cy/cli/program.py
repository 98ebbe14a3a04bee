"""A program, run as `python` itself would run it, with the engine installed."""

from __future__ import annotations

import builtins
import io
import os
import runpy
import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import SourceFileLoader

from langgraph_cy.backend import install
from langgraph_cy.cli.errors import UsageError


def run_program(arguments: Sequence[str], prepare: Callable[[], object] | None = None) -> None:
    """Install the engine, then run a program.

    Args:
        arguments: a file, a folder or a zip archive, or `-m` and a module; then the program's own.
        prepare: called once the program is found, before it starts.

    Raises:
        UsageError: there is no such file, or no module behind `-m`.
    """
    if arguments[0] == "-m":
        if len(arguments) < 2:
            raise UsageError("-m needs the name of a module to run")
        _start(arguments[1:], prepare)
        _put_first(os.getcwd())
        new_main()
        # What `python -m` itself calls: its errors, its exit codes, its `__main__`. Private,
        # so typeshed leaves it out, but debuggers and profilers have long relied on it.
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
        return
    program = arguments[0]
    if not os.path.exists(program):
        raise UsageError(f"can't open {program!r}: no such file")
    _start(arguments, prepare)
    if not os.path.isfile(program) or program.endswith(".pyc"):
        runpy.run_path(program, run_name="__main__")  # also a folder or a zip archive
        return
    program = os.path.abspath(program)
    _put_first(os.path.dirname(program))
    run_file(program)


def _start(arguments: Sequence[str], prepare: Callable[[], object] | None) -> None:
    install()
    if prepare is not None:
        prepare()
    sys.argv = list(arguments)


def _put_first(folder: str) -> None:
    """Put a program's folder where this program's own is on the import path."""
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = folder


def new_main() -> types.ModuleType:
    """An empty main module in the place of this program's, for another to run in."""
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    return module


def run_file(path: str) -> None:
    """Run a source file as the main module, with the attributes that `python` gives it.

    Not by `runpy.run_path`, which shows the program another `__file__` and `sys.argv[0]`.

    Args:
        path: absolute path of the file.
    """
    with io.open_code(path) as source:
        # with the `__future__` imports of the program, and none of this module's
        code = compile(source.read(), path, "exec", dont_inherit=True)
    module = new_main()
    module.__file__ = path
    module.__loader__ = SourceFileLoader("__main__", path)
    module.__dict__["__cached__"] = None
    exec(code, module.__dict__)
