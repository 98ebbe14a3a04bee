"""What upstream's tests need to run: their text, a Python environment, and our wheel beside it."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from processes import ToolError, run

ROOT = Path(__file__).resolve().parent.parent

# In upstream's test group, but tools for people and for type checkers: no test imports them, and
# langgraph-cli[inmem] alone brings twenty packages.
NOT_FOR_TESTS = {"langgraph-cli", "pandas-stubs", "py-spy", "pytest-watcher"}
# What this tool itself passes options to.
OWN_REQUIREMENTS = ["pytest>=8", "pytest-xdist>=3.5"]

DESCRIBE = """
import importlib.metadata, json, platform, sys
found = {}
for dist in importlib.metadata.distributions():
    found.setdefault(dist.metadata["Name"].lower().replace("_", "-"), dist.version)
print(json.dumps({"python": sys.version, "implementation": platform.python_implementation(),
                  "version": platform.python_version(), "platform": platform.platform(),
                  "packages": found}))
"""


def cache_folder() -> Path:
    """Where this platform keeps what a program can make again; outside of the repository."""
    if "XDG_CACHE_HOME" in os.environ:
        base = Path(os.environ["XDG_CACHE_HOME"])
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path.home() / ".cache"
    folder = base / "langgraph-cy" / "upstream-suite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        # A home that cannot be written to: per user, so that nobody else's files are trusted.
        owner = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir(), f"langgraph-cy-upstream-suite-{owner}")
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other runs of this tool out of a cache folder (where the platform has file locks)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        if os.name == "posix":
            import fcntl  # absent on Windows

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def pip(python: Path, *arguments: str | Path) -> list[str | Path]:
    """The command line of an environment's pip."""
    return [python, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]


def clean_environ() -> dict[str, str]:
    """This process's environment without what would change how tests run or where they import."""
    prefixes = ("PYTHON", "PYTEST", "LANGGRAPH", "LANGSMITH", "LANGCHAIN", "COVERAGE", "VIRTUAL_")
    return {name: value for name, value in os.environ.items() if not name.startswith(prefixes)}


# ---- upstream's tests ----------------------------------------------------------------------


def version_beside(distribution: str, langgraph: str, python: Path) -> str:
    """The version of a distribution that pip installs beside a version of langgraph.

    Args:
        distribution: its name, such as ``langgraph-prebuilt``; langgraph need not depend on it.
        langgraph: the version of langgraph.
        python: an interpreter with pip.

    Raises:
        ToolError: pip finds no such langgraph, or nothing that fits beside it.
    """
    report = run(
        f"resolve the dependencies of langgraph {langgraph} and {distribution}",
        pip(python, "install", "--dry-run", "--ignore-installed", "--report", "-")
        + [f"langgraph=={langgraph}", distribution],
        env=clean_environ(),
    )
    for found in json.loads(report)["install"]:
        if package_name(found["metadata"]["name"]) == distribution:
            return str(found["metadata"]["version"])
    raise ToolError(f"pip would not install {distribution} beside langgraph {langgraph}")


