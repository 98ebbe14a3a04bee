"""What a profile measures: when it begins and ends, together with others, and how much of it."""

import asyncio
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from langgraph.graph import START, StateGraph

import langgraph_cy
from langgraph_cy.profiling import recorder
from langgraph_cy.profiling.record import Event
from langgraph_cy.profiling.recorder import Part

from .profiles import check, counter, fan, parts_of

NAP = 0.02


def test_nothing() -> None:
    with langgraph_cy.profile() as profile:
        assert profile.to_dict()["runs"] == []
    found = profile.to_dict()
    assert found["runs"] == found["nodes"] == []
    assert found["wall"] > 0
    assert "0 runs" in profile.table()


def test_before_the_block() -> None:
    profile = langgraph_cy.profile()
    assert profile.to_dict()["runs"] == []
    assert profile.mermaid().startswith("flowchart")


def test_results_are_the_same() -> None:
    graph = counter(5)
    expected = list(graph.stream({"n": 0}, stream_mode=["updates", "values", "debug"]))
    with langgraph_cy.profile():
        found = list(graph.stream({"n": 0}, stream_mode=["updates", "values", "debug"]))
        assert graph.invoke({"n": 0}) == {"n": 5}
    assert len(found) == len(expected)
    assert found[-1] == expected[-1]


def test_graphs_without_a_name() -> None:
    """They are all called alike, and still two."""

    def graph(node: str) -> Any:
        builder = StateGraph(dict).add_node(node, lambda state: {})
        return builder.add_edge(START, node).compile()

    with langgraph_cy.profile() as profile:
        for node in ("first", "second", "first"):
            graph(node).invoke({})
    found = {(each["graph"], each["node"]): each["tasks"] for each in profile.to_dict()["nodes"]}
    assert found["LangGraph", "first"] == 2
    assert found["LangGraph (2)", "second"] == 1
    assert "first" in profile.mermaid()
    assert "second" in profile.mermaid()


def test_one_block_each() -> None:
    with langgraph_cy.profile() as profile:
        pass
    with pytest.raises(RuntimeError, match="one `with` block"), profile:
        pass


@pytest.mark.parametrize("limit", [0, -1])
def test_bad_limit(limit: int) -> None:
    with pytest.raises(ValueError, match="limit"):
        langgraph_cy.profile(limit=limit)


def test_inside_of_the_block() -> None:
    graph = counter(3)
    with langgraph_cy.profile() as profile:
        graph.invoke({"n": 0})
        assert len(profile.to_dict()["runs"]) == 1
        graph.invoke({"n": 0})
        assert len(profile.to_dict()["runs"]) == 2
    assert profile.record is profile.record
    check(profile.record)


def test_nested() -> None:
    """Each block has all runs that begin while it is open, whole."""
    graph = counter(3)
    with langgraph_cy.profile() as outer:
        graph.invoke({"n": 0})
        with langgraph_cy.profile() as inner:
            graph.invoke({"n": 1})
        graph.invoke({"n": 2})
    for profile, runs in (outer, 3), (inner, 1):
        check(profile.record)
        assert len(profile.record.runs) == runs
    (common,) = inner.record.runs
    assert parts_of(outer.record.runs[1]) == parts_of(common)
    counts = [sum(node.tasks for node in profile.record.nodes) for profile in (outer, inner)]
    assert counts == [3 + 2 + 1 + 3, 2 + 1]


def test_overlapping() -> None:
    graph = counter(3)
    first, second = langgraph_cy.profile(), langgraph_cy.profile()
    with first:
        graph.invoke({"n": 0})
        second.__enter__()
        graph.invoke({"n": 0})
    graph.invoke({"n": 0})
    second.__exit__(None, None, None)
    for profile in first, second:
        check(profile.record)
        assert len(profile.record.runs) == 2


def test_under_way() -> None:
    """A run that began before the block is not measured; one that outlasts it until its end."""
    graph = counter(3)
    before = graph.stream({"n": 0})
    next(before)
    with langgraph_cy.profile() as outer:
        next(before)
        stream = graph.stream({"n": 0})
        next(stream)
        with langgraph_cy.profile() as inner:
            next(stream)
            other = graph.stream({"n": 0})
            next(other)
        time.sleep(NAP)
        rest = list(stream)
    assert len(rest) == 1
    list(other)
    list(before)
    check(outer.record)
    check(inner.record)
    assert [run.ending for run in outer.record.runs] == ["succeeded", "under way"]
    assert [run.ending for run in inner.record.runs] == ["under way"]
    (cut,) = inner.record.runs
    assert cut.ended <= inner.record.ended
    assert parts_of(cut)["consumer"] < NAP * 1e9
    assert parts_of(outer.record.runs[1])["consumer"] >= 0.9 * NAP * 1e9
    assert "under way" in inner.table()


