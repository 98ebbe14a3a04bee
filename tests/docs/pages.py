"""The pages and what stands in their fences.

What a fence is decides how it is checked, so each has to be one of these:

- `python`: a part of the page's program, which runs as a whole;
- any language with `title="NAME"`: a file, which is there when the program and the commands run;
- `sh`: commands, which run, or whose programs know what is passed to them;
- `text`, right below one of the others: what that printed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<indent> *)(?P<marks>```+|~~~+)(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=indent)(?P=marks) *$",
    re.MULTILINE | re.DOTALL,
)
TITLE = re.compile(r'title="([^"]+)"')
SAID = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)
PROGRAM, FILE, COMMANDS, OUTPUT, UNKNOWN = "program", "file", "commands", "output", "unknown"


@dataclass(frozen=True)
class Block:
    """A fence.

    Args:
        kind: what it is: PROGRAM, FILE, COMMANDS, OUTPUT, or UNKNOWN where no check is for it.
        language: the first word behind the marks.
        title: the file's name; empty where it is no file.
        text: what is in it.
        line: the number of its first line within the page.
        output: of a program or of commands: the text that the fence below it shows, if any.
    """

    kind: str
    language: str
    title: str
    text: str
    line: int
    output: str | None = None


@dataclass(frozen=True)
class Page:
    """A page of the documentation."""

    path: Path

    @property
    def name(self) -> str:
        """Relative to the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        """Every fence of the page."""
        found: list[Block] = []
        end = 0
        for fence in FENCE.finditer(self.text):
            directly_below = bool(found) and self.text[end : fence.start()].isspace()
            block = _block(fence, found[-1] if directly_below else None)
            if block.kind == OUTPUT:
                found[-1] = Block(**{**vars(found[-1]), "output": block.text})
            found.append(block)
            end = fence.end()
        return found

    def of_kind(self, kind: str) -> list[Block]:
        return [block for block in self.blocks if block.kind == kind]

    @property
    def program(self) -> str:
        """The page's program; its lines have the numbers that they have in the page."""
        lines = [""] * self.text.count("\n")
        for block in self.of_kind(PROGRAM):
            body = block.text.splitlines()
            lines[block.line - 1 : block.line - 1 + len(body)] = body
        return "\n".join(lines)

    @property
    def printed(self) -> str:
        """What the program says that it prints: behind a `print`, or in a fence below."""
        said: list[str] = []
        for block in self.of_kind(PROGRAM):
            said += SAID.findall(block.text)
            said += (block.output or "").splitlines()
        return "".join(f"{line}\n" for line in said)


def _block(fence: re.Match[str], above: Block | None) -> Block:
    info = fence["info"].strip()
    language = info.split()[0] if info else ""
    named = TITLE.search(info)
    title = named[1] if named else ""
    kind = UNKNOWN
    if title:
        kind = FILE
    elif language == "python":
        kind = PROGRAM
    elif language == "sh":
        kind = COMMANDS
    elif language == "text" and above is not None and above.kind in (PROGRAM, COMMANDS):
        kind = OUTPUT
    indent = len(fence["indent"])
    body = "".join(line[indent:] for line in fence["body"].splitlines(keepends=True))
    line = fence.string.count("\n", 0, fence.start("body")) + 1
    return Block(kind, language, title, body, line)


def _paths() -> Iterator[Path]:
    yield ROOT / "README.md"
    yield ROOT / "CHANGELOG.md"
    yield from sorted(ROOT.glob("docs/**/*.md"))


PAGES = [Page(path) for path in _paths()]
