"""The virtual environments that `tools/demo` and `tools/test` work in.

An environment is made once, reused, and brought up to date when `pyproject.toml` or the sources
have changed. It holds the package as an installed *wheel*, so what runs is what a user would get.
`python tools/environment.py EXTRA...` does it from the shell and prints the path of the
environment's Python. Standard library only: this runs before anything is installed.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "tools"
# The build back end names these itself, but without build isolation nobody installs them.
BUILD_TOOLS = ["cmake>=3.21", "ninja"]
SOURCES = ("langgraph_cy/**/*", "tools/cmake/*", "pyproject.toml", "README.md", "LICENSE")
NOT_SOURCES = {".c", ".dep", ".html", ".pyc", ".so", ".pyd"}


class SetupError(Exception):
    """What the machine lacks, or which command failed, in words for the person at the terminal."""


def say(text: str) -> None:
    """Progress goes to stderr: stdout carries the answer."""
    print(text, file=sys.stderr, flush=True)


def clean_environ(**extra: str) -> dict[str, str]:
    """This process's environment without what would leak another Python's packages in."""
    environ = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **extra}
    for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"):
        environ.pop(name, None)
    return environ


def logged(title: str, command: Sequence[str | Path], **environ: str) -> None:
    """Runs a command with its output kept in a log, which is shown only if it fails."""
    BUILD.mkdir(parents=True, exist_ok=True)
    log = BUILD / "setup.log"
    start = time.monotonic()
    with log.open("wb") as out:
        code = subprocess.call(
            [str(part) for part in command],
            cwd=ROOT,
            env=clean_environ(**environ),
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    if code:
        say(log.read_text(errors="replace")[-8000:])
        raise SetupError(f"{title}: exit code {code} of: {shlex.join(map(str, command))}")
    say(f"   {title}: {time.monotonic() - start:.1f} s")


def check_machine() -> None:
    """Says what is missing before a build system says it at length."""
    if os.name != "nt":
        configured = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
        candidates = [shlex.split(configured)[0]]
        if "CC" not in os.environ:
            candidates += ["cc", "gcc", "clang"]
        if not any(shutil.which(candidate) for candidate in candidates):
            raise SetupError(f"no C compiler: none of {', '.join(candidates)} is on PATH")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise SetupError(
            f"no Python.h in {sysconfig.get_path('include')}: "
            "install this Python's development files (on Debian python3-dev)"
        )


def venv_python(directory: Path) -> Path:
    return directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv(directory: Path) -> bool:
    """Creates the environment unless a working one of this Python version stands there."""
    python = venv_python(directory)
    version = "import sys; print(sys.version_info[:3])"
    if python.exists():
        found = subprocess.run([python, "-c", version], capture_output=True, text=True)
        if found.returncode == 0 and found.stdout.strip() == str(sys.version_info[:3]):
            return False
    try:
        logged(
            f"virtual environment {directory.name}",
            [sys.executable, "-m", "venv", "--clear", directory],
        )
    except SetupError as error:
        raise SetupError(f"{error}\n(on Debian, install python3-venv)") from None
    return True


def build_requirements() -> list[str]:
    """`build-system.requires`; read without a TOML parser, which Python 3.10 does not have."""
    found = re.search(r"^requires = (\[.*?\])", (ROOT / "pyproject.toml").read_text(), re.M | re.S)
    if found is None:
        raise SetupError("pyproject.toml has no build-system.requires")
    return [*ast.literal_eval(found[1]), *BUILD_TOOLS]


def upstream_version() -> str:
    """The langgraph version that the engine stands in for, and so the one to test with."""
    found = re.search(
        r'^UPSTREAM_VERSION = "(.+)"', (ROOT / "langgraph_cy/fingerprints.py").read_text(), re.M
    )
    if found is None:
        raise SetupError("langgraph_cy/fingerprints.py names no UPSTREAM_VERSION")
    return found[1]


def digest(paths: Iterable[Path]) -> str:
    """One hash over names and contents."""
    total = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and path.suffix not in NOT_SOURCES:
            total.update(f"{path.relative_to(ROOT)}\0".encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def source_digest() -> str:
    return digest(path for pattern in SOURCES for path in ROOT.glob(pattern))


class Environment:
    """A virtual environment below the repository, and what was put into it last.

    Args:
        name: Directory name, relative to the repository.
        coverage: Whether the package is an editable build with line tracing instead of a wheel.
    """

    def __init__(self, name: str = ".venv", *, coverage: bool = False) -> None:
        self.directory = ROOT / name
        self.python = venv_python(self.directory)
        self.coverage = coverage
        self._stamp = self.directory / "langgraph_cy.json"
        self._wheels = self.directory / "wheels"

    def prepare(self, extras: Iterable[str]) -> Path:
        """Brings the environment up to date.

        Args:
            extras: Optional dependencies needed; those of earlier calls stay.

        Returns:
            The environment's Python.

        Raises:
            SetupError: The machine lacks something, or a step failed.
        """
        check_machine()
        say(f"-- environment {self.directory.name}, Python {sys.version.split()[0]}")
        fresh = make_venv(self.directory)
        old = {} if fresh or not self._stamp.exists() else json.loads(self._stamp.read_text())
        new = {
            "project": digest([ROOT / "pyproject.toml"]),
            "sources": source_digest(),
            "extras": sorted({*extras, *old.get("extras", [])}),
        }
        if old == new and (self.coverage or self.wheel() is not None):
            return self.python
        # A half-finished update must not look finished to the next call.
        self._stamp.unlink(missing_ok=True)
        if old.get("project") != new["project"]:
            self._pip("build requirements", *build_requirements())
        if self.coverage:
            self._install_for_coverage(new["extras"])
        else:
            dependencies_changed = [old.get("project"), old.get("extras")] != [
                new["project"],
                new["extras"],
            ]
            self._install_wheel(new["extras"] if dependencies_changed else None)
        self._stamp.write_text(json.dumps(new))
        return self.python

    def _install_wheel(self, extras: Sequence[str] | None) -> None:
        """Builds the wheel and replaces the installed one; dependencies only where asked."""
        shutil.rmtree(self._wheels, ignore_errors=True)
        logged(
            "package built",
            [
                *self._pip_command("wheel"),
                "--no-build-isolation",
                "--no-deps",
                "--config-settings=build-dir=build/tools/{wheel_tag}",
                "-w",
                self._wheels,
                ROOT,
            ],
            LANGGRAPH_CY_REQUIRE_COMPILED="1",
            PATH=self._path(),
        )
        wheel = self.wheel()
        if wheel is None:
            raise SetupError(f"the build left no wheel, or more than one, in {self._wheels}")
        self._pip("package installed", "--force-reinstall", "--no-deps", wheel)
        if extras is not None:
            title = ", ".join(["the package", *extras])
            pinned = f"langgraph=={upstream_version()}"
            wanted = f"{wheel}[{','.join(extras)}]" if extras else wheel
            self._pip(f"dependencies of {title}", wanted, pinned)

    def _install_for_coverage(self, extras: Sequence[str]) -> None:
        """Coverage of a .pyx needs the C file beside it and the sources where they are."""
        logged(
            "package and dependencies, with line tracing",
            [
                *self._pip_command("install"),
                "--no-build-isolation",
                "--config-settings=build-dir=build/coverage/{wheel_tag}",
                "--config-settings=cmake.build-type=Debug",
                "--config-settings=cmake.define.LGCY_COVERAGE=ON",
                "-e",
                f"{ROOT}[{','.join(extras)}]",
                f"langgraph=={upstream_version()}",
            ],
            LANGGRAPH_CY_REQUIRE_COMPILED="1",
            PATH=self._path(),
        )

    def wheel(self) -> Path | None:
        """The wheel that is installed in the environment."""
        found = list(self._wheels.glob("*.whl"))
        return found[0] if len(found) == 1 else None

    def _pip(self, title: str, *arguments: str | Path) -> None:
        logged(title, [*self._pip_command("install"), *arguments])

    def _pip_command(self, verb: str) -> list[str | Path]:
        return [self.python, "-m", "pip", verb, "--quiet"]

    def _path(self) -> str:
        """PATH with the environment's cmake and ninja before the system's."""
        return os.pathsep.join([str(self.python.parent), os.environ.get("PATH", "")])


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Create or update the repository's virtual environment; print its Python."
    )
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="demo, test, lint, upstream")
    extras = parser.parse_args().extras
    try:
        print(Environment().prepare(extras))
    except SetupError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
