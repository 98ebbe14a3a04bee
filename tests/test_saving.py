"""The order in which a run's checkpoints and writes reach its saver, however slow that is."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from langgraph_cy.drivers import saving
from langgraph_cy.drivers.savers import stores_at_once
from langgraph_cy.drivers.saving import BACKLOG, AwaitedSaves, ThreadSaves
from langgraph_cy.drivers.superstep_saving import saves_for

CONFIG: Any = {"configurable": {"thread_id": "1", "checkpoint_ns": "", "checkpoint_id": "0"}}


class Saver(InMemorySaver):
    """Takes down what it stores, and waits before that until it may.

    A checkpoint is named by its `id`, a task's writes by its id.
    """

    def __init__(self, failing: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.failing = failing
        self.begun: list[str] = []
        self.stored: list[str] = []
        self.gates: dict[str, Any] = {}  # what is held up

    def hold(self, *names: str, event: Callable[[], Any] = threading.Event) -> None:
        for name in names:
            self.gates[name] = event()

    def finish(self, name: str) -> None:
        if name in self.failing:
            raise OSError(f"{name} is lost")
        self.stored.append(name)

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        self.begun.append(checkpoint["id"])
        if checkpoint["id"] in self.gates:
            self.gates[checkpoint["id"]].wait()
        self.finish(checkpoint["id"])
        return config

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        self.begun.append(task_id)
        if task_id in self.gates:
            self.gates[task_id].wait()
        self.finish(task_id)

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        self.begun.append(checkpoint["id"])
        if checkpoint["id"] in self.gates:
            await self.gates[checkpoint["id"]].wait()
        self.finish(checkpoint["id"])
        return config

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        self.begun.append(task_id)
        if task_id in self.gates:
            await self.gates[task_id].wait()
        self.finish(task_id)


def prompt(saver: Any) -> Any:
    """What a synchronous run that waits for nothing stores with."""
    return saves_for(saver, asynchronous=False, waits=False)


def put(saves: Any, name: str) -> None:
    saves.put(CONFIG, {**empty_checkpoint(), "id": name}, {}, {})


def put_writes(saves: Any, name: str, **options: Any) -> None:
    saves.put_writes(CONFIG, [("n", 1)], name, "", **{"delta": False, "handled": False, **options})


async def settled() -> None:
    """Let everything on the event loop go as far as it gets by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestInThreads:
    def test_a_checkpoint_follows_its_writes(self) -> None:
        saver = Saver()
        saves = ThreadSaves(saver)
        saver.hold("slow task")
        put_writes(saves, "slow task")
        put_writes(saves, "task")
        put(saves, "checkpoint")
        assert not saves.last.done()
        saver.gates["slow task"].set()
        saves.settle()
        assert saver.stored[-1] == "checkpoint"
        assert sorted(saver.stored) == ["checkpoint", "slow task", "task"]
        assert saver.begun[-1] == "checkpoint"

    def test_a_checkpoint_follows_the_one_before(self) -> None:
        saver = Saver()
        saves = ThreadSaves(saver)
        saver.hold("1")
        for name in ("1", "2", "3"):
            put(saves, name)
        assert "2" not in saver.begun
        saver.gates["1"].set()
        saves.finish(True)
        assert saver.begun == saver.stored == ["1", "2", "3"]

    def test_later_writes_hold_up_no_checkpoint(self) -> None:
        saver = Saver()
        saves = ThreadSaves(saver)
        saver.hold("later")
        put(saves, "checkpoint")
        put_writes(saves, "later")
        saves.settle()
        assert saver.stored == ["checkpoint"]
        saver.gates["later"].set()
        saves.finish(True)
        assert saver.stored == ["checkpoint", "later"]

    def test_no_more_than_the_backlog_is_under_way(self) -> None:
        saver = Saver()
        saves = ThreadSaves(saver)
        names = [str(number) for number in range(BACKLOG + 1)]
        saver.hold(*names)
        for name in names[:-1]:
            put(saves, name)
            saves.wait_room()  # returns: there is room
        put(saves, names[-1])
        first = saves.overdue()
        assert not first.done()
        waiter = threading.Thread(target=saves.wait_room)
        waiter.start()
        saver.gates["0"].set()
        waiter.join()
        assert first.done()
        assert saves.overdue() is None
        for name in names:
            saver.gates[name].set()
        saves.finish(True)
        assert saver.stored == names

    def test_after_a_failed_checkpoint_none_is_stored(self) -> None:
        saver = Saver(failing=("2",))
        saves = ThreadSaves(saver)
        for name in ("1", "2", "3", "4"):
            put(saves, name)
        with pytest.raises(OSError, match="2 is lost"):
            saves.settle()
        with pytest.raises(OSError, match="2 is lost"):
            saves.finish(True)
        assert saver.begun == ["1", "2"]
        assert saver.stored == ["1"]

    def test_a_failure_is_not_raised_over_that_of_the_run(self) -> None:
        saver = Saver(failing=("1",))
        saves = ThreadSaves(saver)
        put(saves, "1")
        saves.finish(False)
        assert saver.begun == ["1"]

    @pytest.mark.parametrize("delta", [False, True])
    def test_failed_writes(self, delta: bool) -> None:
        """Only without those of a DeltaChannel would the checkpoint be of no use."""
        saver = Saver(failing=("task",))
        saves = ThreadSaves(saver)
        put_writes(saves, "task", delta=delta)
        put(saves, "checkpoint")
        with pytest.raises(OSError, match="task is lost"):
            saves.finish(True)
        assert saver.stored == ([] if delta else ["checkpoint"])

    def test_an_error_handler_waits_for_its_failure_alone(self) -> None:
        saver = Saver()
        saves = ThreadSaves(saver)
        saver.hold("other")
        put_writes(saves, "other")
        put_writes(saves, "failed", handled=True)
        saves.wait_handled()
        assert saver.stored == ["failed"]
        assert saves.take_handled() == []
        saver.gates["other"].set()
        saves.finish(True)

    def test_other_jobs_are_waited_for_at_the_end(self) -> None:
        saves = ThreadSaves(None)
        done: list[int] = []
        saves.start(done.append, 1)
        saves.finish(True)
        assert done == [1]


