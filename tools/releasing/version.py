"""The version to release, and whether the repository is in a state to release it."""

from __future__ import annotations

import re
import subprocess
from datetime import date
from pathlib import Path

from processes import ToolError, run

VERSION = re.compile(r'^__version__ = "([^"]+)"$', re.M)
# The top entry of CHANGELOG.md, as Keep a Changelog has it.
ENTRY = re.compile(r"^## \[([^\]]+)\] - (\S+)$", re.M)
UNRELEASED = "unreleased"


def declared(root: Path) -> str:
    """The version that the package declares.

    Raises:
        ToolError: `langgraph_cy/_version.py` declares none.
    """
    file = root / "langgraph_cy/_version.py"
    found = VERSION.search(file.read_text(encoding="utf-8"))
    if found is None:
        raise ToolError(f'{file} has no line __version__ = "..."')
    return found[1]


def changelog_problems(root: Path, version: str) -> tuple[list[str], list[str]]:
    """What is wrong with the top entry of CHANGELOG.md.

    Returns:
        What no build may have, and what only an upload may not have.
    """
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = ENTRY.search(text)
    if found is None:
        return ["CHANGELOG.md has no entry of the form `## [1.2.3] - 2030-12-31`"], []
    wrong = []
    if found[1] != version:
        wrong.append(
            f"CHANGELOG.md's top entry is {found[1]}, langgraph_cy/_version.py says {version}"
        )
    if found[2] == UNRELEASED:
        return wrong, [f"CHANGELOG.md has {version} as {UNRELEASED}: write the date there"]
    try:
        date.fromisoformat(found[2])
    except ValueError:
        wrong.append(f"CHANGELOG.md: {found[2]!r} is no date such as 2030-12-31")
    return wrong, []


def git(root: Path, *arguments: str) -> str:
    """What a git command prints.

    Raises:
        ToolError: it failed: this is no git checkout.
    """
    return run(f"ask git ({arguments[0]})", ["git", "-C", root, *arguments]).strip()


def commit_time(root: Path) -> int:
    """When the commit that is checked out was made, in seconds since 1970."""
    return int(git(root, "log", "-1", "--format=%ct"))


def tree_problems(root: Path, version: str) -> list[str]:
    """What keeps the tree from being what an upload's tag names."""
    problems = []
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        shown = ", ".join(line.split(maxsplit=1)[1] for line in changed[:5])
        more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
        problems.append(f"the tree is not clean: {shown}{more}")
    tag = f"v{version}"
    named = subprocess.run(
        ["git", "-C", root, "rev-list", "-n1", tag], capture_output=True, text=True
    )
    if named.returncode:
        problems.append(f"no tag {tag}: `git tag -s {tag}` when all else is right")
    elif named.stdout.strip() != git(root, "rev-parse", "HEAD"):
        problems.append(f"tag {tag} is on another commit")
    return problems
