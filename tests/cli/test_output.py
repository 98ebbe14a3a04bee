"""What commands write to a terminal, and to what is none; with rich and without."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

from langgraph_cy.cli import output

ROWS = [["name", "value"], ["a [b]", "1"], ["c", ""]]
PLAIN = "name   value\n-----  -----\na [b]  1\nc\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def no_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)


def use() -> list[Any]:
    output.table(ROWS)
    output.table(ROWS[:1])
    output.say("")
    output.say("done", "bold green")
    seen = []
    with output.progress(2) as begin:
        for text in ("one", "two"):
            begin(text)
            seen.append(text)
    return seen


def test_plain_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert use() == ["one", "two"]
    assert capsys.readouterr() == (f"{PLAIN}done\n", "")


def in_a_terminal() -> str:
    """What is written where stdout and stderr are a terminal."""
    terminal = Terminal()
    with redirect_stdout(terminal), redirect_stderr(terminal):
        use()
    return terminal.getvalue()


def test_plain_without_rich(no_rich: None) -> None:
    assert in_a_terminal() == f"{PLAIN}done\n"


def test_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    said = in_a_terminal()
    assert "\x1b[1;32mdone\x1b[0m" in said
    assert "a [b]" in said  # which rich would take for markup
    assert "2/2" in said or "1/2" in said


def test_json_of_what_json_does_not_know(capsys: pytest.CaptureFixture[str]) -> None:
    output.emit({"name": {1}})
    assert capsys.readouterr().out == '{\n  "name": "{1}"\n}\n'
