"""The interpreters to build wheels for: those named, else every suitable one of this machine."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import ToolError

OLDEST = (3, 10)
NEWEST = (3, 14)

# `python -m venv` and `Python.h` are what Debian leaves out of its Python.
DESCRIBE = """
import importlib.util, json, os, platform, sys, sysconfig
print(json.dumps({
    "implementation": platform.python_implementation(),
    "version": list(sys.version_info[:3]),
    "final": sys.version_info.releaselevel == "final",
    "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "venv": all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")),
}))
"""


@dataclass(frozen=True)
class Interpreter:
    """A CPython that wheels can be built with.

    Attributes:
        path: the program.
        version: its version, such as (3, 12, 1).
        free_threaded: whether it was built without the global interpreter lock.
    """

    path: Path
    version: tuple[int, int, int]
    free_threaded: bool

    @property
    def tag(self) -> str:
        """The interpreter and ABI part of a wheel's name, such as `cp312` or `cp314t`."""
        return f"cp{self.version[0]}{self.version[1]}{'t' if self.free_threaded else ''}"

    @property
    def title(self) -> str:
        number = ".".join(map(str, self.version))
        return f"CPython {number}{' free-threaded' if self.free_threaded else ''}"


def examine(path: Path) -> Interpreter | str:
    """What an interpreter is, or in words why no wheel can be built with it."""
    try:
        done = subprocess.run(
            # isolated, and without what .pth files of its site-packages would do
            [path, "-I", "-S", "-c", DESCRIBE],
            capture_output=True,
            text=True,
            timeout=60,
        )
        found = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return "does not start"
    version = tuple(found["version"])
    shown = ".".join(map(str, version))
    if found["implementation"] != "CPython":
        return f"is {found['implementation']}, which runs the pure wheel"
    if not OLDEST <= version[:2] <= NEWEST:
        supported = " to ".join(".".join(map(str, each)) for each in (OLDEST, NEWEST))
        return f"is {shown}; wheels are for {supported}"
    if not found["final"]:
        return f"is a pre-release of {shown}"
    if not found["headers"]:
        return "has no Python.h (on Debian, install python3-dev)"
    if not found["venv"]:
        return "cannot make virtual environments (on Debian, install python3-venv)"
    return Interpreter(path, version, found["free_threaded"])


def candidates() -> Iterator[Path]:
    """Interpreters that may be on this machine.

    In this order: the one that runs this, those of pyenv (`PYENV_ROOT`, or `~/.pyenv`), and
    `python3.10` to `python3.14`, `python3.13t`, `python3.14t` and `python3` on PATH.
    """
    # not the virtual environment's, which may go away
    yield Path(getattr(sys, "_base_executable", sys.executable))
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    pattern = "python.exe" if os.name == "nt" else "bin/python3"
    yield from map(Path, sorted(glob.glob(str(pyenv / "versions" / "*" / pattern))))
    minors = range(OLDEST[1], NEWEST[1] + 1)
    for name in [
        *(f"python3.{minor}" for minor in minors),
        "python3.13t",
        "python3.14t",
        "python3",
    ]:
        if found := shutil.which(name):
            yield Path(found)


def find(named: Sequence[str]) -> tuple[list[Interpreter], list[str]]:
    """The interpreters to build with, oldest first, and what was passed over.

    Args:
        named: paths or commands; none to search. Searching, the newest patch release stands for
            its minor version.

    Returns:
        One interpreter for each tag, and a line for each that was passed over.

    Raises:
        ToolError: one that was named cannot be used, or none was found.
    """
    if named:
        chosen: dict[str, Interpreter] = {}
        for name in named:
            path = shutil.which(name)
            found = examine(Path(path).absolute()) if path else "is not a command"
            if isinstance(found, str):
                raise ToolError(f"--python {name} {found}")
            if found.tag in chosen:
                raise ToolError(f"--python {name}: {chosen[found.tag].path} is {found.tag}, too")
            chosen[found.tag] = found
        return sorted(chosen.values(), key=_order), []
    best: dict[str, Interpreter] = {}
    passed: list[str] = []
    seen: set[Path] = set()
    for path in candidates():
        real = path.resolve()
        if real in seen:
            continue
        seen.add(real)
        found = examine(path)
        if isinstance(found, str):
            passed.append(f"{path} {found}")
        elif found.tag not in best or found.version > best[found.tag].version:
            best[found.tag] = found
    if not best:
        raise ToolError("no interpreter to build wheels with:\n" + "\n".join(passed))
    return sorted(best.values(), key=_order), passed


def _order(interpreter: Interpreter) -> tuple[tuple[int, int, int], bool]:
    return interpreter.version, interpreter.free_threaded
