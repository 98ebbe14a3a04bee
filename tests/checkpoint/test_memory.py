"""The in-memory saver: graphs on it and on upstream's, memory, threads, and what upstream lacks."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.memory import InMemorySaver as StockInMemorySaver
from langgraph.checkpoint.memory import PersistentDict
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command, Send, interrupt

from langgraph_cy.checkpoint import InMemorySaver, OrjsonSerializer
from langgraph_cy.checkpoint.store import Store
from langgraph_cy.drivers.savers import stores_at_once

from ..engines import Engine

ONE: Any = {"configurable": {"thread_id": "1"}, "recursion_limit": 10_000}


class Count(TypedDict):
    n: int


class Items(TypedDict):
    items: Annotated[list[Any], operator.add]


def loop(steps: int) -> Any:
    builder = StateGraph(Count)
    builder.add_node("loop", lambda state: {"n": state["n"] + 1})
    builder.add_edge(START, "loop")
    builder.add_conditional_edges("loop", lambda state: "loop" if state["n"] < steps else END)
    return builder


def talk() -> Any:
    def answer(state: MessagesState) -> Any:
        count = len(state["messages"])
        return {"messages": [AIMessage("words " * 20, id=f"answer {count}")]}

    return StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer")


def play_loop(graph: Any) -> Any:
    return graph.invoke({"n": 0}, ONE)


def play_talk(graph: Any, turns: int = 20) -> Any:
    for turn in range(turns):
        question = HumanMessage("words " * 20, id=f"question {turn}")
        result = graph.invoke({"messages": [question]}, ONE)
    return result


def play_forgetting(graph: Any) -> Any:
    play_talk(graph, 3)
    graph.update_state(ONE, {"messages": [RemoveMessage(id="question 1")]})
    return play_talk(graph, 5)


def spread() -> Any:
    builder = StateGraph(Items)
    builder.add_node("item", lambda state: {"items": [state["i"]]})
    builder.add_conditional_edges(START, lambda _: [Send("item", {"i": i}) for i in range(100)])
    return builder


def asking() -> Any:
    inner = StateGraph(Items)
    inner.add_node("ask", lambda _: {"items": [interrupt("what?")]})
    inner.add_edge(START, "ask")
    builder = StateGraph(Items)
    builder.add_node("first", lambda _: {"items": ["first"]})
    builder.add_node("inner", inner.compile())
    builder.add_edge(START, "first")
    builder.add_edge("first", "inner")
    return builder


def play_asking(graph: Any) -> Any:
    graph.invoke({"items": []}, ONE)
    results = [graph.invoke(Command(resume="one"), ONE)["items"]]
    history = list(graph.get_state_history(ONE))
    results.append(graph.invoke(None, history[-2].config)["items"])
    results.append(graph.invoke(Command(resume="two"), ONE)["items"])
    graph.update_state(history[1].config, {"items": ["update"]})
    return results, [state.values for state in graph.get_state_history(ONE)]


def extend(values: list[Any], writes: list[list[Any]]) -> list[Any]:
    return [*values, *(item for write in writes for item in write)]


class Delta(TypedDict):
    items: Annotated[list[Any], DeltaChannel(extend, snapshot_frequency=3)]


def delta() -> Any:
    builder = StateGraph(Delta)
    builder.add_node("more", lambda state: {"items": [len(state["items"])]})
    builder.add_edge(START, "more")
    return builder


def play_delta(graph: Any) -> Any:
    for turn in range(8):
        result = graph.invoke({"items": [f"turn {turn}"]}, ONE)
    history = list(graph.get_state_history(ONE))
    return result, [state.values for state in history], graph.invoke(None, history[5].config)


GRAPHS: dict[str, tuple[Callable[[], Any], Callable[[Any], Any]]] = {
    "loop": (lambda: loop(70), play_loop),
    "conversation": (talk, play_talk),
    "removed-messages": (talk, play_forgetting),
    "fan-out": (spread, lambda graph: graph.invoke({"items": []}, ONE)),
    "interrupt-subgraph-fork": (asking, play_asking),
    "delta": (delta, play_delta),
}


def shape(saver: Any) -> Any:
    """What a saver holds, but for ids, times and random numbers."""
    return [
        (
            found.config["configurable"]["checkpoint_ns"].partition(":")[0],
            list(found.checkpoint),
            found.checkpoint["channel_values"],
            list(found.checkpoint["channel_versions"]),
            {node: list(seen) for node, seen in found.checkpoint["versions_seen"].items()},
            found.checkpoint["updated_channels"],
            [(key, value) for key, value in found.metadata.items() if key != "parents"],
            [(channel, repr(value)[:20]) for _, channel, value in found.pending_writes],
        )
        for found in saver.list(None)
    ]


@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(name: str, engine: Engine) -> None:
    build, play = GRAPHS[name]
    savers = [StockInMemorySaver(), InMemorySaver(), InMemorySaver(serde=JsonPlusSerializer())]
    results = [play(build().compile(checkpointer=saver)) for saver in savers]
    assert results[0] == results[1] == results[2]
    assert shape(savers[0]) == shape(savers[1]) == shape(savers[2])


def held(build: Callable[[], Any], play: Callable[[Any], Any], saver_class: type[Any]) -> int:
    """Bytes that a saver keeps after a run."""
    graph = build().compile()
    saver = graph.checkpointer = saver_class()
    play(graph)  # what is made once for all
    saver.delete_thread("1")
    gc.collect()
    tracemalloc.start()
    try:
        play(graph)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("build", "play", "share"),
    [
        pytest.param(lambda: loop(500), play_loop, 0.4, id="loop"),
        pytest.param(talk, lambda graph: play_talk(graph, 60), 0.2, id="conversation"),
    ],
)
def test_memory(build: Any, play: Any, share: float, compiled: Engine) -> None:
    ours, stocks = held(build, play, InMemorySaver), held(build, play, StockInMemorySaver)
    assert ours < share * stocks


def test_size(compiled: Engine) -> None:
    saver = InMemorySaver()
    graph = talk().compile(checkpointer=saver)
    sizes = [saver.size("1")]
    for _ in range(3):
        play_talk(graph, 5)
        sizes.append(saver.size("1"))
    assert sizes[0] == 0
    assert sizes == sorted(set(sizes))
    saver.put_writes({"configurable": {"thread_id": "2", "checkpoint_id": "x"}}, [("a", 1)], "t")
    assert saver.size("2") > 0
    saver.delete_thread("1")
    assert saver.size("1") == 0


def put_number(saver: Any, thread_id: str, number: int, value: Any = None) -> None:
    version = f"{number:032}.0.5"
    checkpoint: Any = {
        "v": 4,
        "ts": "2026-11-21T09:57:11.123456+00:00",
        "id": f"{number:08}-0000-6000-8000-000000000000",
        "channel_values": {"a": number if value is None else value},
        "channel_versions": {"a": version},
        "versions_seen": {"node": {"a": version}},
        "updated_channels": ["a"],
    }
    config: Any = {"configurable": {"thread_id": thread_id, "checkpoint_ns": ""}}
    saver.put(config, checkpoint, {"source": "loop", "step": number}, {"a": version})


def test_threads() -> None:
    """Eight threads put to one namespace and read from it: nothing is torn or lost."""
    saver = InMemorySaver()
    failures: list[BaseException] = []

    def work(first: int) -> None:
        try:
            for number in range(first, 800, 8):
                put_number(saver, "1", number)
                address = {
                    "thread_id": "1",
                    "checkpoint_id": f"{number:08}-0000-6000-8000-000000000000",
                }
                saver.put_writes({"configurable": address}, [("a", number)], f"task {number}")
                saver.put_writes({"configurable": address}, [("b", number)], "other")
                found = saver.get_tuple({"configurable": address})
                assert found is not None
                assert found.checkpoint["channel_values"] == {"a": number}
                assert found.metadata["step"] == number
                assert sorted(found.pending_writes or []) == [
                    ("other", "b", number),
                    (f"task {number}", "a", number),
                ]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    values = [found.checkpoint["channel_values"]["a"] for found in saver.list(ONE)]
    assert values == list(range(799, -1, -1))


def test_a_finalizer_may_put_a_checkpoint() -> None:
    saver = InMemorySaver()
    numbers = iter(range(1000, 2000))

    class Cycle:
        def __init__(self) -> None:
            self.myself = self

        def __del__(self) -> None:
            put_number(saver, "1", next(numbers))

    limits = gc.get_threshold()
    gc.set_threshold(3)
    try:
        for number in range(200):
            Cycle()
            put_number(saver, "1", number)
    finally:
        gc.set_threshold(*limits)
    gc.collect()
    found = {each.checkpoint["channel_values"]["a"]: each for each in saver.list(ONE)}
    assert set(range(200)) | {1000} <= set(found)
    for number, each in found.items():
        assert each.checkpoint["channel_versions"] == {"a": f"{number:032}.0.5"}
        assert each.metadata == {"source": "loop", "step": number}


@pytest.mark.parametrize("serde", [OrjsonSerializer, JsonPlusSerializer])
def test_what_is_put_is_encoded_at_once(serde: type[JsonPlusSerializer]) -> None:
    saver = InMemorySaver(serde=serde())
    values: list[Any] = [[1], {"k": [1]}, bytearray(b"a"), [HumanMessage("x", id="1")]]
    for number, value in enumerate(values):
        put_number(saver, "1", number, value)
        address: Any = {"thread_id": "2", "checkpoint_id": "x"}
        saver.put_writes({"configurable": address}, [("a", value)], f"task {number}")
    before = list(saver.list(ONE)), plain_writes(saver)
    values[0].append(2)
    values[1]["k"].append(2)
    values[2].extend(b"b")
    values[3][0].content = "y"
    assert (list(saver.list(ONE)), plain_writes(saver)) == before
    before[0][0].checkpoint["channel_versions"]["a"] = "x"
    assert next(saver.list(ONE)).checkpoint["channel_versions"]["a"] != "x"


def plain_storage(saver: Any) -> Any:
    return {
        thread_id: {ns: dict(checkpoints) for ns, checkpoints in namespaces.items()}
        for thread_id, namespaces in saver.storage.items()
    }


def plain_writes(saver: Any) -> Any:
    return {key: dict(saver.writes[key]) for key in saver.writes}


def test_nothing_is_kept_of_what_cannot_be_encoded() -> None:
    saver = InMemorySaver()
    put_number(saver, "1", 1)
    before = list(saver.list(None)), dict(saver.blobs), plain_writes(saver)
    with pytest.raises(TypeError):
        put_number(saver, "1", 2, {"x": threading.Lock()})
    address: Any = {"thread_id": "1", "checkpoint_id": "x"}
    with pytest.raises(TypeError):
        saver.put_writes({"configurable": address}, [("a", 1), ("b", threading.Lock())], "task")
    assert (list(saver.list(None)), dict(saver.blobs), plain_writes(saver)) == before


def test_views_lack_nothing() -> None:
    saver, stock = InMemorySaver(), StockInMemorySaver()
    for each in (saver, stock):
        assert dict(each.storage["unknown"]) == {}
        assert dict(each.storage["unknown"]["unknown"]) == {}
        assert each.writes["1", "", "x"] == {}
        with pytest.raises(KeyError):
            each.blobs["1", "", "a", 1]
        put_number(each, "1", 1)
        assert ("1", "", "a", f"{1:032}.0.5") in each.blobs
    assert "unknown" not in saver.storage


def add_thread(saver: Any) -> None:
    saver.storage["2"] = {"": dict(saver.storage["1"][""])}


def add_namespace(saver: Any) -> None:
    saver.storage["1"]["new"].update(saver.storage["1"][""])


def delete_checkpoint(saver: Any) -> None:
    del saver.storage["1"][""][min(saver.storage["1"][""])]


def change_value(saver: Any) -> None:
    saver.blobs["1", "", "a", f"{1:032}.0.5"] = saver.serde.dumps_typed([1, 2])


def drop_value(saver: Any) -> None:
    saver.blobs.pop(("1", "", "a", f"{1:032}.0.5"))


def add_write(saver: Any) -> None:
    saver.writes["1", "", "y"]["task", 0] = ("task", "a", saver.serde.dumps_typed(3), "path")


def drop_writes(saver: Any) -> None:
    saver.writes.clear()


@pytest.mark.parametrize(
    "change",
    [
        add_thread,
        add_namespace,
        delete_checkpoint,
        change_value,
        drop_value,
        add_write,
        drop_writes,
    ],
)
def test_views_can_be_changed(change: Any) -> None:
    saver, stock = InMemorySaver(serde=JsonPlusSerializer()), StockInMemorySaver()
    for each in (saver, stock):
        put_number(each, "1", 1)
        put_number(each, "1", 2)
        latest = each.get_tuple(ONE)
        assert latest is not None
        each.put_writes(latest.config, [("a", 3)], "task")
        change(each)
        put_number(each, "1", 3)
    assert plain_storage(saver) == plain_storage(stock)
    assert plain_writes(saver) == plain_writes(stock)
    assert dict(saver.blobs) == dict(stock.blobs)
    assert list(saver.list(None)) == list(stock.list(None))


def test_copies() -> None:
    saver = InMemorySaver()
    put_number(saver, "1", 1)
    shallow, deep = copy.copy(saver), copy.deepcopy(saver)
    strict = InMemorySaver(serde=OrjsonSerializer(strict=True))
    clone = strict.with_allowlist([("tests", "Some")])
    assert clone is not strict
    put_number(clone, "1", 1)
    put_number(saver, "1", 2)
    assert len(list(strict.list(ONE))) == 1
    assert len(list(shallow.list(ONE))) == 2
    assert len(list(deep.list(ONE))) == 1
    put_number(deep, "1", 3)
    assert len(list(saver.list(ONE))) == 2
    for each in (StockInMemorySaver(), saver):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.dumps(each)


def test_another_factory_keeps_what_upstreams_keeps(tmp_path: Path, compiled: Engine) -> None:
    names = iter(["storage", "writes", "blobs"])

    class File(PersistentDict):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args, filename=str(tmp_path / next(names)))

    saver = InMemorySaver(factory=File)
    graph = loop(3).compile(checkpointer=saver)
    assert graph.invoke({"n": 0}, ONE) == {"n": 3}
    assert isinstance(saver.storage, File)
    assert len(list(saver.list(ONE))) == 5
    assert graph.get_state(ONE).values == {"n": 3}
    saver.delete_thread("1")
    assert saver.get_tuple(ONE) is None
    with pytest.raises(NotImplementedError):
        saver.size("1")


def test_many_tasks(compiled: Engine) -> None:
    """More tasks than are searched one after another, put again, and of one id and several."""
    saver, stock = InMemorySaver(serde=JsonPlusSerializer()), StockInMemorySaver()
    address: Any = {"configurable": {"thread_id": "1", "checkpoint_ns": "", "checkpoint_id": "x"}}
    for each in (saver, stock):
        for turn in range(2):
            for task in range(100):
                writes = [("a", turn), ("__interrupt__", turn), ("b", turn)][: turn + 2]
                each.put_writes(address, writes, f"{task:08}-0000-4000-8000-000000000000", "~p")
    assert plain_writes(saver) == plain_writes(stock)


def test_the_engine_stores_on_it_at_once() -> None:
    class Own(InMemorySaver):
        pass

    assert stores_at_once(InMemorySaver())
    assert not stores_at_once(Own())
    assert isinstance(InMemorySaver()._store, Store)


def test_pruned_and_copied_threads_go_on(compiled: Engine) -> None:
    saver = InMemorySaver()
    graph = talk().compile(checkpointer=saver)
    play_talk(graph, 3)
    saver.copy_thread("1", "2")
    assert len(list(saver.list({"configurable": {"thread_id": "2"}}))) == 9
    before = graph.get_state(ONE)
    saver.prune(["1"])
    (kept,) = saver.list(ONE)
    assert graph.get_state(ONE).values == before.values
    assert kept.parent_config is None
    assert len({key for key in saver.blobs if key[0] == "1"}) <= len(
        kept.checkpoint["channel_versions"]
    )
    question = {"messages": [HumanMessage("x", id="x")]}
    two: Any = {"configurable": {"thread_id": "2"}}
    assert graph.invoke(question, ONE) == graph.invoke(question, two)
    saver.prune(["1", "2"], strategy="delete")
    assert list(saver.list(None)) == []
    with pytest.raises(ValueError, match="keep_latest"):
        saver.prune(["1"], strategy="none")
    with pytest.raises(TypeError):
        saver.prune("1")


def test_a_delta_channels_thread_is_not_cut(compiled: Engine) -> None:
    saver = InMemorySaver()
    graph = delta().compile(checkpointer=saver)
    run: Any = {**ONE, "metadata": {"run_id": "first"}}
    graph.invoke({"items": ["x"]}, run)
    graph.invoke({"items": ["y"]}, {**ONE, "metadata": {"run_id": "second"}})
    before = graph.get_state(ONE).values
    with pytest.raises(NotImplementedError, match="DeltaChannel"):
        saver.prune(["1"])
    with pytest.raises(NotImplementedError, match="DeltaChannel"):
        saver.delete_for_runs(["first"])
    assert graph.get_state(ONE).values == before
    saver.delete_for_runs(["second"])
    assert {each.metadata["run_id"] for each in saver.list(ONE)} == {"first"}
    saver.delete_for_runs(["first"])
    assert list(saver.list(ONE)) == []
