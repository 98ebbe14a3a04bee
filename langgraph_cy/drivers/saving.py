"""Where a run's checkpoints and writes go: to its saver, beside the run.

Task writes may be stored in any order. A checkpoint is stored after the writes that led to it
and after the checkpoint before it, so what a saver holds is always a beginning of the run.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Iterable
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph_cy import upstream as up
from langgraph_cy.drivers.savers import stores_at_once
from langgraph_cy.drivers.workers import start_thread_job
from langgraph_cy.profiling.saving import MeasuredSaver
from langgraph_cy.unserializable import explained

# How many checkpoints may be on their way to the saver at once. The run waits for a saver that
# is slower, so that what a crash loses has a bound, and memory too.
BACKLOG = 4


class Stored:
    """The job of what has been stored already, or could not be.

    Args:
        error: what storing it has raised, None if nothing.
    """

    __slots__ = ("error",)

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def done(self) -> bool:
        return True

    def cancelled(self) -> bool:
        return False

    def exception(self) -> Exception | None:
        return self.error

    def result(self) -> None:
        if self.error is not None:
            raise self.error


STORED = Stored()


class Saves:
    """What a run has handed to its saver so far.

    Args:
        saver: a `BaseCheckpointSaver`, or None where only other jobs are started.
        asynchronous: the saver's asynchronous methods are called.

    Attributes:
        closing: the driver's to set: the writes that come next are the last of their superstep,
            and nothing that the program can see comes between them and the checkpoint.
        settling: the driver's to set: it calls `settle` as soon as it has handed over the next
            checkpoint.
    """

    def __init__(self, saver: Any, asynchronous: bool) -> None:
        self.saver = saver
        self.closing = self.settling = False
        self.at_once = stores_at_once(saver)
        if saver is not None:
            self._put = saver.aput if asynchronous and not self.at_once else saver.put
            self._put_writes = (
                saver.aput_writes if asynchronous and not self.at_once else saver.put_writes
            )
            self._takes_path = up.put_writes_accepts_task_path(
                saver.aput_writes if asynchronous else saver.put_writes
            )
        self._jobs: dict[Any, None] = {}  # in the order they were started; done ones go
        self._writes: list[tuple[Any, bool]] = []  # since the last checkpoint
        self._handled: list[Any] = []
        self._puts: list[Any] = []  # checkpoints that may be under way, oldest first
        self.last: Any = None  # the last checkpoint's job

    def measure(self, trace: Any) -> None:
        """Have what the saver does from now on measured.

        Args:
            trace: the run's `RunTrace`.
        """
        if self.saver is not None:
            self.saver = MeasuredSaver(self.saver, trace)
            self._put = self.saver.measured(self._put)
            self._put_writes = self.saver.measured(self._put_writes)

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

    def _failed(self, error: Exception, method: str, arguments: Any) -> Stored:
        job = Stored(explained(error, self.saver, method, arguments))
        self._jobs[job] = None
        return job

    def raise_first(self) -> None:
        """Raise what the first job that failed has raised."""
        for job in list(self._jobs):
            if not job.cancelled() and (error := job.exception()) is not None:
                raise error


def wait_for(jobs: Iterable[Any]) -> None:
    """Wait until jobs have ended, in whichever way."""
    # a copy: other threads take jobs out that have ended
    if pending := [job for job in list(jobs) if not job.done()]:
        concurrent.futures.wait(pending)


class ThreadSaves(Saves):
    """Saves of a synchronous run, in threads beside it."""

    def __init__(self, saver: Any) -> None:
        super().__init__(saver, False)

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        run = partial(copy_context().run, self._call, function, *arguments)
        return self._track(start_thread_job(run))

    def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return function(*arguments)
        except Exception as error:
            raise explained(error, self.saver, function.__name__, arguments) from None

    def _start_put(self, previous: Any, writes: Any, arguments: Any) -> Any:
        run = partial(copy_context().run, self._put_after, previous, writes, arguments)
        return self._track(start_thread_job(run))

    def _put_after(self, previous: Any, writes: Any, arguments: Any) -> None:
        wait_for(job for job, _ in writes)
        for job, delta in writes:
            if delta:
                job.result()
        if previous is not None:
            previous.result()
        self._call(self._put, *arguments)

    def wait_handled(self) -> None:
        """Wait until an error handler may start."""
        wait_for(self.take_handled())

    def wait_room(self) -> None:
        """Wait while too many checkpoints are under way."""
        while (job := self.overdue()) is not None:
            wait_for([job])

    def settle(self) -> None:
        """Wait until the last checkpoint is stored. Raises what storing it has raised."""
        if self.last is not None:
            self.last.result()

    def finish(self, raising: bool) -> None:
        """Wait for everything, and raise what the first failure has raised.

        Args:
            raising: the run itself raises nothing.
        """
        wait_for(self._jobs)
        if raising:
            self.raise_first()


class PromptSaves(ThreadSaves):
    """Saves of a synchronous run whose saver never waits: all is stored when it is handed over."""

    def __init__(self, saver: Any) -> None:
        super().__init__(saver)
        self._gap: Stored | None = None  # what no later checkpoint is worth storing after

    def put_writes(
        self, config: Any, writes: Any, task_id: str, path: str, *, delta: bool, handled: bool
    ) -> None:
        try:
            self._put_writes(config, writes, task_id, path)
        except Exception as error:
            job = self._failed(error, "put_writes", (config, writes, task_id, path))
            if delta and self._gap is None:
                self._gap = job

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> None:
        if self._gap is not None:
            return
        try:
            self._put(config, checkpoint, metadata, new_versions)
        except Exception as error:
            self._gap = self._failed(error, "put", (config, checkpoint, metadata, new_versions))

    def wait_room(self) -> None:
        """Nothing is ever under way."""

    def settle(self) -> None:
        if self._gap is not None:
            self._gap.result()


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
        self._late: list[tuple[Stored, Callable[..., Any], Any]] = []

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.at_once and function in (self._put, self._put_writes):
            if self.lazy:
                return self._soon(function, arguments)
            self.catch_up()
            return self._now(function, *arguments)
        return self._task(self._call(function, *arguments))

    def _now(self, function: Callable[..., Any], *arguments: Any) -> Stored:
        """The job of what is stored here and now."""
        try:
            function(*arguments)
        except Exception as error:
            return self._failed(error, function.__name__, arguments)
        return STORED

    def _put_now(self, previous: Any, writes: Any, arguments: Any) -> Any:
        """The job of a checkpoint that is stored now, unless it would follow a gap."""
        before = [job for job, delta in writes if delta]
        for job in before if previous is None else [*before, previous]:
            if job.exception() is not None:
                return job
        return self._now(self.saver.put, *arguments)

    def _soon(self, function: Callable[..., Any], arguments: Any) -> Any:
        job = Stored()
        if not self._late:
            self.loop.call_soon(self.catch_up)
        self._late.append((job, function, arguments))
        return job

    def catch_up(self) -> None:
        """Store what has been put off."""
        late, self._late = self._late, []
        for job, function, arguments in late:
            job.error = self._now(function, *arguments).error

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
        if self.at_once:
            self.catch_up()
            return self._put_now(previous, writes, arguments)
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
            if isinstance(job, Stored):
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
        if self.at_once:
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
