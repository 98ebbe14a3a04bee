"""Kill runs at random moments, resume them, and compare: ``tools/crash_test --kills 500``.

Each thread's graph runs in a process of its own that is ended by SIGKILL at a random moment, up to
three times, and is then left to finish. After each kill upstream's saver reads what is stored, and
what the durability mode promises must be there; what was stored must not run again; and in the end
the thread must have the history of one that was never killed. Of some threads a copy is finished by
upstream's engine and saver. `tests/crash/` has the graphs and the rules.

Exit code 0: all is well. 1: something is not; seeds, databases and journals are listed and kept.
2: the tool could not do its work.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

# At the end: the installed package comes first, not the sources.
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))

import services
from crash.campaign import campaign
from crash.databases import Database, Postgres, Sqlite
from crash.session import Case, Outcome, cases
from crash.shapes import SHAPES
from crash.zygote import Zygote
from processes import ToolError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

DATABASES = ("sqlite", "postgres")
DURABILITIES = ("sync", "async", "exit")
COLUMNS = (
    "threads",
    "kills",
    "mid-run",  # hit a graph at work
    "partly",  # left a superstep of which only some tasks were stored
    "again",  # tasks that were done and ran again, as they may
    "stock",  # threads of which upstream finished a copy
    "kills/s",
    "wrong",  # violations
)
SHOWN_VIOLATIONS = 20

console = Console(highlight=False)


@contextlib.contextmanager
def opened(kind: str, folder: Path, uri: str | None) -> Iterator[Database]:
    """A database to work on.

    Args:
        kind: "sqlite" or "postgres".
        uri: of a PostgreSQL database; None for a cluster of our own.
    """
    if kind == "sqlite":
        yield Sqlite(folder)
        return
    with contextlib.ExitStack() as stack:
        if uri is None:
            cluster = stack.enter_context(services.own_postgres(services.free_port()))
            uri = cluster.uri
        yield stack.enter_context(contextlib.closing(Postgres(uri)))


def chosen_cases(args: argparse.Namespace, durability: str) -> list[Case]:
    """The cases of a durability mode that the command line asks for."""
    return [
        case
        for case in cases(durability, engine=args.engine, savers=args.savers)
        if args.shape is None or case.shape in args.shape
    ]


def row(outcome: Outcome, threads: int, seconds: float) -> list[str]:
    """The table's columns for what came of many threads."""
    return [
        f"{threads:,}",
        f"{outcome.kills:,}",
        f"{outcome.mid_run:,}",
        f"{outcome.partly:,}",
        f"{outcome.again:,}",
        f"{outcome.stock:,}",
        f"{outcome.kills / seconds:.1f}",
        f"{len(outcome.violations):,}",
    ]


def kill(args: argparse.Namespace, folder: Path) -> list[str]:
    """Do what the command line says, print the table, and return the violations."""
    table = Table(box=None, pad_edge=False)
    table.add_column("", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    violations = []
    bars = (
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with contextlib.ExitStack() as stack:
        zygote = stack.enter_context(Zygote())
        databases = [stack.enter_context(opened(k, folder, args.postgres)) for k in args.database]
        progress = stack.enter_context(Progress(*bars, console=console))
        for database in databases:
            for durability in args.durability:
                found = chosen_cases(args, durability)
                if not found:
                    continue
                bar = progress.add_task(
                    f"{database.kind} {durability}", total=args.kills, note="measuring"
                )
                total, threads, start = Outcome(), 0, time.monotonic()
                for name, outcome in campaign(
                    found, database, zygote, folder, kills=args.kills, seed=str(args.seed)
                ):
                    total += outcome
                    threads += 1
                    wrong = f", {len(total.violations)} violations" if total.violations else ""
                    progress.update(bar, completed=total.kills, note=name + wrong)
                progress.update(bar, note="done")
                violations += total.violations
                seconds = time.monotonic() - start
                name = f"{database.kind} {durability}"
                table.add_row(name, *row(total, threads, seconds))
    console.print(f"\nseed {args.seed}")
    console.print(table)
    return violations


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="tools/crash_test", description="Kill runs at random moments, and resume them."
    )
    add = parser.add_argument
    add(
        "--kills",
        type=int,
        default=500,
        metavar="N",
        help="for each database and durability mode (default: %(default)d)",
    )
    add("--database", nargs="+", choices=DATABASES, default=DATABASES)
    add("--durability", nargs="+", choices=DURABILITIES, default=DURABILITIES)
    add("--shape", nargs="+", choices=list(SHAPES), help="of the graphs (default: all)")
    add("--seed", type=int, help="of all moments (default: chosen, and printed)")
    add("--engine", choices=("compiled", "stock"), default="compiled")
    add("--savers", choices=("ours", "stock"), default="ours")
    add("--postgres", metavar="URI", help="a database to use (default: a cluster of its own)")
    add("--keep", type=Path, metavar="DIR", help="keep what violations leave in DIR")
    args = parser.parse_args(argv)
    if args.kills < 1:
        parser.error("--kills: at least 1")
    if args.seed is None:
        args.seed = random.SystemRandom().randrange(10**6)
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    args = arguments(argv)
    folder = args.keep.absolute() if args.keep else Path(tempfile.mkdtemp(prefix="langgraph-cy-"))
    folder.mkdir(parents=True, exist_ok=True)
    exit_code = 2
    try:
        violations = kill(args, folder)
        for violation in violations[:SHOWN_VIOLATIONS]:
            console.print(violation, style="red", markup=False)
        if len(violations) > SHOWN_VIOLATIONS:
            console.print(f"... and {len(violations) - SHOWN_VIOLATIONS:,} more")
        exit_code = int(bool(violations))
    except (ToolError, RuntimeError) as error:
        console.print(f"error: {error}", style="red", markup=False)
    finally:
        if exit_code == 1:
            console.print(f"databases and journals: {folder}")
        elif not args.keep:
            shutil.rmtree(folder, ignore_errors=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
