"""`tools/release`: what it finds, what it refuses, and that its checks can fail."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture(autouse=True)
def tools_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(TOOLS))


def fake_python(path: Path, **found: Any) -> Path:
    """A program that answers as an interpreter does."""
    answer = {
        "implementation": "CPython",
        "version": [3, 12, 1],
        "final": True,
        "free_threaded": False,
        "headers": True,
        "venv": True,
        **found,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    path.chmod(0o755)
    return path


def wheel(path: Path, **files: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"langgraph_cy/{name.replace('_so', '.so')}", content)
    return path


@pytest.mark.skipif(os.name == "nt", reason="the interpreters here are shell scripts")
class TestInterpreters:
    @pytest.mark.parametrize(
        ("found", "said"),
        [
            ({"implementation": "PyPy"}, "is PyPy"),
            ({"version": [3, 9, 18]}, "is 3.9.18; wheels are for 3.10 to 3.14"),
            ({"version": [3, 15, 0]}, "is 3.15.0; wheels are for 3.10 to 3.14"),
            ({"final": False}, "is a pre-release of 3.12.1"),
            ({"headers": False}, "has no Python.h"),
            ({"venv": False}, "cannot make virtual environments"),
        ],
    )
    def test_unsuitable(self, tmp_path: Path, found: dict[str, Any], said: str) -> None:
        from processes import ToolError
        from releasing.interpreters import find

        path = fake_python(tmp_path / "python", **found)
        with pytest.raises(ToolError, match="--python .* " + said.replace(".", r"\.")):
            find([str(path)])

    def test_named(self, tmp_path: Path) -> None:
        from releasing.interpreters import find

        newer = fake_python(tmp_path / "newer", version=[3, 14, 0], free_threaded=True)
        older = fake_python(tmp_path / "older", version=[3, 10, 2])
        found, passed_over = find([str(newer), str(older)])
        assert [each.tag for each in found] == ["cp310", "cp314t"]
        assert [each.path for each in found] == [older, newer]
        assert passed_over == []

    def test_named_twice(self, tmp_path: Path) -> None:
        from processes import ToolError
        from releasing.interpreters import find

        paths = [str(fake_python(tmp_path / name)) for name in ("one", "two")]
        with pytest.raises(ToolError, match="is cp312, too"):
            find(paths)

    def test_not_there(self, tmp_path: Path) -> None:
        from processes import ToolError
        from releasing.interpreters import find

        with pytest.raises(ToolError, match="is not a command"):
            find([str(tmp_path / "python")])

    def test_searched(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The newest patch release of each minor version, from pyenv and PATH."""
        from releasing.interpreters import find

        versions = tmp_path / "pyenv/versions"
        fake_python(versions / "3.12.1/bin/python3")
        newest = fake_python(versions / "3.12.4/bin/python3", version=[3, 12, 4])
        fake_python(versions / "3.9.1/bin/python3", version=[3, 9, 1])
        only = fake_python(tmp_path / "bin/python3.14", version=[3, 14, 0])
        (tmp_path / "bin/python3.13").write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / "bin/python3.13").chmod(0o755)
        monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
        monkeypatch.setattr(sys, "_base_executable", str(versions / "3.9.1/bin/python3"))
        found, passed_over = find([])
        paths = {each.tag: each.path for each in found}
        assert (paths["cp312"], paths["cp314"]) == (newest, only)
        assert any("3.9.1/bin/python3 is 3.9.1" in line for line in passed_over)
        assert any("python3.13 does not start" in line for line in passed_over)


class TestVersion:
    @pytest.fixture
    def tree(self, tmp_path: Path) -> Path:
        (tmp_path / "langgraph_cy").mkdir()
        (tmp_path / "langgraph_cy/_version.py").write_text('__version__ = "1.2.3"\n')
        return tmp_path

    def write(self, tree: Path, heading: str) -> tuple[list[str], list[str]]:
        from releasing import version

        (tree / "CHANGELOG.md").write_text(f"# Changelog\n\n{heading}\n\n## [1.0.0] - 2026-01-01\n")
        problems: tuple[list[str], list[str]] = version.changelog_problems(
            tree, version.declared(tree)
        )
        return problems

    def test_right(self, tree: Path) -> None:
        assert self.write(tree, "## [1.2.3] - 2026-02-03") == ([], [])

    def test_another_version(self, tree: Path) -> None:
        (wrong,), _ = self.write(tree, "## [1.2.4] - 2026-02-03")
        assert "top entry is 1.2.4" in wrong
        assert "says 1.2.3" in wrong

    def test_unreleased_may_be_rehearsed(self, tree: Path) -> None:
        wrong, (not_yet,) = self.write(tree, "## [1.2.3] - unreleased")
        assert wrong == []
        assert "write the date there" in not_yet

    def test_no_date(self, tree: Path) -> None:
        (wrong,), _ = self.write(tree, "## [1.2.3] - soon")
        assert "'soon' is no date" in wrong

    def test_state_of_the_tree(self, tree: Path) -> None:
        from releasing import version

        def git(*arguments: str) -> None:
            who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
            subprocess.run(["git", *who, *arguments], cwd=tree, check=True, capture_output=True)

        git("init", "-q")
        git("add", ".")
        git("commit", "-q", "-m", "first")
        assert [each[:13] for each in version.tree_problems(tree, "1.2.3")] == ["no tag v1.2.3"]
        git("tag", "v1.2.3")
        assert version.tree_problems(tree, "1.2.3") == []
        assert version.commit_time(tree) > 0
        (tree / "more").touch()
        assert version.tree_problems(tree, "1.2.3") == ["the tree is not clean: more"]
        git("add", ".")
        git("commit", "-q", "-m", "second")
        assert version.tree_problems(tree, "1.2.3") == ["tag v1.2.3 is on another commit"]


