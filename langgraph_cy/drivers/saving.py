"""Where a run's checkpoints and writes go: to its saver, beside the run.

Task writes may be stored in any order. A checkpoint is stored after the writes that led to it
and after the checkpoint before it, so what a saver holds is always a beginning of the run.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from langgraph_cy import upstream as up
from langgraph_cy.drivers.workers import start_thread_job
from langgraph_cy.unserializable import explained

# How many checkpoints may be on their way to the saver at once. The run waits for a saver that
# is slower, so that what a crash loses has a bound, and memory too.
BACKLOG = 4

_IN_MEMORY = tuple(
    (name, vars(InMemorySaver)[name]) for name in ("put", "put_writes", "aput", "aput_writes")
)


def stores_in_memory(saver: Any) -> bool:
    """Whether the saver is upstream's own in-memory one, whose methods never wait."""
    return type(saver) is InMemorySaver and all(
        vars(InMemorySaver)[name] is method and name not in vars(saver)
        for name, method in _IN_MEMORY
    )


class Saves:
    """What a run has handed to its saver so far.

    Args:
        saver: a `BaseCheckpointSaver`, or None where only other jobs are started.
        asynchronous: the saver's asynchronous methods are called.
    """

    def __init__(self, saver: Any, asynchronous: bool) -> None:
        self.saver = saver
        self.in_memory = stores_in_memory(saver)
        if saver is not None:
            self._put = saver.aput if asynchronous and not self.in_memory else saver.put
            self._put_writes = (
                saver.aput_writes if asynchronous and not self.in_memory else saver.put_writes
            )
            self._takes_path = up.put_writes_accepts_task_path(
                saver.aput_writes if asynchronous else saver.put_writes
            )
        self._jobs: dict[Any, None] = {}  # in the order they were started; done ones go
        self._writes: list[tuple[Any, bool]] = []  # since the last checkpoint
        self._handled: list[Any] = []
        self._puts: list[Any] = []  # checkpoints that may be under way, oldest first
        self.last: Any = None  # the last checkpoint's job

    def put_writes(
        self, config: Any, writes: Any, task_id: str, path: str, *, delta: bool, handled: bool
    ) -> None:
        """Store a task's writes.

        Args:
            delta: some go to a DeltaChannel: without them no later checkpoint is worth storing.
            handled: an error handler waits until they are stored.
        """
        arguments = (
            (config, writes, task_id, path) if self._takes_path else (config, writes, task_id)
        )
        job = self._start(self._put_writes, *arguments)
        self._writes.append((job, delta))
        if handled:
            self._handled.append(job)

    def take_handled(self) -> list[Any]:
        """Jobs that an error handler has to wait for."""
        jobs, self._handled = self._handled, []
        return jobs

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> None:
        """Store a checkpoint, after the writes so far and the checkpoint before."""
        writes, self._writes = self._writes, []
        self.last = self._start_put(self.last, writes, (config, checkpoint, metadata, new_versions))
        self._puts.append(self.last)

    def overdue(self) -> Any:
        """The job that has to end before the run may go on, None where there is none."""
        while self._puts and self._puts[0].done():
            del self._puts[0]
        return self._puts[0] if len(self._puts) > BACKLOG else None

    def start(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Start any other job beside the run."""
        self._start(function, *arguments)

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        raise NotImplementedError

    def _start_put(self, previous: Any, writes: Any, arguments: Any) -> Any:
        raise NotImplementedError

    def _ended(self, job: Any) -> None:
        """Forget a job that has succeeded."""
        if (
            job.cancelled()
            or job.exception() is None
            or isinstance(job.exception(), up.GraphBubbleUp)
        ):
            self._jobs.pop(job, None)

    def _track(self, job: Any) -> Any:
        self._jobs[job] = None
        job.add_done_callback(self._ended)
        return job

    def _at_once(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A job that has run already."""
        job: Any = concurrent.futures.Future()
        try:
            result = function(*arguments)
        except Exception as error:
            job.set_exception(explained(error, self.saver, function.__name__, arguments))
            self._jobs[job] = None
        else:
            job.set_result(result)
        return job

    def _put_at_once(self, previous: Any, writes: Any, arguments: Any) -> Any:
        """The job of a checkpoint that is stored now, unless it would follow a gap."""
        before = [job for job, delta in writes if delta]
        for job in before if previous is None else [*before, previous]:
            if job.exception() is not None:
                return job
        return self._at_once(self.saver.put, *arguments)

    def raise_first(self) -> None:
        """Raise what the first job that failed has raised."""
        for job in list(self._jobs):
            if not job.cancelled() and (error := job.exception()) is not None:
                raise error


class ThreadSaves(Saves):
    """Saves of a synchronous run, in threads beside it."""

    def __init__(self, saver: Any) -> None:
        super().__init__(saver, False)

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.in_memory and function in (self._put, self._put_writes):
            return self._at_once(function, *arguments)
        run = partial(copy_context().run, self._call, function, *arguments)
        return self._track(start_thread_job(run))

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise explained(error, self.saver, function.__name__, arguments) from None

    def _start_put(self, previous: Any, writes: Any, arguments: Any) -> Any:
        if self.in_memory:
            return self._put_at_once(previous, writes, arguments)
        run = partial(copy_context().run, self._put_after, previous, writes, arguments)
        return self._track(start_thread_job(run))

    def _put_after(self, previous: Any, writes: Any, arguments: Any) -> None:
        concurrent.futures.wait([job for job, _ in writes])
        for job, delta in writes:
            if delta:
                job.result()
        if previous is not None:
            previous.result()
        self._call(self._put, *arguments)

    def wait_handled(self) -> None:
        """Wait until an error handler may start."""
        concurrent.futures.wait(self.take_handled())

    def wait_room(self) -> None:
        """Wait while too many checkpoints are under way."""
        while (job := self.overdue()) is not None:
            concurrent.futures.wait([job])

    def settle(self) -> None:
        """Wait until the last checkpoint is stored. Raises what storing it has raised."""
        if self.last is not None:
            self.last.result()

    def finish(self, raising: bool) -> None:
        """Wait for everything, and raise what the first failure has raised.

        Args:
            raising: the run itself raises nothing.
        """
        concurrent.futures.wait(list(self._jobs))
        if raising:
            self.raise_first()


class AwaitedSaves(Saves):
    """Saves of an asynchronous run, as asyncio tasks beside it.

    Attributes:
        lazy: what is stored in memory is stored in the loop's next turn, as asyncio tasks would
            do it, or before the next checkpoint. A reducer may change objects of the writes
            until then: `add_messages` gives messages their ids.
    """

    def __init__(self, saver: Any) -> None:
        super().__init__(saver, True)
        self.loop = asyncio.get_running_loop()
        self.lazy = False
        self._late: list[tuple[Any, Callable[..., Any], Any]] = []

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.in_memory and function in (self._put, self._put_writes):
            if self.lazy:
                return self._soon(function, arguments)
            self.catch_up()
            return self._at_once(function, *arguments)
        return self._task(self._call(function, *arguments))

    def _soon(self, function: Callable[..., Any], arguments: Any) -> Any:
        job: Any = concurrent.futures.Future()
        if not self._late:
            self.loop.call_soon(self.catch_up)
        self._late.append((job, function, arguments))
        return job

    def catch_up(self) -> None:
        """Store what has been put off."""
        late, self._late = self._late, []
        for job, function, arguments in late:
            try:
                job.set_result(function(*arguments))
            except Exception as error:
                job.set_exception(explained(error, self.saver, function.__name__, arguments))
                self._jobs[job] = None

    def _task(self, coroutine: Any) -> Any:
        return self._track(
            up.run_coroutine_threadsafe(
                coroutine, self.loop, lazy=False, **up.task_context(copy_context())
            )
        )

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return await function(*arguments)
        except Exception as error:
            raise explained(error, self.saver, function.__name__, arguments) from None

    def _start_put(self, previous: Any, writes: Any, arguments: Any) -> Any:
        if self.in_memory:
            self.catch_up()
            return self._put_at_once(previous, writes, arguments)
        return self._task(self._put_after(previous, writes, arguments))

    async def _put_after(self, previous: Any, writes: Any, arguments: Any) -> None:
        for job, delta in writes:
            if not job.done():
                await asyncio.wait([job])
            if delta:
                job.result()
        if previous is not None:
            await previous
        await self._call(self._put, *arguments)

    async def wait_handled(self) -> None:
        """Wait until an error handler may start. Raises what storing the failure has raised."""
        self.catch_up()
        for job in self.take_handled():
            if isinstance(job, concurrent.futures.Future):
                job.result()
            else:
                await job

    async def wait_room(self) -> None:
        """Wait while too many checkpoints are under way."""
        while (job := self.overdue()) is not None:
            await asyncio.wait([job])

    async def settle(self) -> None:
        """Wait until the last checkpoint is stored. Raises what storing it has raised."""
        if self.last is None:
            return
        if self.in_memory:
            self.last.result()
        else:
            await self.last

    async def finish(self, raising: bool) -> None:
        """Wait for everything, and raise what the first failure has raised.

        Args:
            raising: the run itself raises nothing.
        """
        self.catch_up()
        if pending := [job for job in self._jobs if not job.done()]:
            await asyncio.wait(pending)
        if raising:
            self.raise_first()
