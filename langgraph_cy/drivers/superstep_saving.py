"""Saves of runs whose saver stores supersteps as a whole, see `savers.takes_supersteps`.

The writes of a superstep's last task wait for the checkpoint that they lead to. Both are encoded
as soon as they are handed over, so that nothing that happens later shows in them, and stored in
one transaction; where the run does not wait for that, with all others that wait by then.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph_cy.drivers.savers import stores_at_once, stores_supersteps
from langgraph_cy.drivers.saving import (
    BACKLOG,
    AwaitedSaves,
    PromptSaves,
    Saves,
    Stored,
    ThreadSaves,
    wait_for,
)
from langgraph_cy.drivers.workers import start_thread_job


class _Whole(Saves):
    """What synchronous and asynchronous runs have in common."""

    def _open(self) -> None:
        self._held: list[Any] = []  # writes that go with the next checkpoint: arguments, encoded
        self._waiting: list[Any] = []  # supersteps to be stored: jobs before them, encoded
        self._unstored = 0  # ... and those that are being stored
        self._storing = False
        self._gap: Any = None  # the job that has failed: nothing is stored after it

    def put_writes(
        self, config: Any, writes: Any, task_id: str, path: str, *, delta: bool, handled: bool
    ) -> None:
        closing, self.closing = self.closing, False
        if handled or not closing:
            super().put_writes(config, writes, task_id, path, delta=delta, handled=handled)
        else:
            self._hold((config, writes, task_id, path), delta)

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> None:
        self.closing = False
        arguments = (config, checkpoint, metadata, new_versions)
        held = self._take_held()
        writes, self._writes = self._writes, []
        if self._gap is not None:
            return
        try:
            dumped = self.saver.dumped_superstep(held, *arguments)
        except Exception as error:
            self._gap = self._failed(error, "put", arguments)
            return
        self._add(writes, dumped)

    def _add(self, writes: Any, dumped: Any) -> None:
        """Have a superstep stored, after the jobs of other writes of it."""
        raise NotImplementedError

    def _hold(self, arguments: Any, delta: bool) -> None:
        """Keep writes back for the transaction that stores the checkpoint."""
        dumped = self._dumped(arguments, delta)
        if dumped is not None:
            self._held.append((arguments, dumped))

    def _dumped(self, arguments: Any, delta: bool) -> Any:
        try:
            return self.saver.dumped_writes(*arguments)
        except Exception as error:
            self._writes.append((self._failed(error, "put_writes", arguments), delta))
            return None

    def _take_held(self) -> list[Any]:
        held, self._held = self._held, []
        return [dumped for _, dumped in held]

    def release(self) -> None:
        """Store what was kept back for a checkpoint that has not come."""
        held, self._held = self._held, []
        for arguments, *_ in held:
            self._start(self._put_writes, *arguments)

    def _taken(self) -> list[Any]:
        """All supersteps that wait; storing ends where there are none."""
        batch, self._waiting = self._waiting, []
        self._storing = bool(batch)
        return batch

    def _complete(self, batch: list[Any]) -> list[Any]:
        """What can be stored of a batch: it ends before a gap in the history."""
        complete: list[Any] = []
        for writes, dumped in batch:
            for job, delta in writes:
                if delta and job.exception() is not None:
                    self._gap = job
                    return complete
            complete.append(dumped)
        return complete

    def _broken(self, error: Exception) -> None:
        self._gap = job = Stored(error)
        self._jobs[job] = None


class WholeSaves(_Whole, ThreadSaves):
    """Saves of a synchronous run.

    Args:
        saver: as for `Saves`.
        waits: the run waits for every checkpoint, which is then stored in its own thread.
    """

    def __init__(self, saver: Any, waits: bool) -> None:
        super().__init__(saver)
        self._waits = waits
        self._open()
        self._turn = threading.Condition()

    def _add(self, writes: Any, dumped: Any) -> None:
        if self._waits:
            self._store([(writes, dumped)])
            return
        with self._turn:
            self._waiting.append((writes, dumped))
            self._unstored += 1
            starts, self._storing = not self._storing, True
        if starts:
            self._track(start_thread_job(partial(copy_context().run, self._store_all)))

    def _store_all(self) -> None:
        while True:
            with self._turn:
                batch = self._taken()
            if not batch:
                return
            try:
                self._store(batch)
            finally:
                with self._turn:
                    self._unstored -= len(batch)
                    self._turn.notify_all()

    def _store(self, batch: list[Any]) -> None:
        if self._gap is not None:
            return
        for writes, _ in batch:
            if writes:
                wait_for([job for job, _ in writes])
        try:
            if complete := self._complete(batch):
                self.saver.put_dumped(complete)
        except Exception as error:
            self._broken(error)

    def wait_room(self) -> None:
        if self._unstored <= BACKLOG:  # nobody else makes it more
            return
        with self._turn:
            while self._unstored > BACKLOG:
                self._turn.wait()

    def settle(self) -> None:
        if self._gap is not None:
            self._gap.result()

    def finish(self, raising: bool) -> None:
        self.release()
        super().finish(raising)


class AwaitedWholeSaves(_Whole, AwaitedSaves):
    """Saves of an asynchronous run.

    Where the run waits for a checkpoint at once, it stores it itself: a task beside it would take
    more turns of the event loop.
    """

    def __init__(self, saver: Any) -> None:
        super().__init__(saver)
        self._open()
        self._due = False  # what waits is stored when the run waits for it
        self._room = asyncio.Event()
        self._room.set()
        self._storer: Any = None  # the job that stores

    def _hold(self, arguments: Any, delta: bool) -> None:
        # encoded with the checkpoint: upstream's engine gets to it only after the writes have
        # been applied, and reducers may change what they are given
        self._held.append((arguments, delta))

    def _take_held(self) -> list[Any]:
        held, self._held = self._held, []
        dumped = [self._dumped(arguments, delta) for arguments, delta in held]
        return [each for each in dumped if each is not None]

    def _add(self, writes: Any, dumped: Any) -> None:
        self._waiting.append((writes, dumped))
        self._unstored += 1
        if self._unstored > BACKLOG:
            self._room.clear()
        if self._storing:
            return
        self._storing = True
        self._due, self.settling = self.settling, False
        if not self._due:
            self._begin()

    def _begin(self) -> None:
        self._due = False
        self._storer = self._task(self._store_all())

    async def _store_all(self) -> None:
        while batch := self._taken():
            try:
                await self._store(batch)
            finally:
                self._unstored -= len(batch)
                if self._unstored <= BACKLOG:
                    self._room.set()

    async def _store(self, batch: list[Any]) -> None:
        if self._gap is not None:
            return
        for writes, _ in batch:
            for job, _ in writes:
                if not job.done():
                    await asyncio.wait([job])
        try:
            if complete := self._complete(batch):
                await self.saver.aput_dumped(complete)
        except Exception as error:
            self._broken(error)

    async def wait_room(self) -> None:
        if self._unstored > BACKLOG:
            await self._room.wait()

    async def settle(self) -> None:
        if self._due:
            self._due = False
            await self._store_all()
        elif self._storing:
            await self._storer
        if self._gap is not None:
            self._gap.result()

    async def finish(self, raising: bool) -> None:
        if self._due:
            self._begin()
        self.release()
        await super().finish(raising)


def saves_for(saver: Any, *, asynchronous: bool, waits: bool) -> Saves:
    """What stores for a run, in the way that suits its saver.

    Args:
        saver: a `BaseCheckpointSaver`, or None where only other jobs are started.
        asynchronous: the run is.
        waits: it waits for every checkpoint.
    """
    whole = stores_supersteps(saver, asynchronous)
    if asynchronous:
        return AwaitedWholeSaves(saver) if whole else AwaitedSaves(saver)
    if stores_at_once(saver):
        return PromptSaves(saver)
    return WholeSaves(saver, waits) if whole else ThreadSaves(saver)
