"""Reading and changing a thread's state, and carrying it from one engine to the other."""

import asyncio
import re
import sys
from collections.abc import Callable
from operator import add
from typing import Annotated, Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import InvalidUpdateError
from langgraph.graph import END, START, StateGraph
from langgraph.types import CachePolicy, Command, Interrupt, Send, StateUpdate, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict

import langgraph_cy

from .driving import assert_compiled, both_async
from .engines import COMPILED, STOCK, UUID, Engine, State, add_one, both, chain

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.+]+")
HEX = re.compile(r"\b[0-9a-f]{32}\b")
# one task at a time, since stock leaves it to chance which of several ends first
CONFIG: Any = {"configurable": {"thread_id": "1"}, "max_concurrency": 1}

pytestmark = pytest.mark.shim


class Trail(TypedDict):
    n: int
    trail: Annotated[list[str], add]


def step(name: str) -> Callable[[Trail], dict[str, Any]]:
    def node(state: Trail) -> dict[str, Any]:
        return {"n": state["n"] + 1, "trail": [name]}

    return node


def ask(state: Trail) -> dict[str, Any]:
    return {"trail": [f"answered {interrupt({'question': state['n']})}"]}


def straight(**arguments: Any) -> Any:
    """Three nodes in a row."""
    builder = StateGraph(Trail)
    builder.add_sequence([(name, step(name)) for name in ("a", "b", "c")])
    builder.add_edge(START, "a")
    return builder.compile(checkpointer=InMemorySaver(), **arguments)


def asking() -> Any:
    """A node that asks, between two others."""
    builder = StateGraph(Trail)
    builder.add_sequence([("a", step("a")), ("ask", ask), ("c", step("c"))])
    builder.add_edge(START, "a")
    return builder.compile(checkpointer=InMemorySaver())


def asking_below() -> Any:
    """A graph as a node, in which a node asks."""
    inner = StateGraph(Trail)
    inner.add_sequence([("x", step("x")), ("ask", ask)])
    inner.add_edge(START, "x")
    builder = StateGraph(Trail)
    builder.add_sequence([("a", step("a")), ("below", inner.compile()), ("c", step("c"))])
    builder.add_edge(START, "a")
    return builder.compile(checkpointer=InMemorySaver())


def asking_twice() -> Any:
    """Two nodes of a superstep that ask, and one that does not."""
    builder = StateGraph(Trail)
    for name, node in (("left", ask), ("right", ask), ("other", lambda state: {"trail": ["o"]})):
        builder.add_node(name, node)
        builder.add_edge(START, name)
    builder.add_node("join", step("join"))
    builder.add_edge(["left", "right", "other"], "join")
    return builder.compile(checkpointer=InMemorySaver())


def sending() -> Any:
    """Tasks made by `Send`, of which some ask."""

    def one(n: int) -> dict[str, Any]:
        return {"trail": [f"{n} {interrupt(n) if n % 2 else 'even'}"]}

    builder = StateGraph(Trail)
    builder.add_node("split", step("split"))
    builder.add_node("one", one)
    builder.add_edge(START, "split")
    builder.add_conditional_edges(
        "split", lambda state: [Send("one", n) for n in range(4)], ["one"]
    )
    builder.add_edge("one", END)
    return builder.compile(checkpointer=InMemorySaver())


def failing() -> Any:
    """A node that raises the first time it is run."""
    runs: list[int] = []

    def node(state: Trail) -> dict[str, Any]:
        runs.append(1)
        if len(runs) == 1:
            raise ValueError("the first time")
        return {"trail": ["second time"]}

    builder = StateGraph(Trail)
    builder.add_sequence([("a", step("a")), ("node", node), ("c", step("c"))])
    builder.add_edge(START, "a")
    return builder.compile(checkpointer=InMemorySaver())


GRAPHS: dict[str, Callable[[], Any]] = {
    "straight": straight,
    "stopped before a node": lambda: straight(interrupt_before=["b"]),
    "stopped after a node": lambda: straight(interrupt_after=["a"]),
    "stopped everywhere": lambda: straight(interrupt_before="*"),
    "asking": asking,
    "asking below": asking_below,
    "asking twice": asking_twice,
    "sending": sending,
    "failing": failing,
}


