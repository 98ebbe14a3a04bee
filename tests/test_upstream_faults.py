"""Where upstream is at fault: each test shows the fault on stock, and its absence here."""

import asyncio
import contextlib
import re
import sys
import threading
import time
from collections.abc import Callable
from operator import add
from typing import Annotated, Any

import pytest
from langgraph.channels import NamedBarrierValue, Topic
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from .driving import assert_compiled
from .engines import COMPILED, STOCK, Engine, State, add_one, chain

# The most checkpoints that may wait for a saver that is slower than the graph.
BACKLOG = 16
STEPS = 200


def on(engine: Engine, call: Callable[[], Any]) -> Any:
    """What a call returns on an engine; the compiled one has to take every run itself."""
    with engine.running():
        result = call()
        if engine.compiled:
            assert_compiled()
        return result


class Log:
    """What a saver was asked to do and has done, in order."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lines: list[tuple[str, Any]] = []

    def add(self, what: str, step: Any) -> None:
        with self.lock:
            self.lines.append((what, step))

    def most_outstanding(self) -> int:
        """How many checkpoints at most were made and not yet saved."""
        outstanding = most = 0
        for what, _ in self.lines:
            outstanding += {"made": 1, "saved": -1}.get(what, 0)
            most = max(most, outstanding)
        return most


class SlowSaver(InMemorySaver):
    """A saver that takes its time.

    Args:
        log: what is written down.
        checkpoints: seconds for a checkpoint.
        writes: seconds for the writes of a task.
    """

    def __init__(self, log: Log, *, checkpoints: float = 0, writes: float = 0) -> None:
        super().__init__()
        self.log = log
        self.seconds_of_put = checkpoints
        self.seconds_of_writes = writes

    def put(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        time.sleep(self.seconds_of_put)
        result = super().put(config, checkpoint, metadata, versions)
        self.log.add("saved", metadata["step"])
        return result

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        time.sleep(self.seconds_of_writes)
        super().put_writes(config, writes, task_id, task_path)
        self.log.add("wrote", config["configurable"]["checkpoint_id"])

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        await asyncio.sleep(self.seconds_of_put)
        result = super().put(config, checkpoint, metadata, versions)
        self.log.add("saved", metadata["step"])
        return result

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.sleep(self.seconds_of_writes)
        super().put_writes(config, writes, task_id, task_path)
        self.log.add("wrote", config["configurable"]["checkpoint_id"])


def run(graph: Any, input: Any, way: str, **arguments: Any) -> Any:
    """Run a graph synchronously or not, on a thread of its checkpointer's."""
    config = {"configurable": {"thread_id": "1"}, "recursion_limit": 1000}
    if way == "invoke":
        return graph.invoke(input, config, **arguments)
    return asyncio.run(graph.ainvoke(input, config, **arguments))


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_unsaved_checkpoints_do_not_pile_up(way: str) -> None:
    """With `durability="async"`, a run waits for a saver that falls too far behind it."""

    def call() -> int:
        log = Log()

        def count(state: State) -> dict[str, int]:
            # a node runs after the checkpoint of the step before it was made
            log.add("made", state["n"])
            return {"n": state["n"] + 1}

        async def acount(state: State) -> dict[str, int]:
            await asyncio.sleep(0)
            return count(state)

        builder = StateGraph(State)
        builder.add_node("count", count if way == "invoke" else acount)
        builder.add_edge(START, "count")
        builder.add_conditional_edges("count", lambda state: "count" if state["n"] < STEPS else END)
        saver = SlowSaver(log, checkpoints=0.004)
        graph = builder.compile(checkpointer=saver)
        assert run(graph, {"n": 0}, way, durability="async") == {"n": STEPS}
        # every checkpoint is saved in the end: the input, and one for each step
        assert [step for what, step in log.lines if what == "saved"] == list(range(-1, STEPS + 1))
        return log.most_outstanding()

    assert on(STOCK, call) > 3 * BACKLOG
    assert on(COMPILED, call) <= BACKLOG


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("width", [1, 3])
def test_writes_are_durable_before_their_checkpoint(width: int, way: str) -> None:
    """With `durability="sync"`, no checkpoint is saved before the writes that lead to it."""

    class Total(TypedDict):
        total: Annotated[int, add]

    def call() -> list[str]:
        log = Log()
        builder = StateGraph(Total)
        for place in range(width):
            builder.add_node(f"first{place}", lambda state: {"total": 1})
            builder.add_edge(START, f"first{place}")
        builder.add_node("second", lambda state: {"total": 1})
        builder.add_edge([f"first{place}" for place in range(width)], "second")
        graph = builder.compile(checkpointer=SlowSaver(log, writes=0.03))
        result = run(graph, {"total": 0}, way, durability="sync")
        assert result == {"total": width + 1}
        return [what for what, _ in log.lines]

    # the input; what distributes it; the first nodes; the second
    right = ["saved", "wrote", "saved", *["wrote"] * width, "saved", "wrote", "saved"]
    expected, found = on(STOCK, call), on(COMPILED, call)
    assert sorted(expected) == sorted(right)
    assert expected != right
    assert found == right


