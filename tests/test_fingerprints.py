"""Which upstream the engine takes for one that it knows, and what happens beside another."""

import ast
import importlib.util
import json
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import langgraph.pregel
import pytest

from langgraph_cy import fingerprints

from .engines import Finished, python
from .test_fallback import USE, used

INSTALLED = Path(str(langgraph.pregel.__file__)).parents[1]
ROOT = Path(__file__).parents[1]
RECORD = json.loads(fingerprints.DATA.read_bytes())
LOOP = "pregel/_loop.py"


def digests(source: str, path: str = LOOP) -> dict[str, str]:
    return fingerprints.functions(path, source.encode())


# ---- digests of functions ----------------------------------------------------------------------

PLAIN = """
from a import b
LIMIT = 3
def function(x, *, y=None):
    return f"{x!r:>{LIMIT}} and {y}" + "text"
class Class(Base):
    field: int = 1
    def method(self):
        return self.field
    @property
    def value(self): return 1
    @value.setter
    def value(self, new): pass
    class Inner:
        def method(self): return 2
"""
SAME = '''
"""A docstring."""
from c import (  # moved
    d,
)
LIMIT = 3  # a comment
def function(
    x, *, y=None
):
    """Another one."""
    # and a comment
    return (
        f'{x!r:>{LIMIT}} and '
        f'{y}'
    ) + 'te' 'xt'
class Class(Base):
    """One."""
    field: int = 1
    """What it holds."""
    @overload
    def method(self, x: int) -> int: ...
    def method(self):
        return self.field
    @property
    def value(self):
        return 1
    @value.setter
    def value(self, new):
        pass
    class Inner:
        def method(self):
            return 2
'''


def test_comments_docstrings_layout_imports_and_overloads_do_not_count() -> None:
    assert digests(PLAIN) == digests(SAME)
    assert set(digests(PLAIN)) == {
        "<module>",
        "function",
        "Class",
        "Class.method",
        "Class.value",
        "Class.Inner",
        "Class.Inner.method",
    }


@pytest.mark.parametrize(
    ("old", "new", "differing"),
    [
        ("LIMIT = 3", "LIMIT = 4", {"<module>"}),
        ("y=None", "y=0", {"function"}),
        ("!r:>", "!s:>", {"function"}),
        (":>{LIMIT}", ":<{LIMIT}", {"function"}),
        ("} and {", "} or {", {"function"}),
        ("(Base)", "(Other)", {"Class"}),
        ("int = 1", "int = 2", {"Class"}),
        ("return self.field", "return -self.field", {"Class.method"}),
        ("new): pass", "new): self.x = new", {"Class.value"}),
        ("return 2", "return True", {"Class.Inner.method"}),
        ("def function", "async def function", {"function"}),
        ("    @property\n", "    @cached_property\n", {"Class.value"}),
        ("class Inner", "class Other", {f"Class.{n}" for n in ("Inner", "Inner.method")}),
    ],
)
def test_everything_else_counts(old: str, new: str, differing: set[str]) -> None:
    assert old in PLAIN
    before, after = digests(PLAIN), digests(PLAIN.replace(old, new))
    assert {name for name in before if before[name] != after.get(name)} == differing


def test_one_and_true_are_not_the_same() -> None:
    assert digests("x = 1") != digests("x = True")
    assert digests("x = None") != digests("x = ()")


def test_only_parts_of_a_file_may_count() -> None:
    (path, *_) = fingerprints.PARTS
    found = digests("def _output(): pass\ndef other(): pass\nX = 1", path)
    assert set(found) == {"_output"}


def test_a_digest_is_the_same_on_every_python() -> None:
    """Written down, so that a Python whose syntax trees are other ones shows here."""
    assert digests(PLAIN)["function"] == "2d9882ac92bc68a9"
    assert digests(PLAIN)["Class"] == "514e0c838391d499"


# ---- the record --------------------------------------------------------------------------------


