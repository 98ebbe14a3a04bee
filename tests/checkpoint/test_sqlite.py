"""The SQLite savers against stock's: the same calls store and give the same."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiosqlite
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.base import WRITES_IDX_MAP
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint import AsyncSqliteSaver, OrjsonSerializer, SqliteSaver
from langgraph_cy.checkpoint import sqlite_database as database

from .sqlite_acts import (
    IDS,
    QUESTIONS,
    Act,
    Player,
    acts,
    aplaying,
    checkpoint,
    config,
    play,
    playing,
    rows,
    stock_aplaying,
    stock_playing,
    superstep,
)

PAIRS = [(playing, stock_playing), (aplaying, stock_aplaying)]
PLAYERS = [playing, aplaying, stock_playing, stock_aplaying]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.db")


@pytest.mark.parametrize("pair", PAIRS, ids=["sync", "async"])
@settings(max_examples=60, deadline=None)
@given(acts=acts)
def test_the_same_calls_give_the_same(pair: tuple[Player, Player], acts: list[Act]) -> None:
    ours, stock = pair
    with TemporaryDirectory() as folder:
        calls = [*acts, *QUESTIONS]
        expected = stock(f"{folder}/stock", calls)
        assert ours(f"{folder}/ours", calls) == expected
        answers = stock(f"{folder}/stock", QUESTIONS)
        assert stock(f"{folder}/ours", QUESTIONS) == answers
        assert ours(f"{folder}/stock", QUESTIONS) == answers


@pytest.mark.parametrize("ours", [playing, aplaying], ids=["sync", "async"])
@settings(max_examples=15, deadline=None)
@given(acts=acts)
def test_in_memory_as_in_a_file(ours: Player, acts: list[Act]) -> None:
    with TemporaryDirectory() as folder:
        calls = [*acts, *QUESTIONS]
        assert ours(":memory:", calls) == ours(f"{folder}/ours", calls)


@settings(max_examples=20, deadline=None)
@given(turns=st.lists(st.tuples(st.sampled_from(PLAYERS), acts), min_size=2, max_size=5))
def test_savers_in_turn_on_one_file(turns: list[tuple[Player, list[Act]]]) -> None:
    with TemporaryDirectory() as folder:
        for player, acts in turns:
            player(f"{folder}/shared", acts)
            stock_playing(f"{folder}/stock", acts)
            expected = stock_playing(f"{folder}/stock", QUESTIONS)
            assert player(f"{folder}/shared", QUESTIONS) == expected


@settings(max_examples=30, deadline=None)
@given(acts=acts)
def test_same_serializer_same_rows(acts: list[Act]) -> None:
    acts = [act for act in acts if act.method not in ("list", "get_tuple")]
    with TemporaryDirectory() as folder:
        with SqliteSaver.from_conn_string(
            f"{folder}/ours", serde=JsonPlusSerializer(), synchronous="OFF"
        ) as saver:
            saver.setup()
            play(saver, acts)
        stock_playing(f"{folder}/stock", acts)
        assert rows(f"{folder}/ours") == rows(f"{folder}/stock")


def test_default_serializer_and_settings(path: str) -> None:
    with SqliteSaver.from_conn_string(path) as saver, sqlite3.connect(":memory:") as conn:
        saver.setup()
        assert type(saver.serde) is OrjsonSerializer
        (found,) = saver.conn.execute("PRAGMA synchronous").fetchone()
        assert (found,) == conn.execute("PRAGMA synchronous").fetchone() == (2,)
        assert saver.conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert saver.conn.execute("PRAGMA busy_timeout").fetchone() == (5000,)
        (pages,) = saver.conn.execute("PRAGMA wal_autocheckpoint").fetchone()
        assert pages == database.LOG_PAGES > database.DEFAULT_LOG_PAGES
    conn.close()


async def test_settings_that_are_given(path: str) -> None:
    serde = JsonPlusSerializer()
    given: Any = {"serde": serde, "synchronous": "NORMAL", "busy_timeout": 0.25}
    with SqliteSaver.from_conn_string(path, **given) as saver:
        saver.setup()
        assert saver.serde is serde
        assert saver.conn.execute("PRAGMA synchronous").fetchone() == (1,)
        assert saver.conn.execute("PRAGMA busy_timeout").fetchone() == (250,)
    async with AsyncSqliteSaver.from_conn_string(path, **given) as asaver:
        await asaver.setup()
        assert asaver.serde is serde
        for pragma, value in (("synchronous", 1), ("busy_timeout", 250)):
            async with asaver.conn.execute(f"PRAGMA {pragma}") as cur:
                assert await cur.fetchone() == (value,)


class Unserializable:
    def __reduce__(self) -> Any:
        raise TypeError("not this one")


@pytest.mark.parametrize("play", [playing, aplaying], ids=["sync", "async"])
def test_a_superstep_is_stored_whole_or_not_at_all(path: str, play: Player) -> None:
    play(path, [superstep(0), superstep(1)])
    before = rows(path)
    tasks, *put = superstep(2).arguments
    with pytest.raises(TypeError):
        play(
            path, [Act("put_superstep", ([*tasks, (put[0], [("a", Unserializable())], "u")], *put))]
        )
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON checkpoints"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        with pytest.raises(sqlite3.IntegrityError, match="refused"):
            play(path, [superstep(2)])
        assert rows(path) == before
        conn.execute("DROP TRIGGER refuse")
    play(path, [superstep(2)])
    assert [len(table) for table in rows(path)] == [3, 2]


class TestConnectionOfTheUser:
    """What its owner has set or begun on a connection that is given to the constructor."""

    @pytest.fixture(params=["file", "memory"])
    def conn(self, request: pytest.FixtureRequest, path: str) -> Iterator[sqlite3.Connection]:
        name = path if request.param == "file" else ":memory:"
        with closing(sqlite3.connect(name, check_same_thread=False)) as conn:
            yield conn

    @pytest.fixture
    def saver(self, conn: sqlite3.Connection) -> SqliteSaver:
        saver = SqliteSaver(conn)
        saver.setup()
        conn.execute("CREATE TABLE mine (value)")
        return saver

    def test_open_transaction_is_committed_with_a_put(self, saver: Any, conn: Any) -> None:
        conn.execute("INSERT INTO mine VALUES (1)")
        assert conn.in_transaction
        play(saver, [superstep(0)])
        assert not conn.in_transaction
        conn.rollback()
        assert conn.execute("SELECT * FROM mine").fetchall() == [(1,)]
        assert len(list(saver.list(None))) == 1

    def test_open_transaction_is_as_it_was_after_a_failure(self, saver: Any, conn: Any) -> None:
        play(saver, [superstep(0)])
        conn.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON checkpoints"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
        conn.execute("INSERT INTO mine VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError):
            play(saver, [superstep(1)])
        assert conn.in_transaction
        conn.commit()
        assert conn.execute("SELECT * FROM mine").fetchall() == [(1,)]
        (stored,) = saver.list(None)
        assert stored.pending_writes == []

    def test_what_is_not_committed_is_read(self, saver: Any, conn: Any) -> None:
        play(saver, [superstep(0), superstep(1)])
        conn.execute("DELETE FROM checkpoints WHERE checkpoint_id = ?", (IDS[1],))
        assert saver.get_tuple(config()).checkpoint["id"] == IDS[0]
        assert [each.checkpoint["id"] for each in saver.list(None)] == [IDS[0]]
        conn.rollback()
        assert [each.checkpoint["id"] for each in saver.list(None)] == [IDS[1], IDS[0]]

    def test_row_factory_and_isolation_level(self, saver: Any, conn: Any) -> None:
        play(saver, [superstep(0)])
        expected = play(saver, QUESTIONS)
        conn.row_factory = lambda cursor, row: {"row": row}
        conn.isolation_level = None
        assert play(saver, QUESTIONS) == expected
        play(saver, [superstep(1)])
        assert saver.size("1") > 0
        saver.prune(["1"])
        assert len(list(saver.list(None))) == 1
        saver.delete_for_runs(["r"])

    def test_closed(self, saver: Any, conn: Any) -> None:
        conn.close()
        for act in (Act("list", (None,)), Act("get_tuple", (config(),)), superstep(0)):
            with pytest.raises(sqlite3.ProgrammingError, match="closed"):
                play(saver, [act])

    def test_nothing_stays_open(self, saver: Any, conn: Any, path: str) -> None:
        play(saver, [superstep(n) for n in range(5)])
        unfinished = saver.list(None)
        next(unfinished)
        unfinished.close()
        list(saver.list(None))
        conn.close()
        # the last connection that is closed takes the log away
        assert not Path(f"{path}-wal").exists()


def test_locking_mode_exclusive(path: str) -> None:
    """Nobody else can open such a database."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA locking_mode = EXCLUSIVE")
        saver = SqliteSaver(conn, busy_timeout=0)
        play(saver, [superstep(n) for n in range(3)])
        assert len(list(saver.list(None))) == 3