def upstream_tests(
    distribution: str, version: str, python: Path, cache: Path, *, fresh: bool
) -> Path:
    """A folder with ``tests/`` and ``pyproject.toml`` of upstream's sdist, and nothing else.

    Upstream's package is left out: the tests' own folder comes first on the import path, and
    the package must be the installed one.

    Args:
        distribution: ``langgraph`` or another one of upstream's.
        version: of the distribution.
        python: an interpreter with pip.
        cache: folder to keep the sdist and the tests in.
        fresh: download again even if the cache has it.

    Raises:
        ToolError: the package index has no such sdist, or the sdist has no tests.
    """
    with locked(cache / "sdist"):
        sdist = cache / "sdist" / f"{distribution}-{version}.tar.gz"
        if fresh or not sdist.is_file():
            with tempfile.TemporaryDirectory(dir=sdist.parent) as name:
                run(
                    f"download upstream's sdist of {distribution} {version}",
                    pip(python, "download", "--no-deps", "--no-binary", distribution, "-d", name)
                    + [f"{distribution}=={version}"],
                    env=clean_environ(),
                )
                files = sorted(Path(name).glob("*.tar.gz"))
                if len(files) != 1:
                    raise ToolError(f"pip downloaded {files}, not one .tar.gz")
                files[0].replace(sdist)
        content = hashlib.sha256(sdist.read_bytes()).hexdigest()[:12]
        folder = cache / "tests" / f"{distribution}-{version}-{content}"
        if not folder.is_dir():
            folder.parent.mkdir(exist_ok=True)
            unpacked = Path(tempfile.mkdtemp(dir=folder.parent))
            unpack_tests(sdist, unpacked)
            unpacked.replace(folder)
    return folder


def unpack_tests(sdist: Path, folder: Path) -> None:
    """Write ``tests/`` and ``pyproject.toml`` of an sdist below a folder.

    Raises:
        ToolError: not an sdist, or one without tests.
    """
    found = set()
    try:
        with tarfile.open(sdist) as archive:
            for member in archive:
                _, *parts = member.name.split("/")
                wanted = parts == ["pyproject.toml"] or parts[:1] == ["tests"]
                if not (member.isfile() and wanted) or ".." in parts:
                    continue
                content = archive.extractfile(member)
                if content is not None:
                    target = folder.joinpath(*parts)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())
                    found.add(parts[0])
    except tarfile.TarError as error:
        raise ToolError(f"{sdist} is not a tar archive: {error}") from error
    missing = {"tests", "pyproject.toml"} - found
    if missing:
        raise ToolError(f"upstream's sdist {sdist.name} has no {' and no '.join(sorted(missing))}")


def read_toml(text: str) -> dict[str, Any]:
    """Parse TOML; Python 3.10 has no parser of its own, but its pip brings one."""
    for name in ("tomllib", "pip._vendor.tomli"):
        with contextlib.suppress(ImportError):
            return importlib.import_module(name).loads(text)
    raise ToolError("no TOML parser: use Python 3.11 or later, or one with pip")


def test_requirements(pyproject: dict[str, Any]) -> list[str]:
    """The requirements that upstream declares for its tests.

    Raises:
        ToolError: it declares none.
    """
    groups = pyproject.get("dependency-groups", {})
    start = next((name for name in ("test", "dev") if name in groups), None)
    if start is None:
        raise ToolError("upstream's pyproject.toml has no dependency group for tests")
    found: list[str] = []
    pending, seen = [start], {start}
    while pending:
        for entry in groups.get(pending.pop(0), []):
            if isinstance(entry, str):
                if package_name(entry) not in NOT_FOR_TESTS:
                    found.append(entry)
            elif entry.get("include-group") not in seen:
                seen.add(entry["include-group"])
                pending.append(entry["include-group"])
    return found


def package_name(requirement: str) -> str:
    """The normalised name in a requirement such as ``pytest_xdist[psutil] >= 3``."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    if match is None:
        raise ToolError(f"not a requirement: {requirement!r}")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


# ---- our wheel -----------------------------------------------------------------------------


def build_wheel(python: Path, folder: Path) -> Path:
    """Build the wheel of this tree, with the compiled core or not at all.

    Raises:
        ToolError: the build failed.
    """
    run(
        "build the wheel of langgraph_cy",
        pip(python, "wheel", "--no-deps", "-w", folder, ROOT),
        env={**clean_environ(), "LANGGRAPH_CY_REQUIRE_COMPILED": "1"},
    )
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ToolError(f"the build made {len(wheels)} wheels, not one: {wheels}")
    return wheels[0]


def wheel_requirements(wheel: Path) -> list[str]:
    """What a wheel of ours requires, without extras and without langgraph itself.

    Raises:
        ToolError: not a wheel.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
            header = archive.read(name).decode("utf-8").split("\n\n", 1)[0]
    except (OSError, StopIteration, zipfile.BadZipFile) as error:
        raise ToolError(f"{wheel} is not a wheel: {error!r}") from error
    found = re.findall(r"^Requires-Dist: (.*)$", header, re.MULTILINE)
    return [r.strip() for r in found if "extra ==" not in r and package_name(r) != "langgraph"]


