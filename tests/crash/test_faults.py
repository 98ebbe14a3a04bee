"""Savers that fail in mid-run: the error says what it is about, and the thread goes on after it."""

import asyncio
import contextlib
import dataclasses
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import services

from ..engines import COMPILED
from . import rules, shapes
from .databases import Database, Postgres, Sqlite, aopened, opened
from .journal import START, Journal, Line, read
from .stored import Stored, read_stored

# A task in the middle of the first turn of the loop: when it starts, something goes wrong.
AT = f"1.{shapes.LOOP_STEPS // 2}"

LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.close()
"""

MODES = pytest.mark.parametrize(
    ("durability", "asynchronous"),
    [("sync", False), ("sync", True), ("async", False), ("async", True), ("exit", False)],
)


class Tripwire(Journal):
    """A journal that calls a function when a certain task starts."""

    def __init__(self, path: Path, attempt: int, trip: Callable[[], None]) -> None:
        super().__init__(path, attempt)
        self.trip = trip

    @contextmanager
    def task(self, label: str, config: Any) -> Iterator[None]:
        if label == AT and self.attempt == 1:
            self.trip()
        with super().task(label, config):
            yield


def nothing() -> None:
    """What happens to a thread that is left alone."""


@dataclasses.dataclass
class Played:
    """A thread that something went wrong with, and that was finished after that.

    Attributes:
        error: what has ended it in between, None if nothing.
        lines: its journal.
        left: what was stored when the error had been raised.
        end: what was stored in the end.
    """

    error: Exception | None
    lines: list[Line]
    left: Stored
    end: Stored

    def check(self, durability: str, thread: str, whole: Stored) -> None:
        """What has to hold.

        Args:
            whole: what a thread that was left alone has stored.
        """
        assert self.error is not None
        text = "\n".join([str(self.error), *getattr(self.error, "__notes__", ())])
        assert repr(thread) in text, text
        # a task's writes may be what could not be stored: they have no step, but a checkpoint
        assert "step " in text or (durability == "async" and "checkpoint '" in text), text
        if durability == "async":
            # as upstream, a run learns at its end that nothing was stored
            assert rules.readable(self.left, whole) == []
        else:
            first = [line for line in self.lines if line.attempt == 1]
            assert rules.after_kill(durability, first, self.left, whole) == []
        assert rules.ran_again(self.left, self.lines, 1) == []
        assert rules.when_finished(self.lines, self.end, whole) == []


def play(
    database: Database,
    thread: str,
    asynchronous: bool,
    durability: str,
    path: Path,
    trip: Callable[[], None] = nothing,
    repair: Callable[[], None] = nothing,
    setting: str | None = None,
) -> Played:
    """Drive a thread of single tasks; where it fails, repair what is wrong and drive it again.

    Args:
        path: for its journal.
        trip: makes something go wrong in mid-run.
        setting: a statement for the saver's connection. The saver stays the same.
    """
    spec = {"kind": database.kind, "savers": "ours", "thread": thread}
    spec["target"] = database.target(thread)
    config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": 100}
    journals = [Tripwire(path, attempt, trip) for attempt in (1, 2)]
    errors: list[Exception] = []
    lefts: list[Stored] = []

    def stored() -> Stored:
        with database.stock(thread) as saver:
            graph = shapes.compiled("loop", journals[0], saver, asynchronous=False)
            return read_stored(graph, thread, read(path), exits_late=durability == "exit")

    def mend(error: Exception) -> None:
        errors.append(error)
        repair()
        lefts.append(stored())

    async def await_both() -> None:
        async with aopened(spec) as saver:
            if setting is not None:
                await (await saver.conn.execute(setting)).close()
            first, second = (
                shapes.compiled("loop", each, saver, asynchronous=True) for each in journals
            )
            try:
                await shapes.await_drive(first, config, durability, journals[0])
            except Exception as error:
                mend(error)
                await shapes.await_drive(second, config, durability, journals[1])

    def do_both() -> None:
        with opened(spec) as saver:
            if setting is not None:
                saver.conn.execute(setting).close()
            first, second = (
                shapes.compiled("loop", each, saver, asynchronous=False) for each in journals
            )
            try:
                shapes.drive(first, config, durability, journals[0])
            except Exception as error:
                mend(error)
                shapes.drive(second, config, durability, journals[1])

    with COMPILED.running():
        asyncio.run(await_both()) if asynchronous else do_both()
        COMPILED.check()
    end = stored()
    for journal in journals:
        journal.close()
    return Played(errors[0] if errors else None, read(path), lefts[0] if lefts else end, end)


def undisturbed(asynchronous: bool, durability: str, folder: Path) -> Stored:
    """What a thread that is left alone has stored."""
    path = folder / "whole.journal"
    return play(Sqlite(folder), "whole", asynchronous, durability, path).end


@pytest.fixture
def postgres(cluster: services.Cluster) -> Postgres:
    """A database that nothing else is connected to, so that its server may be stopped."""
    made = Postgres(cluster.uri)
    made.close()
    return made


@MODES
def test_stopped_server(
    cluster: services.Cluster,
    postgres: Postgres,
    tmp_path: Path,
    durability: str,
    asynchronous: bool,
) -> None:
    thread = f"stopped-{asynchronous}-{durability}"
    played = play(
        postgres,
        thread,
        asynchronous,
        durability,
        tmp_path / "journal",
        cluster.stop,
        cluster.start,
    )
    assert isinstance(played.error, psycopg.OperationalError)
    played.check(durability, thread, undisturbed(asynchronous, durability, tmp_path))


@pytest.mark.parametrize("asynchronous", [False, True])
def test_restarted_server_goes_unnoticed(
    cluster: services.Cluster, postgres: Postgres, tmp_path: Path, asynchronous: bool
) -> None:
    def restart() -> None:
        cluster.stop()
        cluster.start()

    thread = f"restarted-{asynchronous}"
    played = play(postgres, thread, asynchronous, "sync", tmp_path / "journal", restart)
    assert played.error is None
    whole = undisturbed(asynchronous, "sync", tmp_path)
    assert rules.when_finished(played.lines, played.end, whole) == []
    starts = [line.label for line in played.lines if line.event == START]
    assert len(starts) == len(set(starts))


@MODES
def test_lock_held_for_too_long(tmp_path: Path, durability: str, asynchronous: bool) -> None:
    database, thread = Sqlite(tmp_path), "locked"
    with contextlib.ExitStack() as stack:

        def lock() -> None:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-S", "-c", LOCKER, database.target(thread)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            assert process.stdin is not None
            assert process.stdout is not None
            stack.callback(process.stdin.close)
            assert process.stdout.readline() == "locked\n"

        setting = "PRAGMA busy_timeout = 100"
        path = tmp_path / "journal"
        played = play(database, thread, asynchronous, durability, path, lock, stack.close, setting)
    assert isinstance(played.error, sqlite3.OperationalError)
    assert "locked" in str(played.error)
    played.check(durability, thread, undisturbed(asynchronous, durability, tmp_path))


@contextmanager
def small_file_system(folder: Path) -> Iterator[None]:
    """A file system of its own at a folder, in memory."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a tmpfs")
