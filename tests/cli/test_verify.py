"""`verify`: finds what differs between the engines, and nothing where nothing does."""

import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Send, StreamWriter, interrupt

import langgraph_cy
from langgraph_cy.cli import playing
from langgraph_cy.cli.playing import Chunk, Transcript
from langgraph_cy.cli.shapes import shape_of, show
from langgraph_cy.cli.target import load_graph
from langgraph_cy.cli.verify import ONCE, Verifier

from ..engines import State, chain
from .conftest import Call, sample


@pytest.mark.parametrize(
    ("graph", "input", "options"),
    [
        pytest.param("loop", {"n": 0}, [], id="a cycle"),
        pytest.param("loop", {"n": 0}, ["--modes", "values,updates"], id="two modes"),
        pytest.param("accelerated", {"n": 0}, [], id="a graph on the compiled engine"),
        pytest.param("awaited", {"n": 0}, ["--async"], id="async"),
        pytest.param("make_squares", {"items": [1, 2, 3, 3, 3]}, [], id="Send and Command"),
        pytest.param("make_squares", {"items": [3] * 20}, ["--async"], id="Send, async"),
        pytest.param("make_nested", {"n": 0}, [], id="graphs within"),
        pytest.param("make_hand_built", [3], [], id="hand-built"),
        pytest.param("workflow", [3], [], id="a workflow"),
        pytest.param("asking", {"n": 0}, [], id="interrupted"),
        pytest.param("failing", {"n": 0}, [], id="an exception"),
        pytest.param("make_torn", {"items": [1, 2, 3, 4]}, [], id="one of several fails"),
        pytest.param("talking", {"messages": [["user", "hi"]]}, [], id="messages"),
    ],
)
def test_no_difference(graph: str, input: Any, options: list[str], cli: Call) -> None:
    called = cli("verify", sample(graph), "--input", json.dumps(input), *options)
    assert called.code == 0, called.out
    assert called.out.startswith("no difference: ")
    assert called.err.startswith(ONCE)


def test_several_inputs_on_one_thread(cli: Call, tmp_path: Path) -> None:
    lines = ['{"n": 0}', '{"__command__": {"resume": 4}}']
    (tmp_path / "inputs.jsonl").write_text("\n".join(lines), encoding="utf-8")
    called = cli("verify", sample("asking"), "--input", "inputs.jsonl", "--one-thread", "--json")
    found = json.loads(called.out)
    assert (called.code, found["same"]) == (0, True)
    assert [each["checkpoints"] for each in found["inputs"]] == [2, 4]
    assert [each["difference"] for each in found["inputs"]] == [None, None]


def test_the_graphs_own_saver_is_left_as_it_was(cli: Call) -> None:
    graph: Any = load_graph(sample("remembering"))
    called = cli("verify", sample("remembering"), "--input", '{"n": 0}')
    assert called.code == 0
    assert "in the graph's InMemorySaver, on new threads, which are deleted" in called.err
    assert isinstance(graph.checkpointer, InMemorySaver)
    assert not graph.checkpointer.storage


def test_what_the_first_run_leaves_the_second_does_not_find() -> None:
    """A node that counts in the store, and is cached, comes to the same on both sides."""

    def count(state: State, runtime: Runtime[None]) -> dict[str, int]:
        assert runtime.store is not None
        found = runtime.store.get(("seen",), "n")
        n = found.value["n"] + 1 if found else 1
        runtime.store.put(("seen",), "n", {"n": n})
        return {"n": n}

    store = InMemoryStore()
    store.put(("seen",), "n", {"n": 5})
    builder = StateGraph(State).add_node("count", count, cache_policy=CachePolicy())
    graph = builder.add_edge(START, "count").compile(store=store, cache=InMemoryCache())
    verifier = Verifier(graph)
    verdict = verifier.check({"n": 0}, verifier.new_thread())
    assert verdict.found is None
    assert "{'n': 6}" in show(verdict.compiled.chunks[-1].payload, 10**6)
    assert verifier.about_store() == ""
    assert store.get(("seen",), "n").value == {"n": 5}

    class OwnStore(InMemoryStore):
        pass

    shared = Verifier(builder.compile(store=OwnStore()))
    assert "the graph's OwnStore for both runs" in shared.about_store()
    assert shared.check({"n": 0}, shared.new_thread()).found is not None


