"""The core with a history, stepped by hand: no driver, no threads, no node that runs.

What the run asks to have stored is taken down in the order in which it asks, and handed to a
saver where a later run is to find it.
"""

from typing import Any

import pytest
from langgraph._internal._config import ensure_config, get_callback_manager_for_config
from langgraph.channels import LastValue
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import EmptyInputError, GraphInterrupt
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.types import Command, Interrupt

from langgraph_cy.core.history import SavedRun
from langgraph_cy.core.plan import plan_of
from langgraph_cy.core.superstep import Status
from langgraph_cy.drivers.loading import load
from langgraph_cy.run_context import RunContext

NULL = "00000000-0000-0000-0000-000000000000"


class Saves:
    """Takes down what it is handed, and stores it at once."""

    def __init__(self, saver: InMemorySaver) -> None:
        self.saver = saver
        self.asked: list[tuple[Any, ...]] = []
        self.steps: dict[str, int] = {}  # id of a checkpoint -> its superstep

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> None:
        parent = config["configurable"].get("checkpoint_id")
        self.steps[checkpoint["id"]] = metadata["step"]
        step = metadata["step"]
        self.asked.append(("put", metadata.get("source"), step, self.steps.get(parent)))
        self.saver.put(config, checkpoint, {**metadata}, new_versions)

    def put_writes(
        self, config: Any, writes: Any, task_id: str, path: str, *, delta: bool, handled: bool
    ) -> None:
        step = self.steps.get(config["configurable"]["checkpoint_id"])
        names = [channel for channel, _ in writes]
        who = "command" if task_id == NULL else path.split("__pregel_pull, ")[-1].strip("')~( ")
        self.asked.append(("writes", who, names, step))
        self.saver.put_writes(config, [*writes], task_id, path)


def graph_of(saver: InMemorySaver) -> Any:
    """Two nodes in a row; their functions are never called here."""

    def never(value: Any) -> Any:
        raise AssertionError("nodes do not run in these tests")

    return Pregel(
        nodes={
            "one": NodeBuilder().subscribe_only("in").do(never).write_to("middle"),
            "two": NodeBuilder().subscribe_only("middle").do(never).write_to("out"),
        },
        channels={name: LastValue(int) for name in ("in", "middle", "out")},
        input_channels="in",
        output_channels="out",
        checkpointer=saver,
    )


class Stepped:
    """A run that a test moves on by hand.

    Args:
        saver: where the thread's past comes from, and goes.
        conf: more of the config's `configurable`.
    """

    def __init__(
        self,
        saver: InMemorySaver,
        input: Any,
        *,
        durability: Any = "async",
        saves: Saves | None = None,
        **conf: Any,
    ) -> None:
        graph = graph_of(saver)
        config = ensure_config({"configurable": {"thread_id": "1", **conf}})
        manager = get_callback_manager_for_config(config)
        context = RunContext(graph, input, config, manager, None, None, saver=saver)
        self.saves = saves or Saves(saver)
        self.run = SavedRun(
            plan_of(graph),
            context,
            "out",
            25,
            saver=saver,
            saves=self.saves,
            durability=durability,
        )
        load(self.run)
        self.run.start(input, "in")

    def step(self, *writes: tuple[str, Any]) -> str:
        """One superstep of one task, which makes these writes; the task's name."""
        assert self.run.tick()
        (task,) = self.run.runnable()
        task.writes.extend(writes)
        self.run.commit(task)
        self.run.after_tick()
        return str(task.name)

    def to_the_end(self) -> list[tuple[Any, ...]]:
        """Run both nodes and leave; what was asked to be stored."""
        assert self.step(("middle", 2)) == "one"
        assert self.step(("out", 3)) == "two"
        return self.end()

    def end(self) -> list[tuple[Any, ...]]:
        assert not self.run.tick()
        assert self.run.status == Status.DONE
        self.run.leave(None)
        return self.saves.asked

    def interrupt(self) -> bool:
        """End the run in an interrupt of its next task."""
        assert self.run.tick()
        (task,) = self.run.runnable()
        error = GraphInterrupt([Interrupt("?", id="1" * 32)])
        self.run.fail(task, error)
        return self.run.leave(error)