def test_the_installed_upstream_is_as_recorded() -> None:
    upstream = fingerprints.Upstream(INSTALLED)
    known = RECORD["versions"][version("langgraph")]
    assert upstream.digests == known
    for path in fingerprints.FILES:
        assert upstream.functions(path) == RECORD["files"][known[path]], path


def test_the_record_has_what_the_engine_depends_on() -> None:
    assert list(RECORD["versions"])[-1] == fingerprints.UPSTREAM_VERSION
    for files in RECORD["versions"].values():
        assert tuple(files) == fingerprints.FILES
        names = {path: RECORD["files"][known].keys() for path, known in files.items()}
        assert all(names.values())
        for path, parts in fingerprints.PARTS.items():
            # the same predicate, before and since 1.2.22
            assert len(parts - names[path]) == (path == "pregel/main.py")
    assert RECORD["files"].keys() == {
        known for files in RECORD["versions"].values() for known in files.values()
    }


def test_everything_that_the_engine_takes_from_upstream_is_recorded() -> None:
    """Or is in a module whose change cannot change a run."""
    harmless = {"pregel/_log.py", "warnings.py"}
    tree = ast.parse((ROOT / "langgraph_cy/upstream.py").read_text(encoding="utf-8"))
    paths = set()
    for node in ast.walk(tree):
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        if not module.startswith("langgraph.") or module.startswith("langgraph.checkpoint"):
            continue
        spec = importlib.util.find_spec(module)
        assert spec is not None
        assert spec.origin is not None
        path = Path(spec.origin).relative_to(INSTALLED).as_posix()
        if not path.endswith("__init__.py"):
            paths.add(path)
        if path in fingerprints.PARTS:
            recorded = {name.split(".")[0] for name in fingerprints.PARTS[path]}
            assert {alias.name for alias in node.names} <= recorded, path
    assert len(paths) > 30
    assert paths - harmless <= set(fingerprints.FILES)


# ---- comparing ---------------------------------------------------------------------------------


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A copy of upstream's package that comes before the installed one, to be changed."""
    leave_out = shutil.ignore_patterns("__pycache__", "checkpoint", "store", "cache", "prebuilt")
    shutil.copytree(INSTALLED, tmp_path / "langgraph", ignore=leave_out)
    return tmp_path / "langgraph"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def renumber(upstream: Path, number: str) -> None:
    """Give the copied upstream a version of its own."""
    info = upstream.parent / f"langgraph-{number}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: langgraph\nVersion: {number}\n")


def add_comment(upstream: Path) -> None:
    change(upstream / LOOP, "    def after_tick(self)", "    # why\n    def after_tick(self)")


def change_line_ends(upstream: Path) -> None:
    file = upstream / LOOP
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))


def change_state_method(upstream: Path) -> None:
    change(upstream / "pregel/main.py", "def _infer_as_node(", "def _infer_node(")


def change_method(upstream: Path) -> None:
    change(upstream / LOOP, "    def after_tick(self)", "    def after_tick(self, more=None)")


def add_method(upstream: Path) -> None:
    change(
        upstream / LOOP,
        "    def after_tick(self)",
        "    def more(self): ...\n    def after_tick(self)",
    )


def remove_module(upstream: Path) -> None:
    (upstream / "pregel/_task_status.py").unlink()


def change_constant(upstream: Path) -> None:
    change(upstream / "_internal/_constants.py", 'PULL = sys.intern("__pregel_pull")', 'PULL = "p"')


