"""What README.md, CHANGELOG.md and docs/ say: Python that runs, links and tables that hold."""

import ast
import json
import re
from pathlib import Path

import pytest

import langgraph_cy
from langgraph_cy import fingerprints

from .engines import python

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")


def program(page: Path) -> tuple[str, list[str]]:
    """The Python blocks of a page as one program, and the lines that they should print.

    Lines keep the numbers they have in the page. What a `print` should print stands in a comment
    behind it, or in a `text` block that follows right after the Python block.
    """
    text = page.read_text(encoding="utf-8")
    lines = [""] * text.count("\n")
    printed: list[str] = []
    end_of_python = 0
    for block in FENCE.finditer(text):
        language, content = block.groups()
        if language == "python":
            first = text.count("\n", 0, block.start(2))
            body = content.splitlines()
            lines[first : first + len(body)] = body
            printed += SAID.findall(content)
            end_of_python = block.end()
        elif language == "text" and text[end_of_python : block.start()].isspace():
            printed += content.splitlines()
    return "\n".join(lines), printed


PROGRAMS = {page: program(page) for page in PAGES}


@pytest.mark.parametrize(
    "page",
    [page for page, (code, _) in PROGRAMS.items() if code.strip()],
    ids=lambda page: page.name,
)
def test_python_blocks_run_and_print_what_they_say(page: Path, tmp_path: Path) -> None:
    code, printed = PROGRAMS[page]
    script = tmp_path / page.with_suffix(".py").name
    script.write_text(code, encoding="utf-8")
    ended = python("-W", "error", str(script), LANGGRAPH_CY_REQUIRE_COMPILED="1")
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == printed


def test_pages_with_python_are_found() -> None:
    with_python = {page.name for page, (code, _) in PROGRAMS.items() if code.strip()}
    assert {"README.md", "engine.md", "compatibility.md"} <= with_python


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def texts(expression: ast.expr) -> set[str]:
    """The strings that an expression may come to, with `{}` for what is filled in."""
    if isinstance(expression, ast.Constant):
        return {expression.value} if isinstance(expression.value, str) else set()
    if isinstance(expression, ast.JoinedStr):
        parts = expression.values
        return {"".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in parts)}
    if isinstance(expression, ast.IfExp):
        return texts(expression.body) | texts(expression.orelse)
    if isinstance(expression, ast.BoolOp):
        return set[str]().union(*map(texts, expression.values))
    return set()


def reasons_in_source() -> set[str]:
    """Every reason for stock's engine: returned, or counted, by a function that decides on it."""
    found: set[str] = set()
    deciding = {
        "_core.py": set[str](),
        "seam.py": {"replaced"},
        "pregel.py": {"_open"},
        "runs.py": {"open_run", "_open_plain"},
    }
    for name, functions in deciding.items():
        tree = ast.parse((ROOT / "langgraph_cy" / name).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "NEVER":
                found |= texts(node.value)
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "count_stock":
                found |= texts(node.args[0])
            elif isinstance(node, ast.FunctionDef) and (
                node.name in functions or node.name.startswith("unsupported_")
            ):
                returns = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                found |= {text for each in returns if each.value for text in texts(each.value)}
    plan = (ROOT / "langgraph_cy/core/plan.pyx").read_text(encoding="utf-8")
    written = re.findall(r'unsupported = f?"([^"]+)"', plan)
    return found | {re.sub(r"\{[^}]+\}", "{}", reason) for reason in written}


def test_table_of_reasons_is_that_of_the_source() -> None:
    page = (ROOT / "docs/compatibility.md").read_text(encoding="utf-8")
    table = page.split("## What goes to stock")[1].split("\n## ")[0]
    documented = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert {re.sub(r"<\w+>", "{}", reason) for reason in documented} == reasons_in_source()


def test_version_and_upstream_version_are_those_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{langgraph_cy.__version__}] - " in changelog
    known = set(json.loads(fingerprints.DATA.read_bytes())["versions"])
    for name, versions in [
        ("README.md", {langgraph_cy.UPSTREAM_VERSION}),
        ("docs/compatibility.md", known),
    ]:
        found = re.findall(r"\b1\.2\.\d+\b", (ROOT / name).read_text(encoding="utf-8"))
        assert set(found) == versions
