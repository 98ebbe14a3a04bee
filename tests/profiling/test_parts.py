"""The parts of runs add up to their wall time, and name what took it."""

import asyncio
import pickle
import time
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver as StockInMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, RetryPolicy, Send, interrupt

import langgraph_cy
from langgraph_cy.checkpoint import InMemorySaver, OrjsonSerializer, SqliteSaver
from langgraph_cy.profiling.profiler import Profile

from .profiles import Found, State, check, counter, demo_graphs, fan, parts_of

MS = 1_000_000
NAP = 0.03  # seconds; far longer than what the engine does
THREAD: Any = {"configurable": {"thread_id": "1"}}


def timed(call: Any) -> tuple[Profile, float]:
    """A profile of a call, and the nanoseconds that the call took by another clock."""
    with langgraph_cy.profile() as profile:
        began = time.perf_counter()
        call()
        spent = time.perf_counter() - began
    check(profile.record)
    return profile, spent * 1e9


def nap(state: Any) -> Any:
    time.sleep(NAP)
    return {"n": 1}


async def anap(state: Any) -> Any:
    await asyncio.sleep(NAP)
    return {"n": 1}


def one_node(function: Any, **options: Any) -> Any:
    graph = StateGraph(State).add_node("nap", function, **options)
    return graph.add_edge(START, "nap").add_edge("nap", END).compile(name="napping")


def test_demo() -> None:
    demo = demo_graphs()
    agent, map_reduce = demo.agent(), demo.map_reduce()
    corpus = demo.corpus(200)

    def both() -> None:
        agent.invoke(demo.AGENT_INPUT)
        map_reduce.invoke(corpus)

    both()  # what is made once for a graph is no part of a run
    shares = []
    for _ in range(5):  # another process may take its turn between the two clocks
        profile, wall = timed(both)
        found = profile.to_dict()
        shares.append(found["runs_wall"] / wall)
        if shares[-1] >= 0.95:
            break
    assert 0.95 <= shares[-1] <= 1, shares
    assert [run["graph"] for run in found["runs"]] == ["agent", "map-reduce"]
    nodes = {(node["graph"], node["node"]): node for node in found["nodes"]}
    assert nodes["agent", "model"]["tasks"] == 4
    assert nodes["agent", "tools"]["tasks"] == 3
    assert nodes["map-reduce", "count"]["tasks"] == 200
    assert nodes["map-reduce", "count"]["queue"] > 0
    assert nodes["map-reduce", "reduce"]["reduce"] > 0


@pytest.mark.parametrize("how", ["invoke", "stream", "ainvoke", "astream"])
def test_wall_time(how: str) -> None:
    graph = one_node(anap if how[0] == "a" else nap)

    def call() -> None:
        if how == "invoke":
            graph.invoke({"n": 0})
        elif how == "stream":
            list(graph.stream({"n": 0}))
        elif how == "ainvoke":
            asyncio.run(graph.ainvoke({"n": 0}))
        else:
            asyncio.run(all_chunks(graph))

    call()
    profile, wall = timed(call)
    (run,) = profile.record.runs
    assert run.spent <= wall
    assert 0.9 * NAP * 1e9 <= parts_of(run)["run"] <= run.spent
    assert run.asynchronous is (how[0] == "a")
    assert run.ending == "succeeded"


async def all_chunks(graph: Any, **options: Any) -> list[Any]:
    return [chunk async for chunk in graph.astream({"n": 0}, **options)]


@pytest.mark.parametrize("mode", ["values", "custom", ["updates", "values"]])
def test_consumer(mode: Any) -> None:
    graph = counter(3)
    with langgraph_cy.profile() as profile:
        taken = 0
        for _ in graph.stream({"n": 0}, stream_mode=mode):
            taken += 1
            time.sleep(NAP)

        async def consume() -> int:
            count = 0
            async for _ in graph.astream({"n": 0}, stream_mode=mode):
                count += 1
                await asyncio.sleep(NAP)
            return count

        assert asyncio.run(consume()) == taken
    check(profile.record)
    for run in profile.record.runs:
        spent = parts_of(run).get("consumer", 0)
        assert spent >= 0.9 * taken * NAP * 1e9
        assert run.spent - spent < 1e9 * NAP or not taken