@MODES
def test_full_disk(tmp_path: Path, durability: str, asynchronous: bool) -> None:
    folder, thread = tmp_path / "disk", "full"
    filler = folder / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    with small_file_system(folder):
        path = tmp_path / "journal"
        played = play(Sqlite(folder), thread, asynchronous, durability, path, fill, filler.unlink)
        assert isinstance(played.error, sqlite3.OperationalError)
        played.check(durability, thread, undisturbed(asynchronous, durability, tmp_path))


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_full_database(tmp_path: Path, durability: str) -> None:
    database, thread, path = Sqlite(tmp_path), "pages", tmp_path / "journal"
    spec = {"kind": "sqlite", "savers": "ours", "thread": thread}
    config: Any = {"configurable": {"thread_id": thread}, "recursion_limit": 100}
    first, second = Journal(path, 1), Journal(path, 2)
    with COMPILED.running(), opened({**spec, "target": database.target(thread)}) as saver:
        graph = shapes.compiled("loop", first, saver, asynchronous=False)
        saver.conn.execute("PRAGMA max_page_count = 40").close()
        with pytest.raises(sqlite3.OperationalError, match="full") as raised:
            shapes.drive(graph, config, durability, first)
        saver.conn.execute("PRAGMA max_page_count = 4000").close()
        with database.stock(thread) as stock:
            reader = shapes.compiled("loop", second, stock, asynchronous=False)
            left = read_stored(reader, thread, read(path))
        graph = shapes.compiled("loop", second, saver, asynchronous=False)
        shapes.drive(graph, config, durability, second)
    with database.stock(thread) as stock:
        reader = shapes.compiled("loop", second, stock, asynchronous=False)
        end = read_stored(reader, thread, read(path))
    first.close()
    second.close()
    played = Played(raised.value, read(path), left, end)
    played.check(durability, thread, undisturbed(False, durability, tmp_path))
