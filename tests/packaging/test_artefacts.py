"""What the sdist and the wheels hold, and how a build without a compiler ends."""

import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

from .conftest import ROOT, build

PACKAGE = ROOT / "langgraph_cy"
GENERATED = {".c", ".dep", ".html", ".pyc", ".so", ".pyd"}
MODULES = sorted(path.relative_to(ROOT).with_suffix("") for path in PACKAGE.rglob("*.pyx"))


def sources(top: Path) -> set[str]:
    """Every file of the package that a person wrote, relative to the repository."""
    return {
        path.relative_to(top).as_posix()
        for path in (top / "langgraph_cy").rglob("*")
        if path.is_file() and path.suffix not in GENERATED
    }


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def is_extension(name: str) -> bool:
    return name.endswith((".so", ".pyd"))


def test_there_are_modules_to_compile():
    assert MODULES


def test_sdist_carries_the_package_and_all_that_builds_and_tests_it(unpacked):
    assert sources(unpacked) == sources(ROOT)
    for folder in ("tests", "tools", "bench"):
        written = {
            path.relative_to(ROOT)
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and not {"__pycache__", "results"} & set(path.parts)
        }
        assert written
        assert {path for path in written if not (unpacked / path).is_file()} == set()
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        assert (unpacked / name).is_file()


def test_sdist_carries_nothing_generated(unpacked):
    packed = {path for path in unpacked.rglob("*") if "build" not in path.parts}
    assert {path for path in packed if path.suffix in GENERATED} == set()


def test_wheel_has_one_extension_for_each_pyx(wheel):
    built = sorted(name.split(".")[0] for name in contents(wheel) if is_extension(name))
    assert built == [module.as_posix() for module in MODULES]


def test_wheel_carries_interfaces_and_no_implementation(wheel):
    names = contents(wheel)
    expected = {name for name in sources(ROOT) if not name.endswith(".pyx")}
    assert {"langgraph_cy/py.typed"} <= expected <= names
    assert {name for name in names if name.endswith((".pyx", ".c", ".dep", ".html"))} == set()
    assert {name.split("/")[0] for name in names} == {
        "langgraph_cy",
        wheel.name.split("-cp")[0] + ".dist-info",
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.as_posix())
def test_every_compiled_module_is_declared_and_typed(module):
    assert (ROOT / module).with_suffix(".pyi").is_file()


def test_metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = message_from_bytes(archive.read(name))
    version: dict[str, str] = {}
    exec((PACKAGE / "_version.py").read_text(), version)
    assert metadata["Name"] == "langgraph-cy"
    assert metadata["Version"] == version["__version__"]
    assert metadata["Requires-Python"] == ">=3.10"
    assert metadata["License-Expression"] == "MIT"
    runtime = [need for need in metadata.get_all("Requires-Dist") if "extra ==" not in need]
    assert runtime == ["langgraph<1.3,>=1.2.20", "orjson"]


def test_without_a_compiler_the_wheel_is_pure(pure_wheel):
    assert pure_wheel.name.endswith("-py3-none-any.whl")
    assert not any(map(is_extension, contents(pure_wheel)))


def test_without_a_compiler_a_build_that_demands_the_core_fails(unpacked, tmp_path):
    done = build(
        "build_wheel",
        unpacked,
        tmp_path,
        '{"build-dir": "build/demanded"}',
        CC="no-such-compiler",
        LANGGRAPH_CY_REQUIRE_COMPILED="1",
    )
    assert done.returncode != 0
    assert "no-such-compiler" in done.stdout + done.stderr
    assert not list(tmp_path.glob("*.whl"))
