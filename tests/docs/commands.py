"""What a `sh` fence says, as commands, and the check of those that can't run within a test.

A command that can't run here (`tools/test` would run itself) has to be one that its program
understands: the options are in its help, and so are the words that are no file, number or version.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

from packaging.requirements import Requirement

from ..engines import environ
from .pages import ROOT

ASSIGNED = re.compile(r"^[A-Za-z_]\w*=")
OPTION = re.compile(r"(?<![\w-])--?[A-Za-z][\w-]*")
WORDS = re.compile(r"[\w./-]+(?::[\w./-]+)*")
# A number or a version, an address, a path, a setting.
LITERAL = re.compile(r"[\d.,]+|\w+:\d+|.*[/.=].*")
FREE = {"-W", "-k"}  # pytest's and Python's options with any text behind them
SEPARATORS = {"&&", "||", "|", ";"}
# Of this package and its build: each has to be known somewhere in the sources.
OWN_VARIABLE = re.compile(r"(LANGGRAPH_CY|LGCY)_")
SHELL = {"cd", "export", "unset", ".", "source", "set"}


@dataclass(frozen=True)
class Command:
    """A command of a fence.

    Args:
        words: the program and its arguments.
        variables: that are set for this command only.
    """

    words: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def program(self) -> str:
        """The first word; of one in a virtual environment or named by version the plain name."""
        name = self.words[0]
        if "/bin/" in name:
            name = name.rsplit("/", 1)[1]
        return re.sub(r"^python[\d.]+$", "python", name)

    @property
    def own(self) -> bool:
        """Whether it runs an application with this package: such a command can run in a test."""
        rest = self.words[1:]
        if self.program == "python":
            return rest[:2] == ("-m", "langgraph_cy") or bool(re.fullmatch(r"\w+\.py", rest[0]))
        plugin = "langgraph_cy.pytest_plugin" in rest
        return self.program == "langgraph-cy" or (self.program == "pytest" and plugin)


def commands(text: str) -> Iterator[Command]:
    """The commands of a fence, in order; a line that ends in a backslash goes on in the next."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            ends = (place for place, word in enumerate(words) if word in SEPARATORS)
            end = next(ends, len(words))
            one, words = words[:end], words[end + 1 :]
            variables = {}
            while one and ASSIGNED.match(one[0]):
                name, _, value = one.pop(0).partition("=")
                variables[name] = value
            if one or variables:
                yield Command(tuple(one), variables)


def problems(command: Command) -> list[str]:
    """Why the command is not one that its program understands; nothing where it is."""
    unknown = [name for name in command.variables if not _known_variable(name)]
    if not command.words:
        return unknown
    program, arguments = command.program, list(command.words[1:])
    if program in SHELL:
        names = [each.partition("=")[0] for each in arguments if ASSIGNED.match(each)]
        return unknown + [name for name in names if not _known_variable(name)]
    if program == "pip":
        return unknown + _pip_problems(arguments)
    helped = _help_of(program, arguments)
    if helped is None:
        return [*unknown, f"no check for {shlex.join(command.words)}"]
    text, rest = helped
    known = {*OPTION.findall(text), *WORDS.findall(text)}
    return unknown + [word for word in _to_know(rest) if word not in known]


def _to_know(arguments: list[str]) -> Iterator[str]:
    """The arguments that a program's help has to mention."""
    for before, word in pairwise(["", *arguments]):
        if word.startswith("-"):
            yield word.partition("=")[0]
        elif before in FREE or (before == "-m" and find_spec(word.partition(" ")[0])):
            continue  # a program within the program: `python -m coverage run -m pytest`
        elif not LITERAL.fullmatch(word):
            yield from word.split()


def _known_variable(name: str) -> bool:
    return not OWN_VARIABLE.match(name) or name in _sources()


@cache
def _sources() -> str:
    files = [*ROOT.glob("langgraph_cy/**/*.py"), ROOT / "pyproject.toml"]
    return "\n".join(path.read_text("utf-8") for path in files)


def _help_of(program: str, arguments: list[str]) -> tuple[str, list[str]] | None:
    """The help of a program, and those of its arguments that the help is about."""
    if program == "python" and arguments[:1] == ["-m"]:
        module, rest = arguments[1], arguments[2:]
        if module == "pytest":
            return _help_of("pytest", rest)
        sub = rest[:1] if module in ("langgraph_cy", "coverage") else []
        return _output(sys.executable, "-m", module, *sub, "--help"), rest[len(sub) :]
    if program == "python" and (ROOT / arguments[0]).is_file():
        return _output(sys.executable, str(ROOT / arguments[0]), "--help"), arguments[1:]
    if program == "langgraph-cy":
        return _help_of("python", ["-m", "langgraph_cy", *arguments])
    if program == "pytest":
        plugin = ["-p", "langgraph_cy.pytest_plugin"]
        text = _output(sys.executable, "-m", "pytest", *plugin, "--help")
        return text + (ROOT / "setup.cfg").read_text("utf-8"), arguments  # which has the marks
    if program.startswith("tools/") and (ROOT / program).is_file():
        script = _script_of(ROOT / program)
        text = _output(sys.executable, str(script), "--help")
        if program == "tools/bench":
            text += _output(sys.executable, str(script), "--list")
        return text, arguments
    if shutil.which(program):
        return _output(program, "--help"), arguments
    return None


def _script_of(command: Path) -> Path:
    """The Python file that a command of `tools/` runs once it has set itself up."""
    found = re.search(
        r'^exec "\$\w+" "\$tools/(\w+\.py)"', command.read_text("utf-8"), re.MULTILINE
    )
    assert found, f"{command} runs no Python file"
    return command.parent / found[1]


@cache
def _output(*command: str) -> str:
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=os.path.dirname(__file__),
        env=environ(COLUMNS="200"),
    )
    assert ended.returncode == 0, f"{shlex.join(command)}: {ended.stderr}"
    return ended.stdout


def _pip_problems(arguments: list[str]) -> list[str]:
    known = OPTION.findall(_output(sys.executable, "-m", "pip", arguments[0], "--help"))
    found = []
    for word in arguments[1:]:
        if word.startswith("-"):
            if word.partition("=")[0] not in known:
                found.append(word)
        elif word.startswith("."):
            found += [extra for extra in _extras_in(word) if extra not in _extras()]
        else:
            Requirement(word)
    return found


def _extras_in(path: str) -> list[str]:
    named = re.search(r"\[(.*)\]", path)
    return named[1].split(",") if named else []


@cache
def _extras() -> set[str]:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    table = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    return set(re.findall(r"^([\w-]+) = \[", table, re.MULTILINE))