def break_syntax(upstream: Path) -> None:
    change(upstream / "pregel/_io.py", "def map_input(", "def map input(")


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (add_comment, None),
        (change_line_ends, None),
        (change_state_method, None),
        (change_method, "langgraph.pregel._loop.PregelLoop.after_tick"),
        (add_method, "langgraph.pregel._loop.PregelLoop.more"),
        (remove_module, "langgraph.pregel._task_status"),
        (change_constant, "langgraph._internal._constants"),
        (break_syntax, "langgraph.pregel._io"),
    ],
)
def test_the_first_difference_is_named(
    upstream: Path, what: Callable[[Path], None], expected: str | None
) -> None:
    for number in (version("langgraph"), "1.2.99"):
        assert fingerprints.difference(upstream, number) is None
    what(upstream)
    for number in (version("langgraph"), "1.2.99"):
        assert fingerprints.difference(upstream, number) == expected


def test_without_sources_the_version_decides(tmp_path: Path) -> None:
    for number in RECORD["versions"]:
        assert fingerprints.difference(tmp_path, number) is None
    assert fingerprints.difference(tmp_path, "1.2.99") == ""


# ---- beside another upstream -------------------------------------------------------------------


def beside(upstream: Path, **environ: str) -> Finished:
    first = f"import sys\nsys.path.insert(0, {str(upstream.parent)!r})\n"
    return python("-c", first + USE, **environ)


def test_another_version_with_the_same_engine_runs_compiled(upstream: Path) -> None:
    renumber(upstream, "1.2.99")
    add_comment(upstream)
    found = used(beside(upstream, LANGGRAPH_CY_REQUIRE_COMPILED="1"))
    assert found["compiled"] is True
    assert found["counts"][0] > 0
    assert found["warnings"] == []


@pytest.mark.parametrize("number", ["1.2.99", version("langgraph")])
def test_another_engine_is_left_to_stock(upstream: Path, number: str) -> None:
    renumber(upstream, number)
    change_method(upstream)
    found = used(beside(upstream))
    assert found["compiled"] is False
    assert found["counts"] == [0, 5]
    assert found["reasons"]["other upstream version"] > 0
    ((category, text),) = found["warnings"]
    assert category == "RuntimeWarning"
    assert f" {number} is installed" in text
    assert fingerprints.UPSTREAM_VERSION in text
    assert "langgraph.pregel._loop.PregelLoop.after_tick:" in text


def test_another_engine_all_the_same(upstream: Path) -> None:
    renumber(upstream, "1.2.99")
    change_method(upstream)
    found = used(beside(upstream, LANGGRAPH_CY_ANY_UPSTREAM="1"))
    assert found["compiled"] is True
    assert found["counts"][0] > 0
    assert found["warnings"] == []


def test_another_engine_where_the_compiled_one_is_demanded(upstream: Path) -> None:
    change_method(upstream)
    done = beside(upstream, LANGGRAPH_CY_REQUIRE_COMPILED="1")
    assert done.code == 1
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "PregelLoop.after_tick" in last


def rename_private(upstream: Path) -> None:
    """As upstream does from one release to the next: the name is gone wherever it was."""
    for file in upstream.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace("_uuid5_str", "_hash_of"), encoding="utf-8")


@pytest.mark.parametrize(
    ("any_upstream", "said"),
    [("0", "with another langgraph.pregel."), ("1", "cannot import name '_uuid5_str'")],
)
def test_a_private_name_that_is_gone(upstream: Path, any_upstream: str, said: str) -> None:
    renumber(upstream, "1.2.99")
    rename_private(upstream)
    found = used(beside(upstream, LANGGRAPH_CY_ANY_UPSTREAM=any_upstream))
    assert found["compiled"] is False
    assert found["counts"] == [0, 5]
    ((category, text),) = found["warnings"]
    assert category == "RuntimeWarning"
    assert said in text


def test_a_closure_that_is_gone(upstream: Path) -> None:
    """What is looked up when the module is loaded counts like a name."""
    file = upstream / "graph/state.py"
    change(file, "_get_updates", "_updates_of")
    found = used(beside(upstream, LANGGRAPH_CY_ANY_UPSTREAM="1"))
    assert found["counts"] == [0, 5]
    ((_, text),) = found["warnings"]
    assert "_get_updates" in text
