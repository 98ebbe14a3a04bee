"""Readers and writers at the same time, calls that are cancelled, iterators left unfinished."""

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from langgraph_cy.checkpoint import AsyncSqliteSaver, SqliteSaver

from .sqlite_acts import IDS, QUESTIONS, aplay, checkpoint, config, play, rows, superstep


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.db")


def stored(saver: Any) -> list[str]:
    return [each.checkpoint["id"] for each in saver.list(config())]


@pytest.mark.parametrize("name", ["file", ":memory:"])
def test_list_does_not_keep_others_from_writing(name: str, path: str) -> None:
    """Nor does it show what they write meanwhile."""
    with SqliteSaver.from_conn_string(path if name == "file" else name) as saver:
        play(saver, [superstep(n) for n in range(3)])
        iterator = saver.list(config())
        found = [next(iterator)]
        play(saver, [superstep(3)])
        writer = threading.Thread(target=play, args=(saver, [superstep(4)]))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        found += iterator
        assert [each.checkpoint["id"] for each in found] == list(reversed(IDS[:3]))
        assert stored(saver) == list(reversed(IDS))


def test_reading_while_a_write_is_under_way(path: str) -> None:
    """The saver's lock is held: by a put that waits for the disk, or for another process."""
    with SqliteSaver.from_conn_string(path) as saver:
        play(saver, [superstep(n) for n in range(3)])
        expected = play(saver, QUESTIONS)
        with saver.cursor() as writing:
            writing.execute("DELETE FROM checkpoints")
            assert play(saver, QUESTIONS) == expected
            assert saver.get_delta_channel_history(config=config(), channels=["a"])["a"] == {
                "writes": [("task0", "a", 0)],
                "seed": 1,
            }
        assert stored(saver) == []


def test_cursor_undoes_what_fails(path: str) -> None:
    with SqliteSaver.from_conn_string(path) as saver:
        play(saver, [superstep(0)])
        with pytest.raises(sqlite3.OperationalError), saver.cursor() as cur:
            cur.execute("DELETE FROM checkpoints").execute("nonsense")
        assert stored(saver) == [IDS[0]]
        with saver.cursor(transaction=False) as cur:
            assert cur.execute("SELECT COUNT(*) FROM checkpoints").fetchone() == (1,)


@pytest.mark.parametrize("name", ["file", ":memory:"])
def test_threads(name: str, path: str) -> None:
    """Some write, some read; every history that is seen is one that has been."""
    count, writers = 30, 3
    errors: list[BaseException] = []

    def write(thread: str) -> None:
        before = config(thread)
        for n in range(count):
            tasks = [(before, [("a", n)], f"task{m}", "") for m in range(2)] if n else []
            metadata: Any = {"step": n}
            before = saver.put_superstep(tasks, before, checkpoint(f"{n:04}"), metadata, {})

    def read(thread: str) -> None:
        seen = 0
        while seen < count:
            latest = saver.get_tuple(config(thread))
            history = list(saver.list(config(thread)))
            steps = [each.metadata["step"] for each in history]
            assert steps == list(reversed(range(len(steps))))
            # a superstep's writes are there exactly when the checkpoint after them is
            assert [len(each.pending_writes or ()) for each in history[1:]] == [2] * (
                max(len(steps) - 1, 0)
            )
            assert not history or history[0].pending_writes == []
            assert len(steps) >= seen
            assert latest is None or latest.metadata["step"] < len(steps)
            seen = len(steps)

    def noting(function: Any, thread: str) -> None:
        try:
            function(thread)
        except BaseException as error:
            errors.append(error)
            raise

    with SqliteSaver.from_conn_string(path if name == "file" else name, synchronous="OFF") as saver:
        threads = [
            threading.Thread(target=noting, args=(function, f"t{n}"))
            for n in range(writers)
            for function in (write, read)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not errors
        assert len(list(saver.list(None))) == writers * count


@pytest.mark.parametrize("name", ["file", ":memory:"])
async def test_alist_does_not_keep_others_from_writing(name: str, path: str) -> None:
    async with AsyncSqliteSaver.from_conn_string(path if name == "file" else name) as saver:
        await aplay(saver, [superstep(n) for n in range(3)])
        found = []
        async for each in saver.alist(config()):
            if not found:
                await aplay(saver, [superstep(3)])
                await asyncio.to_thread(play, saver, [superstep(4)])
            found.append(each.checkpoint["id"])
        assert found == list(reversed(IDS[:3]))
        assert [each.checkpoint["id"] async for each in saver.alist(None)] == list(reversed(IDS))
        assert await asyncio.to_thread(stored, saver) == list(reversed(IDS))


async def test_a_cancelled_call_has_stored_all_or_nothing(path: str) -> None:
    async with AsyncSqliteSaver.from_conn_string(path, synchronous="OFF") as saver:
        await saver.setup()
        for number in range(20):
            before = config(str(number), "", "before")
            tasks = [(before, [("a", n)], f"task{n}", "") for n in range(20)]
            metadata: Any = {"step": number}
            call = saver.aput_superstep(tasks, before, checkpoint("after"), metadata, {})
            task = asyncio.create_task(call)
            for _ in range(number % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert await saver.aget_tuple(config("none")) is None
    checkpoints, writes = rows(path)
    whole = {row[0] for row in checkpoints}
    assert sorted(row[0] for row in writes) == sorted(20 * list(whole))


async def test_iterators_that_are_left(path: str) -> None:
    """What they have open is closed: in time, or with the saver, or after it."""
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await aplay(saver, [superstep(n) for n in range(4)])
        async for _ in saver.alist(None):
            break
        iterators = [saver.alist(None) for _ in range(3)]
        for each in iterators:
            await anext_of(each)
        await iterators[0].aclose()
        reading = asyncio.create_task(anext_of(saver.alist(None)))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        await aplay(saver, [superstep(4)])
    await iterators[1].aclose()
    del iterators, each
    assert len(rows(path)[0]) == 5


async def anext_of(iterator: Any) -> Any:
    return await iterator.__anext__()
