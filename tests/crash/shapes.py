"""The graphs that are killed. Each task leaves a line in the journal and its label in the state."""

from __future__ import annotations

import asyncio
import operator
import time
from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, StateSnapshot, interrupt
from typing_extensions import TypedDict

from .journal import CALL, FINISH, RETURN, Journal

# Each thread is given so many inputs, one after the other.
TURNS = 2
TEXT = "Nothing is lost. " * 500


class State(TypedDict, total=False):
    """The state of every shape.

    Attributes:
        turn: which input the thread is working on.
        text: what makes checkpoints longer than a page of a database.
        n: a counter within the turn.
        item: what a task of a fan-out works on.
        log: labels of the tasks that are done.
        inner_log: the same of the last call of a subgraph.
    """

    turn: int
    text: str
    n: int
    item: int
    log: Annotated[list[str], operator.add]
    inner_log: list[str]


class InnerInput(TypedDict):
    """What a subgraph is given."""

    turn: int


class InnerOutput(TypedDict):
    """What a subgraph returns."""

    inner_log: Annotated[list[str], operator.add]


class Inner(InnerInput, InnerOutput):
    """The state of a subgraph."""


class Nodes:
    """Makes nodes that leave lines in a journal.

    Args:
        asynchronous: the nodes are coroutine functions.
    """

    def __init__(self, journal: Journal, asynchronous: bool) -> None:
        self.journal = journal
        self.asynchronous = asynchronous

    def __call__(
        self,
        label: Callable[[Any], str],
        update: Callable[[Any], dict[str, Any]] = lambda state: {},
        *,
        log: str = "log",
        pause: Callable[[Any], float] = lambda state: 0.0,
        before: Callable[[Any], None] = lambda state: None,
    ) -> Any:
        """A node.

        Args:
            label: from the state that a task gets to the task's label.
            update: to what it returns besides its label.
            log: the channel that the label goes to.
            pause: to the seconds that its work takes.
            before: called before the task counts as started.
        """

        def returned(state: Any) -> dict[str, Any]:
            found = update(state)
            return {**found, log: [*found.get(log, []), label(state)]}

        def run(state: Any, config: RunnableConfig) -> dict[str, Any]:
            before(state)
            with self.journal.task(label(state), config):
                if seconds := pause(state):
                    time.sleep(seconds)
            return returned(state)

        async def await_run(state: Any, config: RunnableConfig) -> dict[str, Any]:
            before(state)
            with self.journal.task(label(state), config):
                await asyncio.sleep(pause(state))
            return returned(state)

        return await_run if self.asynchronous else run


LOOP_STEPS = 12
FAN_OUT_TASKS = 6
FAN_OUT_ROUNDS = 2
FOREVER = 3600.0
INNER_STEPS = 5


def loop(node: Nodes) -> StateGraph[Any, Any, Any, Any]:
    """Single tasks in a row."""
    builder = StateGraph(State)
    builder.add_node("count", node(lambda s: f"{s['turn']}.{s['n']}", lambda s: {"n": s["n"] + 1}))
    builder.add_edge(START, "count")
    builder.add_conditional_edges("count", lambda s: "count" if s["n"] < LOOP_STEPS else END)
    return builder


def fan_out(node: Nodes, *, straggling: bool = False) -> StateGraph[Any, Any, Any, Any]:
    """Tasks by `Send` that take different times, then a join; more than once.

    Args:
        straggling: in the first attempt one of the tasks never ends.
    """

    def pause(state: Any) -> float:
        if straggling and state["item"] == 0 and node.journal.attempt == 1:
            return FOREVER
        place: int = state["item"] * 5 % FAN_OUT_TASKS
        return 0.0015 * place

    def label(name: str) -> Callable[[Any], str]:
        return lambda s: f"{s['turn']}.{s['n']}.{name}"

    def sends(state: Any) -> list[Send]:
        place = {"turn": state["turn"], "n": state["n"]}
        return [Send("work", {**place, "item": item}) for item in range(FAN_OUT_TASKS)]

    builder = StateGraph(State)
    builder.add_node("plan", node(label("plan")))
    builder.add_node(
        "work",
        node(lambda s: f"{s['turn']}.{s['n']}.work{s['item']}", pause=pause),
    )
    builder.add_node("join", node(label("join"), lambda s: {"n": s["n"] + 1}))
    builder.add_edge(START, "plan")
    builder.add_conditional_edges("plan", sends, ["work"])
    builder.add_edge("work", "join")
    builder.add_conditional_edges("join", lambda s: "plan" if s["n"] < FAN_OUT_ROUNDS else END)
    return builder


