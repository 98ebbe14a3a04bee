"""Every fence of README.md, CHANGELOG.md and docs/: what it says is run, or checked."""

import ast
import difflib
import doctest
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ..engines import environ, python
from .commands import Command, commands, problems
from .pages import COMMANDS, FILE, OUTPUT, PAGES, PROGRAM, UNKNOWN, Page

ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
SHORT = 120  # seconds that a command of a page may take


def named(kind: str) -> list[Page]:
    return [page for page in PAGES if page.of_kind(kind)]


def same(expected: str, found: str) -> bool:
    """Whether a fence shows what was printed; `...` in it stands for anything."""
    return doctest.OutputChecker().check_output(expected, found, ALIKE)


def shows(expected: str, found: str) -> None:
    if not same(expected, found):
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "page", "printed")
        pytest.fail("\n".join(lines), pytrace=False)


def write_files(page: Page, folder: Path) -> None:
    for block in page.of_kind(FILE):
        target = folder / block.title
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(block.text, encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_fence_is_of_a_kind_that_is_checked(page: Page) -> None:
    unchecked = [(b.line, b.language) for b in page.blocks if b.kind == UNKNOWN]
    assert unchecked == []
    marks = sum(line.lstrip().startswith(("```", "~~~")) for line in page.text.splitlines())
    assert marks == 2 * len(page.blocks)  # no fence that the parser overlooks


@pytest.mark.parametrize("page", named(FILE), ids=lambda page: page.name)
def test_files_are_what_their_names_say(page: Page) -> None:
    for block in page.of_kind(FILE):
        suffix = Path(block.title).suffix
        if suffix == ".py":
            ast.parse(block.text)
        elif suffix == ".json":
            json.loads(block.text)
        else:
            pytest.fail(f"{page.name}:{block.line}: no check for a file {suffix}")


def run_program(page: Page, folder: Path) -> None:
    write_files(page, folder)
    script = folder / f"{page.path.stem.replace('-', '_')}_page.py"
    script.write_text(page.program, encoding="utf-8")
    ended = python(
        "-W", "error", str(script), cwd=folder, limit=SHORT, LANGGRAPH_CY_REQUIRE_COMPILED="1"
    )
    assert ended.code == 0, ended.err
    shows(page.printed, ended.out)


def run_commands(page: Page, folder: Path) -> None:
    """A command that runs an application does so where the page shows the application."""
    write_files(page, folder)
    runs = bool(page.of_kind(FILE))
    for block in page.of_kind(COMMANDS):
        printed = None
        for command in commands(block.text):
            if runs and command.own:
                printed = (printed or "") + run(command, folder)
            else:
                where = f"{page.name}:{block.line}"
                assert problems(command) == [], f"{where}: {shlex.join(command.words)}"
        if block.output is not None:
            assert printed is not None, f"{page.name}:{block.line}: nothing was run"
            shows(block.output, printed)


def run(command: Command, folder: Path) -> str:
    """What the command prints; it has to end well."""
    words = list(command.words)
    if command.program == "langgraph-cy":
        words[:1] = [sys.executable, "-m", "langgraph_cy"]
    elif command.program == "pytest":
        words[:1] = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    else:
        words[0] = sys.executable
    ended = subprocess.run(
        words,
        cwd=folder,
        env=environ(
            **command.variables,
            COLUMNS="100",
            LANGGRAPH_CY_REQUIRE_COMPILED="1",
            PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
            PYTHONDONTWRITEBYTECODE="1",
            PATH=os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
        ),
        capture_output=True,
        text=True,
        timeout=SHORT,
    )
    said = f"{shlex.join(command.words)}\n{ended.stdout}\n{ended.stderr}"
    assert ended.returncode == 0, said
    return ended.stdout


@pytest.fixture(scope="module")
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[None]]]:
    """By the names of the tests that were selected, what they wait for: one a processor runs."""
    work = {"test_python_runs_and_prints_what_it_says": run_program}
    work["test_commands_run_or_are_understood"] = run_commands
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {
            item.name: pool.submit(
                work[item.originalname],
                item.callspec.params["page"],
                tmp_path_factory.mktemp("page"),
            )
            for item in request.session.items
            if isinstance(item, pytest.Function) and item.originalname in work
        }


@pytest.mark.parametrize("page", named(PROGRAM), ids=lambda page: page.name)
def test_python_runs_and_prints_what_it_says(
    page: Page, started: dict[str, Future[None]], request: pytest.FixtureRequest
) -> None:
    started[request.node.name].result()


@pytest.mark.parametrize("page", named(COMMANDS), ids=lambda page: page.name)
def test_commands_run_or_are_understood(
    page: Page, started: dict[str, Future[None]], request: pytest.FixtureRequest
) -> None:
    started[request.node.name].result()


def test_pages_with_programs_are_found() -> None:
    assert {"README.md", "docs/engine.md", "docs/getting-started.md"} <= {
        page.name for page in named(PROGRAM)
    }
    assert any(block.kind == OUTPUT for page in PAGES for block in page.blocks)


@pytest.mark.parametrize(
    "text",
    [
        "tools/bench --no-such-option",
        "tools/bench --only no_such_workload",
        "tools/test no_such_stage",
        "python tools/upstream_suite.py --no-such-option",
        "pip install '.[no_such_extra]'",
        "pip install --no-such-option .",
        "LANGGRAPH_CY_NO_SUCH=1 pip install .",
        "export LGCY_NO_SUCH=1",
        "no_such_program --help",
    ],
)
def test_a_command_that_is_wrong_is_noticed(text: str) -> None:
    (command,) = commands(text)
    assert problems(command) != []


def test_a_line_may_go_on_and_hold_several_commands() -> None:
    text = "A=1 tools/bench \\\n    --list && tools/test lint  # why\n# nothing\nexport B=2\n"
    assert list(commands(text)) == [
        Command(("tools/bench", "--list"), {"A": "1"}),
        Command(("tools/test", "lint")),
        Command(("export", "B=2")),
    ]