class Numbered:
    """Ids of any kind, as the numbers in which they first came up."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def name(self, found: re.Match[str]) -> str:
        return f"<{self.known.setdefault(found.group(), len(self.known))}>"

    def __call__(self, value: Any) -> Any:
        """A value in a form that can be compared with that of another run."""
        if isinstance(value, str):
            return TIME.sub("<time>", HEX.sub(self.name, UUID.sub(self.name, value)))
        if isinstance(value, Interrupt):
            return ("Interrupt", self(value.value), self(value.id))
        if isinstance(value, InMemorySaver):
            return type(value)
        if isinstance(value, BaseException):
            return (type(value), self(str(value)))
        if isinstance(value, dict):
            return {self(key): self(each) for key, each in value.items()}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            parts = [(name, self(each)) for name, each in zip(value._fields, value, strict=True)]
            return (type(value).__name__, parts)
        if isinstance(value, (list, tuple)):
            return type(value)(self(each) for each in value)
        return value


def answer(state: Any) -> Any:
    """What a thread is given to go on: answers for all that was asked, if anything was."""
    if not state.interrupts:
        return None
    return Command(resume={each.id: f"to {each.value}" for each in state.interrupts})


def attempt(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


async def attempt_async(awaitable: Any) -> Any:
    try:
        return await awaitable
    except Exception as error:
        return error


def story(graph: Any) -> list[Any]:
    """All there is to read on a thread, after its first run and after each that follows."""
    read: list[Any] = []
    input: Any = {"n": 0, "trail": []}
    for _ in range(6):
        read.append(attempt(lambda input=input: graph.invoke(input, CONFIG)))
        state = graph.get_state(CONFIG, subgraphs=True)
        read += [state, graph.get_state(CONFIG), list(graph.get_state_history(CONFIG))]
        if not state.next:
            break
        input = answer(state)
    read.append(list(graph.get_state_history(CONFIG, limit=2)))
    read.append(list(graph.get_state_history(CONFIG, filter={"source": "input"})))
    history = list(graph.get_state_history(CONFIG))
    read.append(list(graph.get_state_history(CONFIG, before=history[1].config)))
    read += [graph.get_state(each.config, subgraphs=True) for each in history]
    return read


async def story_async(graph: Any) -> list[Any]:
    read: list[Any] = []
    input: Any = {"n": 0, "trail": []}
    for _ in range(6):
        read.append(await attempt_async(graph.ainvoke(input, CONFIG)))
        state = await graph.aget_state(CONFIG, subgraphs=True)
        read += [state, await graph.aget_state(CONFIG)]
        read.append([each async for each in graph.aget_state_history(CONFIG)])
        if not state.next:
            break
        input = answer(state)
    read.append([each async for each in graph.aget_state_history(CONFIG, limit=2)])
    return read


def ways(make: Callable[[], Any]) -> list[Callable[[], Any]]:
    """The graph as `install` reaches it, and as `accelerate` makes it."""
    return [make, lambda: langgraph_cy.accelerate(make())]


@pytest.mark.parametrize("name", GRAPHS)
def test_what_can_be_read_of_a_thread(name: str) -> None:
    for make in ways(GRAPHS[name]):
        with STOCK.running():
            expected = Numbered()(story(GRAPHS[name]()))
        with COMPILED.running():
            found = Numbered()(story(make()))
            assert_compiled()
        assert found == expected


@pytest.mark.parametrize("name", GRAPHS)
def test_what_can_be_read_of_a_thread_asynchronously(name: str) -> None:
    for make in ways(GRAPHS[name]):
        with STOCK.running():
            expected = Numbered()(asyncio.run(story_async(GRAPHS[name]())))
        with COMPILED.running():
            found = Numbered()(asyncio.run(story_async(make())))
            assert_compiled()
        assert found == expected


UPDATES: dict[str, Callable[[Any], Any]] = {
    "by nobody in particular": lambda graph: graph.update_state(CONFIG, {"n": 40}),
    "as a node": lambda graph: graph.update_state(CONFIG, {"trail": ["u"]}, as_node="a"),
    "as the last node": lambda graph: graph.update_state(CONFIG, {"n": 9}, as_node="c"),
    "to the end": lambda graph: graph.update_state(CONFIG, None, as_node=END),
    "of nothing": lambda graph: graph.update_state(CONFIG, None),
    "as input": lambda graph: graph.update_state(CONFIG, {"n": 7}, as_node=START),
    "as an unknown node": lambda graph: graph.update_state(CONFIG, {"n": 1}, as_node="x"),
    "of what is no update": lambda graph: graph.update_state(CONFIG, 5),
    "of an earlier checkpoint": lambda graph: graph.update_state(
        list(graph.get_state_history(CONFIG))[-2].config, {"n": 100}
    ),
    "several at once": lambda graph: graph.bulk_update_state(
        CONFIG,
        [
            [StateUpdate({"n": 5, "trail": ["one"]}, "a")],
            [StateUpdate({"trail": ["two"]}, "b"), StateUpdate({"trail": ["three"]}, "c")],
        ],
    ),
    "none at once": lambda graph: graph.bulk_update_state(CONFIG, []),
    "without a thread": lambda graph: graph.update_state({}, {"n": 1}),
}


@pytest.mark.parametrize("asynchronously", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("ran", [False, True], ids=["new thread", "after a run"])
@pytest.mark.parametrize("update", UPDATES)
def test_updates(update: str, ran: bool, asynchronously: bool) -> None:
    """A thread's state is changed, and the next run goes on from there."""

    def call(make: Callable[[], Any]) -> Any:
        graph = make()
        read: list[Any] = []
        if ran:
            read.append(graph.invoke({"n": 0, "trail": []}, CONFIG))
        target = Awaiting(graph) if asynchronously else graph
        read.append(attempt(lambda: UPDATES[update](target)))
        read.append(graph.get_state(CONFIG))
        read.append(attempt(lambda: graph.invoke(None, CONFIG)))
        read.append(list(graph.get_state_history(CONFIG)))
        return Numbered()(read)

    def make() -> Any:
        return straight(interrupt_after=["b"])

    with STOCK.running():
        expected = call(make)
    for fast in ways(make):
        with COMPILED.running():
            assert call(fast) == expected
            if ran:
                assert_compiled()


