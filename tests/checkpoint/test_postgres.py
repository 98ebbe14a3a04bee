"""PostgreSQL savers against stock's on the same server: results, tables, errors."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from enum import Enum
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.postgres import PostgresSaver as StockPostgresSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import TASKS, _DeltaSnapshot
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_dumps
from psycopg_pool import ConnectionPool

from langgraph_cy.checkpoint import AsyncPostgresSaver, OrjsonSerializer, PostgresSaver
from langgraph_cy.checkpoint import postgres_statements as statements

from .postgres_acts import (
    IDS,
    KINDS,
    QUESTIONS,
    VERSIONS,
    Act,
    acts,
    aopened,
    aplaying,
    checkpoint,
    config,
    emptied,
    opened,
    play,
    playing,
    set_up,
    stored,
)
from .postgres_server import Databases

# The server is what takes the time, and it is not ours.
generated = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SYNC = [(playing, kind) for kind in KINDS]
ASYNC = [(aplaying, kind) for kind in KINDS]
PLAYERS = pytest.mark.parametrize(
    ("player", "kind"),
    SYNC + ASYNC,
    ids=[f"sync-{k}" for k in KINDS] + [f"async-{k}" for k in KINDS],
)


@pytest.fixture
def pair(postgres_databases: Databases) -> tuple[str, str]:
    """Databases for stock and for ours."""
    return set_up(postgres_databases.make()), set_up(postgres_databases.make())


@pytest.fixture
def database(postgres_database: str) -> str:
    return set_up(postgres_database)


def notes(error: BaseException) -> str:
    """What was added to an error."""
    return "".join(getattr(error, "__notes__", map(str, error.args)))


# ---- equal to stock ----


@PLAYERS
def test_same_results_and_same_tables(player: Any, kind: str, pair: tuple[str, str]) -> None:
    theirs, ours = pair

    @generated
    @given(acts)
    def check(acts: list[Act]) -> None:
        emptied(theirs)
        emptied(ours)
        serde = JsonPlusSerializer()  # so that the stored bytes can be compared
        results = [
            player(stock, kind, database, [*acts, *QUESTIONS], serde)
            for stock, database in ((True, theirs), (False, ours))
        ]
        assert results[0] == results[1]
        assert stored(theirs) == stored(ours)

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_stock_and_ours_in_turn(kind: str, pair: tuple[str, str]) -> None:
    theirs, ours = pair

    @generated
    @given(acts)
    def check(acts: list[Act]) -> None:
        emptied(theirs)
        emptied(ours)
        expected = playing(True, "connection", theirs, [*acts, *QUESTIONS], None)
        found = []
        with opened(True, kind, ours) as stock, opened(False, kind, ours) as saver:
            for number, act in enumerate(acts):
                found += play(saver if number % 2 else stock, [act])
            both = play(stock, QUESTIONS), play(saver, QUESTIONS)
        assert both[0] == both[1]
        assert found + both[0] == expected

    check()


def test_set_up_by_either(postgres_databases: Databases) -> None:
    layouts = []
    for made in (StockPostgresSaver, PostgresSaver):
        database = postgres_databases.make()
        with made.from_conn_string(database) as saver:
            saver.setup()
            saver.setup()
        with psycopg.connect(database) as connection:
            columns = connection.execute(
                "SELECT table_name, column_name, data_type, column_default, is_nullable"
                " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
            ).fetchall()
            migrations = connection.execute(
                "SELECT v FROM checkpoint_migrations ORDER BY 1"
            ).fetchall()
        layouts.append((columns, migrations))
    assert layouts[0] == layouts[1]
    assert layouts[0][0]


@pytest.mark.parametrize("count", [statements.FEW, statements.FEW + 1, 300])
def test_many_writes_and_values(count: int, pair: tuple[str, str]) -> None:
    names = [f"c{number}" for number in range(count)]
    where = config("1", "", IDS[0])
    tasks = [(where, [(name, [name])], f"task-{name}", f"~{name}") for name in names]
    put = checkpoint(IDS[1], **{name: [name] for name in names})
    act = Act("put_superstep", (tasks, where, put, {}, put["channel_versions"]))
    for stock, database in ((True, pair[0]), (False, pair[1])):
        playing(stock, "connection", database, [act], JsonPlusSerializer())
    assert stored(pair[0]) == stored(pair[1])
    assert len(stored(pair[1])["checkpoint_writes"]) == count


def test_sends_of_old_checkpoints(pair: tuple[str, str]) -> None:
    acts = []
    for thread in ("1", "2"):
        where = config(thread, "", IDS[0])
        acts += [
            Act("put", (config(thread), checkpoint(IDS[0], v=3), {}, {})),
            Act("put_writes", (where, [(TASKS, "send-1"), (TASKS, "send-2")], "task-1")),
            Act("put_writes", (where, [(TASKS, "send-3")], "task-2")),
            Act("put", (where, checkpoint(IDS[1], v=3, a=[1]), {}, {"a": VERSIONS[0]})),
        ]
    questions = [
        Act(method, (config(thread, *rest),))
        for thread in ("1", "2")
        for method, rest in (("list", ()), ("get_tuple", ()), ("get_tuple", ("", IDS[0])))
    ]
    found = [
        player(stock, "connection", database, [*acts, *questions], None)
        for player in (playing, aplaying)
        for stock, database in ((True, pair[0]), (False, pair[1]))
    ]
    assert found[0] == found[1] == found[2] == found[3]
    newest = found[0][len(acts)][0].checkpoint
    assert newest["channel_values"] == {"a": [1], TASKS: ["send-1", "send-2", "send-3"]}


def test_delta_history_is_stocks(pair: tuple[str, str]) -> None:
    acts = []
    for number, id in enumerate(IDS):
        parent = config("1", "", IDS[number - 1] if number else None)
        held = {"d": _DeltaSnapshot([0])} if number == 0 else {}
        put = checkpoint(id, VERSIONS[0], **held)
        acts += [
            Act("put", (parent, put, {}, put["channel_versions"])),
            Act("put_writes", (config("1", "", id), [("d", number)], "t", "~1")),
        ]
    histories = []
    for stock, database in ((True, pair[0]), (False, pair[1])):
        with opened(stock, "connection", database) as saver:
            play(saver, acts)
            histories.append(
                saver.get_delta_channel_history(config=config("1"), channels=["d", "e"])
            )
    assert histories[0] == histories[1]
    assert [write[2] for write in histories[1]["d"]["writes"]] == [0, 1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_pages_of_a_long_list(kind: str, database: str) -> None:
    count = 2 * statements.PAGE + 1
    ids = [f"{number:05}" for number in range(count)]
    with opened(False, kind, database) as saver, opened(True, "connection", database) as stock:
        for id in ids:
            put = checkpoint(id, id, a=[id])
            saver.put(config("1"), put, {}, put["channel_versions"])
        assert list(saver.list(config("1"))) == list(stock.list(config("1")))

    async def listed() -> list[Any]:
        async with aopened(False, kind, database) as saver:
            return [
                found.config["configurable"]["checkpoint_id"] async for found in saver.alist(None)
            ]

    assert asyncio.run(listed()) == ids[::-1]


# ---- documents ----


class Colour(Enum):
    RED = "red"


class Name(str, Enum):
    ANN = "ann"


documents = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=4),
        st.sampled_from(
            [2**63, -(2**63) - 1, 1e16, 1e22, 5e-324, 0.1, -0.0, "\0", "\ud800", "é", "\x7f"]
        ),
        st.sampled_from(
            [uuid.UUID(int=1), Colour.RED, Name.ANN, b"x", {1, 2}, HumanMessage("x", id="1")]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.tuples(inner),
        st.dictionaries(
            st.one_of(st.text(max_size=2), st.integers(), st.none()), inner, max_size=2
        ),
    ),
    max_leaves=4,
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents)
def test_documents_are_stored_as_by_psycopg(postgres_server: str, document: Any) -> None:
    def answer(parameter: Any) -> Any:
        try:
            return connection.execute("SELECT %s::text", (parameter,)).fetchone()
        except Exception as error:
            return type(error)

    with psycopg.connect(postgres_server, autocommit=True) as connection:
        statements.adapt(connection)
        assert answer(statements.Document(document)) == answer(Jsonb(document))


def test_an_applications_own_dumps_is_used(database: str) -> None:
    with psycopg.connect(database, autocommit=True, row_factory=dict_row) as connection:
        set_json_dumps(lambda value: json.dumps(value, default=str), connection)
        saver = PostgresSaver(connection)
        put = checkpoint(IDS[0])
        saver.put(config(), put, {"odd": uuid.UUID(int=7)}, {})  # type: ignore[typeddict-unknown-key]
        found = saver.get_tuple(config())
    assert found is not None
    assert found.metadata["odd"] == str(uuid.UUID(int=7))  # type: ignore[typeddict-item]


def test_channels_with_a_backslash(database: str) -> None:
    tasks, where, put, metadata, versions = superstep(channel="a\\b")
    with opened(False, "connection", database) as saver:
        saver.put_superstep(tasks, where, put, metadata, versions)
        saver.put(config("1"), checkpoint(IDS[0]), {}, {})
        assert ("t2", "a\\b", [3]) in saver.get_tuple(where).pending_writes
    with opened(True, "connection", database) as stock:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            stock.get_tuple(where)


def test_thread_ids_that_are_no_strings(pair: tuple[str, str]) -> None:
    for stock, database in ((True, pair[0]), (False, pair[1])):
        for thread in (7, uuid.UUID(int=7)):
            where = config(thread, "", IDS[0])
            put = checkpoint(IDS[1], a=[1])
            act = Act(
                "put_superstep",
                ([(where, [("a", 1)], "t", "")], where, put, {}, put["channel_versions"]),
            )
            playing(stock, "connection", database, [act], JsonPlusSerializer())
    assert stored(pair[0]) == stored(pair[1])


# ---- all or nothing ----

REFUSED = "x\0y"  # PostgreSQL keeps no such character in text or JSON


def superstep(value: Any = 1, channel: str = "a") -> tuple[Any, ...]:
    where = config("1", "", IDS[0])
    tasks = [(where, [("a", 1), ("b", [2])], "t1", ""), (where, [(channel, [3])], "t2", "")]
    put = checkpoint(IDS[1], good=[1], inline=value)
    return tasks, where, put, {}, put["channel_versions"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("arguments", [superstep(REFUSED), superstep(channel=REFUSED)])
def test_nothing_of_a_refused_superstep_is_there(
    kind: str, arguments: tuple[Any, ...], database: str
) -> None:
    async def asynchronous() -> None:
        async with aopened(False, kind, database) as saver:
            with pytest.raises(psycopg.DataError):
                await saver.aput_superstep(*arguments)
            assert not any(stored(database).values())
            await saver.aput_superstep(*superstep())

    with opened(False, kind, database) as saver:
        with pytest.raises(psycopg.DataError) as raised:
            saver.put_superstep(*arguments)
        assert f"checkpoint '{IDS[1]}'" in "".join(
            getattr(raised.value, "__notes__", raised.value.args)
        )
        assert not any(stored(database).values())
        saver.put_superstep(*superstep())  # the connection is as good as before
    assert all(stored(database).values())
    emptied(database)
    asyncio.run(asynchronous())
    assert all(stored(database).values())


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_a_value_that_cannot_be_encoded_is_there(kind: str, database: str) -> None:
    tasks, where, put, metadata, versions = superstep()
    tasks[1] = (where, [("c", 1), ("a", threading.Lock())], "t2", "")
    with opened(False, kind, database) as saver:
        with pytest.raises(TypeError):
            saver.put_superstep(tasks, where, put, metadata, versions)
        with pytest.raises(TypeError):
            saver.put_writes(*tasks[1])
    assert not any(stored(database).values())


def test_what_is_dumped_is_stored_as_it_was(database: str) -> None:
    value = [1]
    tasks, where, put, metadata, versions = superstep()
    with opened(False, "connection", database) as saver:
        dumped = saver.dumped_writes(where, [("a", value)], "t3", "~3")
        value.append(2)
        saver.put_superstep([*tasks, dumped], where, put, metadata, versions)
        saver.put(config("1"), checkpoint(IDS[0]), {}, {})
        found = saver.get_tuple(where)
    assert ("t3", "a", [1]) in found.pending_writes


# ---- connections ----


def test_what_a_saver_is_made_of(database: str) -> None:
    with pytest.raises(ValueError, match="pipeline or pool_size"):
        with PostgresSaver.from_conn_string(database, pipeline=True, pool_size=2):
            pass
    with PostgresSaver.from_conn_string(database) as saver:
        assert isinstance(saver.serde, OrjsonSerializer)
        assert isinstance(saver, StockPostgresSaver)
        assert saver.with_allowlist([("a", "B")]).get_tuple(config()) is None
    with pytest.raises(TypeError, match="Invalid connection type"):
        PostgresSaver("not a connection").get_tuple(config())  # type: ignore[arg-type]


async def test_what_an_asynchronous_saver_is_made_of(database: str) -> None:
    with pytest.raises(ValueError, match="pipeline or pool_size"):
        async with AsyncPostgresSaver.from_conn_string(database, pipeline=True, pool_size=2):
            pass
    async with AsyncPostgresSaver.from_conn_string(database) as saver:
        with pytest.raises(asyncio.InvalidStateError, match="asize"):
            saver.size("1")
        await asyncio.to_thread(saver.put_superstep, *superstep())
        assert await asyncio.to_thread(saver.size, "1") == await saver.asize("1") > 0
        await asyncio.to_thread(saver.copy_thread, "1", "2")
        assert await saver.asize("2") == await saver.asize("1")
        await asyncio.to_thread(saver.delete_for_runs, ["none"])


def test_a_list_holds_no_connection(database: str) -> None:
    with opened(False, "connection", database) as saver:
        for id in IDS:
            saver.put(config(), checkpoint(id), {}, {})
        seen = []
        for found in saver.list(config()):
            saver.delete_thread("1")  # with stock's, this waits for ever
            seen.append(found.checkpoint["id"])
    assert seen == list(IDS[::-1])  # as of when it began


def test_readers_do_not_wait_for_a_writer(database: str) -> None:
    put = checkpoint(IDS[0])
    with (
        opened(False, "pool", database) as saver,
        psycopg.connect(database) as blocker,
        psycopg.connect(database, autocommit=True) as watcher,
    ):
        blocker.execute(
            "INSERT INTO checkpoints (thread_id, checkpoint_id, checkpoint) VALUES ('1', %s, '{}')",
            (IDS[0],),
        )
        writer = threading.Thread(target=saver.put, args=(config("1"), put, {}, {}))
        writer.start()
        try:
            while not watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
                time.sleep(0.01)
            assert saver.get_tuple(config("1")) is None  # with stock's, this waits for the writer
            assert writer.is_alive()
        finally:
            blocker.rollback()
            writer.join()
        assert saver.get_tuple(config("1")) is not None


def test_tables_that_are_missing(postgres_database: str) -> None:
    with PostgresSaver.from_conn_string(postgres_database) as saver:
        with pytest.raises(psycopg.errors.UndefinedTable) as raised:
            saver.get_tuple(config())
    assert "setup()" in notes(raised.value)


# ---- deleting, copying, measuring ----


def with_runs(*runs: str | None, delta: bool = False) -> list[Act]:
    """A thread with a checkpoint of each run, one value changed by every second."""
    acts = []
    for number, (id, run) in enumerate(zip(IDS, runs, strict=False)):
        parent = config("1", "", IDS[number - 1] if number else None)
        version = VERSIONS[number // 2]
        put = checkpoint(id, version, a=[number // 2])
        metadata = {"run_id": run} if run else {}
        if delta:
            metadata["counters_since_delta_snapshot"] = {"a": [1, 1]}
        acts += [
            Act("put", (parent, put, metadata, {"a": version})),
            Act("put_writes", (config("1", "", id), [("a", number)], "t", "")),
        ]
    return acts


@pytest.mark.parametrize("player", [playing, aplaying])
def test_delete_for_runs(player: Any, database: str) -> None:
    acts = [
        *with_runs("r1", "r2", "r2", None),
        Act("put", (config("2"), checkpoint(IDS[0]), {}, {})),
    ]
    left = player(
        False,
        "connection",
        database,
        [*acts, Act("delete_for_runs", (["r2", "none"],)), Act("list", (config("1"),))],
        None,
    )[-1]
    assert [found.checkpoint["id"] for found in left] == [IDS[3], IDS[0]]
    assert [found.checkpoint["channel_values"] for found in left] == [{"a": [1]}, {"a": [0]}]
    assert [found.pending_writes for found in left] == [[("t", "a", 3)], [("t", "a", 0)]]
    player(False, "connection", database, [Act("delete_for_runs", (["r1"],))], None)
    assert [row[3] for row in stored(database)["checkpoint_blobs"]] == [VERSIONS[1]]
    assert len(stored(database)["checkpoints"]) == 2
    with pytest.raises(TypeError, match="sequence of run IDs"):
        player(False, "connection", database, [Act("delete_for_runs", ("r1",))], None)


@pytest.mark.parametrize("player", [playing, aplaying])
def test_delete_for_runs_keeps_what_a_delta_channel_needs(player: Any, database: str) -> None:
    player(False, "connection", database, with_runs("r1", "r2", "r2", "r3", delta=True), None)
    before = stored(database)
    with pytest.raises(NotImplementedError, match="rebuilt from: 1\\."):
        player(False, "connection", database, [Act("delete_for_runs", (["r2"],))], None)
    assert stored(database) == before
    player(False, "connection", database, [Act("delete_for_runs", (["r3", "r2"],))], None)
    assert [row[2] for row in stored(database)["checkpoints"]] == [IDS[0]]


@pytest.mark.parametrize("player", [playing, aplaying])
def test_copy_thread(player: Any, database: str) -> None:
    acts = [
        *with_runs("r1", "r1", "r2"),
        Act("copy_thread", ("1", "2")),
        Act("copy_thread", ("1", "2")),
        Act("copy_thread", ("none", "3")),
        *(Act("list", (config(thread),)) for thread in "123"),
    ]
    first, second, third = player(False, "connection", database, acts, None)[-3:]
    assert third == []
    assert [found.config["configurable"]["thread_id"] for found in second] == ["2"] * 3
    assert [found[1:3] + found[4:] for found in first] == [
        found[1:3] + found[4:] for found in second
    ]


@pytest.mark.parametrize("player", [playing, aplaying])
def test_size(player: Any, database: str) -> None:
    sizes = player(
        False,
        "connection",
        database,
        [
            Act("size", ("1",)),
            *with_runs("r1"),
            Act("size", ("1",)),
            Act("put_writes", (config("1", "", IDS[0]), [("b", bytes(100))], "t2", "")),
            Act("size", ("1",)),
            Act("delete_thread", ("1",)),
            Act("size", ("1",)),
        ],
        None,
    )
    assert sizes[0] == sizes[-1] == 0
    assert sizes[5] - sizes[3] >= 100
    assert sizes[3] > 100


def test_an_error_of_a_pool_without_a_free_connection(database: str) -> None:
    options: Any = {"autocommit": True, "row_factory": dict_row}
    with ConnectionPool(
        database, min_size=1, max_size=1, kwargs=options, timeout=0.1, open=False
    ) as pool:
        saver = PostgresSaver(pool)
        with pool.connection():
            with pytest.raises(psycopg.OperationalError) as raised:
                saver.put_superstep(*superstep())
        assert "thread '1'" in notes(raised.value)
        saver.put_superstep(*superstep())
    assert all(stored(database).values())
