"""Builds, checks and tries what a release uploads; `tools/release` is the command.

The stages, in order; the first that fails ends it:

state           version, CHANGELOG.md, clean tree, tag
interpreters    what there is to build with
tools           an environment with the programs that check and repair
sdist           built twice, the second time from the first, to the same bytes
wheels          built from the sdist for each interpreter, and repaired
pure wheel      built from the sdist; a compiled wheel without its extension modules
reproducible    a wheel built again in another directory, to the same bytes
checks          sizes, `twine check`, `check-wheel-contents`
wheel trials    each wheel in an empty environment outside of the tree
fallback trials the pure wheel, a wheel robbed of its extension modules, and the sdist without a
                compiler: all run on LangGraph's own engine
sdist trial     the sdist where there is a compiler

What passes all of them is put into `dist/`, with `release.json` beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from environment import ROOT, say
from processes import ToolError
from releasing import artefacts, trials, version
from releasing.interpreters import Interpreter, find
from suite_environment import read_toml

DIST = ROOT / "dist"


class Release:
    """One release, or the rehearsal of one.

    Args:
        dry: whether it ends before the upload, which a tree with changes may do, too.
        work: directory of all that is made, outside of the tree.
    """

    def __init__(self, dry: bool, work: Path) -> None:
        self.dry = dry
        self.work = work
        self.version = version.declared(ROOT)
        self.stages: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.trials: list[trials.Trial] = []
        self.wheels: dict[Interpreter, Path] = {}
        self.raw: dict[Interpreter, Path] = {}

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Says what is being done, and keeps how it ended and how long it took."""
        say(f"\n== {name}")
        entry: dict[str, Any] = {"stage": name, "passed": False}
        self.stages.append(entry)
        start = time.monotonic()
        try:
            yield
            entry["passed"] = True
        finally:
            entry["seconds"] = round(time.monotonic() - start, 1)

    def warn(self, text: str) -> None:
        self.warnings.append(text)
        say(f"   warning: {text}")

    def check_state(self) -> None:
        """Refuses what must not be uploaded; a rehearsal is told of it and goes on."""
        say(f"   version {self.version}")
        wrong, not_yet = version.changelog_problems(ROOT, self.version)
        not_yet += version.tree_problems(ROOT, self.version)
        if not self.dry:
            wrong += not_yet
        else:
            for text in not_yet:
                self.warn(text)
        if wrong:
            raise ToolError("\n".join(wrong))
        self.epoch = version.commit_time(ROOT)

    def find_interpreters(self, named: list[str]) -> None:
        self.interpreters, passed_over = find(named)
        self.passed_over = passed_over
        for each in self.interpreters:
            say(f"   {each.tag:<7} {each.title}, {each.path}")
        for text in passed_over:
            say(f"   passed over: {text}")

    def make_tools(self) -> None:
        project = read_toml((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        requirements = project["optional-dependencies"]["release"]
        newest = self.interpreters[-1].path
        self.tools = artefacts.make_venv(newest, self.work / "tools", *requirements)

    def build_sdist(self) -> None:
        self.sdist = artefacts.build_sdist(self.tools, ROOT, self.work / "sdist", self.epoch)
        say(f"   {self.sdist.name}, {self.sdist.stat().st_size:,} bytes")
        self.source = artefacts.unpack(self.sdist, self.work / "source")
        copy = artefacts.unpack(self.sdist, self.work / "copy" / "elsewhere")
        again = artefacts.build_sdist(self.tools, copy, self.work / "sdist-again", self.epoch)
        artefacts.same_bytes(self.sdist, again)
        say("   built again from what was unpacked from it: the same bytes")

    def build_wheels(self) -> None:
        for each in self.interpreters:
            start = time.monotonic()
            self.builder = artefacts.make_venv(each.path, self.work / each.tag / "builder")
            folder = self.work / each.tag
            raw = artefacts.build_wheel(self.builder, self.sdist, folder / "built", self.epoch)
            wheel = artefacts.repair(self.tools, raw, folder / "repaired", self.epoch)
            self.raw[each], self.wheels[each] = raw, wheel
            took = time.monotonic() - start
            say(f"   {wheel.name}, {wheel.stat().st_size:,} bytes, {took:.0f} s")

    def build_pure(self) -> None:
        folder = self.work / "pure"
        self.pure = artefacts.build_wheel(self.builder, self.sdist, folder, self.epoch, pure=True)
        for wheel in self.wheels.values():
            artefacts.same_python(self.pure, wheel)
        say(f"   {self.pure.name}, {self.pure.stat().st_size:,} bytes")

    def build_again(self) -> None:
        """The newest interpreter's wheel and the pure one; all interpreters share the build."""
        newest = self.interpreters[-1]
        folder = self.work / "again" / "in-another-directory"
        self.rebuilt = artefacts.build_wheel(self.builder, self.sdist, folder, self.epoch)
        artefacts.same_bytes(self.raw[newest], self.rebuilt)
        repaired = artefacts.repair(self.tools, self.rebuilt, folder / "repaired", self.epoch)
        artefacts.same_bytes(self.wheels[newest], repaired)
        folder = self.work / "pure-again"
        again = artefacts.build_wheel(self.builder, self.sdist, folder, self.epoch, pure=True)
        artefacts.same_bytes(self.pure, again)
        say(f"   {repaired.name} and {again.name}: the same bytes")

    @property
    def files(self) -> list[Path]:
        """What is to be uploaded."""
        return [self.sdist, *self.wheels.values(), self.pure]

    def check(self) -> None:
        artefacts.check_sizes([*self.wheels.values(), self.pure])
        artefacts.check_metadata(self.tools, self.files)

    def attempt(self, what: str, python: Path, *, compiled: bool, tests: bool = True) -> None:
        start = time.monotonic()
        folder = self.work / "cwd"
        trial = trials.try_installed(
            what, python, self.source, folder, compiled=compiled, tests=tests
        )
        self.trials.append(trial)
        ran = "used" if trial.tests is None else f"used, {trial.tests} tests passed"
        say(f"   {what}: {ran}, {time.monotonic() - start:.0f} s")

    def try_wheels(self) -> None:
        for each, wheel in self.wheels.items():
            python = trials.environment(each.path, self.work / each.tag / "trial", wheel)
            self.attempt(wheel.name, python, compiled=True)

    def try_fallbacks(self) -> None:
        newest = self.interpreters[-1]
        robbed = self.work / newest.tag / "trial"
        python = artefacts.venv_python(robbed)
        count = trials.remove_extensions(python)
        if not count:
            raise ToolError(f"no extension module in {robbed}")
        what = f"{self.wheels[newest].name} without its {count} extension modules"
        self.attempt(what, python, compiled=False)
        oldest = self.interpreters[0]
        python = trials.environment(oldest.path, self.work / "pure-trial", self.pure)
        self.attempt(f"{self.pure.name} on {oldest.title}", python, compiled=False)
        for how, what in (("PATH", "no compiler on PATH"), ("CC", "a CC that fails")):
            python = trials.without_compiler(
                newest.path, self.work / f"without-{how}", self.sdist, how, tests=False
            )
            name = f"{self.sdist.name} with {what}"
            self.attempt(name, python, compiled=False, tests=False)

    def try_sdist(self) -> None:
        """What pip has made of the sdist, in the stage before, in an environment without tests."""
        newest = self.interpreters[-1]
        folder = self.work / "sdist-trial"
        python = trials.environment(newest.path, folder, self.rebuilt, tests=False)
        what = f"the wheel that pip made of {self.sdist.name}"
        self.attempt(what, python, compiled=True, tests=False)

    def report(self) -> dict[str, Any]:
        """All that was found, for machines."""
        passed = all(each["passed"] for each in self.stages)
        return {
            "version": self.version,
            "commit": version.git(ROOT, "rev-parse", "HEAD"),
            "dry_run": self.dry,
            "passed": passed,
            "source_date_epoch": self.epoch,
            "warnings": self.warnings,
            "interpreters": [each.title for each in self.interpreters],
            "stages": self.stages,
            "trials": [
                {"what": each.what, "compiled": each.compiled, "tests_passed": each.tests}
                for each in self.trials
            ],
            "artefacts": [
                {
                    "file": file.name,
                    "bytes": file.stat().st_size,
                    "sha256": artefacts.sha256(file),
                }
                for file in self.files
            ],
        }

    def publish_to_dist(self, report: dict[str, Any]) -> list[Path]:
        """Replaces this project's files in `dist/`; what else is there stays."""
        DIST.mkdir(exist_ok=True)
        for old in DIST.glob("langgraph_cy-*"):
            old.unlink()
        copied = [Path(shutil.copy2(file, DIST)) for file in self.files]
        text = json.dumps(report, indent=1) + "\n"
        (DIST / "release.json").write_text(text, encoding="utf-8")
        return copied


def show_stages(stages: list[dict[str, Any]]) -> None:
    say("")
    for each in stages:
        say(
            f"{each['stage']:<20}{'ok' if each['passed'] else 'FAILED':>8}{each['seconds']:>9.1f} s"
        )


def show_artefacts(report: dict[str, Any]) -> None:
    """The answer, on standard output."""
    for each in report["artefacts"]:
        print(f"{each['bytes']:>10,}  {each['sha256']}  dist/{each['file']}")
    sys.stdout.flush()


def upload(tools: Path, files: list[Path], name: str, repository: str) -> int:
    """Asks, and then uploads; where nobody can be asked, prints the command."""
    command = ["upload", "--repository", repository, *(str(file) for file in files)]
    if not sys.stdin.isatty():
        say("to upload: python -m twine " + " ".join(command))
        return 0
    answer = input(f"Upload these {len(files)} files to {repository}? Type {name} to do so: ")
    if answer.strip() != name:
        say("nothing was uploaded")
        return 1
    return subprocess.call([tools, "-m", "twine", *command], cwd=ROOT)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="tools/release",
        description="Build, check and try the artefacts of a release, then upload them.",
        epilog="docs/releasing.md tells what each stage does.",
    )
    parser.add_argument("--dry-run", action="store_true", help="all of it up to the upload")
    parser.add_argument(
        "--python",
        action="append",
        default=[],
        metavar="PY",
        help="build for this interpreter, and only for those named so (default: the newest patch "
        "release of each supported version among this Python, pyenv's, and those on PATH)",
    )
    parser.add_argument(
        "--repository", default="pypi", help="name in ~/.pypirc to upload to (%(default)s)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in DIR, and leave it there")
    args = parser.parse_args()
    if args.keep and args.keep.exists() and any(args.keep.iterdir()):
        parser.error(f"--keep: {args.keep} is not empty")
    work = args.keep.absolute() if args.keep else Path(tempfile.mkdtemp(prefix="langgraph-cy-"))
    work.mkdir(parents=True, exist_ok=True)
    try:
        return release(args, work)
    except ToolError as error:
        say(f"error: {error}")
        return 1
    finally:
        if not args.keep:
            shutil.rmtree(work, ignore_errors=True)


def release(args: argparse.Namespace, work: Path) -> int:
    """All stages, the summary, and the upload."""
    this = Release(args.dry_run, work)
    start = time.monotonic()
    steps = [
        ("state", this.check_state),
        ("interpreters", lambda: this.find_interpreters(args.python)),
        ("tools", this.make_tools),
        ("sdist", this.build_sdist),
        ("wheels", this.build_wheels),
        ("pure wheel", this.build_pure),
        ("reproducible", this.build_again),
        ("checks", this.check),
        ("wheel trials", this.try_wheels),
        ("fallback trials", this.try_fallbacks),
        ("sdist trial", this.try_sdist),
    ]
    try:
        for name, step in steps:
            with this.stage(name):
                step()
    finally:
        show_stages(this.stages)
    report = this.report()
    copied = this.publish_to_dist(report)
    show_artefacts(report)
    for text in this.warnings:
        say(f"before an upload: {text}")
    took = time.monotonic() - start
    say(f"tools/release: all passed in {took:.0f} s; dist/release.json tells the rest")
    if args.dry_run:
        return 0
    return upload(this.tools, copied, this.version, args.repository)


if __name__ == "__main__":
    sys.exit(main())