class Awaiting:
    """A graph whose synchronous methods are its asynchronous ones."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def update_state(self, *arguments: Any, **named: Any) -> Any:
        return asyncio.run(self.graph.aupdate_state(*arguments, **named))

    def bulk_update_state(self, *arguments: Any) -> Any:
        return asyncio.run(self.graph.abulk_update_state(*arguments))

    def get_state_history(self, config: Any) -> Any:
        async def read() -> Any:
            return [each async for each in self.graph.aget_state_history(config)]

        return asyncio.run(read())


def on(engine: Engine, call: Callable[[], Any]) -> Any:
    with engine.running():
        result = call()
        if engine.compiled:
            assert_compiled()
        return result


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "straight"])
@pytest.mark.parametrize("begins", [STOCK, COMPILED], ids=["stock begins", "compiled begins"])
def test_a_thread_goes_from_engine_to_engine(name: str, begins: Engine) -> None:
    """Each run on the engine that the one before was not on; it comes to what stock makes of it."""
    others = [STOCK, COMPILED] if begins is STOCK else [COMPILED, STOCK]

    def walk(engines: list[Engine]) -> Any:
        graph = GRAPHS[name]()
        read: list[Any] = []
        input: Any = {"n": 0, "trail": []}
        for place in range(6):
            engine = engines[place % 2]
            read.append(
                on(engine, lambda input=input: attempt(lambda: graph.invoke(input, CONFIG)))
            )
            state = graph.get_state(CONFIG, subgraphs=True)
            read.append(state)
            if not state.next:
                break
            input = answer(state)
        assert len(read) > 2
        return Numbered()([*read, list(graph.get_state_history(CONFIG))])

    assert walk(others) == walk([STOCK, STOCK])


@pytest.mark.parametrize("writer", [STOCK, COMPILED], ids=["stock writes", "compiled writes"])
@pytest.mark.parametrize("name", ["straight", "asking", "sending"])
def test_a_fork_on_the_other_engine(name: str, writer: Engine) -> None:
    """Any checkpoint of one engine's can be gone back to on the other."""

    def forked(first: Engine, second: Engine) -> Any:
        graph = GRAPHS[name]()
        on(first, lambda: graph.invoke({"n": 0, "trail": []}, CONFIG))
        history = list(graph.get_state_history(CONFIG))
        read = []
        for each in history:
            if each.next:
                config = {**CONFIG, **each.config}
                read.append(on(second, lambda config=config: graph.invoke(None, config)))
                read.append(graph.get_state(CONFIG))
        assert read
        return Numbered()(read)

    reader = COMPILED if writer is STOCK else STOCK
    assert forked(writer, reader) == forked(STOCK, STOCK)


