"""The tool that records upstream's fingerprints; upstream's wheels are stood in for by folders."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from processes import ToolError

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The tool, for two files of an upstream with three versions, and with a record of its own."""
    spec = importlib.util.spec_from_file_location("fingerprints_tool", TOOLS / "fingerprints.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module.fingerprints, "FILES", ("a.py", "b.py"))
    monkeypatch.setattr(module.fingerprints, "DATA", tmp_path / "fingerprints.json")
    texts = {
        "1.0": ("def same(): pass\ndef old(): pass\nclass C:\n    def f(self): return 1", "X = 1"),
        "1.1": ("def same(): pass\ndef new(): pass\nclass C:\n    def f(self): return 2", "X = 1"),
        "1.2": ("def same(): pass\ndef new(): pass\nclass C:\n    def f(self): return 2", "X = 2"),
    }
    for version, (a, b) in texts.items():
        folder = tmp_path / version
        folder.mkdir()
        (folder / "a.py").write_text(a)
        (folder / "b.py").write_text(b)
    (tmp_path / "1.3").mkdir()
    monkeypatch.setattr(module, "download", lambda version, folder: tmp_path / version)
    return module


def test_it_writes_checks_and_shows(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    data: Path = tool.fingerprints.DATA
    assert tool.main(["--show", "1.0", "1.1", "1.2"]) == 0
    assert not data.exists()
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "1.0 and 1.1: 3 differ",
        "  a.py: C.f",
        "  a.py: new is new",
        "  a.py: old is gone",
        "1.1 and 1.2: 1 differ",
    ]
    assert tool.main(["--check", "1.0", "1.1"]) == 1
    assert not data.exists()
    assert tool.main(["1.0", "1.1"]) == 0
    record = json.loads(data.read_text())
    assert list(record["versions"]) == ["1.0", "1.1"]
    assert len(record["files"]) == 3  # b.py is the same in both
    assert tool.main(["--check"]) == 0
    assert tool.main(["--check", "1.1", "1.2"]) == 1


def test_a_version_without_a_file_is_an_error(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ToolError, match=r"langgraph 1\.3 has no a\.py, b\.py"):
        tool.record_of({"1.3": tmp_path / "1.3"})
    assert tool.main(["1.3"]) == 2
    assert "has no a.py" in capsys.readouterr().err