def test_fan_out() -> None:
    graph = fan(lambda _: time.sleep(NAP) or {"found": [1]}, 4)
    profile, _ = timed(lambda: graph.invoke({}, {"max_concurrency": 2}))
    (run,) = profile.record.runs
    (worker,) = (node for node in profile.record.nodes if node.name == "worker")
    assert worker.tasks == 4
    assert worker.run >= 4 * 0.9 * NAP * 1e9
    assert worker.queued >= 2 * 0.9 * NAP * 1e9  # two wait for the first two
    assert run.parts.get(5, 0) < NAP * 1e9  # they ran beside the run's thread
    step = next(step for step in run.steps if step.tasks == 4)
    critical = dict(step.critical)
    assert critical["run worker x 2"] >= 2 * 0.9 * NAP * 1e9
    assert critical["run worker x 2"] >= 0.7 * step.spent


def test_asynchronous_fan_out() -> None:
    async def worker(_: Any) -> Any:
        await asyncio.sleep(NAP)
        return {"found": [1]}

    graph = fan(worker, 20)
    profile, _ = timed(lambda: asyncio.run(graph.ainvoke({})))
    (node,) = (node for node in profile.record.nodes if node.name == "worker")
    assert node.tasks == 20
    assert node.run >= 20 * 0.9 * NAP * 1e9
    step = next(step for step in profile.record.runs[0].steps if step.tasks == 20)
    assert dict(step.critical)["run worker"] >= 0.9 * NAP * 1e9
    assert step.spent < 20 * NAP * 1e9


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("checkpointer", [None, True])
def test_subgraphs(asynchronous: bool, checkpointer: Any) -> None:
    inner = counter(3, "inner", checkpointer=checkpointer)
    graph = StateGraph(State).add_node("below", inner).add_edge(START, "below")
    outer = graph.compile(name="outer", checkpointer=StockInMemorySaver() if checkpointer else None)

    def call() -> None:
        config = THREAD if checkpointer else None
        if asynchronous:
            asyncio.run(outer.ainvoke({"n": 0}, config))
        else:
            outer.invoke({"n": 0}, config)

    profile, _ = timed(call)
    above, below = profile.record.runs
    assert (above.path, below.path) == ("outer", "outer > below > inner")
    assert (above.above, below.above) == (0, above.number)
    assert profile.record.measured == above.spent
    counts = {(node.graph, node.name): node.tasks for node in profile.record.nodes}
    assert counts["outer > below > inner", "count"] == 3
    assert counts["outer", "below"] == 1


def test_subgraphs_of_packets() -> None:
    """Each packet's run is a part of its own task."""
    inner = one_node(nap)
    graph = StateGraph(State).add_node("one", lambda _: inner.invoke({"n": 0}) and None)
    graph.add_conditional_edges(START, lambda _: [Send("one", {"n": i}) for i in range(3)])
    outer = graph.compile(name="outer")
    profile, _ = timed(lambda: outer.invoke({"n": 0}))
    top, *below = profile.record.runs
    assert len({run.task_above for run in below}) == 3
    assert {run.above for run in below} == {top.number}


def test_functional() -> None:
    @task
    def square(n: int) -> int:
        time.sleep(NAP)
        return n * n

    @entrypoint()
    def squares(count: int) -> int:
        return sum(future.result() for future in [square(n) for n in range(count)])

    profile, _ = timed(lambda: squares.invoke(3))
    counts = {node.name: node.tasks for node in profile.record.nodes}
    assert counts == {"squares": 1, "square": 3}

    @task
    async def asquare(n: int) -> int:
        await asyncio.sleep(NAP)
        return n * n

    @entrypoint()
    async def asquares(count: int) -> int:
        return sum(await asyncio.gather(*(asquare(n) for n in range(count))))

    profile, _ = timed(lambda: asyncio.run(asquares.ainvoke(3)))
    counts = {node.name: node.tasks for node in profile.record.nodes}
    assert counts == {"asquares": 1, "asquare": 3}


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_retries(width: int, asynchronous: bool) -> None:
    policy = RetryPolicy(initial_interval=NAP, jitter=False, max_attempts=3)
    attempts: dict[Any, int] = {}

    def flaky(packet: Any) -> Any:
        attempts[packet] = attempts.get(packet, 0) + 1
        if attempts[packet] < 2:
            raise ConnectionError(packet)
        return {"found": [packet]}

    graph = StateGraph(Found).add_node("flaky", flaky, retry_policy=policy)
    graph.add_conditional_edges(START, lambda _: [Send("flaky", i) for i in range(width)])
    made = graph.compile()
    profile, _ = timed(lambda: asyncio.run(made.ainvoke({})) if asynchronous else made.invoke({}))
    (node,) = (node for node in profile.record.nodes if node.name == "flaky")
    assert (node.tasks, node.failed, node.errors) == (width, width, 0)
    assert node.run < NAP * 1e9  # the waits are not its own
    (run,) = profile.record.runs
    if width == 1:
        assert parts_of(run)["wait for retry"] >= 0.9 * NAP * 1e9


