"""User programs in two versions: with LangGraph's names, and with this package's in their place."""

import ast
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs"
NAMES = sorted(path.stem for path in PROGRAMS.glob("*.py"))

# Where a name of LangGraph's comes from: where its stand-in does, and what that is called.
STAND_INS = {
    ("langgraph.graph", "StateGraph"): ("langgraph_cy", "StateGraph"),
    ("langgraph.pregel", "NodeBuilder"): ("langgraph_cy", "NodeBuilder"),
    ("langgraph.pregel", "Pregel"): ("langgraph_cy", "Pregel"),
    ("langgraph.func", "entrypoint"): ("langgraph_cy", "entrypoint"),
    ("langgraph.func", "task"): ("langgraph_cy", "task"),
    **{
        ("langgraph.channels", name): ("langgraph_cy.core.channels", name)
        for name in (
            "AnyValue",
            "BinaryOperatorAggregate",
            "EphemeralValue",
            "LastValue",
            "Topic",
            "UntrackedValue",
        )
    },
    ("langgraph.checkpoint.memory", "InMemorySaver"): ("langgraph_cy.checkpoint", "InMemorySaver"),
    ("langgraph.checkpoint.sqlite", "SqliteSaver"): ("langgraph_cy.checkpoint", "SqliteSaver"),
    ("langgraph.checkpoint.sqlite.aio", "AsyncSqliteSaver"): (
        "langgraph_cy.checkpoint",
        "AsyncSqliteSaver",
    ),
    ("langgraph.checkpoint.postgres", "PostgresSaver"): (
        "langgraph_cy.checkpoint",
        "PostgresSaver",
    ),
    ("langgraph.checkpoint.postgres.aio", "AsyncPostgresSaver"): (
        "langgraph_cy.checkpoint",
        "AsyncPostgresSaver",
    ),
    ("langgraph.checkpoint.serde.jsonplus", "JsonPlusSerializer"): (
        "langgraph_cy.checkpoint",
        "OrjsonSerializer",
    ),
}


@dataclass(frozen=True, order=True)
class Diagnostic:
    """What a checker says about a line, types revealed included."""

    line: int
    severity: str
    rule: str
    message: str


Found = dict[str, dict[str, list[Diagnostic]]]
"""By version of the programs (`stock`, `ours`), then by program."""


def replaced(text: str) -> str:
    """A program with this package's names in place of LangGraph's, on the same lines."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if not isinstance(node, ast.ImportFrom):
            continue
        written = []
        for alias in node.names:
            module, name = STAND_INS.get((str(node.module), alias.name), (node.module, alias.name))
            written.append(f"from {module} import {name} as {alias.asname or alias.name}")
        assert node.end_lineno is not None
        lines[node.lineno - 1 : node.end_lineno] = ["; ".join(written)] + [""] * (
            node.end_lineno - node.lineno
        )
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with each program in `stock` and in `ours`."""
    root = tmp_path_factory.mktemp("typing")
    for version, change in (("stock", str), ("ours", replaced)):
        folder = root / version
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name in NAMES:
            text = (PROGRAMS / f"{name}.py").read_text(encoding="utf-8")
            (folder / f"{name}.py").write_text(change(text), encoding="utf-8")
    return root


def neutral(message: str) -> str:
    """A message with LangGraph's name for what has both, and without where that stands."""
    message = re.sub(r"\bOrjsonSerializer\b", "JsonPlusSerializer", message)
    message = re.sub(r"\b(?:stock|ours)\.(?=\w)", "", message)
    message = re.sub(r' defined in "[\w.]+"', "", message)
    # mypy suggests what the class itself defines, and not what it inherits
    message = re.sub(r'; maybe "\w+"\?', "", message)
    own = "|".join(sorted({name for _, name in STAND_INS}))
    return re.sub(rf"\b(?:langgraph|langgraph_cy)(?:\.\w+)+\.({own})\b", r"\1", message)


def collected(lines: list[tuple[str, Diagnostic]]) -> Found:
    found: Found = {version: {name: [] for name in NAMES} for version in ("stock", "ours")}
    for file, diagnostic in lines:
        path = Path(file)
        found[path.parent.name][path.stem].append(diagnostic)
    return {
        version: {name: sorted(each) for name, each in by_name.items()}
        for version, by_name in found.items()
    }


def finished(command: list[str], cwd: Path) -> str:
    """The output of a checker, which has to have come to an end: 0, or 1 where it found errors."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def mypy(programs: Path) -> Found:
    """What `mypy --strict` says."""
    # In one run: what mypy has read from its cache it words in another way.
    output = finished(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--output", "json"]
        + ["--config-file", "", "--cache-dir", os.devnull, "stock", "ours"],
        programs,
    )
    lines: list[tuple[str, Diagnostic]] = []
    for line in output.splitlines():
        said: dict[str, Any] = json.loads(line)
        message = neutral(said["message"] + (said["hint"] or ""))
        diagnostic = Diagnostic(said["line"], said["severity"], said["code"] or "", message)
        lines.append((said["file"], diagnostic))
    return collected(lines)


@pytest.fixture(scope="session")
def pyright(programs: Path) -> Found:
    """What pyright says in its strict mode."""
    lines: list[tuple[str, Diagnostic]] = []
    # In a run each: of what two files share, pyright words the one by what the other has asked for.
    for version in ("stock", "ours"):
        settings = {
            "typeCheckingMode": "strict",
            "include": [version],
            # It misses those of some modules of LangGraph's own; which, depends on the import.
            "reportMissingTypeStubs": False,
        }
        (programs / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
        output = finished(
            [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
            programs,
        )
        for said in json.loads(output)["generalDiagnostics"]:
            diagnostic = Diagnostic(
                said["range"]["start"]["line"] + 1,
                said["severity"],
                said.get("rule", ""),
                neutral(said["message"]),
            )
            lines.append((said["file"], diagnostic))
    return collected(lines)
