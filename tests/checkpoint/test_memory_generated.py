"""Random sequences of calls on upstream's InMemorySaver and ours: all that is read is equal."""

from __future__ import annotations

import copy
import enum
import os
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver as StockInMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph_cy.checkpoint import InMemorySaver, OrjsonSerializer

# How many examples are played, as for the tests in `differential`.
SCALE = float(os.environ.get("LGCY_EXAMPLES", "1"))
COMMON = settings(
    deadline=None,
    database=None,
    print_blob=True,
    phases=(Phase.explicit, Phase.generate),
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


class Number(enum.IntEnum):
    ONE = 1


class Text(str):
    pass


class Custom:
    """A version that no serializer takes for a plain one, but that is a key."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Custom) and self.number == other.number

    def __repr__(self) -> str:
        return f"Custom({self.number})"

    def model_dump(self) -> Any:
        return {"number": self.number}


NAMES = ["a", "b", "branch:to:a", "__start__", "größe"]
MESSAGES = [
    HumanMessage("hello", id="1"),
    AIMessage("hi", id="2"),
    HumanMessage("more", id="3"),
    AIMessage("end", id="4", additional_kwargs={"x": 1}),
]
THREADS = st.sampled_from(["1", "2", 1])
SPACES = st.sampled_from(["", "sub:1"])
IDS = st.integers(0, 30).map(lambda n: f"1f0{n:03}00-0000-6000-8000-000000000000")
TASKS = st.sampled_from([f"task-{n}" for n in range(40)])
VERSIONS = st.one_of(
    st.integers(1, 12).map(lambda n: f"{n:032}.0.5"),
    st.integers(1, 12).map(lambda n: f"{n:032}.0.5"),
    st.integers(-1, 3),
    st.sampled_from([1.0, 2.5, -0.0, 0.0, "ü", "", 2**70, True, Text("5"), (1, 2)]),
    st.integers(1, 2).map(Custom),
)
VALUES = st.one_of(
    st.none(),
    st.integers(0, 9),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.sampled_from([bytearray(b"ab"), {1: 2}, {"k": [1, 2.5, None]}, _DeltaSnapshot([1])]),
    st.integers(0, 4).map(lambda n: MESSAGES[:n]),
    st.lists(st.sampled_from(MESSAGES), max_size=3),
)
# most are as the engine makes them
EXTRAS = st.dictionaries(
    st.sampled_from(["user", "run_id", "__x", "langgraph_step", "source", "nul"]),
    st.sampled_from(["x", "y\0z", 1, 2.5, True, None, Text("t"), Number.ONE, [1], -0.0, 0.0]),
    max_size=2,
)
METADATA = st.one_of(
    st.builds(
        lambda source, step, parents: {"source": source, "step": step, "parents": parents},
        st.sampled_from(["loop", "input"]),
        st.integers(-1, 3),
        st.sampled_from([{}, {}, {"": "x"}]),
    ),
    st.dictionaries(
        st.sampled_from(["source", "step", "writes", "counters", "q"]),
        st.sampled_from([1, 2**40, "a\0b", None, {"a": 1}, (1, 2), [], 0.5, True, Text("t")]),
        max_size=3,
    ),
)
TIMES = st.sampled_from(
    ["2026-11-21T09:57:11.123456+00:00"] * 5
    + [
        "2026-11-21T09:57:11+00:00",
        "2024-02-29T23:59:59.000001+00:00",
        "2026-02-30T09:57:11.123456+00:00",
        "1969-12-31T23:59:59.123456+00:00",
        "",
        "x" * 32,
        "2026-11-21T09:57:11.123456+01:00",
    ]
)


@st.composite
def puts(draw: Any) -> Callable[[Any], Any]:
    """A checkpoint after the last of its namespace, with a few things changed, or any other."""
    thread_id, checkpoint_ns, checkpoint_id = draw(THREADS), draw(SPACES), draw(IDS)
    follows = draw(st.booleans())
    changes = draw(st.dictionaries(st.sampled_from(NAMES), VERSIONS, max_size=3))
    same = draw(st.booleans())
    saw = draw(
        st.dictionaries(
            st.sampled_from(NAMES), st.dictionaries(st.sampled_from(NAMES), VERSIONS, max_size=2)
        )
    )
    values = draw(st.dictionaries(st.sampled_from(NAMES), VALUES))
    layout = draw(st.sampled_from(["engine", "engine", "engine", "older", "odd"]))
    form = draw(st.sampled_from([1, 2, 4]))
    updated = draw(st.one_of(st.none(), st.lists(st.sampled_from(NAMES), max_size=2)))
    time = draw(TIMES)
    metadata, extras, more = draw(METADATA), draw(EXTRAS), draw(EXTRAS)
    drops = draw(st.integers(0, 9)) == 0
    parent = draw(st.one_of(st.none(), IDS))

    def play(saver: Any) -> Any:
        given = {"configurable": {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns}}
        before = saver.get_tuple(given) if follows else None
        versions: dict[str, Any] = dict(before.checkpoint["channel_versions"]) if before else {}
        seen: dict[str, Any] = (
            {k: dict(v) for k, v in before.checkpoint["versions_seen"].items()} if before else {}
        )
        for node, of_node in saw.items():
            seen.setdefault(node, {}).update(
                {name: versions[name] if name in versions else of_node[name] for name in of_node}
            )
        new = dict.fromkeys(changes, next(iter(changes.values()))) if same and changes else changes
        versions.update(new)
        if drops and versions:
            del versions[next(iter(versions))]
        checkpoint = {
            "v": form,
            "ts": time,
            "id": checkpoint_id,
            "channel_values": dict(values),
            "channel_versions": versions,
            "versions_seen": seen,
            "updated_channels": updated,
        }
        if layout == "older":
            del checkpoint["updated_channels"]
            checkpoint = {**dict(reversed(checkpoint.items())), "pending_sends": []}
        elif layout == "odd":
            checkpoint["more"] = 1
        given["metadata"] = {"thread_id": thread_id, **extras}
        given["configurable"].update(more)
        address = before.config["configurable"]["checkpoint_id"] if before else parent
        if address is not None and address >= checkpoint_id:
            address = None  # upstream's get_delta_channel_history would go round for ever
        given["configurable"]["checkpoint_id"] = address
        result = saver.put(given, checkpoint, metadata, new)
        # what was given is the caller's again
        versions["changed"] = seen["changed"] = {}
        for of_node in seen.values():
            of_node["changed"] = 1
        checkpoint["channel_values"].clear()
        return result

    return play


@st.composite
def writings(draw: Any) -> Callable[[Any], Any]:
    conf: dict[str, Any] = {"thread_id": draw(THREADS), "checkpoint_id": draw(IDS)}
    if draw(st.booleans()):
        conf["checkpoint_ns"] = draw(SPACES)
    channels = st.sampled_from([*NAMES, "__error__", "__interrupt__", "__resume__"])
    writes = draw(st.lists(st.tuples(channels, VALUES), max_size=4))
    tasks = draw(st.lists(TASKS, min_size=1, max_size=2)) if draw(st.booleans()) else None
    path = draw(st.sampled_from(["", "~a", "~b"]))

    def play(saver: Any) -> None:
        for task_id in tasks or [f"task-{n}" for n in range(40)]:
            saver.put_writes({"configurable": conf}, writes, task_id, path)

    return play


@st.composite
def reads(draw: Any) -> Callable[[Any], Any]:
    conf: dict[str, Any] = {"thread_id": draw(THREADS)}
    if draw(st.booleans()):
        conf["checkpoint_ns"] = draw(SPACES)
    if draw(st.booleans()):
        conf["checkpoint_id"] = draw(IDS)
    filter = draw(st.sampled_from([None, {"source": "loop"}, {"step": 1}, {"user": "x"}]))
    before = {"configurable": {"checkpoint_id": draw(IDS)}} if draw(st.booleans()) else None
    limit = draw(st.sampled_from([None, 0, 1, 3]))
    config = {"configurable": conf} if draw(st.booleans()) else None

    def play(saver: Any) -> Any:
        return (
            saver.get_tuple({"configurable": conf}),
            list(saver.list(config, filter=filter, before=before, limit=limit)),
            saver.get_delta_channel_history(config={"configurable": conf}, channels=["a", "b"]),
        )

    return play


DELETES = THREADS.map(lambda thread_id: lambda saver: saver.delete_thread(thread_id))
ACTS = st.lists(
    st.one_of(puts(), puts(), puts(), puts(), writings(), reads(), DELETES), max_size=12
)


class Raised(str):
    """The name of an error's type."""


def outcome(act: Callable[[Any], Any], saver: Any) -> Any:
    try:
        return ordered(act(saver))
    except Exception as error:
        return Raised(type(error).__name__)


def plain(mapping: Any) -> Any:
    return {key: plain(mapping[key]) for key in mapping} if hasattr(mapping, "keys") else mapping


def views(saver: Any) -> Any:
    return plain(saver.storage), plain(saver.writes), plain(saver.blobs)


def ordered(value: Any) -> Any:
    """With the order of the keys, and the types."""
    if isinstance(value, dict):
        return [(ordered(key), ordered(each)) for key, each in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [ordered(each) for each in value]
    return type(value).__name__, repr(value)


def everything(saver: Any) -> Any:
    return list(saver.list(None))


@pytest.mark.parametrize("serde", [JsonPlusSerializer, OrjsonSerializer])
def test_calls(serde: type[JsonPlusSerializer]) -> None:
    @settings(COMMON, max_examples=int(120 * SCALE))
    @given(ACTS)
    def play(acts: list[Callable[[Any], Any]]) -> None:
        stock, ours = StockInMemorySaver(serde=serde()), InMemorySaver(serde=serde())
        for act in acts:
            expected = outcome(act, stock)
            got = outcome(act, ours)
            assert got == expected
            if isinstance(expected, Raised):
                return  # upstream's may have kept the half of it
            assert views(ours) == views(stock)
            assert outcome(everything, ours) == outcome(everything, stock)
        for saver in (ours, stock):
            for other in (copy.copy(saver), copy.deepcopy(saver)):
                assert views(other) == views(stock)
                assert outcome(everything, other) == outcome(everything, stock)

    play()


def test_reading_on_upstreams_code() -> None:
    """The views are what upstream's own methods can read from."""

    @settings(COMMON, max_examples=int(60 * SCALE))
    @given(st.lists(st.one_of(puts(), puts(), writings()), max_size=8), reads())
    def play(acts: list[Callable[[Any], Any]], read: Callable[[Any], Any]) -> None:
        saver = InMemorySaver()
        for act in acts:
            outcome(act, saver)

        class Upstreams:
            get_tuple = staticmethod(lambda *a: StockInMemorySaver.get_tuple(saver, *a))
            list = staticmethod(lambda *a, **o: StockInMemorySaver.list(saver, *a, **o))
            get_delta_channel_history = staticmethod(
                lambda **o: StockInMemorySaver.get_delta_channel_history(saver, **o)
            )

        assert outcome(read, Upstreams) == outcome(read, saver)

    play()
