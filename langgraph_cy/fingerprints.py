"""Which upstream is installed, told by its sources: the engine follows those it was compared with.

`fingerprints.json` has, for each version that the engine knows, the digest of every file that
the engine stands in for or leans on, and for each such file the digest of every function and
class in it. The digests of files decide at no cost to speak of; only where a file is another one
are functions compared, to let pass what differs in comments alone, and to name what does not.

Imports nothing of upstream, so that it can be asked before anything that may be missing there.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

UPSTREAM_VERSION = "1.2.22"
DATA = Path(__file__).with_name("fingerprints.json")

# Of these files only the named functions and classes count, each with all that is inside it.
# The rest of them is state methods, drawing and building, which stay upstream's own.
PARTS: Mapping[str, frozenset[str]] = {
    "pregel/main.py": frozenset(
        {
            "Pregel.__init__",
            "Pregel._apply_checkpointer_allowlist",
            "Pregel._defaults",
            "Pregel._migrate_checkpoint",
            "Pregel._own_checkpoint_config",
            "Pregel._resolve_checkpointer",
            "Pregel.ainvoke",
            "Pregel.astream",
            "Pregel.invoke",
            "Pregel.stream",
            "Pregel.stream_channels_asis",
            "Pregel.stream_channels_list",
            "Pregel.validate",
            "_build_server_info",
            "_coerce_checkpoint_values",
            "_coerce_context",
            "_coerce_parent_runtime",
            "_is_stream_mode_handler",
            "_output",
            "_resolve_parent_ns",
            "_streams_only_its_graph",
            "_trigger_to_nodes",
        }
    ),
    "graph/state.py": frozenset(
        {
            "CompiledStateGraph.__init__",
            "CompiledStateGraph._migrate_checkpoint",
            "CompiledStateGraph.attach_branch",
            "CompiledStateGraph.attach_edge",
            "CompiledStateGraph.attach_node",
            "_coerce_state",
            "_control_branch",
            "_control_static",
            "_get_root",
            "_pick_mapper",
        }
    ),
    "types.py": frozenset(
        {"Command", "Interrupt", "Overwrite", "PregelExecutableTask", "PregelTask", "Send"}
        | {"CacheKey", "CachePolicy", "RetryPolicy", "TimeoutPolicy", "interrupt"}
    ),
}
# In dependency order, so that the first difference found is the one nearest to the engine.
FILES = (
    *(f"pregel/_{name}.py" for name in ("loop", "runner", "algo", "io", "checkpoint", "retry")),
    "pregel/main.py",
    *(f"pregel/_{name}.py" for name in ("task_status", "executor", "read", "write", "call")),
    *(f"pregel/_{name}.py" for name in ("messages", "tools", "validate", "utils")),
    *(f"pregel/{name}.py" for name in ("debug", "protocol")),
    *(f"channels/{name}.py" for name in ("base", "last_value", "topic", "binop", "delta")),
    *(f"channels/{name}.py" for name in ("any_value", "ephemeral_value", "untracked_value")),
    "channels/named_barrier_value.py",
    *(f"managed/{name}.py" for name in ("base", "is_last_step")),
    "graph/_branch.py",
    "graph/state.py",
    *(f"_internal/_{name}.py" for name in ("runnable", "config", "constants", "scratchpad")),
    *(f"_internal/_{name}.py" for name in ("future", "queue", "replay", "cache", "retry")),
    *(f"_internal/_{name}.py" for name in ("timeout", "fields", "typing")),
    *(f"{name}.py" for name in ("callbacks", "config", "constants", "errors", "runtime", "types")),
)


def digest(content: bytes) -> str:
    """The digest under which a file or a function is recorded."""
    return hashlib.sha256(content).hexdigest()[:16]


# ---- functions ---------------------------------------------------------------------------------


def functions(path: str, source: bytes) -> dict[str, str]:
    """The digest of every function and class of a file that counts.

    A digest is that of the syntax tree: without comments, formatting and docstrings, and the
    same on every version of Python. A class is what it has besides its functions and classes;
    `<module>` is the file besides its functions, classes and imports. Functions of one name,
    such as a property and its setter, have one digest, without the overloads for type checkers.

    Args:
        path: of the file, relative to upstream's package.
        source: the file's content.

    Raises:
        SyntaxError: this Python cannot parse it.
    """
    wanted = PARTS.get(path)
    found: dict[str, list[Any]] = defaultdict(list)
    for name, tree in _pieces(ast.parse(source).body, ""):
        if wanted is None or name in wanted or name.split(".")[0] in wanted:
            found[name].append(tree)
    return {name: digest(ascii(trees).encode()) for name, trees in found.items()}


def _pieces(body: Iterable[ast.stmt], prefix: str) -> Iterator[tuple[str, Any]]:
    """Each function and class with its dotted name and its canonical form; a rest comes last."""
    rest: list[ast.stmt] = []
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if not any(ast.unparse(each).endswith("overload") for each in statement.decorator_list):
                yield prefix + statement.name, _canonical(statement)
        elif isinstance(statement, ast.ClassDef):
            name = prefix + statement.name
            inner = list(_pieces(statement.body, f"{name}."))
            statement.body = []
            yield name, [_canonical(statement), *(tree for n, tree in inner if n == f"{name}.")]
            yield from (piece for piece in inner if piece[0] != f"{name}.")
        elif not isinstance(statement, (ast.Import, ast.ImportFrom)):
            rest.append(statement)
    yield prefix or "<module>", _canonical(rest)


def _canonical(node: Any) -> Any:
    """A syntax tree as nested lists, free of what differs between versions of Python."""
    if isinstance(node, list):
        return [_canonical(each) for each in node if not _is_docstring(each)]
    if isinstance(node, ast.JoinedStr):
        return ["JoinedStr", *_joined(node.values)]
    if isinstance(node, ast.AST):
        # fields that are empty, since a later Python may have more of them
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return [type(node).__name__, *([name, _canonical(value)] for name, value in fields)]
    return node


def _joined(values: Iterable[ast.expr]) -> list[Any]:
    """The parts of an f-string; versions of Python differ in how they cut up its plain text."""
    parts: list[Any] = []
    for value in values:
        if not isinstance(value, ast.Constant):
            parts.append(_canonical(value))
        elif parts and isinstance(parts[-1], str):
            parts[-1] += str(value.value)
        elif value.value:
            parts.append(str(value.value))
    return parts


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


# ---- comparing ---------------------------------------------------------------------------------


class Upstream:
    """The installed upstream, as far as the engine depends on it.

    Args:
        root: the folder of upstream's package.
    """

    def __init__(self, root: Path) -> None:
        self.sources = {path: _read(root / path) for path in FILES}
        self.digests = {path: source and digest(source) for path, source in self.sources.items()}
        self._functions: dict[str, dict[str, str]] = {}

    def first_difference(self, record: Mapping[str, Any], version: str) -> str | None:
        """The first function, class or module that is not that of a known version; None if all are.

        Args:
            record: the content of `fingerprints.json`.
            version: one of the versions in it.
        """
        for path, known in record["versions"][version].items():
            if self.digests[path] != known:
                expected, found = record["files"][known], self.functions(path)
                for name in (*expected, *found):
                    if expected.get(name) != found.get(name):
                        module = f"langgraph.{path[:-3].replace('/', '.')}"
                        return module if name == "<module>" or not found else f"{module}.{name}"
        return None

    def functions(self, path: str) -> dict[str, str]:
        """The digests of a file's functions; none where there is no such file."""
        if path not in self._functions:
            source = self.sources[path]
            try:
                self._functions[path] = {} if source is None else functions(path, source)
            except SyntaxError:
                self._functions[path] = {}
        return self._functions[path]


def _read(path: Path) -> bytes | None:
    try:
        # an index of a package, or a tool that checks out, may have other line ends
        return path.read_bytes().replace(b"\r\n", b"\n")
    except OSError:
        return None


def difference(root: Path, version: str) -> str | None:
    """What about the installed upstream is none of the versions that the engine knows.

    Args:
        root: the folder of upstream's package.
        version: its version, which decides only where there are no sources to read.

    Returns:
        None where the engine may stand in for it. Else the function, class or module that
        differs from `UPSTREAM_VERSION`; empty where there was nothing to compare.
    """
    record = json.loads(DATA.read_bytes())
    upstream = Upstream(root)
    if not any(upstream.digests.values()):
        return None if version in record["versions"] else ""
    if upstream.digests in record["versions"].values():
        return None
    found = {known: upstream.first_difference(record, known) for known in record["versions"]}
    return None if None in found.values() else found[UPSTREAM_VERSION]