def unpack_wheel(python: Path, wheel: Path, folder: Path) -> Path:
    """Install a wheel into a folder of its own, to be put on the import path.

    Beside the environment rather than in it: stock's run then cannot see it at all, and one
    environment serves several builds.

    Raises:
        ToolError: the wheel is not for this Python.
    """
    run(
        f"install {wheel.name}",
        pip(python, "install", "--no-deps", "--no-index", "--target", folder, wheel),
        env=clean_environ(),
    )
    return folder


# ---- the environment -----------------------------------------------------------------------


class Environment:
    """A Python environment with one version of langgraph and all that upstream's tests import.

    Args:
        python: its interpreter.

    Raises:
        ToolError: the interpreter does not start.
    """

    def __init__(self, python: Path) -> None:
        self.python = python
        about = json.loads(
            run(f"ask {python} what it has", [python, "-c", DESCRIBE], env=clean_environ())
        )
        self.packages: dict[str, str] = about["packages"]
        self.title = f"{about['implementation']} {about['version']}, {about['platform']}"
        # Our own package is no part of it: a new build leaves stock's result as it was.
        others = {k: v for k, v in self.packages.items() if k != "langgraph-cy"}
        identity = json.dumps([about["python"], about["platform"], others], sort_keys=True)
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()[:16]

    @property
    def has_langgraph_cy(self) -> bool:
        """Whether our package is installed in it."""
        return "langgraph-cy" in self.packages

    def check(self, version: str, requirements: list[str]) -> None:
        """Raise ToolError unless the environment has that langgraph and those requirements."""
        have = self.packages.get("langgraph")
        if have != version:
            raise ToolError(f"{self.python} has langgraph {have}, not {version}")
        # Markers are not evaluated: a requirement for another platform or Python is let pass.
        names = {package_name(r) for r in requirements if ";" not in r}
        missing = sorted(names - self.packages.keys())
        if missing:
            raise ToolError(f"{self.python} lacks what upstream's tests need: {', '.join(missing)}")


def make_environment(
    version: str, requirements: list[str], python: Path, cache: Path, *, fresh: bool
) -> Environment:
    """A virtual environment with langgraph and the requirements, made once and then reused.

    Args:
        version: of langgraph.
        requirements: for the tests and for our wheel.
        python: the interpreter to make it from.
        cache: folder to keep it in.
        fresh: make it again even if the cache has it.

    Raises:
        ToolError: no ``venv`` module, or pip could not install the requirements.
    """
    wanted = [f"langgraph=={version}", *OWN_REQUIREMENTS, *requirements]
    about = run(f"start {python}", [python, "-c", "import sys; print(sys.version, sys.prefix)"])
    identity = json.dumps([wanted, about, platform.platform()])
    key = hashlib.sha256(identity.encode()).hexdigest()[:12]
    folder = cache / "environments" / f"{version}-{key}"
    complete = folder / "complete.json"
    inside = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with locked(folder.parent):
        if fresh or not (complete.is_file() and inside.exists()):
            shutil.rmtree(folder, ignore_errors=True)
            print(f"making the environment {folder}", flush=True)
            run("make a virtual environment", [python, "-m", "venv", folder], env=clean_environ())
            run(
                "install langgraph and upstream's test dependencies",
                pip(inside, "install", *wanted),
                env=clean_environ(),
            )
            complete.write_text(json.dumps(wanted, indent=2), encoding="utf-8")
    return Environment(inside)
