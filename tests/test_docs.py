"""What README.md, CHANGELOG.md and docs/ say: links and tables that hold; docs/ has the fences."""

import ast
import json
import re
import xml.etree.ElementTree as ElementTree
from importlib import import_module
from urllib.parse import urlsplit

import pytest

import langgraph_cy
from langgraph_cy import fingerprints

from .docs.pages import PAGES, ROOT, Page

LINK = re.compile(r"\]\(([^)\s]+)(?: [^)]*)?\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
REFERENCE = {
    "langgraph_cy": "docs/api/engine.md",
    "langgraph_cy.checkpoint": "docs/api/checkpoint.md",
    "langgraph_cy.core.channels": "docs/api/channels.md",
}


def links(page: Page) -> list[str]:
    return LINK.findall(FENCED.sub("", page.text))


def anchors(text: str) -> set[str]:
    """What a `#` may name in a page: its headings, as every renderer of Markdown slugs them."""
    words = (re.sub(r"[^\w\s-]", "", title.lower()).strip() for title in HEADING.findall(text))
    return {re.sub(r"\s+", "-", each) for each in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_and_headings(page: Page) -> None:
    wrong = []
    for link in links(page):
        if link.startswith(("http://", "https://")):
            continue
        file, _, anchor = link.partition("#")
        target = (page.path.parent / file).resolve() if file else page.path
        if not target.is_file() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            wrong.append(link)
    assert wrong == []


def test_links_to_other_hosts_are_addresses() -> None:
    found = {link for page in PAGES for link in links(page) if "://" in link}
    assert len(found) > 3
    for link in found:
        parts = urlsplit(link)
        assert parts.scheme == "https", link
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", parts.netloc), link


@pytest.mark.parametrize("module", REFERENCE)
def test_reference_has_every_public_name(module: str) -> None:
    page = (ROOT / REFERENCE[module]).read_text("utf-8")
    described = set(re.findall(r"^::: (\S+)$", page, re.MULTILINE))
    described |= set(re.findall(r"`(langgraph_cy\.\w+)`", page))  # upstream's own, only mentioned
    public = import_module(module)
    assert {f"{module}.{name}" for name in public.__all__} <= described
    objects = (getattr(public, name) for name in public.__all__)
    own = [each for each in objects if getattr(each, "__module__", "").startswith("langgraph_cy")]
    assert [each for each in own if not each.__doc__] == []


def test_table_of_modules_has_every_module_of_the_core() -> None:
    page = (ROOT / "docs/engine.md").read_text("utf-8")
    modules = {path.stem for path in ROOT.glob("langgraph_cy/core/*.pyx")}
    assert modules <= set(re.findall(r"`core/(\w+)`", page))


def test_times_in_the_readme_are_those_of_the_table() -> None:
    def rows(name: str) -> dict[str, list[str]]:
        lines = re.findall(r"^\| (.+) \|$", (ROOT / name).read_text("utf-8"), re.MULTILINE)
        cells = [re.sub(r" \[[^]]*\]", "", line).split(" | ") for line in lines]
        return {first: rest for first, *rest in cells}

    table = rows("docs/times.md")
    shown = {name: row for name, row in rows("README.md").items() if re.search(r" [\d,]+$", name)}
    assert len(shown) >= 5
    for name, times in shown.items():
        assert times == table[name][1:4], name


def test_pictures_are_drawings_that_some_page_shows() -> None:
    shown = {
        (page.path.parent / link).resolve()
        for page in PAGES
        for link in links(page)
        if link.endswith(".svg")
    }
    assert shown == set((ROOT / "docs/pictures").glob("*.svg"))
    for picture in shown:
        assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"


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