@pytest.fixture
def saver() -> InMemorySaver:
    return InMemorySaver()


def checkpoints(saver: InMemorySaver) -> list[tuple[Any, ...]]:
    """What is stored of the thread, newest first."""
    found = saver.list({"configurable": {"thread_id": "1"}})
    return [(each.metadata["source"], each.metadata["step"]) for each in found]


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_writes_come_before_the_checkpoint_they_lead_to(
    saver: InMemorySaver, durability: str
) -> None:
    """The core asks for the same in both; waiting for it is the driver's."""
    assert Stepped(saver, 1, durability=durability).to_the_end() == [
        ("put", "input", -1, None),
        ("writes", "one", ["middle"], -1),
        ("put", "loop", 0, -1),
        ("writes", "two", ["out"], 0),
        ("put", "loop", 1, 0),
    ]
    assert checkpoints(saver) == [("loop", 1), ("loop", 0), ("input", -1)]


def test_what_is_asked_for_while_a_superstep_runs(saver: InMemorySaver) -> None:
    """A task's writes are handed over as it ends, not with its superstep."""
    run = Stepped(saver, 1)
    assert run.saves.asked == [("put", "input", -1, None)]
    assert run.run.tick()
    (task,) = run.run.runnable()
    task.writes.append(("middle", 2))
    assert len(run.saves.asked) == 1
    run.run.commit(task)
    assert run.saves.asked[1:] == [("writes", "one", ["middle"], -1)]
    run.run.after_tick()
    assert run.saves.asked[2:] == [("put", "loop", 0, -1)]


def test_at_exit_only_the_last_checkpoint_is_stored(saver: InMemorySaver) -> None:
    run = Stepped(saver, 1, durability="exit")
    run.step(("middle", 2))
    run.step(("out", 3))
    assert run.saves.asked == []
    assert run.end() == [("put", "loop", 1, None)]
    assert saver.get_tuple({"configurable": {"thread_id": "1"}}).checkpoint["channel_values"] == {
        "in": 1,
        "middle": 2,
        "out": 3,
    }


def test_at_exit_of_an_interrupted_superstep_its_writes_follow(saver: InMemorySaver) -> None:
    """The other way round than while running: they belong to the checkpoint, and need it."""
    run = Stepped(saver, 1, durability="exit")
    run.step(("middle", 2))
    assert run.interrupt()
    assert run.saves.asked == [
        ("put", "loop", 0, None),
        ("writes", "two", ["__interrupt__"], 0),
    ]


def test_at_exit_of_a_failed_run(saver: InMemorySaver) -> None:
    run = Stepped(saver, 1, durability="exit")
    assert run.run.tick()
    (task,) = run.run.runnable()
    error = ValueError("no")
    run.run.fail(task, error)
    assert not run.run.leave(error)
    assert run.saves.asked == [
        ("put", "input", -1, None),
        ("writes", "one", ["__error__"], -1),
    ]


def test_a_resume_goes_on_from_what_is_stored(saver: InMemorySaver) -> None:
    first = Stepped(saver, 1)
    first.step(("middle", 2))
    assert first.interrupt()
    assert first.saves.asked[-1] == ("writes", "two", ["__interrupt__"], 0)

    second = Stepped(saver, Command(resume="answer"), saves=Saves(saver))
    second.saves.steps = first.saves.steps
    assert [each[:2] for each in second.saves.asked] == [("writes", "command")]
    assert second.run.has_parent
    assert second.run.loaded_latest
    assert second.run.pending_interrupts() == {"1" * 32}
    assert second.step(("out", 3)) == "two"
    # no checkpoint of the input: the resumed superstep leads from the stored one to the next
    assert second.end()[1:] == [("writes", "two", ["out"], 0), ("put", "loop", 1, 0)]
    assert checkpoints(saver) == [("loop", 1), ("loop", 0), ("input", -1)]


