"""What commands write: tables, notes, JSON, progress.

With rich installed, tables have colours and progress has a bar, where a person looks at them. To a
file or a pipe, and without rich, the same is plain text and there is no bar.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO

from langgraph_cy.tables import aligned

Row = Sequence[str]


def _console(stream: TextIO) -> Any:
    """A rich console, None where the stream is no terminal or rich is not installed."""
    if not stream.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(file=stream, highlight=False)


def table(rows: Sequence[Row]) -> None:
    """Print rows, the first of which is the header; nothing where there are no others."""
    if len(rows) < 2:
        return
    console = _console(sys.stdout)
    if console is None:
        print("\n".join(aligned(rows)))
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in rows[0]:
        shown.add_column(name, overflow="fold")
    for row in rows[1:]:
        shown.add_row(*map(Text, row))
    console.print(shown)


def say(text: str, style: str = "") -> None:
    """Print a line, in a style of rich's where it can be shown; nothing for an empty text."""
    if not text:
        return
    console = _console(sys.stdout)
    if console is None:
        print(text)
        return
    from rich.text import Text

    console.print(Text(text, style=style), soft_wrap=True)


def note(text: str) -> None:
    """Say something beside the result, on stderr; nothing for an empty text."""
    if text:
        print(text, file=sys.stderr, flush=True)


def emit(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=repr))


@contextmanager
def apart(machine_readable: bool) -> Iterator[None]:
    """Keep what the user's own code prints out of the JSON on stdout: it goes to stderr."""
    if not machine_readable:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield


@contextmanager
def progress(total: int) -> Iterator[Callable[[str], None]]:
    """A progress bar on stderr, where that is a terminal.

    Args:
        total: how many things are to be done.

    Yields:
        A function to be called before each of them, with what it is.
    """
    console = _console(sys.stderr)
    if console is None:
        yield lambda text: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def begin(text: str) -> None:
            nonlocal begun
            bar.update(task, description=text, completed=begun)
            begun += 1

        yield begin