class LazySaver(InMemorySaver):
    """A saver that keeps what it is given, and looks at it when it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[tuple[int, dict[str, Any]]] = []

    def put(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        self.kept.append((metadata["step"], checkpoint["channel_values"]))
        return super().put(config, checkpoint, metadata, versions)

    def look(self, channel: str) -> dict[int, Any]:
        return {step: sorted(values[channel]) for step, values in self.kept if channel in values}


class EagerSaver(LazySaver):
    """A saver that looks at once: what the other one should find, too."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[int, dict[str, Any]] = {}

    def put(self, config: Any, checkpoint: Any, metadata: Any, versions: Any) -> Any:
        values = checkpoint["channel_values"]
        self.seen[metadata["step"]] = {
            name: sorted(value) for name, value in values.items() if isinstance(value, (list, set))
        }
        return super().put(config, checkpoint, metadata, versions)


def growing_topic(saver: Any) -> Any:
    class Topics(TypedDict):
        n: int
        seen: Annotated[list[int], Topic(int, accumulate=True)]

    builder = StateGraph(Topics)
    builder.add_node("count", lambda state: {"n": state["n"] + 1, "seen": state["n"]})
    builder.add_edge(START, "count")
    builder.add_conditional_edges("count", lambda state: "count" if state["n"] < 4 else END)
    return builder.compile(checkpointer=saver), {"n": 0}, "seen"


def filling_barrier(saver: Any) -> Any:
    class Names(TypedDict):
        n: int

    builder = StateGraph(Names)
    for name in ("first", "second", "third", "last"):
        builder.add_node(name, lambda state: None)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", "third")
    builder.add_edge(["first", "second", "third"], "last")
    graph = builder.compile(checkpointer=saver)
    (channel,) = (
        name for name, each in graph.channels.items() if isinstance(each, NamedBarrierValue)
    )
    return graph, {"n": 0}, channel


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("make", [growing_topic, filling_barrier])
def test_a_checkpoint_keeps_the_values_of_its_step(make: Any, way: str) -> None:
    """A saver that serialises later finds what the channels held, not what they hold by then."""

    def call() -> Any:
        saver = EagerSaver()
        graph, input, channel = make(saver)
        run(graph, input, way, durability="sync")
        now = {step: values[channel] for step, values in saver.seen.items() if channel in values}
        assert len(now) > 2
        return now, saver.look(channel)

    at_once, later = on(STOCK, call)
    assert at_once != later
    expected, found = on(COMPILED, call)
    assert expected == at_once
    assert found == at_once


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_durability_without_a_checkpointer_has_no_effect(durability: Any, way: str) -> None:
    """It warns that it has none; with "sync", stock then stumbles over it."""
    graph = chain(add_one, add_one)

    def call() -> Any:
        with pytest.warns(UserWarning, match="`durability` has no effect"):
            with contextlib.suppress(AttributeError):
                return run(graph, {"n": 0}, way, durability=durability)
        return AttributeError

    assert on(STOCK, call) == (AttributeError if durability == "sync" else {"n": 2})
    assert on(COMPILED, call) == {"n": 2}


class Opaque:
    """A value that the savers' serialiser does not take."""


class Holding(TypedDict, total=False):
    foo: Any
    bar: Any


# name: value of the channel `foo`, and the path to the culprit
CULPRITS: dict[str, tuple[Callable[[], Any], str]] = {
    "itself": (Opaque, "foo"),
    "in a dict": (lambda: {"a": Opaque()}, "foo['a']"),
    "in a list in a dict": (lambda: {"a": [1, 2, Opaque()]}, "foo['a'][2]"),
    "in a tuple": (lambda: [(0, Opaque())], "foo[0][1]"),
    "under a number": (lambda: {7: {"x": [Opaque()]}}, "foo[7]['x'][0]"),
    "beside others": (lambda: {"a": 1, "b": [{}, {"c": Opaque()}]}, "foo['b'][1]['c']"),
}


def told(error: BaseException) -> str:
    """All that an error says: its notes, or its text where Python has no notes."""
    if sys.version_info >= (3, 11):
        return "\n".join(getattr(error, "__notes__", ()))
    return str(error)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("where", ["from a node", "from the input"])
@pytest.mark.parametrize("culprit", CULPRITS)
def test_a_value_that_cannot_be_saved_is_named(
    culprit: str, where: str, durability: Any, way: str
) -> None:
    """The error says in which channel it is, and where in it."""
    make, path = CULPRITS[culprit]
    channel = "foo"
    if where == "from the input" and durability != "exit":
        # the first checkpoint holds the input as a whole
        channel, path = "__start__", path.replace("foo", "__start__['foo']", 1)
    node = (lambda state: {"foo": make()}) if where == "from a node" else (lambda state: None)
    input = {"bar": 1} if where == "from a node" else {"bar": 1, "foo": make()}

    def call() -> BaseException:
        builder = StateGraph(Holding)
        builder.add_node("node", node)
        builder.add_edge(START, "node")
        graph = builder.compile(checkpointer=InMemorySaver())
        with pytest.raises(TypeError, match="not msgpack serializable: Opaque") as caught:
            run(graph, input, way, durability=durability)
        return caught.value

    expected, found = on(STOCK, call), on(COMPILED, call)
    assert "foo" not in told(expected)
    assert type(found) is type(expected)
    assert str(found).startswith(str(expected))
    assert f"channel '{channel}'" in told(found)
    assert re.search(rf"(?<!\S){re.escape(path)}(?!\S)", told(found))
