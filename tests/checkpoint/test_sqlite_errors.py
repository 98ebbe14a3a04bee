"""Databases that are locked, full, read-only or damaged: errors that say so, and nothing lost."""

import ctypes
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from langgraph_cy.checkpoint import SqliteSaver

from ..engines import Engine, chain, environ
from .sqlite_acts import (
    IDS,
    QUESTIONS,
    Act,
    async_doing,
    config,
    play,
    playing,
    rows,
    superstep,
    sync_doing,
)

KINDS = pytest.mark.parametrize("doing", [sync_doing, async_doing], ids=["sync", "async"])
HOLD = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""
WRITE = """
import sys
from langgraph_cy.checkpoint import SqliteSaver
with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(40):
        config = {"configurable": {"thread_id": "other", "checkpoint_ns": ""}}
        checkpoint = {"v": 4, "id": f"{number:04}", "channel_values": {}}
        saver.put_superstep([], config, checkpoint, {"step": number}, {})
"""


@contextmanager
def another_process(code: str, path: str) -> Iterator[subprocess.Popen[str]]:
    """Another interpreter that runs some code, from when it has written its first line."""
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environ(),
        # not the root of the repository, whose uncompiled package would come first
        cwd=tempfile.gettempdir(),
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            assert process.stdout.readline()
            yield process
        finally:
            with suppress(BrokenPipeError):
                process.stdin.close()
            process.wait(30)