class TestAwaited:
    async def test_a_checkpoint_follows_its_writes(self) -> None:
        saver = Saver()
        saves = AwaitedSaves(saver)
        saver.hold("slow task", event=asyncio.Event)
        put_writes(saves, "slow task")
        put_writes(saves, "task")
        put(saves, "checkpoint")
        await settled()
        assert saver.begun == ["slow task", "task"]
        saver.gates["slow task"].set()
        await saves.settle()
        assert saver.stored == ["task", "slow task", "checkpoint"]

    async def test_a_checkpoint_follows_the_one_before(self) -> None:
        saver = Saver()
        saves = AwaitedSaves(saver)
        saver.hold("1", event=asyncio.Event)
        for name in ("1", "2", "3"):
            put(saves, name)
        await settled()
        assert saver.begun == ["1"]
        saver.gates["1"].set()
        await saves.finish(True)
        assert saver.begun == saver.stored == ["1", "2", "3"]

    async def test_no_more_than_the_backlog_is_under_way(self) -> None:
        saver = Saver()
        saves = AwaitedSaves(saver)
        names = [str(number) for number in range(BACKLOG + 1)]
        saver.hold(*names, event=asyncio.Event)
        for name in names[:-1]:
            put(saves, name)
            await saves.wait_room()
        put(saves, names[-1])
        waiter = asyncio.ensure_future(saves.wait_room())
        await settled()
        assert not waiter.done()
        saver.gates["0"].set()
        await waiter
        assert saver.stored == ["0"]
        for name in names:
            saver.gates[name].set()
        await saves.finish(True)
        assert saver.stored == names

    async def test_after_a_failed_checkpoint_none_is_stored(self) -> None:
        saver = Saver(failing=("2",))
        saves = AwaitedSaves(saver)
        for name in ("1", "2", "3", "4"):
            put(saves, name)
        with pytest.raises(OSError, match="2 is lost"):
            await saves.settle()
        with pytest.raises(OSError, match="2 is lost"):
            await saves.finish(True)
        assert saver.begun == ["1", "2"]
        assert saver.stored == ["1"]

    @pytest.mark.parametrize("delta", [False, True])
    async def test_failed_writes(self, delta: bool) -> None:
        saver = Saver(failing=("task",))
        saves = AwaitedSaves(saver)
        put_writes(saves, "task", delta=delta)
        put(saves, "checkpoint")
        with pytest.raises(OSError, match="task is lost"):
            await saves.finish(True)
        assert saver.stored == ([] if delta else ["checkpoint"])

    async def test_an_error_handler_waits_for_its_failure_alone(self) -> None:
        saver = Saver()
        saves = AwaitedSaves(saver)
        saver.hold("other", event=asyncio.Event)
        put_writes(saves, "other")
        put_writes(saves, "failed", handled=True)
        await saves.wait_handled()
        assert saver.stored == ["failed"]
        saver.gates["other"].set()
        await saves.finish(True)


