"""Functions for `entrypoint`, made of descriptions."""

import asyncio
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.types import CachePolicy, RetryPolicy, interrupt

from .acts import number_of
from .build import Recorder, UserError, plain
from .session import Op, Workflow


class MadeWorkflow:
    """A workflow made of a description, with the record of what it and its tasks see."""

    def __init__(self, description: Workflow, engine: Any = None, **compiled_with: Any) -> None:
        self.description = description
        self.recorder = Recorder()
        self.kinds: dict[str, str] = {}
        self.wait: Any = None
        self.control: Any = None
        self.task = self._task()
        function = self._coroutine if description.asynchronous else self._function
        made = entrypoint(**compiled_with)(function())
        self.graph = engine(made) if engine is not None else made

    def _task(self) -> Any:
        record = self.recorder

        def work(place: int, number: int, times: int) -> int:
            record.call("task", place, number)
            if times and record.attempt((place, number)) <= times:
                raise record.fail(UserError(f"task {place} fails"))
            return number * 10

        async def work_async(place: int, number: int, times: int) -> int:
            return work(place, number, times)

        return task(
            name="work",
            retry_policy=RetryPolicy(
                initial_interval=0.0, max_attempts=self.description.attempts, jitter=False
            ),
            cache_policy=CachePolicy() if self.description.cached else None,
        )(work_async if self.description.asynchronous else work)

    def _begin(self, number: Any, previous: Any) -> int:
        self.recorder.call("workflow", plain(number), plain(previous))
        return number_of(number) + (previous or 0)

    def _end(self, total: int) -> Any:
        if self.description.final:
            return entrypoint.final(value={"total": total}, save=total + 1)
        return total

    def _other(self, op: Op, place: int, total: int) -> int:
        """An operation that takes no task."""
        if op.kind == "ask":
            return total + number_of(interrupt(f"question {place}"))
        if op.kind == "write":
            get_stream_writer()(("written", place, total))
            return total
        if op.kind == "fail":
            if self.recorder.attempt(("fail", place)) <= op.times:
                raise self.recorder.fail(UserError(f"workflow fails at {place}"))
            return total
        assert op.kind == "add", op.kind
        return total + op.number

    def _function(self) -> Any:
        def workflow(number: Any, *, previous: Any = None) -> Any:
            total = self._begin(number, previous)
            for place, op in enumerate(self.description.ops):
                if op.kind == "task":
                    total += self.task(place, op.number, op.times).result()
                elif op.kind == "tasks":
                    futures = [self.task(place, each, 0) for each in range(op.number)]
                    total += sum(future.result() for future in futures)
                else:
                    total = self._other(op, place, total)
            return self._end(total)

        return workflow

    def _coroutine(self) -> Any:
        async def workflow(number: Any, *, previous: Any = None) -> Any:
            total = self._begin(number, previous)
            for place, op in enumerate(self.description.ops):
                if op.kind == "task":
                    total += await self.task(place, op.number, op.times)
                elif op.kind == "tasks":
                    futures = [self.task(place, each, 0) for each in range(op.number)]
                    total += sum(await asyncio.gather(*futures))
                elif op.kind == "wait":
                    self.recorder.call("waits")
                    if self.wait is not None:
                        await self.wait()
                else:
                    total = self._other(op, place, total)
            return self._end(total)

        return workflow