class TestArtefacts:
    def test_same_bytes(self, tmp_path: Path) -> None:
        from processes import ToolError
        from releasing import artefacts

        first = wheel(tmp_path / "a/x.whl", core_so=b"1", api=b"2")
        artefacts.same_bytes(first, first)
        other = wheel(tmp_path / "b/x.whl", core_so=b"3", api=b"2")
        with pytest.raises(ToolError, match=r"differ in langgraph_cy/core\.so"):
            artefacts.same_bytes(first, other)

    def test_the_pure_wheel_is_the_compiled_one_without_extensions(self, tmp_path: Path) -> None:
        from processes import ToolError
        from releasing import artefacts

        compiled = wheel(tmp_path / "compiled.whl", core_so=b"1", api=b"2")
        pure = wheel(tmp_path / "pure.whl", api=b"2")
        artefacts.same_python(pure, compiled)
        with pytest.raises(ToolError, match="holds no extension module"):
            artefacts.same_python(pure, pure)
        other = wheel(tmp_path / "other.whl", api=b"2", more=b"3")
        with pytest.raises(ToolError, match="differ in: langgraph_cy/more"):
            artefacts.same_python(other, compiled)

    def test_sizes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from processes import ToolError
        from releasing import artefacts

        small = wheel(tmp_path / "small.whl", api=b"2")
        artefacts.check_sizes([small])
        monkeypatch.setattr(artefacts, "MAX_WHEEL", 10)
        with pytest.raises(ToolError, match=r"small\.whl has \d+ bytes; the limit is 10"):
            artefacts.check_sizes([small])

    def test_nothing_of_the_user_steers_a_build(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from releasing import artefacts

        for name in ("CFLAGS", "LGCY_DEBUG", "SKBUILD_BUILD_DIR", "LANGGRAPH_CY_PURE"):
            monkeypatch.setenv(name, "1")
        assert not {"CFLAGS", "LGCY_DEBUG", "SKBUILD_BUILD_DIR", "LANGGRAPH_CY_PURE"} & set(
            artefacts.build_environ(1)
        )
        assert artefacts.build_environ(7)["SOURCE_DATE_EPOCH"] == "7"


class TestTrials:
    GOOD: dict[str, Any] = {
        "version": "1",
        "metadata": "1",
        "compiled": True,
        "results": [{"n": 2}, {"n": 4}, {"n": 6}],
        "taken": 3,
        "fallen_back": 0,
        "warnings": [],
    }

    def judge(self, tmp_path: Path, **seen: Any) -> None:
        from releasing import trials

        python = tmp_path / "bin/python"
        file = str(tmp_path / "lib/langgraph_cy/__init__.py")
        trials.judge("it", {"file": file, **self.GOOD, **seen}, python, compiled=True)

    def test_good(self, tmp_path: Path) -> None:
        self.judge(tmp_path)

    @pytest.mark.parametrize(
        ("seen", "said"),
        [
            ({"file": "/elsewhere/langgraph_cy/__init__.py"}, "imported from /elsewhere"),
            ({"metadata": "2"}, "its metadata say 2"),
            ({"compiled": False}, "COMPILED is False"),
            ({"results": []}, "its graphs returned"),
            ({"taken": 2, "fallen_back": 1}, "1 fell back"),
            ({"warnings": ["langgraph_cy warns"]}, "warned 1 times"),
        ],
    )
    def test_bad(self, tmp_path: Path, seen: dict[str, Any], said: str) -> None:
        from processes import ToolError

        with pytest.raises(ToolError, match=said):
            self.judge(tmp_path, **seen)

    def test_there_are_shim_tests(self, tmp_path: Path) -> None:
        from processes import ToolError
        from releasing import trials

        names = {path.name for path in trials.shim_tests(TOOLS.parent)}
        assert {"test_parity.py", "test_backend.py", "test_fallback.py"} <= names
        (tmp_path / "tests").mkdir()
        with pytest.raises(ToolError, match="no file below"):
            trials.shim_tests(tmp_path)


def test_a_directory_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    done = subprocess.run(
        [sys.executable, TOOLS / "release_run.py", "--dry-run", "--keep", tmp_path],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