def test_threads() -> None:
    graph, wide = counter(20), fan(lambda n: {"found": [n]}, 10)
    ready = threading.Barrier(4)

    def work(_: int) -> None:
        ready.wait(10)
        for _ in range(5):
            assert graph.invoke({"n": 0}) == {"n": 20}
            assert len(wide.invoke({})["found"]) == 10

    with langgraph_cy.profile() as profile, ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    record = profile.record
    check(record)
    assert len(record.runs) == 40
    assert len({run.thread for run in record.runs}) == 4
    counts = {(node.graph, node.name): node.tasks for node in record.nodes}
    assert counts["counter", "count"] == 400
    assert counts["fan", "worker"] == 200


def test_event_loops() -> None:
    graph = counter(10)

    async def several() -> None:
        await asyncio.gather(*(graph.ainvoke({"n": 0}) for _ in range(5)))

    with langgraph_cy.profile() as profile, ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: asyncio.run(several()), range(3)))
    check(profile.record)
    assert len(profile.record.runs) == 15
    assert all(run.asynchronous for run in profile.record.runs)


def test_stream_that_moves_between_threads() -> None:
    graph = counter(3)
    with langgraph_cy.profile() as profile, ThreadPoolExecutor(1) as pool:
        stream = graph.stream({"n": 0})
        chunks = [next(stream), pool.submit(next, stream).result(), *stream]
    assert len(chunks) == 3
    check(profile.record)


@pytest.mark.parametrize("limit", [1, 10, 5000])
def test_limit(limit: int) -> None:
    """Beyond the limit nothing is kept, but the totals go on."""
    graph, wide = counter(1000), fan(lambda n: {"found": [n]}, 300)
    with langgraph_cy.profile(limit=limit) as profile:
        for _ in range(3):
            graph.invoke({"n": 0}, {"recursion_limit": 2000})
            wide.invoke({})
    record = profile.record
    check(record)
    assert record.left_out > 0
    assert sum(len(run.segments) + len(run.beside) for run in record.runs) <= limit
    assert len(record.runs) + record.runs_left_out == 6
    counts = {(node.graph, node.name): node.tasks for node in record.nodes}
    assert counts["counter", "count"] == 3000
    assert counts["fan", "worker"] == 900
    if limit >= 6:
        assert record.measured == sum(run.spent for run in record.runs)
    assert "limit" in profile.table()
    assert "limit" in profile.html()


def test_nothing_stays() -> None:
    """A profile that nobody has any more lets go of its runs and graphs."""
    graph = counter(3)
    with langgraph_cy.profile() as profile:
        graph.invoke({"n": 0})
    held = weakref.ref(profile._recorder), weakref.ref(graph)
    del profile, graph
    gc.collect()
    assert [reference() for reference in held] == [None, None]


def test_a_task_that_outlives_its_profile() -> None:
    """What a node leaves running keeps nothing of the profile that its context knows of."""
    gate = threading.Event()
    threads: list[threading.Thread] = []

    def leave(packet: int) -> Any:
        import contextvars

        context = contextvars.copy_context()
        threads.append(threading.Thread(target=context.run, args=(gate.wait, 10)))
        threads[-1].start()
        return {"found": [packet]}

    graph = fan(leave, 2)
    with langgraph_cy.profile() as profile:
        graph.invoke({})
    held = weakref.ref(profile._recorder)
    del profile
    gc.collect()
    assert held() is None
    gate.set()
    for thread in threads:
        thread.join()


def test_events() -> None:
    """The fields of an event are those that the recorder gives."""
    made = recorder.Recorder(10)
    made.start()
    counter(1).invoke({"n": 0})
    made.stop()
    events = [Event._make(event) for event in made.events()]
    assert events[0].kind == Part.OPEN
    assert all(event.start <= event.end for event in events)
    assert made.count == len(events) + made.left_out


def test_clock() -> None:
    """It is the interpreter's own monotonic clock, in nanoseconds."""
    first = recorder.clock()
    time.sleep(NAP)
    assert recorder.clock() - first >= 0.9 * NAP * 1e9
