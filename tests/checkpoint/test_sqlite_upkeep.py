"""Deleting, copying, pruning and measuring threads. Upstream's conformance suite has more."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph_cy.checkpoint import AsyncSqliteSaver

from .sqlite_acts import (
    IDS,
    Act,
    Player,
    aplaying,
    checkpoint,
    config,
    play,
    playing,
    rows,
    superstep,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "checkpoints.db")


@pytest.fixture(params=[playing, aplaying], ids=["sync", "async"])
def player(request: pytest.FixtureRequest) -> Player:
    return request.param


def put(ns: str, number: int, thread: str = "1", **metadata: Any) -> Act:
    before = config(thread, ns, IDS[number - 1] if number else None)
    return Act("put", (before, checkpoint(IDS[number], a=number), metadata, {}))


def write(ns: str, number: int) -> Act:
    return Act("put_writes", (config("1", ns, IDS[number]), [("a", number)], "t"))


def test_prune_keeps_the_latest(path: str, player: Player) -> None:
    root = [act for n in range(3) for act in (put("", n), write("", n))]
    player(
        path,
        [
            *root,
            # a subgraph that keeps its state, one called from an older checkpoint, one from the
            # latest, one whose caller is not stored yet
            *(put("kept", n) for n in range(3)),
            *(put("old:1", n, parents={"": IDS[1]}) for n in range(2)),
            write("old:1", 4),
            *(put("now:2", n, parents={"": IDS[2]}) for n in range(2)),
            *(put("early:3", n, parents={"": IDS[4]}) for n in range(2)),
            write("", 4),
            *(put("", n, thread="2") for n in range(2)),
            Act("prune", (["1", "none"],)),
        ],
    )
    checkpoints, writes = rows(path)
    assert [row[:4] for row in checkpoints] == [
        ("1", "", IDS[2], None),
        ("1", "early:3", IDS[1], None),
        ("1", "kept", IDS[2], None),
        ("1", "now:2", IDS[1], None),
        ("2", "", IDS[0], None),
        ("2", "", IDS[1], IDS[0]),
    ]
    assert [row[:3] for row in writes] == [("1", "", IDS[2]), ("1", "", IDS[4])]


def test_prune_deletes(path: str, player: Player) -> None:
    threads = [put("", n, thread=thread) for n in range(2) for thread in ("1", "2", "3")]
    player(path, [*threads, write("", 1), Act("prune", (["1", "3"],), {"strategy": "delete"})])
    checkpoints, writes = rows(path)
    assert [row[0] for row in checkpoints] == ["2", "2"]
    assert writes == []


def delta_marks() -> list[Any]:
    """By what each of them leaves behind."""
    return [
        pytest.param({"counters_since_delta_snapshot": {"a": [1, 1]}}, 1, id="counters"),
        pytest.param({"delta_writes_versioned": True}, 1, id="JS"),
        pytest.param({}, _DeltaSnapshot([1]), id="snapshot"),
    ]


@pytest.mark.parametrize(("metadata", "value"), delta_marks())
def test_prune_refuses_delta_channels(path: str, player: Player, metadata: Any, value: Any) -> None:
    delta = Act("put", (config("delta", "sub"), checkpoint(IDS[0], a=value), metadata, {}))
    player(path, [*(put("", n) for n in range(3)), delta])
    before = rows(path)
    with pytest.raises(NotImplementedError, match="delta"):
        player(path, [Act("prune", (["1", "delta"],))])
    assert rows(path) == before
    player(path, [Act("prune", (["1"],))])
    assert len(rows(path)[0]) == 2
    player(path, [Act("prune", (["delta"],), {"strategy": "delete"})])
    assert len(rows(path)[0]) == 1


def test_prune_is_not_taken_in_by_words(path: str, player: Player) -> None:
    """The names of a delta channel's marks, in a value and further down."""
    names = {"x": "counters_since_delta_snapshot", "y": {"counters_since_delta_snapshot": 1}}
    player(path, [put("", 0, **names), put("", 1, **names), Act("prune", (["1"],))])
    assert len(rows(path)[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        (("1",), {}, TypeError),
        ((["1"],), {"strategy": "keep_all"}, ValueError),
    ],
)
def test_prune_arguments(
    player: Player, arguments: Any, keywords: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        player(":memory:", [Act("prune", arguments, keywords)])


def test_delete_for_runs(path: str, player: Player) -> None:
    """Exactly these runs', whatever else the metadata of the database hold."""
    odd = float("nan")
    player(
        path,
        [
            put("", 0, run_id="r1", x=odd),
            put("", 1, run_id="r2", x=odd),
            put("sub:1", 2, run_id='é"r3', x=odd),
            put("", 3, run_id="r4", x="r1", y={"run_id": "r1"}),
            put("", 4, thread="2", run_id="r11"),
            *(write("", n) for n in range(3)),
            Act("delete_for_runs", (["r1", 'é"r3', "none"],)),
            Act("delete_for_runs", ([],)),
        ],
    )
    checkpoints, writes = rows(path)
    assert [row[2] for row in checkpoints] == [IDS[1], IDS[3], IDS[4]]
    assert [row[2] for row in writes] == [IDS[1], IDS[2]]


def test_copy_thread(path: str, player: Player) -> None:
    acts = [superstep(n) for n in range(3)]
    player(path, [*acts, put("sub:1", 0), Act("copy_thread", ("1", "2"))])
    for table in rows(path):
        copied = [row[1:] for row in table if row[0] == "2"]
        assert copied == [row[1:] for row in table if row[0] == "1"]
        assert copied
    # onto itself, and from nowhere
    before = rows(path)
    player(path, [Act("copy_thread", ("1", "1")), Act("copy_thread", ("none", "2"))])
    assert rows(path) == before


def test_size(path: str, player: Player) -> None:
    acts = [superstep(n, size=1000) for n in range(3)]
    *_, size, none = player(path, [*acts, Act("size", ("1",)), Act("size", ("2",))])
    checkpoints, writes = rows(path)
    assert size == sum(len(row[5]) + len(row[6]) for row in checkpoints) + sum(
        len(row[8]) for row in writes
    )
    assert size > 3000
    assert none == 0


def test_all_or_nothing(path: str, player: Player) -> None:
    player(path, [superstep(n) for n in range(3)])
    with closing(sqlite3.connect(path)) as conn:
        conn.execute(
            "CREATE TRIGGER refuse BEFORE DELETE ON writes BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    before = rows(path)
    for act in (
        Act("delete_thread", ("1",)),
        Act("prune", (["1"],)),
        Act("prune", (["1"],), {"strategy": "delete"}),
    ):
        with pytest.raises(sqlite3.IntegrityError):
            player(path, [act])
        assert rows(path) == before


def test_from_other_threads(path: str) -> None:
    """The methods of the asynchronous saver that wait, as those of the other do."""
    acts = [
        *(superstep(n) for n in range(3)),
        Act("copy_thread", ("1", "2")),
        Act("size", ("2",)),
        Act("prune", (["1"],)),
        Act("delete_for_runs", (["r"],)),
        Act("list", (None,)),
    ]

    async def run() -> Any:
        async with AsyncSqliteSaver.from_conn_string(path) as saver:
            return await asyncio.to_thread(play, saver, acts)

    assert asyncio.run(run()) == playing(":memory:", acts)
