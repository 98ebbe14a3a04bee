"""Artefacts built once for the tests here: an sdist, and wheels made from nothing but that sdist.

The back end is called as a build front end calls it, without an isolated environment: its
requirements are test dependencies.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

BUILD = """
import json, sys
from scikit_build_core import build
hook, target, settings = sys.argv[1:]
getattr(build, hook)(target, json.loads(settings))
"""


def environ(**extra: str) -> dict[str, str]:
    """This process's environment without the names that steer the build or the import."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("LGCY_", "LANGGRAPH_CY_", "PYTHONPATH", "COVERAGE_"))
    }
    return {**kept, **extra}


def build(
    hook: str, source: Path, target: Path, settings: str = "{}", **extra: str
) -> subprocess.CompletedProcess[str]:
    """Calls a PEP 517 hook of the back end in `source`."""
    target.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", BUILD, hook, str(target), settings],
        cwd=source,
        env=environ(**extra),
        capture_output=True,
        text=True,
    )


def only(directory: Path, pattern: str) -> Path:
    (found,) = directory.glob(pattern)
    return found


@pytest.fixture(scope="session")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("sdist")
    done = build("build_sdist", ROOT, target)
    assert done.returncode == 0, done.stdout + done.stderr
    return only(target, "*.tar.gz")


@pytest.fixture(scope="session")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        if hasattr(tarfile, "data_filter"):  # absent in early patch releases of 3.10 and 3.11
            archive.extractall(target, filter="data")
        else:
            archive.extractall(target)
    return only(target, "langgraph_cy-*")


@pytest.fixture(scope="session")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled wheel; unoptimised, since only what is in it matters here."""
    target = tmp_path_factory.mktemp("wheel")
    done = build(
        "build_wheel",
        unpacked,
        target,
        '{"cmake.build-type": "Debug", "build-dir": "build/compiled"}',
        LANGGRAPH_CY_REQUIRE_COMPILED="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return only(target, "*.whl")


@pytest.fixture(scope="session")
def pure_wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a machine without a C compiler gets."""
    target = tmp_path_factory.mktemp("pure")
    done = build(
        "build_wheel", unpacked, target, '{"build-dir": "build/pure"}', CC="no-such-compiler"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return only(target, "*.whl")


@pytest.fixture(scope="session")
def pure_site(pure_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to put on the import path, with the pure wheel in it."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(pure_wheel) as archive:
        archive.extractall(target)
    return target


@pytest.fixture(scope="session")
def robbed_site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with the compiled wheel in it, whose extension modules were removed."""
    target = tmp_path_factory.mktemp("robbed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    extensions = [path for path in target.rglob("*") if path.suffix in {".so", ".pyd"}]
    assert extensions
    for path in extensions:
        path.unlink()
    return target