def test_cache() -> None:
    graph = StateGraph(State).add_node("slow", nap, cache_policy=CachePolicy())
    made = graph.add_edge(START, "slow").compile(cache=InMemoryCache())
    made.invoke({"n": 0})
    profile, _ = timed(lambda: made.invoke({"n": 0}))
    (node,) = (node for node in profile.record.nodes if node.name == "slow")
    assert (node.tasks, node.cached, node.run) == (0, 1, 0)
    assert "look in cache" in parts_of(profile.record.runs[0])
    profile, _ = timed(lambda: asyncio.run(made.ainvoke({"n": 0})))
    assert [node.cached for node in profile.record.nodes if node.name == "slow"] == [1]


SAVERS = {
    "stock": StockInMemorySaver,
    "stock, own serde": lambda: StockInMemorySaver(serde=OrjsonSerializer()),
    "own": InMemorySaver,
    "sqlite": lambda: SqliteSaver.from_conn_string(":memory:"),
}


@pytest.mark.parametrize("kind", SAVERS)
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_savers(kind: str, durability: Any) -> None:
    saver: Any = SAVERS[kind]()
    if isinstance(saver, BaseCheckpointSaver):
        profile, before, after = saved(saver, durability)
    else:
        with saver as opened:
            profile, before, after = saved(opened, durability)
    assert before == after  # nothing is left on the serializer's class
    record = profile.record
    beside = [event for run in record.runs for event in run.beside]
    spent = {name: ns for run in record.runs for name, ns in parts_of(run).items()}
    serialised = spent.get("serialise", 0) + sum(event.queued for event in beside)
    stored = spent.get("save", 0) + sum(event.spent for event in beside)
    assert serialised > 0
    assert stored > 0
    assert spent["make checkpoint"] > 0
    assert spent["load checkpoint"] > 0
    if durability != "exit":
        node = next(node for node in record.nodes if node.name == "count")
        assert node.serialised > 0
        assert node.saved > 0


def saved(saver: Any, durability: Any) -> Any:
    graph = counter(5, checkpointer=saver)

    def dumps() -> list[Any]:
        return [vars(owner).get("dumps_typed") for owner in type(saver.serde).__mro__]

    before = dumps()
    profile, _ = timed(lambda: graph.invoke({"n": 0}, THREAD, durability=durability))
    return profile, before, dumps()


class Static:
    """A serializer whose functions don't ask for it."""

    @staticmethod
    def dumps_typed(value: Any) -> tuple[str, bytes]:
        return "pickle", pickle.dumps(value)

    @staticmethod
    def loads_typed(data: tuple[str, bytes]) -> Any:
        return pickle.loads(data[1])


def test_a_serializer_of_static_methods() -> None:
    """It can't be measured so, and is left as it is."""
    graph = counter(3, checkpointer=StockInMemorySaver(serde=Static()))
    profile, _ = timed(lambda: graph.invoke({"n": 0}, THREAD))
    (run,) = profile.record.runs
    assert "serialise" not in parts_of(run)


@pytest.mark.parametrize("width", [1, 2])
def test_cancelled_while_it_waits_for_a_retry(width: int) -> None:
    async def fails(state: Any) -> Any:
        raise ValueError("again")

    policy = RetryPolicy(initial_interval=60, jitter=False, retry_on=ValueError)
    builder = StateGraph(dict)
    for index in range(width):
        builder.add_node(f"fails{index}", fails, retry_policy=policy)
        builder.add_edge(START, f"fails{index}")
    graph = builder.compile()

    async def call() -> None:
        running = asyncio.create_task(graph.ainvoke({}))
        await asyncio.sleep(5 * NAP)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    profile, _ = timed(lambda: asyncio.run(call()))
    nodes = [node for node in profile.record.nodes if node.name.startswith("fails")]
    assert len(nodes) == width
    assert all(node.run < 2 * NAP * 1e9 for node in nodes)