def test_a_resume_gives_back_writes_of_tasks_that_had_ended(saver: InMemorySaver) -> None:
    """Such a task does not run again."""
    first = Stepped(saver, 1)
    assert first.run.tick()
    (task,) = first.run.runnable()
    task.writes.append(("middle", 2))
    first.run.commit(task)  # stored; and then the process ends

    second = Stepped(saver, None, saves=first.saves)
    assert second.run.tick()
    assert second.run.runnable() == []
    assert [each.writes for each in second.run.tasks] == [[("middle", 2)]]
    second.run.after_tick()
    assert second.step(("out", 3)) == "two"
    assert second.end()[2:] == [
        ("put", "loop", 0, -1),
        ("writes", "two", ["out"], 0),
        ("put", "loop", 1, 0),
    ]


def test_a_second_input_follows_the_first(saver: InMemorySaver) -> None:
    first = Stepped(saver, 1)
    first.to_the_end()
    second = Stepped(saver, 5, saves=first.saves)
    assert second.to_the_end()[5:] == [
        ("put", "input", 2, 1),
        ("writes", "one", ["middle"], 2),
        ("put", "loop", 3, 2),
        ("writes", "two", ["out"], 3),
        ("put", "loop", 4, 3),
    ]


def test_a_fork_begins_a_branch_of_its_own(saver: InMemorySaver) -> None:
    """A replay of a checkpoint by its id: first of all, a copy of it that is its child."""
    first = Stepped(saver, 1)
    first.to_the_end()
    old = next(id for id, step in first.saves.steps.items() if step == 0)
    second = Stepped(saver, None, saves=first.saves, checkpoint_id=old)
    assert second.run.addressed
    assert second.saves.asked[5:] == [("put", "fork", 1, 0)]
    assert second.run.checkpoint["id"] != old
    assert second.step(("out", 9)) == "two"
    assert second.end()[6:] == [("writes", "two", ["out"], 1), ("put", "loop", 2, 1)]
    # the branch that was there is as it was
    assert checkpoints(saver) == [
        ("loop", 2),
        ("fork", 1),
        ("loop", 1),
        ("loop", 0),
        ("input", -1),
    ]


def test_a_fork_drops_answers_and_interrupts_of_the_branch_it_leaves(
    saver: InMemorySaver,
) -> None:
    first = Stepped(saver, 1)
    first.step(("middle", 2))
    first.interrupt()
    Stepped(saver, Command(resume="answer"), saves=first.saves)
    old = next(id for id, step in first.saves.steps.items() if step == 0)
    stored = saver.get_tuple({"configurable": {"thread_id": "1", "checkpoint_id": old}})
    assert {channel for _, channel, _ in stored.pending_writes} == {"__interrupt__", "__resume__"}
    second = Stepped(saver, None, saves=first.saves, checkpoint_id=old)
    assert second.run.pending_writes == []
    assert second.run.tick()
    assert [each.name for each in second.run.runnable()] == ["two"]


@pytest.mark.parametrize(
    ("input", "error", "text"),
    [
        (None, EmptyInputError, "Received no input for in"),
        (Command(), EmptyInputError, "Received empty Command input"),
    ],
)
def test_nothing_is_stored_for_an_input_that_is_none(
    saver: InMemorySaver, input: Any, error: type[Exception], text: str
) -> None:
    saves = Saves(saver)
    with pytest.raises(error, match=text):
        Stepped(saver, input, saves=saves)
    assert saves.asked == []
    assert checkpoints(saver) == []


def test_what_is_handed_over_is_no_longer_the_runs(saver: InMemorySaver) -> None:
    """A saver that is slow stores each checkpoint as it was when it was made."""
    handed: list[Any] = []

    class Keeping(Saves):
        def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> None:
            handed.append((checkpoint, dict(checkpoint["channel_versions"])))
            super().put(config, checkpoint, metadata, new_versions)

    Stepped(saver, 1, saves=Keeping(saver)).to_the_end()
    assert [checkpoint["channel_versions"] for checkpoint, _ in handed] == [
        versions for _, versions in handed
    ]
    values = [checkpoint["channel_values"] for checkpoint, _ in handed]
    assert values == [{"in": 1}, {"in": 1, "middle": 2}, {"in": 1, "middle": 2, "out": 3}]
