"""Record the fingerprints of upstream: ``tools/fingerprints.py 1.2.20 1.2.21 1.2.22``.

Gets the wheel of each version with pip and writes `langgraph_cy/fingerprints.json` anew. Before
a version is recorded, read what differs (``--show``), bring the engine in line with it, and let
upstream's tests judge (`tools/upstream_suite.py`). Exit code 0: written, or nothing to write; 1:
with ``--check``, the file is not what these versions come to; 2: a wheel could not be had.

Standard library only.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from processes import ToolError, run
from suite_environment import ROOT, clean_environ, pip


def load_fingerprints() -> ModuleType:
    """The package's module, without the package: that imports upstream, which may not be here."""
    path = ROOT / "langgraph_cy/fingerprints.py"
    spec = importlib.util.spec_from_file_location("langgraph_cy_fingerprints", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fingerprints = load_fingerprints()


def download(version: str, folder: Path) -> Path:
    """Unpack the wheel of a version into a folder, and return that of its package.

    Raises:
        ToolError: the package index has no such wheel.
    """
    run(
        f"download the wheel of langgraph {version}",
        pip(Path(sys.executable), "download", "--no-deps", "--only-binary", ":all:")
        + ["-d", folder, f"langgraph=={version}"],
        env=clean_environ(),
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "langgraph"


def record_of(packages: Mapping[str, Path]) -> dict[str, Any]:
    """What `fingerprints.json` has to say about some versions.

    Args:
        packages: the folder of upstream's package, by version.

    Raises:
        ToolError: a version lacks a file that the engine depends on.
    """
    record: dict[str, Any] = {"versions": {}, "files": {}}
    for version, root in packages.items():
        upstream = fingerprints.Upstream(root)
        present = {path: known for path, known in upstream.digests.items() if known}
        if present.keys() != upstream.digests.keys():
            missing = sorted(upstream.digests.keys() - present.keys())
            raise ToolError(f"langgraph {version} has no {', '.join(missing)}")
        record["versions"][version] = present
        for path, known in present.items():
            if known not in record["files"]:
                record["files"][known] = upstream.functions(path)
    return record


def differences(record: Mapping[str, Any], old: str, new: str) -> list[str]:
    """Every function and class that differs between two versions of a record."""
    lines: list[str] = []
    for path, known in record["versions"][new].items():
        before, after = record["files"][record["versions"][old][path]], record["files"][known]
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                what = " is gone" if name not in after else " is new" if name not in before else ""
                lines.append(f"{path}: {name}{what}")
    return lines


def as_text(record: Mapping[str, Any]) -> str:
    """The file's content: one line a function, so that a change of one shows as such."""
    return json.dumps(record, indent=1) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(description="Record the fingerprints of upstream's versions.")
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="default: those recorded")
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("--show", action="store_true", help="write nothing, list what differs")
    args = parser.parse_args(argv)
    before = fingerprints.DATA.read_text("utf-8") if fingerprints.DATA.exists() else ""
    versions = args.versions or list(json.loads(before)["versions"])
    try:
        with tempfile.TemporaryDirectory() as name:
            packages = {}
            for version in versions:
                folder = Path(name, version)
                folder.mkdir()
                packages[version] = download(version, folder)
            record = record_of(packages)
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for old, new in itertools.pairwise(versions):
        lines = differences(record, old, new)
        print(f"{old} and {new}: {len(lines)} differ", *lines, sep="\n  ")
    if args.show:
        return 0
    same = as_text(record) == before
    if not same and not args.check:
        fingerprints.DATA.write_text(as_text(record), encoding="utf-8")
    state = "as recorded" if same else "not as recorded" if args.check else "written"
    print(f"{fingerprints.DATA.name}: {state}")
    return int(args.check and not same)


if __name__ == "__main__":
    sys.exit(main())