class Slow(StockInMemorySaver):
    """A saver that takes its time."""

    def put(self, *args: Any) -> Any:
        time.sleep(NAP)
        return super().put(*args)

    async def aput(self, *args: Any) -> Any:
        await asyncio.sleep(NAP)
        return super().put(*args)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_slow_saver(asynchronous: bool) -> None:
    """What a saver does beside the run is not the run's; its waiting for it is."""
    graph = counter(3, checkpointer=Slow())

    def call() -> None:
        if asynchronous:
            asyncio.run(graph.ainvoke({"n": 0}, THREAD, durability="sync"))
        else:
            graph.invoke({"n": 0}, THREAD, durability="sync")

    profile, _ = timed(call)
    (run,) = profile.record.runs
    beside = sum(event.spent for event in run.beside)
    assert beside >= 5 * 0.9 * NAP * 1e9
    assert parts_of(run)["wait for saver"] >= 4 * 0.9 * NAP * 1e9
    assert parts_of(run).get("save", 0) < NAP * 1e9


class Refused(Exception):
    """Raised by nodes of these tests."""


@pytest.mark.parametrize("asynchronous", [False, True])
def test_errors(asynchronous: bool) -> None:
    def refuse(state: Any) -> Any:
        raise Refused

    def run(graph: Any, *arguments: Any) -> None:
        if asynchronous:
            asyncio.run(graph.ainvoke(*arguments))
        else:
            graph.invoke(*arguments)

    def calls() -> None:
        with pytest.raises(Refused):
            run(one_node(refuse), {"n": 0})
        with pytest.raises(Refused):
            run(fan(refuse, 3), {})
        with pytest.raises(GraphRecursionError):
            run(counter(100), {"n": 0}, {"recursion_limit": 5})
        with pytest.raises(Exception, match="no input"):
            run(counter(1), None)
        asking = one_node(lambda state: {"n": interrupt("n?")})
        asking.checkpointer = StockInMemorySaver()
        run(asking, {"n": 0}, THREAD)

    profile, _ = timed(calls)
    assert [run.ending for run in profile.record.runs] == [
        "failed: Refused",
        "failed: Refused",
        "out of steps",
        "failed: EmptyInputError",
        "interrupted",
    ]
    errors = {(node.graph, node.name): node.errors for node in profile.record.nodes}
    assert errors["napping", "nap"] == 1
    assert 1 <= errors["fan", "worker"] <= 3


def test_left_half_way() -> None:
    def call() -> None:
        stream = counter(5).stream({"n": 0})
        next(stream)
        stream.close()

        async def cancelled() -> None:
            graph = one_node(anap)
            job = asyncio.create_task(graph.ainvoke({"n": 0}))
            await asyncio.sleep(NAP / 3)
            job.cancel()
            with pytest.raises(asyncio.CancelledError):
                await job

        asyncio.run(cancelled())

    profile, _ = timed(call)
    assert [run.ending for run in profile.record.runs] == ["closed", "cancelled"]


def test_stock_engine() -> None:
    """A run on stock's engine is one bar, with the reason; graphs in its nodes are parts of it."""
    inner = one_node(nap)
    graph = StateGraph(State).add_node("outer", lambda state: inner.invoke(state))
    outer = graph.add_edge(START, "outer").compile(name="outer")
    odd: Any = {"recursion_limit": 1 << 62}
    expected = list(outer.stream({"n": 0}, odd))
    seen: list[Any] = []

    def call() -> None:
        outer.invoke({"n": 0}, odd)
        seen.extend(outer.stream({"n": 0}, odd))
        outer.stream({"n": 0}, odd).close()
        left = outer.stream({"n": 0}, odd)
        next(left)
        left.close()

        async def awaited() -> None:
            async for _ in outer.astream({"n": 0}, odd):
                await asyncio.sleep(NAP)

        asyncio.run(awaited())

    profile, _ = timed(call)
    assert seen == expected
    tops = [run for run in profile.record.runs if not run.above]
    assert [run.reason for run in tops] == ["unusual recursion_limit"] * 4
    assert {run.reason for run in profile.record.runs if run.above} == {tops[0].reason}
    assert all(parts_of(run)["stock's engine"] > 0 for run in tops)
    assert parts_of(tops[3])["consumer"] >= 0.9 * NAP * 1e9
    assert [run.ending for run in tops] == ["succeeded", "succeeded", "closed", "succeeded"]
