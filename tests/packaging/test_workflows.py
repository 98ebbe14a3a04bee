"""What `.github/workflows` builds and tests is what pyproject.toml says is supported."""

import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from .conftest import ROOT, environ

WORKFLOWS = ROOT / ".github/workflows"
PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PYTHONS = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PYPROJECT)
TAGS = ["cp" + version.replace(".", "") for version in PYTHONS]
SYSTEMS = {
    "linux": [
        "manylinux_x86_64",
        "manylinux_aarch64",
        "musllinux_x86_64",
        "musllinux_aarch64",
    ],
    "macos": ["macosx_x86_64", "macosx_arm64"],
    "windows": ["win_amd64", "win_arm64"],
}


def workflow(name: str) -> dict[Any, Any]:
    loaded: dict[Any, Any] = yaml.safe_load((WORKFLOWS / name).read_text(encoding="utf-8"))
    return loaded


def stages() -> set[str]:
    """The stages of `tools/test`, as its help names them."""
    done = subprocess.run(
        [sys.executable, ROOT / "tools/checks.py", "--help"], capture_output=True, text=True
    )
    found = re.search(r"any of: ([\w, \n]+)\(default", done.stdout)
    assert found, done.stdout + done.stderr
    return {name.strip() for name in found[1].split(",")}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="cibuildwheel needs Python 3.11")
@pytest.mark.parametrize("platform", SYSTEMS)
def test_wheels_are_built_for_every_python_and_system(platform: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cibuildwheel", "--print-build-identifiers"]
        + ["--platform", platform],
        cwd=ROOT,
        env={k: v for k, v in environ().items() if not k.startswith("CIBW_")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    expected = {f"{tag}-{system}" for tag in TAGS for system in SYSTEMS[platform]}
    assert set(done.stdout.split()) == expected


def test_every_system_has_a_machine() -> None:
    matrix = workflow("wheels.yml")["jobs"]["wheels"]["strategy"]["matrix"]["include"]
    assert {each["system"] for each in matrix} == {
        "linux-x86_64",
        "linux-aarch64",
        "macos-x86_64",
        "macos-arm64",
        "windows-amd64",
        "windows-arm64",
    }


def test_own_tests_run_on_every_python() -> None:
    matrix = workflow("test.yml")["jobs"]["checks"]["strategy"]["matrix"]
    assert matrix["python"] == PYTHONS
    assert matrix["stages"] == ["own"]


def test_every_stage_exists_and_every_default_stage_runs() -> None:
    matrix = workflow("test.yml")["jobs"]["checks"]["strategy"]["matrix"]
    named = " ".join([*matrix["stages"], *(each["stages"] for each in matrix["include"])]).split()
    assert set(named) <= stages()
    assert {"lint", "types", "docs", "own", "upstream"} <= set(named)


def test_uploads_need_no_password_and_wait_for_every_build() -> None:
    jobs = workflow("wheels.yml")["jobs"]
    publish = jobs["publish"]
    assert set(publish["needs"]) == set(jobs) - {"publish"}
    assert publish["permissions"] == {"id-token": "write"}
    assert publish["if"] == "github.event_name == 'push'"
    for name, job in jobs.items():
        if name != "publish":
            assert "permissions" not in job, name
    for path in WORKFLOWS.glob("*.yml"):
        assert workflow(path.name)["permissions"] == {"contents": "read"}
        assert "secrets." not in path.read_text(encoding="utf-8")


def test_the_release_tool_supports_the_same_range() -> None:
    text = (ROOT / "tools/releasing/interpreters.py").read_text(encoding="utf-8")
    limits = re.findall(r"^(?:OLDEST|NEWEST) = \(3, (\d+)\)$", text, re.M)
    assert [f"3.{minor}" for minor in limits] == [PYTHONS[0], PYTHONS[-1]]
