"""A graph on a server as a node of a graph here; the server is played by a client."""

from operator import add
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import ParentCommand
from langgraph.graph import END, START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph.types import Command
from langgraph_sdk.schema import StreamPart
from typing_extensions import TypedDict

from .driving import both_async
from .engines import UUID, Outcome, both
from .test_state_api import Numbered

pytestmark = pytest.mark.shim

CONFIG: Any = {"configurable": {"thread_id": "1"}, "tags": ["mine"]}


class Trail(TypedDict):
    n: int
    trail: Annotated[list[str], add]


class Server:
    """What both kinds of client do with a server: each run gives the events of a script.

    Args:
        events: the events of the first run, those of the second, and so on.
    """

    def __init__(self, *events: list[StreamPart]) -> None:
        self.events = list(events)
        self.asked: list[dict[str, Any]] = []
        self.runs = self
        self.threads = self
        self.assistants = self

    def stream(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return iter(self.events.pop(0))

    def get_graph(self, *_: Any, **named: Any) -> Any:
        node = {"id": "far", "type": "runnable", "data": {"name": "far", "id": ["far"]}}
        return {"nodes": [node], "edges": []}


class AsyncServer(Server):
    async def stream(self, **asked: Any) -> Any:
        for event in Server.stream(self, **asked):
            yield event


def run_of(n: int) -> list[StreamPart]:
    """What a server tells of a run of one step."""
    return [
        StreamPart("updates", {"far": {"n": n, "trail": ["far"]}}),
        StreamPart("updates|below:1", {"deeper": {"n": n}}),
        StreamPart("custom", "from afar"),
        StreamPart("values", {"n": n, "trail": ["far"]}),
    ]


def around(server: Server, **arguments: Any) -> Any:
    """The remote graph between two nodes."""
    kind = "client" if isinstance(server, AsyncServer) else "sync_client"
    remote = RemoteGraph("far", name="remote", **{kind: server})
    builder = StateGraph(Trail)
    builder.add_node("before", lambda state: {"n": state["n"] + 1, "trail": ["before"]})
    builder.add_node("remote", remote)
    builder.add_node("after", lambda state: {"n": state["n"] + 1, "trail": ["after"]})
    builder.add_edge(START, "before")
    builder.add_edge("before", "remote")
    builder.add_edge("remote", "after")
    builder.add_edge("after", END)
    return builder.compile(**arguments)


def blur(outcome: Outcome) -> None:
    number = Numbered()
    outcome.chunks = [number(each) for each in outcome.chunks]


MODES = ["values", "updates", "custom", ["values", "updates", "custom", "messages"]]


@pytest.mark.parametrize("subgraphs", [False, True])
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_remote_graph_is_a_node(mode: Any, subgraphs: bool) -> None:
    """Its last values are what the node writes; its events are seen in the stream."""

    def call(chunks: list[Any]) -> Any:
        server = Server(run_of(7))
        graph = around(server)
        chunks.extend(
            graph.stream({"n": 0, "trail": []}, CONFIG, stream_mode=mode, subgraphs=subgraphs)
        )
        chunks.append(server.asked)

    async def acall(chunks: list[Any]) -> Any:
        server = AsyncServer(run_of(7))
        async for chunk in around(server).astream(
            {"n": 0, "trail": []}, CONFIG, stream_mode=mode, subgraphs=subgraphs
        ):
            chunks.append(chunk)
        chunks.append(server.asked)

    for expected in (both(call, blur=blur), both_async(acall, blur=blur)):
        assert expected.kind is None
        (asked,) = expected.chunks[-1]
        assert asked["input"] == {"n": 1, "trail": ["before"]}


def test_a_remote_graphs_result() -> None:
    def call(chunks: list[Any]) -> Any:
        return around(Server(run_of(7))).invoke({"n": 0, "trail": []})

    assert both(call).result == {"n": 8, "trail": ["before", "far", "after"]}

    async def acall(chunks: list[Any]) -> Any:
        return await around(AsyncServer(run_of(7))).ainvoke({"n": 0, "trail": []})

    assert both_async(acall).result == {"n": 8, "trail": ["before", "far", "after"]}


def test_a_remote_graph_that_is_interrupted() -> None:
    """Its interrupt is the graph's own; the answer goes on to it."""
    question = {"value": "well?", "id": "abc"}

    def call(chunks: list[Any]) -> Any:
        server = Server([StreamPart("updates", {"__interrupt__": [question]})], run_of(7))
        graph = around(server, checkpointer=InMemorySaver())
        chunks.append(graph.invoke({"n": 0, "trail": []}, CONFIG))
        chunks.append(graph.get_state(CONFIG))
        chunks.append(graph.invoke(Command(resume="fine"), CONFIG))
        chunks.append(graph.get_state(CONFIG).next)
        chunks.append([each["command"] for each in server.asked])

    expected = both(call, blur=blur)
    assert expected.kind is None
    assert expected.chunks[0]["__interrupt__"] == [("Interrupt", "well?", "abc")]
    assert expected.chunks[2]["n"] == 8

    async def acall(chunks: list[Any]) -> Any:
        server = AsyncServer([StreamPart("updates", {"__interrupt__": [question]})], run_of(7))
        graph = around(server, checkpointer=InMemorySaver())
        chunks.append(await graph.ainvoke({"n": 0, "trail": []}, CONFIG))
        return (await graph.ainvoke(Command(resume="fine"), CONFIG))["n"]

    assert both_async(acall, blur=blur).result == 8


def test_a_remote_graph_that_fails() -> None:
    event = StreamPart("error", {"error": "ValueError", "message": "no"})

    def call(chunks: list[Any]) -> Any:
        return around(Server([event])).invoke({"n": 0, "trail": []})

    async def acall(chunks: list[Any]) -> Any:
        return await around(AsyncServer([event])).ainvoke({"n": 0, "trail": []})

    assert both(call).kind is RemoteException
    assert both_async(acall).kind is RemoteException


def test_a_remote_graph_that_commands_its_parent() -> None:
    command = {"graph": Command.PARENT, "update": {"n": 50}, "goto": "after", "resume": None}

    def call(chunks: list[Any]) -> Any:
        return around(Server([StreamPart("command", command)])).invoke({"n": 0, "trail": []})

    async def acall(chunks: list[Any]) -> Any:
        graph = around(AsyncServer([StreamPart("command", command)]))
        return await graph.ainvoke({"n": 0, "trail": []})

    first, second = both(call), both_async(acall)
    assert (first.kind, first.result) == (second.kind, second.result)
    assert first.kind in (None, ParentCommand)


def test_a_remote_graph_called_in_a_node() -> None:
    """It tells the stream of the graph that it is called in what happens there."""

    def call(chunks: list[Any]) -> Any:
        server = Server(run_of(3), run_of(4))
        remote = RemoteGraph("far", sync_client=server)  # type: ignore[arg-type]
        builder = StateGraph(Trail)
        builder.add_node("node", lambda state: remote.invoke({"n": 1, "trail": []}))
        builder.add_edge(START, "node")
        graph = builder.compile()
        chunks.extend(
            graph.stream({"n": 0, "trail": []}, stream_mode=["custom", "updates"], subgraphs=True)
        )
        chunks.append([each["stream_mode"] for each in server.asked])
        return graph.invoke({"n": 0, "trail": []})

    expected = both(call, blur=blur)
    assert expected.result == {"n": 4, "trail": ["far"]}
    assert any(UUID.search(str(each)) for each in expected.chunks) is False