def test_what_is_stored_is_stocks() -> None:
    """The checkpoints themselves: versions, what each node has seen, metadata, writes."""

    def call(chunks: list[Any]) -> Any:
        graph = asking()
        graph.invoke({"n": 0, "trail": []}, CONFIG)
        graph.invoke(Command(resume="yes"), CONFIG)
        number = Numbered()
        for saved in reversed(list(graph.checkpointer.list(CONFIG))):
            writes = [number(each) for each in saved.pending_writes or ()]
            versions = {
                name: str(version).split(".")[0]  # the rest of it is random
                for name, version in saved.checkpoint["channel_versions"].items()
            }
            seen = {
                node: {name: str(version).split(".")[0] for name, version in versions.items()}
                for node, versions in saved.checkpoint["versions_seen"].items()
            }
            chunks.append((number(saved.metadata), versions, seen, writes))
            chunks.append(number(saved.checkpoint["channel_values"]))
            chunks.append(sorted(saved.checkpoint))
            chunks.append(number(saved.checkpoint.get("updated_channels")))

    assert len(both(call).chunks) == 4 * 5


def test_clearing_the_cache() -> None:
    """What a run has put into a node's cache is used, until it is cleared."""

    def call(chunks: list[Any]) -> Any:
        ran: list[str] = []

        def node(state: State) -> dict[str, int]:
            ran.append("node")
            return add_one(state)

        builder = StateGraph(State)
        builder.add_node("node", node, cache_policy=CachePolicy())
        builder.add_edge(START, "node")
        graph = builder.compile(cache=InMemoryCache())
        for clear in (None, None, graph.clear_cache, None):
            if clear is not None:
                clear()
            chunks.append((graph.invoke({"n": 1}), len(ran)))
            chunks.append(list(graph.stream({"n": 1}, stream_mode="updates")))

        async def more() -> None:
            await graph.aclear_cache(["node"])
            chunks.append((await graph.ainvoke({"n": 1}), len(ran)))

        asyncio.run(more())
        return len(ran)

    assert both(call).result == 3


def test_with_config() -> None:
    """A configured copy is a graph of its own; the one it was made from stays as it is."""
    make = straight
    for fast in ways(make):

        def call(chunks: list[Any], fast: Any = fast) -> Any:
            graph = fast()
            copied = graph.with_config(CONFIG, tags=["copied"], recursion_limit=2)
            chunks.append(repr(attempt(lambda: copied.invoke({"n": 0, "trail": []}))))
            chunks.append(copied.get_state({}).values)
            chunks.append((type(copied).__name__, copied.config["tags"], graph.config))
            again = copied.with_config(recursion_limit=50)
            chunks.append(again.invoke(None))
            chunks.append(len(list(again.get_state_history({}))))

        def blur(outcome: Any) -> None:
            outcome.chunks = [Numbered()(each) for each in outcome.chunks]

        both(call, blur=blur)


def test_subgraphs_are_found() -> None:
    def call(chunks: list[Any]) -> Any:
        graph = asking_below()
        graph.invoke({"n": 0, "trail": []}, CONFIG)
        for namespace in (None, "below", "nothing"):
            for recurse in (False, True):
                found = graph.get_subgraphs(namespace=namespace, recurse=recurse)
                chunks.append([(name, sorted(each.nodes)) for name, each in found])

        async def more() -> Any:
            return [name async for name, _ in graph.aget_subgraphs(recurse=True)]

        return asyncio.run(more())

    expected = both(call)
    assert expected.result == ["below"]


