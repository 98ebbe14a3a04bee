"""Ids, times and versions that are stored: made as upstream makes them."""

import random
import time
from binascii import unhexlify
from datetime import datetime, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.base import id as upstream_ids
from langgraph.checkpoint.base.id import uuid6
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.base import BasePostgresSaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.pregel._algo import _xxhash_str

from langgraph_cy.core import ids


@given(st.uuids(), st.lists(st.text()))
def test_ids_of_tasks(checkpoint: UUID, parts: list[str]) -> None:
    expected = _xxhash_str(checkpoint.bytes, *parts)
    for text in (str(checkpoint), checkpoint.hex, str(checkpoint).upper()):
        assert ids.hashed_id(text, "".join(parts)) == expected


@pytest.mark.parametrize("checkpoint", ["", "0a", "0" * 34])
def test_ids_of_tasks_after_odd_checkpoints(checkpoint: str) -> None:
    assert ids.hashed_id(checkpoint, "x") == _xxhash_str(bytes.fromhex(checkpoint), "x")


def _xxhash_of(checkpoint: str, text: str) -> str:
    return _xxhash_str(unhexlify(checkpoint.replace("-", "")), text)


@pytest.mark.parametrize("checkpoint", ["0", "g" * 32, "\u0660" * 32, "first"])
def test_a_checkpoint_whose_id_is_no_uuid(checkpoint: str) -> None:
    found = []
    for make in (_xxhash_of, ids.hashed_id):
        try:
            make(checkpoint, "x")
        except ValueError as error:
            found.append((type(error), str(error)))
    assert len(found) == 2
    assert found[0] == found[1]


@pytest.mark.parametrize("step", [-2, -1, 0, 1, 255, 256, 16383, 16384, 1 << 40])
@pytest.mark.parametrize("node", [None, 0, (1 << 48) - 1])
def test_ids_of_checkpoints(step: int, node: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_763_715_470_123_456_789)
    made = []
    for make in (lambda: str(uuid6(node, step)), lambda: ids.checkpoint_id(step, node)):
        monkeypatch.setattr(upstream_ids, "_last_v6_timestamp", None)
        random.seed(7)
        made.append([make() for _ in range(3)])
    assert made[0] == made[1]
    assert made[1] == sorted(set(made[1]))


def test_ids_follow_those_of_upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_763_715_470_123_456_789)
    made = [str(uuid6(0, 0)), ids.checkpoint_id(0, 0), str(uuid6(0, 0)), ids.checkpoint_id(0, 0)]
    assert made == sorted(set(made))


@given(st.integers(0, (1 << 63) - 1))
def test_times(nanoseconds: int) -> None:
    whole, rest = divmod(nanoseconds // 1000, 1_000_000)
    expected = datetime.fromtimestamp(whole, timezone.utc).replace(microsecond=rest)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time_ns", lambda: nanoseconds)
        assert ids.timestamp() == expected.isoformat()


def test_a_clock_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime(2000, 1, 2, tzinfo=timezone.utc)

    monkeypatch.setattr(ids, "datetime", Stopped)
    assert ids.timestamp() == "2000-01-02T00:00:00+00:00"


@given(
    st.none()
    | st.integers(0, 1 << 60)
    | st.integers(0, 1 << 60).map(lambda n: f"{n:032}.0")
    | st.sampled_from(["7", "7.", "07", f"{7:031}.{1:09}", f"{7:033}.1", " 7.5"]),
    st.floats(0, 1, exclude_max=True) | st.integers(0, 1 << 53).map(lambda n: n / (1 << 53)),
)
def test_versions(current: str | int | None, drawn: float) -> None:
    saver = InMemorySaver()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(random, "random", lambda: drawn)
        expected = saver.get_next_version(current, None)
        assert ids.next_version(current, None) == expected


def test_versions_draw_what_upstream_draws() -> None:
    saver = InMemorySaver()
    for _ in range(1000):
        state = random.getstate()
        expected = saver.get_next_version("5.1", None)
        after = random.getstate()
        random.setstate(state)
        assert ids.next_version("5.1", None) == expected
        assert random.getstate() == after


def test_whose_versions_are_counted_here() -> None:
    class Own(InMemorySaver):
        def get_next_version(self, current: str | None, channel: None) -> str:
            return "own"

    class Inheriting(InMemorySaver):
        pass

    patched = InMemorySaver()
    patched.get_next_version = lambda current, channel: "patched"  # type: ignore[method-assign]
    assert ids.numbering(InMemorySaver()) is ids.next_version
    assert ids.numbering(Inheriting()) is ids.next_version
    assert ids.numbering(Own())(None, None) == "own"
    assert ids.numbering(patched)(None, None) == "patched"
    assert ids.numbering(None)(1, None) == 2


@pytest.mark.parametrize(
    "upstreams", [BasePostgresSaver, SqliteSaver, AsyncSqliteSaver], ids=lambda each: each.__name__
)
def test_savers_that_number_as_upstreams_in_memory_saver(upstreams: Any) -> None:
    class Other(BaseCheckpointSaver[str]):
        def get_next_version(self, current: str | None, channel: None) -> str:
            return f"{0 if current is None else int(current) + 2}"

    saver = object.__new__(upstreams)
    assert ids.numbering(saver) is ids.next_version
    assert ids.numbering(Other())("1", None) == "3"
    for current in (None, 3, ids.next_version(None, None)):
        random.seed(1)
        expected = saver.get_next_version(current, None)
        random.seed(1)
        assert ids.next_version(current, None) == expected