def said(error: BaseException) -> str:
    """An error with its notes."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.db")


@KINDS
async def test_locked(doing: Any, path: str) -> None:
    async with doing(path, busy_timeout=0.05) as do:
        await do(superstep(0), superstep(1))
        answers = await do(*QUESTIONS)
        before = rows(path)
        _, put, *_ = superstep(2).arguments
        acts = {
            f"step 2 of thread '1', checkpoint '{IDS[2]}'": superstep(2),
            f"task 't' in thread '1', checkpoint '{IDS[1]}'": Act(
                "put_writes", (put, [("a", 1)], "t")
            ),
            "thread '1'.": Act("delete_thread", ("1",)),
            "thread 'copy'": Act("copy_thread", ("1", "copy")),
            "['run']": Act("delete_for_runs", (["run"],)),
            "thread '1'. ": Act("prune", (["1"],)),
        }
        with another_process(HOLD, path):
            for name, act in acts.items():
                with pytest.raises(sqlite3.OperationalError, match="database is locked") as raised:
                    await do(act)
                assert name in said(raised.value)
                assert "busy_timeout" in said(raised.value)
            # readers don't wait
            assert await do(*QUESTIONS) == answers
        assert rows(path) == before
        await do(superstep(2), Act("put_writes", (put, [("a", 1)], "t")))
    assert [len(table) for table in rows(path)] == [3, 3]


@KINDS
async def test_two_processes_write(doing: Any, path: str) -> None:
    with another_process(WRITE, path) as process:
        assert process.stdin is not None
        async with doing(path, busy_timeout=30) as do:
            await do(superstep(0))
            process.stdin.write("go\n")
            process.stdin.flush()
            for _ in range(20):
                await do(superstep(1, writes=3), superstep(2))
    assert process.returncode == 0
    assert [len(table) for table in rows(path)] == [43, 4]


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount a file system of 512 KiB. Gives False where this process may not."""
    libc = ctypes.CDLL(None, use_errno=True)
    mounted = (
        sys.platform == "linux"
        and libc.mount(b"none", os.fsencode(folder), b"tmpfs", 0, b"size=512k") == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            assert libc.umount2(os.fsencode(folder), 0) == 0


def fill(file: Path) -> None:
    """Write a file that takes what is left of the disk."""
    disk = os.statvfs(file.parent)
    file.write_bytes(b"x" * (disk.f_bavail * disk.f_frsize))


@KINDS
@pytest.mark.parametrize("disk", [True, False], ids=["disk", "pages"])
async def test_full(doing: Any, disk: bool, tmp_path: Path) -> None:
    """The disk is, or what `max_page_count` permits, where no disk can be mounted."""
    path, filler = str(tmp_path / "checkpoints.db"), tmp_path / "filler"
    with small_disk(tmp_path) if disk else nullcontext(False) as mounted:
        async with doing(path) as do:
            await do(superstep(0), superstep(1))
            if mounted:
                fill(filler)
            else:
                await do.execute("PRAGMA max_page_count = 1")
            with pytest.raises(sqlite3.OperationalError, match="is full") as raised:
                await do(superstep(2, writes=3, size=300_000))
            assert f"step 2 of thread '1', checkpoint '{IDS[2]}'" in said(raised.value)
            assert "Free space" in said(raised.value)
            if mounted:
                filler.unlink()
            else:
                await do.execute("PRAGMA max_page_count = 100000")
            assert [len(table) for table in rows(path)] == [2, 1]
            await do(superstep(2, writes=3))
        assert [len(table) for table in rows(path)] == [3, 4]


async def test_read_only(path: str) -> None:
    playing(path, [superstep(0), superstep(1)])
    answers = playing(path, QUESTIONS)
    with closing(
        sqlite3.connect(f"{Path(path).as_uri()}?mode=ro", uri=True, check_same_thread=False)
    ) as conn:
        saver = SqliteSaver(conn)
        with pytest.raises(sqlite3.OperationalError, match="readonly") as raised:
            play(saver, [superstep(2)])
        assert f"step 2 of thread '1', checkpoint '{IDS[2]}'" in said(raised.value)
        assert "permissions" in said(raised.value)
        assert play(saver, QUESTIONS) == answers
    assert [len(table) for table in rows(path)] == [2, 1]


@KINDS
async def test_damaged(doing: Any, path: str) -> None:
    playing(path, [superstep(n, size=20_000) for n in range(5)])
    good = Path(path).read_bytes()
    for start, text, advice in ((4096, "malformed", "recover"), (0, "not a database", "backup")):
        Path(path).write_bytes(good[:start] + b"\xa5" * (len(good) - start))
        with pytest.raises(sqlite3.DatabaseError, match=text) as raised:
            async with doing(path) as do:
                await do(Act("get_tuple", (config(),)))
        assert advice in said(raised.value)
        with pytest.raises(sqlite3.DatabaseError, match=text) as raised:
            async with doing(path) as do:
                await do(Act("list", (config(),)))
        assert advice in said(raised.value)
    Path(path).write_bytes(good)
    async with doing(path) as do:
        assert len((await do(Act("list", (config(),))))[0]) == 5


def test_no_such_folder(path: str) -> None:
    name = f"{path}/no/where"
    with (
        pytest.raises(sqlite3.OperationalError, match="unable to open") as raised,
        SqliteSaver.from_conn_string(name),
    ):
        raise AssertionError("it has been opened")
    assert name in said(raised.value)
    assert "Look at the path" in said(raised.value)


def test_a_run_goes_on_from_what_is_stored(engine: Engine, path: str) -> None:
    """A lock that is held when a superstep's checkpoint is to be stored ends the run."""
    started: list[Any] = []

    def first(state: Any) -> Any:
        return {"n": state["n"] + 1}

    def second(state: Any) -> Any:
        if not started:
            started.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
            started[0].execute("BEGIN IMMEDIATE")
        return {"n": state["n"] + 10}

    with SqliteSaver.from_conn_string(path, busy_timeout=0.05) as saver:
        graph = chain(first, second)
        graph.checkpointer = saver
        thread: Any = {"configurable": {"thread_id": "1"}}
        with pytest.raises(sqlite3.OperationalError, match="locked") as raised:
            graph.invoke({"n": 0}, thread, durability="sync")
        assert "thread '1'" in said(raised.value)
        assert graph.get_state(thread).values == {"n": 1}
        assert graph.get_state(thread).next == ("node1",)
        started[0].close()
        assert graph.invoke(None, thread, durability="sync") == {"n": 11}
        assert [state.values for state in graph.get_state_history(thread)][:2] == [
            {"n": 11},
            {"n": 1},
        ]
    assert len(rows(path)[0]) == 4