def spoiled(spoil: Callable[[Transcript], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change what the compiled engine's runs have shown, before it is compared."""
    real = playing.Player.play

    def play(self: Any, *arguments: Any) -> Transcript:
        transcript = real(self, *arguments)
        if self._compiled:
            spoil(transcript)
        return transcript

    monkeypatch.setattr(playing.Player, "play", play)


def crowded() -> Any:
    """Tasks that are alike, graphs among them, and interrupts, which end in any order."""

    class Talk(MessagesState):
        kind: Annotated[int, lambda old, new: new]

    def say(state: Talk, writer: StreamWriter) -> dict[str, Any]:
        time.sleep(random.random() * 0.002)
        writer("about to")
        return {"messages": [("ai", "the same")]}

    def ask(state: Talk) -> dict[str, Any]:
        time.sleep(random.random() * 0.002)
        return {"messages": [("ai", interrupt("what?"))]}

    inner = StateGraph(Talk).add_node("one", say).add_node("two", say)
    inner.add_edge(START, "one").add_edge(START, "two")
    builder = StateGraph(Talk).add_node("say", say).add_node("inner", inner.compile())
    builder.add_node("ask", ask).add_node("ask_too", ask)
    sends = [*[Send("say", {"kind": 1})] * 4, *[Send("inner", {"kind": 1, "messages": []})] * 3]
    builder.add_conditional_edges(START, lambda state: sends, ["say", "inner"])
    builder.add_edge("say", "ask").add_edge("say", "ask_too")
    return builder.compile()


def test_tasks_that_end_in_any_order() -> None:
    verifier = Verifier(crowded())
    for _ in range(4):
        verdict = verifier.check({"messages": [["user", "hi"]], "kind": 0}, verifier.new_thread())
        assert verdict.found is None
        assert verdict.was_compiled


@pytest.mark.parametrize("mode", ["values", "updates", "custom", "tasks", "debug"])
def test_a_difference_among_many_tasks_is_found(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(transcript: Transcript) -> None:
        places = [n for n, each in enumerate(transcript.chunks) if each.mode == mode]
        transcript.chunks.pop(places[len(places) // 2])

    spoiled(spoil, monkeypatch)
    verifier = Verifier(crowded())
    verdict = verifier.check({"messages": [["user", "hi"]], "kind": 0}, verifier.new_thread())
    assert verdict.found is not None


def test_a_node_runs_once_on_each_engine() -> None:
    calls: list[Any] = []

    def count(state: Any) -> dict[str, int]:
        calls.append(langgraph_cy.engine_stats())
        return {"n": 1}

    verifier = Verifier(chain(count))
    verdict = verifier.check({"n": 0}, verifier.new_thread())
    assert verdict.found is None
    assert len(calls) == 2
    assert (verdict.stock.counts.compiled, verdict.compiled.counts.compiled) == (0, 1)


def test_a_node_that_is_random(cli: Call) -> None:
    called = cli("verify", sample("drawing"), "--input", '[{"n": 0}, {"n": 1}]')
    assert called.code == 1
    assert "input 1: DIFFERENT: chunk" in called.out
    assert "  at        ['draw']['n']\n" in called.out or "['result']['n']" in called.out
    assert "1 more inputs were not run" in called.out


def test_a_graph_that_is_not_compiled_is_not_run(cli: Call) -> None:
    called = cli("verify", sample("make_odd"), "--input", "[3]")
    assert (called.code, called.err) == (3, "")
    assert "NOT COMPARED: runs of the graph go to stock's engine: node is not a p" in called.out
    found = json.loads(cli("verify", sample("make_odd"), "--input", "[3]", "--json").out)
    assert (found["same"], found["inputs"]) == (False, [])
    assert found["reason"] == "node is not a plain PregelNode"


def test_a_run_that_is_not_compiled(cli: Call) -> None:
    """Where the config is to blame, only the run tells."""
    options = ["--input", '{"n": 0}', "--config", '{"recursion_limit": 9223372036854775807}']
    called = cli("verify", sample("loop"), *options)
    assert called.code == 3
    assert "NOT COMPARED: the run went to stock's engine: unusual recursion_limit" in called.out
    found = json.loads(cli("verify", sample("loop"), *options, "--json").out)
    assert (found["same"], found["inputs"][0]["compiled"]) == (False, False)


def test_ids_of_the_input_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id that was passed in has to come out again; one that was drawn may be another."""
    mine = "12345678-1234-1234-1234-123456789abc"
    other = mine.replace("9abc", "9abd")

    def swap(transcript: Transcript) -> None:
        transcript.chunks = [
            Chunk(each.namespace, each.mode, replaced(each.payload, mine, other))
            for each in transcript.chunks
        ]

    assert difference_after(swap, {"n": mine}, monkeypatch).compiled == repr(other)


def replaced(shape: Any, old: Any, new: Any) -> Any:
    """A shape in which leaves that equal `old` are `new`."""
    if isinstance(shape, tuple) and hasattr(shape, "parts"):
        parts = tuple((label, replaced(part, old, new)) for label, part in shape.parts)
        return shape._replace(parts=parts)
    return new if type(shape) is type(old) and shape == old else shape


def difference_after(
    spoil: Callable[[Transcript], None],
    input: Any,
    monkeypatch: pytest.MonkeyPatch,
    where: str = "",
) -> Any:
    """What is found where the compiled engine's transcript has been spoiled."""
    spoiled(spoil, monkeypatch)
    verifier = Verifier(chain(lambda state: {"n": state["n"]}, lambda state: {"n": state["n"]}))
    verdict = verifier.check(input, verifier.new_thread())
    assert verdict.found is not None
    assert where in verdict.found.where
    return verdict.found.difference


def drop_chunk(transcript: Transcript) -> None:
    del transcript.chunks[4]


def swap_chunks(transcript: Transcript) -> None:
    chunks = transcript.chunks
    chunks[3], chunks[4] = chunks[4], chunks[3]


def spoil_result(transcript: Transcript) -> None:
    places = [n for n, each in enumerate(transcript.chunks) if each.mode == "values"]
    last = transcript.chunks[places[-1]]
    transcript.chunks[places[-1]] = Chunk(last.namespace, "values", replaced(last.payload, 5, 6))


def spoil_error(transcript: Transcript) -> None:
    transcript.error = shape_of(ValueError("not on stock"))


def drop_checkpoint(transcript: Transcript) -> None:
    transcript.checkpoints[""].pop()


def spoil_checkpoint(transcript: Transcript) -> None:
    saved = transcript.checkpoints[""]
    saved[-1] = replaced(saved[-1], 5, 6)


def reuse_id(transcript: Transcript) -> None:
    """The second checkpoint has the id of the first."""
    saved = transcript.checkpoints[""]
    ids = [dict(each.parts)["['id']"] for each in saved]
    saved[1] = replaced(saved[1], ids[1], ids[0])


def spoil_namespace(transcript: Transcript) -> None:
    transcript.checkpoints["below"] = transcript.checkpoints.pop("")


@pytest.mark.parametrize(
    ("spoil", "where"),
    [
        (drop_chunk, "chunk 5"),
        (swap_chunks, "chunk 4"),
        (spoil_result, "the result"),
        (spoil_error, "how the run ends"),
        (drop_checkpoint, "checkpoint 4"),
        (spoil_checkpoint, "checkpoint 4"),
        (reuse_id, "checkpoint 2"),
        (spoil_namespace, "checkpoint 1"),
    ],
)
def test_every_kind_of_difference_is_found(
    spoil: Callable[[Transcript], None], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = difference_after(spoil, {"n": 5}, monkeypatch, where)
    assert found.stock != found.compiled


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--input"),
        (["--input", "no.json"], "can't read 'no.json'"),
        (["--input", "{no json"], "--input {no json: no JSON"),
        (["--input", "[]"], "the list is empty"),
        (["--input", "broken.jsonl"], "line 2 is no JSON"),
        (["--input", "{}", "--config", "[1]"], "a JSON object is needed, not list"),
        (["--input", "{}", "--modes", "everything"], "no stream mode everything"),
        (["--input", '{"__command__": {"surprise": 1}}'], "is no Command"),
    ],
)
def test_command_line_errors(options: list[str], said: str, cli: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.jsonl").write_text('{"n": 0}\n{no\n')
    called = cli("verify", sample("loop"), *options)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


def test_config_and_context(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "from typing import TypedDict\n"
        "from langgraph.graph import StateGraph\n"
        "from langgraph.runtime import Runtime\n"
        "class Context(TypedDict):\n    by: int\n"
        "class State(TypedDict):\n    n: int\n"
        "def add(state: State, runtime: Runtime[Context]):\n"
        "    return {'n': state['n'] + runtime.context['by']}\n"
        "graph = StateGraph(State, context_schema=Context).add_node('add', add)\n"
        "graph.set_entry_point('add').add_edge('add', 'add')\n"
    )
    options = ["--context", '{"by": 5}', "--config", '{"recursion_limit": 3}']
    called = cli("verify", "app:graph", "--input", '{"n": 0}', *options)
    assert called.code == 0, called.out
    assert "both raise langgraph.errors.GraphRecursionError: Recursion limit of 3" in called.out


def test_hint_for_async_nodes(cli: Call) -> None:
    called = cli("verify", sample("awaited"), "--input", '{"n": 0}')
    assert "(run it with --async)" in called.out