def test_file_that_can_not_be_opened_again(path: str) -> None:
    with SqliteSaver.from_conn_string(path) as saver:
        play(saver, [superstep(n) for n in range(3)])
        Path(path).unlink()
        assert len(list(saver.list(None))) == 3
        assert not Path(path).exists()


@pytest.mark.parametrize("name", ["with space", "100%#?.db", "né&=;"])
def test_name_of_the_file(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    with SqliteSaver.from_conn_string(path) as saver:
        play(saver, [superstep(n) for n in range(3)])
        assert saver._reading.uri is not None
        assert len(list(saver.list(None))) == 3
    assert [each.name for each in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("play", [playing, aplaying], ids=["sync", "async"])
def test_database_from_before_the_task_path(path: str, play: Player) -> None:
    """It is migrated, or where it is read-only, read as it is."""
    stock_playing(path, [superstep(n) for n in range(3)])
    expected = stock_playing(path, QUESTIONS)
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("ALTER TABLE writes DROP COLUMN task_path")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        saver = SqliteSaver(conn)
        # the first call of a saver, before it knows
        assert len(list(saver.list(None))) == 3
        assert saver.get_tuple(config(id=IDS[1])).pending_writes == [("task0", "a", 0)]
        assert saver.get_delta_channel_history(config=config(id=IDS[2]), channels=["a"])
    assert play(path, QUESTIONS) == expected


def test_long_history_in_batches(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches that end by their number of rows, and by their size."""
    count = 2 * database.BATCH_ROWS + 50
    before = config()
    with SqliteSaver.from_conn_string(path, synchronous="OFF") as saver:
        for n in range(count):
            saver.put_writes(
                {**before, "configurable": {**before["configurable"], "checkpoint_id": f"{n:09}"}},
                [("a", n)],
                "t",
            )
            saver.put(before, checkpoint(f"{n:09}", a="x" * 100), {"step": n}, {})
        queries: list[str] = []
        connect = database.Reading.connect

        def traced(reading: database.Reading) -> Any:
            reader = connect(reading)
            assert reader is not None
            reader.set_trace_callback(queries.append)
            return reader

        monkeypatch.setattr(database.Reading, "connect", traced)
        for most in (database.BATCH_BYTES, 1000):
            monkeypatch.setattr(database, "BATCH_BYTES", most)
            queries.clear()
            found = list(saver.list(None))
            assert [each.metadata["step"] for each in found] == list(reversed(range(count)))
            assert [each.pending_writes for each in found] == [
                [("t", "a", n)] for n in reversed(range(count))
            ]
            assert len(queries) < count / 2
        # as lazy as a caller who looks at the newest only
        queries.clear()
        iterator = saver.list(None)
        assert queries == []
        next(iterator)
        assert len([query for query in queries if "FROM checkpoints" in query]) == 1
        assert len([query for query in queries if "writes" in query]) == 1
        iterator.close()


def test_special_writes_replace_others_do_not() -> None:
    """As stock: only where all writes of a call are special ones do they replace earlier ones."""
    special = [(channel, 1) for channel in WRITES_IDX_MAP]
    again = [(channel, 2) for channel in WRITES_IDX_MAP]
    mixed = [*((channel, 3) for channel in WRITES_IDX_MAP), ("a", 3)]
    calls = [
        Act("put_writes", (config(id=IDS[0]), writes, "t"))
        for writes in (special, again, [("a", 1)], [("a", 2)], mixed)
    ]
    put = Act("put", (config(), checkpoint(IDS[0]), {}, {}))
    asked = Act("get_tuple", (config(),))
    found = playing(":memory:", [*calls, put, asked])
    assert found == stock_playing(":memory:", [*calls, put, asked])
    stored = found[-1]
    assert [value for _, _, value in stored.pending_writes] == [2, 2, 2, 2, 1, 3]


def test_allowlist_keeps_the_saver(path: str) -> None:
    with SqliteSaver.from_conn_string(path) as saver:
        clone: Any = saver.with_allowlist([("some.module", "Name")])
        assert type(clone) is SqliteSaver
        play(clone, [superstep(0)])
        assert play(saver, QUESTIONS) == play(clone, QUESTIONS)


async def test_connection_that_is_not_yet_awaited(path: str) -> None:
    conn = aiosqlite.connect(path)
    saver = AsyncSqliteSaver(conn)
    assert await saver.aget_tuple(config()) is None
    await conn.close()
    with pytest.raises(ValueError, match=r"[Cc]onnection"):
        await saver.aget_tuple(config())


async def test_one_turn_of_the_thread(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is one turn; `alist` one for each batch, and one to close what it reads from."""
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.aput(config(), checkpoint(IDS[0]), {}, {})
        turns = []
        execute = aiosqlite.Connection._execute

        async def counted(self: Any, function: Any, *arguments: Any, **keywords: Any) -> Any:
            turns.append(function)
            return await execute(self, function, *arguments, **keywords)

        monkeypatch.setattr(aiosqlite.Connection, "_execute", counted)
        tasks, *put = superstep(1).arguments
        calls: list[Any] = [
            saver.aput_superstep(tasks, *put),
            saver.aput(*put),
            saver.aput_writes(*tasks[0]),
            saver.aget_tuple(config()),
            saver.aget_delta_channel_history(config=config(), channels=["a"]),
            saver.asize("1"),
            saver.adelete_thread("2"),
            saver.acopy_thread("1", "2"),
            saver.adelete_for_runs(["r"]),
        ]
        for call in calls:
            turns.clear()
            await call
            assert len(turns) == 1
        turns.clear()
        assert len([each async for each in saver.alist(None)]) == 4
        assert len(turns) <= 5


async def test_values_are_taken_at_the_call(path: str) -> None:
    """What is changed after the call, before it had its turn, does not get stored."""
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        await saver.setup()
        value = [1]
        async with saver.lock:
            task = asyncio.create_task(saver.aput(config(), checkpoint(IDS[0], a=value), {}, {}))
            await asyncio.sleep(0)
            value.append(2)
        await task
        stored = await saver.aget_tuple(config())
        assert stored is not None
        assert stored.checkpoint["channel_values"] == {"a": [1]}


async def test_methods_that_wait_are_for_other_threads(path: str) -> None:
    async with AsyncSqliteSaver.from_conn_string(path) as saver:
        calls: list[Any] = [
            lambda: saver.put_superstep(*superstep(0).arguments),
            lambda: saver.copy_thread("1", "2"),
            lambda: saver.size("2"),
            lambda: list(saver.list(None)),
            lambda: saver.get_tuple(config()),
            lambda: saver.prune(["1"], strategy="delete"),
            lambda: saver.delete_for_runs(["r"]),
        ]
        for call in calls:
            with pytest.raises(asyncio.InvalidStateError):
                call()
            await asyncio.to_thread(call)