# upstream's own in-memory saver, which never waits


class Own(InMemorySaver):
    pass


def test_only_upstreams_own_in_memory_saver_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stores_at_once(InMemorySaver())
    assert not stores_at_once(Own())
    assert not stores_at_once(None)
    wrapped = InMemorySaver()
    wrapped.put = wrapped.put  # type: ignore[method-assign]
    assert not stores_at_once(wrapped)
    monkeypatch.setattr(InMemorySaver, "put_writes", lambda *args: None)
    assert not stores_at_once(InMemorySaver())


def noting_threads(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The jobs that are started in threads from here on."""
    used: list[Any] = []
    original = saving.start_thread_job

    def start(function: Any) -> Any:
        used.append(function)
        return original(function)

    monkeypatch.setattr(saving, "start_thread_job", start)
    return used


@pytest.mark.parametrize(("kind", "inline"), [(InMemorySaver, True), (Own, False)])
def test_it_is_written_to_at_once(kind: Any, inline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    started = noting_threads(monkeypatch)
    saver = kind()
    saves = prompt(saver)
    put_writes(saves, "task")
    put(saves, "checkpoint")
    if inline:
        assert saver.storage["1"][""].keys() == {"checkpoint"}
    assert bool(started) is not inline
    saves.finish(True)
    assert saver.storage["1"][""].keys() == {"checkpoint"}
    assert len(saver.writes) == 1


@pytest.mark.parametrize(("kind", "inline"), [(InMemorySaver, True), (Own, False)])
async def test_it_is_written_to_at_once_by_asynchronous_runs(kind: Any, inline: bool) -> None:
    saver = kind()
    saves = AwaitedSaves(saver)
    put_writes(saves, "task")
    put(saves, "checkpoint")
    assert ("1" in saver.storage) is inline
    await saves.finish(True)
    assert saver.storage["1"][""].keys() == {"checkpoint"}
    assert len(saver.writes) == 1


def unstorable(saves: Any) -> None:
    checkpoint = {**empty_checkpoint(), "id": "2", "channel_values": {"n": lambda: None}}
    checkpoint["channel_versions"] = {"n": 1}
    saves.put(CONFIG, checkpoint, {}, {"n": 1})


def test_after_a_failure_in_memory_nothing_is_stored() -> None:
    saver = InMemorySaver()
    saves = prompt(saver)
    put(saves, "1")
    unstorable(saves)
    put(saves, "3")
    assert saver.storage["1"][""].keys() == {"1"}
    for raising in (saves.settle, lambda: saves.finish(True)):
        with pytest.raises(TypeError) as caught:
            raising()
        assert "channel 'n'" in "".join(
            [str(caught.value), *getattr(caught.value, "__notes__", ())]
        )


def test_jobs_that_go_while_they_are_waited_for() -> None:
    """As they do in threads: a job that has ended takes itself out."""
    jobs: dict[Any, None] = {}

    class Job:
        def done(self) -> bool:
            jobs.pop(self, None)
            return True

    jobs.update(dict.fromkeys([Job(), Job(), Job()]))
    saving.wait_for(jobs)
    assert jobs == {}