def straggler(node: Nodes) -> StateGraph[Any, Any, Any, Any]:
    """A fan-out that has to be killed before it ends."""
    return fan_out(node, straggling=True)


def subgraph(node: Nodes, *, stateful: bool = False) -> StateGraph[Any, Any, Any, Any]:
    """A loop within a node, with checkpoints of its own.

    Args:
        stateful: the subgraph goes on where its last call ended.
    """

    def made_in_turn(state: Any) -> int:
        return sum(label.startswith(f"{state['turn']}.") for label in state["inner_log"])

    inner = StateGraph(Inner, input_schema=InnerInput, output_schema=InnerOutput)
    inner.add_node("step", node(lambda s: f"{s['turn']}.inner{made_in_turn(s)}", log="inner_log"))
    inner.add_edge(START, "step")
    inner.add_conditional_edges("step", lambda s: "step" if made_in_turn(s) < INNER_STEPS else END)

    def taken_over(state: Any) -> dict[str, Any]:
        logged = set(state["log"])
        return {"log": [label for label in state["inner_log"] if label not in logged]}

    builder = StateGraph(State)
    builder.add_node("before", node(lambda s: f"{s['turn']}.before"))
    builder.add_node("sub", inner.compile(checkpointer=True if stateful else None))
    builder.add_node("after", node(lambda s: f"{s['turn']}.after", taken_over))
    builder.add_edge(START, "before")
    # Upstream, and so this engine, takes a later call of a stateful subgraph that was killed
    # before its input was stored for one that is resumed, and skips it: there is only one.
    builder.add_conditional_edges(
        "before", lambda s: "after" if stateful and s["turn"] > 1 else "sub", ["sub", "after"]
    )
    builder.add_edge("sub", "after")
    return builder


def stateful_subgraph(node: Nodes) -> StateGraph[Any, Any, Any, Any]:
    """A subgraph that remembers its last call."""
    return subgraph(node, stateful=True)


def interrupted(node: Nodes) -> StateGraph[Any, Any, Any, Any]:
    """A task that waits for an answer, between and beside others."""

    def ask(state: Any) -> None:
        assert interrupt(f"turn {state['turn']}?") == "yes"

    def named(name: str) -> Callable[[Any], str]:
        return lambda s: f"{s['turn']}.{name}"

    builder = StateGraph(State)
    builder.add_node("first", node(named("first")))
    builder.add_node("ask", node(named("ask"), before=ask))
    builder.add_node("left", node(named("left")))
    builder.add_node("right", node(named("right"), pause=lambda s: 0.003))
    builder.add_node("last", node(named("last")))
    builder.add_edge(START, "first")
    for name in ("left", "ask", "right"):
        builder.add_edge("first", name)
    builder.add_edge(["left", "ask", "right"], "last")
    return builder


# What is killed at random.
SHAPES: dict[str, Callable[[Nodes], StateGraph[Any, Any, Any, Any]]] = {
    "loop": loop,
    "fan-out": fan_out,
    "subgraph": subgraph,
    "stateful subgraph": stateful_subgraph,
    "interrupt": interrupted,
}
# What a stateful subgraph has stored is ahead of a checkpoint of its parent that was not stored
# in time, on any engine: only `sync` keeps the two together.
ONLY_SYNC = {"stateful subgraph"}
_ALL = {**SHAPES, "straggler": straggler}


def compiled(shape: str, journal: Journal, saver: Any, *, asynchronous: bool) -> Any:
    """The graph of a shape."""
    return _ALL[shape](Nodes(journal, asynchronous)).compile(checkpointer=saver)


def next_input(snapshot: StateSnapshot) -> tuple[Any] | None:
    """What to call the graph with, given a thread's state; None where the thread is finished."""
    if snapshot.interrupts:
        return (Command(resume="yes"),)
    if snapshot.tasks:  # `next` has only those of them whose writes are not stored
        return (None,)
    turn = snapshot.values.get("turn", 0)
    return ({"turn": turn + 1, "text": TEXT, "n": 0},) if turn < TURNS else None


def drive(graph: Any, config: Any, durability: str, journal: Journal) -> None:
    """Call a graph until the thread is finished, wherever it stands."""
    while (given := next_input(graph.get_state(config))) is not None:
        journal.note(CALL)
        graph.invoke(given[0], config, durability=durability)
        journal.note(RETURN)
    journal.note(FINISH)


async def await_drive(graph: Any, config: Any, durability: str, journal: Journal) -> None:
    """The same with an asynchronous saver."""
    while (given := next_input(await graph.aget_state(config))) is not None:
        journal.note(CALL)
        await graph.ainvoke(given[0], config, durability=durability)
        journal.note(RETURN)
    journal.note(FINISH)
