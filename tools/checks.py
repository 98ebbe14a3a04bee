"""Every check of this repository, in stages; `tools/test` is the command.

Standard library only: it starts before anything is installed, makes the environment, and runs each
stage with the environment's tools. The package under test is the installed wheel, and no stage that
runs it has the source tree on its import path.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from environment import (
    BUILD,
    ROOT,
    Environment,
    SetupError,
    clean_environ,
    say,
    upstream_version,
)

DEFAULT_STAGES = ("lint", "types", "docs", "own", "upstream")
EXTRAS: dict[str, set[str]] = {
    "lint": {"lint"},
    "types": {"lint", "test"},
    "docs": {"docs"},
    "own": {"test"},
    "upstream": set(),
    "coverage": {"test"},
}
PYX = sorted(ROOT.glob("langgraph_cy/**/*.pyx"))
TYPED = ROOT / "tests/typing"
# The script, not `python -m pytest`: the latter puts the working directory on the import path.
PYTEST = ["-q", "-p", "no:cacheprovider", "-c", ROOT / "setup.cfg", "--rootdir", ROOT]
# The modules of public names that are Python: what a checker reads there is what there is.
SHIM = [
    f"langgraph_cy.{name}"
    for name in (
        "backend",
        "checkpoint.errors",
        "checkpoint.memory",
        "checkpoint.postgres",
        "checkpoint.postgres_aio",
        "checkpoint.serializer",
        "checkpoint.sqlite_aio",
        "state_graph",
        "stats",
    )
]
# The schema that the checker brings, and what to check with it.
WORKFLOWS = ["vendor.github-workflows", *sorted(ROOT.glob(".github/workflows/*.yml"))]


def run(python: Path, command: Sequence[str | Path], cwd: Path) -> bool:
    """Runs one of the environment's scripts in sight of the user; whether it succeeded.

    Args:
        python: The environment's Python; its neighbours come first on PATH, where cython-lint
            looks for pycodestyle.
        command: The script's name (or `python`) and its arguments.
        cwd: Working directory.
    """
    say("$ " + shlex.join(os.path.relpath(c) if isinstance(c, Path) else c for c in command))
    environ = clean_environ(
        LANGGRAPH_CY_REQUIRE_COMPILED="1",
        PYTHONDONTWRITEBYTECODE="1",
        PATH=os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
    )
    script = str(python.parent / command[0])
    arguments = [str(part) for part in command[1:]]
    return subprocess.call([script, *arguments], cwd=cwd, env=environ) == 0


def outside() -> Path:
    """A working directory from which `import langgraph_cy` cannot find the source tree."""
    directory = BUILD / "cwd"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def lint(python: Path) -> bool:
    cython = [*PYX, *sorted(ROOT.glob("langgraph_cy/**/*.pxd"))]
    results = [
        run(python, ["ruff", "check", "."], ROOT),
        run(python, ["cython-lint", *cython], ROOT),
        run(python, ["check-jsonschema", "--builtin-schema", *WORKFLOWS], ROOT),
    ]
    return all(results)


def types(python: Path) -> bool:
    """mypy on the shim; the rest on the installed wheel: stubtest, user programs."""
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in PYX]
    allowlist = ROOT / "tools/stubtest_allowlist.txt"
    results = [
        run(python, ["mypy"], ROOT),
        run(python, ["stubtest", "--allowlist", allowlist, *modules, *SHIM], outside()),
        run(python, ["pytest", *PYTEST, TYPED], outside()),
    ]
    return all(results)


def docs(python: Path) -> bool:
    """The documentation, strictly; its fences run with the tests."""
    return run(python, ["python", ROOT / "tools/docs_build.py"], outside())


def own(python: Path) -> bool:
    """All but what needs the type checkers, which is the stage `types`."""
    return run(python, ["pytest", *PYTEST, "--ignore", TYPED, ROOT / "tests"], outside())


def upstream(python: Path) -> bool:
    """Upstream's suite without services; it runs in an environment that the tool makes itself."""
    suite = ROOT / "tools/upstream_suite.py"
    wheel = Environment().wheel()
    return run(python, ["python", suite, upstream_version(), "--wheel", str(wheel)], outside())


def coverage(python: Path) -> bool:
    """Lines of shim and .pyx together; from the root, where the traced file names begin."""
    pytest = ["python", "-m", "coverage", "run", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = run(python, [*pytest, "--ignore", TYPED], ROOT)
    return run(python, ["coverage", "report"], ROOT) and ran


STAGES: dict[str, Callable[[Path], bool]] = {
    "lint": lint,
    "types": types,
    "docs": docs,
    "own": own,
    "upstream": upstream,
    "coverage": coverage,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/test",
        description="Run the checks of this repository; without stages, all but `coverage`.",
    )
    parser.add_argument(
        "stages",
        nargs="*",
        metavar="STAGE",
        help=f"any of: {', '.join(STAGES)} (default: {' '.join(DEFAULT_STAGES)})",
    )
    stages = parser.parse_args().stages or list(DEFAULT_STAGES)
    unknown = [stage for stage in stages if stage not in STAGES]
    if unknown:
        parser.error(f"no such stage: {', '.join(unknown)} (there are: {', '.join(STAGES)})")

    report: list[tuple[str, bool, float]] = []

    def timed(name: str, action: Callable[[], bool]) -> None:
        say(f"\n== {name}")
        start = time.monotonic()
        report.append((name, action(), time.monotonic() - start))

    pythons: dict[bool, Path] = {}

    def set_up(traced: bool) -> bool:
        names = [stage for stage in stages if (stage == "coverage") == traced]
        extras = set().union(*(EXTRAS[stage] for stage in names))
        environment = Environment(".venv-coverage", coverage=True) if traced else Environment()
        pythons[traced] = environment.prepare(extras)
        return True

    try:
        for traced in sorted({stage == "coverage" for stage in stages}):
            timed("set-up (coverage)" if traced else "set-up", lambda t=traced: set_up(t))
    except SetupError as error:
        say(f"error: {error}")
        return 1
    for stage in stages:
        timed(stage, lambda s=stage: STAGES[s](pythons[s == "coverage"]))

    failed = [name for name, passed, _ in report if not passed]
    say("")
    for name, passed, seconds in report:
        say(f"{name:<20}{'ok' if passed else 'FAILED':>8}{seconds:>9.1f} s")
    total = sum(seconds for _, _, seconds in report)
    say(
        f"tools/test: {'failed: ' + ', '.join(failed) if failed else 'all passed'} in {total:.0f} s"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
