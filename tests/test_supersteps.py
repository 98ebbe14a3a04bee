"""Savers that store a superstep as a whole: what goes into one transaction, and when."""

import asyncio
import operator
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
from typing_extensions import TypedDict

import langgraph_cy
from langgraph_cy.drivers.savers import stores_supersteps, takes_supersteps

CONFIG: Any = {"configurable": {"thread_id": "1"}}


class State(TypedDict, total=False):
    words: Annotated[list[Any], operator.add]
    one: str


@takes_supersteps
class Whole(InMemorySaver):
    """Takes down its transactions: the channels that tasks wrote, and "+" for a checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.transactions: list[str] = []
        self.failing = False
        self.gate: Any = None

    def note(self, *parts: str) -> None:
        if self.failing:
            raise OSError("disk full")
        self.transactions.append(" ".join(parts))

    def dumped_writes(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> Any:
        for _, value in writes:
            self.serde.dumps_typed(value)
        return (config, [(channel, list_copy(value)) for channel, value in writes], task_id, "")

    def dumped_superstep(self, dumped: Any, *arguments: Any) -> Any:
        self.serde.dumps_typed(arguments[1])
        return dumped, arguments

    def put_dumped(self, supersteps: Any) -> None:
        self.note(
            *(
                part
                for dumped, _ in supersteps
                for part in (*(name for _, writes, *_ in dumped for name, _ in writes), "+")
            )
        )
        for dumped, arguments in supersteps:
            for each in dumped:
                super().put_writes(*each)
            super().put(*arguments)

    async def aput_dumped(self, supersteps: Any) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.put_dumped(supersteps)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.note(*(channel for channel, _ in writes))
        super().put_writes(config, writes, task_id, task_path)

    def put(self, *arguments: Any) -> Any:
        self.note("+")
        return super().put(*arguments)

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        self.put_writes(config, writes, task_id, task_path)

    async def aput(self, *arguments: Any) -> Any:
        return self.put(*arguments)


def list_copy(value: Any) -> Any:
    return list(value) if isinstance(value, list) else value


def graph_of(*nodes: Any, saver: Any, row: bool = True) -> Any:
    """A graph of nodes in a row or side by side."""
    builder = StateGraph(State)
    before = START
    for number, node in enumerate(nodes):
        builder.add_node(f"n{number}", node)
        builder.add_edge(before if row else START, f"n{number}")
        before = f"n{number}"
    return langgraph_cy.accelerate(builder.compile(checkpointer=saver))


def say(word: Any) -> Any:
    return lambda state: {"words": [word]}


def invoke(graph: Any, asynchronous: bool, given: Any = None, **options: Any) -> Any:
    given = {"words": []} if given is None else given
    if asynchronous:
        return asyncio.run(graph.ainvoke(given, CONFIG, **options))
    return graph.invoke(given, CONFIG, **options)


def stored(saver: Whole) -> list[str]:
    """What has been stored up to each checkpoint and after the last, however put together."""
    return " ".join(saver.transactions).replace("+ ", "+\n").split("\n")


DURABILITIES = pytest.mark.parametrize("durability", ["sync", "async"])
DRIVERS = pytest.mark.parametrize("asynchronous", [False, True], ids=["invoke", "ainvoke"])


@DURABILITIES
@DRIVERS
def test_a_lone_task(asynchronous: bool, durability: Any) -> None:
    saver = Whole()
    graph = graph_of(say("a"), say("b"), saver=saver)
    assert invoke(graph, asynchronous, durability=durability)["words"] == ["a", "b"]
    supersteps = ["+", "words branch:to:n0 +", "words branch:to:n1 +", "words +"]
    assert stored(saver) == supersteps
    if durability == "sync" and not asynchronous:
        assert saver.transactions == supersteps


@DURABILITIES
@DRIVERS
def test_the_last_of_several_tasks(asynchronous: bool, durability: Any) -> None:
    saver = Whole()
    graph = graph_of(say("a"), say("b"), say("c"), saver=saver, row=False)
    assert invoke(graph, asynchronous, durability=durability)["words"] == ["a", "b", "c"]
    assert stored(saver)[2:] == ["words words words +"]
    assert saver.transactions[-3:] == ["words", "words", "words +"]


@DRIVERS
def test_what_is_streamed_is_stored_at_once(asynchronous: bool) -> None:
    saver = Whole()
    graph = graph_of(say("a"), saver=saver)
    stored = []
    if asynchronous:

        async def consume() -> None:
            async for _ in graph.astream({"words": []}, CONFIG, stream_mode="updates"):
                await asyncio.sleep(0.01)
                stored.append(list(saver.transactions))

        asyncio.run(consume())
    else:
        for _ in graph.stream({"words": []}, CONFIG, stream_mode="updates", durability="sync"):
            stored.append([each for each in saver.transactions if each != "+"])
    assert "words" in stored[-1]
    assert "words +" not in saver.transactions


@DRIVERS
def test_an_interrupt_beside_a_task(asynchronous: bool) -> None:
    saver = Whole()
    graph = graph_of(say("a"), lambda state: {"words": [interrupt("?")]}, saver=saver, row=False)
    invoke(graph, asynchronous)
    assert sorted(stored(saver)[-1].split()) == ["__interrupt__", "words"]
    assert sorted(saver.transactions[-2:]) == ["__interrupt__", "words"]


@DRIVERS
def test_a_superstep_that_can_not_be_applied(asynchronous: bool) -> None:
    saver = Whole()
    graph = graph_of(
        lambda state: {"one": "a"}, lambda state: {"one": "b"}, saver=saver, row=False
    )
    with pytest.raises(InvalidUpdateError):
        invoke(graph, asynchronous)
    assert saver.transactions[-2:] == ["one", "one"]


@DURABILITIES
@DRIVERS
def test_writes_that_can_not_be_serialized(asynchronous: bool, durability: Any) -> None:
    saver = Whole()
    builder = StateGraph(State)
    builder.add_node("n0", lambda state: {"words": [lambda: 0]})
    builder.add_edge(START, "n0")
    graph = langgraph_cy.accelerate(builder.compile(checkpointer=saver))
    with pytest.raises(TypeError, match="not msgpack serializable") as raised:
        invoke(graph, asynchronous, durability=durability)
    if hasattr(raised.value, "__notes__"):
        assert "channel 'words'" in raised.value.__notes__[0]


@DURABILITIES
@DRIVERS
def test_a_transaction_that_fails(asynchronous: bool, durability: Any) -> None:
    saver = Whole()

    broken = []

    def break_down(state: State) -> State:
        if not broken:
            broken.append(True)
            saver.failing = True
        return {"words": ["a"]}

    graph = graph_of(say("0"), break_down, say("b"), saver=saver)
    with pytest.raises(OSError, match="disk full"):
        invoke(graph, asynchronous, durability=durability)
    before = ["+", "words branch:to:n0 +", "words branch:to:n1 +"]
    if durability == "async":  # how far the saver got until then is chance
        assert " ".join(before).startswith(" ".join(saver.transactions))
    else:
        assert stored(saver) == before
    saver.failing = False
    assert invoke(graph, asynchronous)["words"][-3:] == ["0", "a", "b"]


def test_writes_are_stored_as_they_were() -> None:
    def extend(left: list[Any], right: list[Any]) -> list[Any]:
        right.append("later")
        return left + right

    class Kept(TypedDict):
        words: Annotated[list[Any], extend]

    saver = Whole()
    builder = StateGraph(Kept)
    builder.add_node("n0", lambda state: {"words": ["a"]})
    builder.add_edge(START, "n0")
    graph = langgraph_cy.accelerate(builder.compile(checkpointer=saver))
    assert graph.invoke({"words": []}, CONFIG)["words"] == ["later", "a", "later"]
    ((_, channel, value),) = (
        write
        for stored in saver.list(CONFIG)
        for write in stored.pending_writes or ()
        if write[1] == "words" and write[2] and write[2][0] == "a"
    )
    assert (channel, value) == ("words", ["a"])


@DRIVERS
def test_called_tasks_that_outlive_their_caller(asynchronous: bool) -> None:
    saver = Whole()

    @task
    def slow(word: str) -> str:
        return word

    @entrypoint(checkpointer=saver)
    def workflow(word: str) -> str:
        slow("left alone")
        return word

    graph = langgraph_cy.accelerate(workflow)
    assert invoke(graph, asynchronous, "a") == "a"
    assert saver.transactions.count("__return__") >= 1
    assert "".join(saver.transactions).count("+") == 2


def test_the_backlog_counts_whole_supersteps() -> None:
    saver = Whole()

    async def main() -> None:
        saver.gate = asyncio.Event()
        graph = graph_of(*(say(number) for number in range(8)), saver=saver)
        run = asyncio.ensure_future(graph.ainvoke({"words": []}, CONFIG, durability="async"))
        await asyncio.sleep(0.05)
        assert not run.done()
        saver.gate.set()
        await run

    asyncio.run(main())
    assert len(stored(saver)) == 10
    assert any(each.count("+") > 1 for each in saver.transactions)


def test_which_savers_take_supersteps() -> None:
    class Inheriting(Whole):
        pass

    class Own(Whole):
        def put_writes(self, *arguments: Any) -> None:
            """A user's own."""

    class OwnAsync(Whole):
        async def aput(self, *arguments: Any) -> Any:
            """A user's own."""

    patched = Whole()
    patched.put = patched.put  # type: ignore[method-assign]
    for asynchronous in (False, True):
        assert stores_supersteps(Whole(), asynchronous)
        assert stores_supersteps(Inheriting(), asynchronous)
        for saver in (Own(), OwnAsync(), patched, InMemorySaver(), None):
            assert not stores_supersteps(saver, asynchronous)


def test_a_replaced_method_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Whole, "put_writes", InMemorySaver.put_writes)
    assert not stores_supersteps(Whole(), False)