def test_state_of_a_subgraph_is_reached_by_its_own_config() -> None:
    """A subgraph's state is read and changed through the config that its task shows."""

    def call(make: Callable[[], Any]) -> Any:
        graph = make()
        read = [graph.invoke({"n": 0, "trail": []}, CONFIG)]
        below = graph.get_state(CONFIG, subgraphs=True).tasks[0].state
        read += [graph.get_state(below.config), list(graph.get_state_history(below.config))]
        read.append(graph.update_state(below.config, {"trail": ["changed"]}))
        read.append(graph.get_state(CONFIG, subgraphs=True))
        read.append(graph.invoke(Command(resume="yes"), CONFIG))
        return Numbered()(read)

    with STOCK.running():
        expected = call(asking_below)
    for fast in ways(asking_below):
        with COMPILED.running():
            assert call(fast) == expected
            assert_compiled()


class Checked(BaseModel):
    n: int = 3


class Given(TypedDict):
    x: int


def schemas(graph: Any) -> list[Any]:
    return [
        graph.get_input_jsonschema(),
        graph.get_output_jsonschema(),
        graph.get_config_jsonschema(),
        graph.get_context_jsonschema(),
        graph.get_input_schema().__name__,
        graph.get_graph().to_json(),
        graph.get_graph(xray=True).draw_mermaid(),
        graph.name,
        graph.get_name(),
        sorted(graph.nodes),
        sorted(graph.channels),
        repr(graph.InputType),
        repr(graph.OutputType),
        graph.stream_channels_list,
    ]


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.filterwarnings("ignore:.*get_config_jsonschema")
def test_a_graph_describes_itself(name: str) -> None:
    with STOCK.running():
        expected = schemas(GRAPHS[name]())
    for make in ways(GRAPHS[name]):
        with COMPILED.running():
            assert schemas(make()) == expected


@pytest.mark.filterwarnings("ignore:.*get_config_jsonschema")
def test_schemas_of_every_kind() -> None:
    builder = StateGraph(Checked, context_schema=Given, input_schema=Given, output_schema=State)
    builder.add_node("node", lambda state: {"n": 5})
    builder.add_edge(START, "node")
    with STOCK.running():
        expected = schemas(builder.compile())
    for make in ways(builder.compile):
        with COMPILED.running():
            graph = make()
            assert schemas(graph) == expected
            assert graph.invoke({"x": 1}, context={"x": 2}) == {"n": 5}
            assert schemas(graph) == expected
            assert_compiled()


def test_state_without_a_checkpointer() -> None:
    graph = chain(add_one)
    calls: list[Callable[[], Any]] = [
        lambda: graph.get_state(CONFIG),
        lambda: list(graph.get_state_history(CONFIG)),
        lambda: graph.update_state(CONFIG, {"n": 1}),
        lambda: asyncio.run(graph.aget_state(CONFIG)),
    ]
    for each in calls:
        outcome = both(lambda chunks, each=each: each(), covered=False)
        assert outcome.kind is ValueError


def test_updates_of_one_superstep_that_clash() -> None:
    def call(chunks: list[Any]) -> Any:
        return straight().bulk_update_state(
            CONFIG, [[StateUpdate({"n": 1}, "a"), StateUpdate({"n": 2}, "b")]]
        )

    assert both(call, covered=False).kind is InvalidUpdateError


def test_resuming_by_another_task() -> None:
    """A thread is resumed on a loop other than the one that it was interrupted on."""

    async def call(chunks: list[Any]) -> Any:
        graph = asking_twice()
        chunks.append(await graph.ainvoke({"n": 0, "trail": []}, CONFIG))
        state = await graph.aget_state(CONFIG)
        resume = answer(state)
        return await asyncio.to_thread(lambda: asyncio.run(graph.ainvoke(resume, CONFIG)))

    def blur(outcome: Any) -> None:
        outcome.chunks = [Numbered()(each) for each in outcome.chunks]

    expected = both_async(call, blur=blur)
    if sys.version_info >= (3, 11):  # before, an asyncio task takes no context: `interrupt` fails
        assert expected.result["n"] == 1
