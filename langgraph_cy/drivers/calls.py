"""Tasks that a node calls: `@task` functions started from inside a running node."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph_cy import upstream as up
from langgraph_cy.profiling.recorder import clock

_UNMEASURED = nullcontext()


class CallJob:
    """One called task, as a worker runs it.

    Args:
        calls: the superstep's.
        task: upstream's `PregelExecutableTask`.
        retry_policy: for a task that has none of its own.
    """

    def __init__(self, calls: CalledTasks, task: Any, retry_policy: Any) -> None:
        self.calls = calls
        self.task = task
        self.retry_policy = retry_policy
        self.context = copy_context()
        self.future: Future[Any] = Future()
        self.trace = calls.driver.trace
        self.queued = 0 if self.trace is None else clock()

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            self.calls.ended()
            return
        time.sleep(0)  # lets the caller's own writes be streamed first, as upstream does
        try:
            try:
                result = self.context.run(self.run)
            except BaseException as error:
                self.calls.commit(self.task, error)
                raise
            self.calls.commit(self.task, None)
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)
        finally:
            self.calls.ended()

    def run(self) -> Any:
        with _measured(self.trace, self.task, self.queued):
            return up.run_with_retry(
                self.task,
                self.retry_policy,
                configurable={up.CONFIG_KEY_CALL: partial(self.calls.call, self.task)},
            )

    def cancel(self) -> None:
        self.future.cancel()
        self.future.set_running_or_notify_cancel()
        self.calls.ended()


class CalledTasks:
    """The tasks called by nodes of the superstep under way.

    Args:
        driver: the driver of the run, whose workers run the tasks.
    """

    def __init__(self, driver: Any) -> None:
        # weak: the driver owns these, and a run should not wait for the collector
        self.driver = weakref.proxy(driver)
        self.unfinished = 0
        self._called = False
        self._lock = threading.Lock()

    def call(
        self,
        caller: Any,
        func: Callable[..., Any],
        input: tuple[tuple[Any, ...], dict[str, Any]],
        *,
        retry_policy: Any = None,
        cache_policy: Any = None,
        timeout: Any = None,
        callbacks: Any = None,
    ) -> Future[Any]:
        """Start a task on behalf of a running one (upstream: `_call`).

        Args:
            caller: the calling task, a `Task` of the core or upstream's own.
            func: the function that `@task` wraps.
            input: its positional and keyword arguments.

        Returns:
            A future that resolves once the task's writes are committed.
        """
        if inspect.iscoroutinefunction(func):
            raise RuntimeError("In an sync context async tasks cannot be called")
        call = up.Call(
            func,
            input,
            retry_policy=retry_policy,
            cache_policy=cache_policy,
            callbacks=callbacks,
            timeout=timeout,
        )
        task = self.driver.accept_call(caller, call)
        answer: Future[Any] = Future()
        if task.writes:
            resolve(answer, task.writes)
            return answer
        job = CallJob(self, task, retry_policy)
        with self._lock:
            self.unfinished += 1
            self._called = True
        try:
            self.driver.submit_call(job)
        except RuntimeError:
            self.ended()
            raise
        up.chain_future(job.future, answer)
        return answer

    def commit(self, task: Any, error: BaseException | None) -> None:
        self.driver.commit_call(task, error)

    def ended(self) -> None:
        with self._lock:
            self.unfinished -= 1
        self.driver.reports.put(None)

    def any(self) -> bool:
        """Whether a task has been called in this superstep."""
        return self._called

    def close_step(self) -> None:
        """Start the count of a new superstep."""
        self._called = False


def _measured(trace: Any, task: Any, queued: int) -> Any:
    """What measures a called task where its run is measured."""
    return _UNMEASURED if trace is None else trace.begin_task(task.name, queued)


def resolve(future: Any, writes: Any) -> None:
    """Give a future what a called task had written before the run was interrupted."""
    for channel, value in writes:
        if channel == up.RETURN:
            future.set_result(value)
            return
    for channel, error in writes:
        if channel == up.ERROR and error:
            future.set_exception(error if isinstance(error, BaseException) else Exception(error))
            return
    future.set_result(None)


class AwaitedCalls:
    """The tasks called by nodes of the superstep under way in an asynchronous run.

    Args:
        driver: the driver of the run.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = weakref.proxy(driver)
        self.loop = driver.loop
        self.unfinished = 0
        self._called = False

    def call(
        self,
        caller: Any,
        func: Callable[..., Any],
        input: tuple[tuple[Any, ...], dict[str, Any]],
        *,
        retry_policy: Any = None,
        cache_policy: Any = None,
        timeout: Any = None,
        callbacks: Any = None,
    ) -> Any:
        """Start a task on behalf of a running one (upstream: `_acall`); from any thread.

        Returns:
            A future that resolves once the task's writes are committed: asyncio's where the
            caller runs on an event loop.
        """
        try:
            awaited = asyncio.current_task() is not None
        except RuntimeError:
            awaited = False
        answer: Any = asyncio.Future(loop=self.loop) if awaited else Future()
        call = up.Call(
            func,
            input,
            retry_policy=retry_policy,
            cache_policy=cache_policy,
            callbacks=callbacks,
            timeout=timeout,
        )
        self._called = True
        self.unfinished += 1
        up.run_coroutine_threadsafe(
            self._accept(answer, caller, call, retry_policy), self.loop, lazy=False
        )
        return answer

    async def _accept(self, answer: Any, caller: Any, call: Any, retry_policy: Any) -> None:
        job: Any = None
        try:
            task = await self.driver.accept_call(caller, call)
            if task.writes:
                job = asyncio.Future(loop=self.loop)
                resolve(job, task.writes)
            else:
                self.unfinished += 1
                queued = 0 if self.driver.trace is None else clock()
                job = self.driver.start_call(self._run(task, retry_policy, queued), task.name)
                job.add_done_callback(partial(self._done, task))
            up.chain_future(job, answer)
        except Exception as error:
            answer.set_exception(error)
        finally:
            self.ended()

    async def _run(self, task: Any, retry_policy: Any, queued: int) -> Any:
        try:
            with _measured(self.driver.trace, task, queued):
                result: Any = await up.arun_with_retry(  # type: ignore[func-returns-value]
                    task,
                    retry_policy,
                    stream=self.driver.run.context.stream_nodes,
                    configurable={up.CONFIG_KEY_CALL: partial(self.call, task)},
                )
        except BaseException as error:
            self.driver.commit_call(task, error)
            raise
        self.driver.commit_call(task, None)
        return result

    def _done(self, task: Any, job: Any) -> None:
        if job.cancelled() and not task.writes:
            self.driver.commit_call(task, asyncio.CancelledError())  # before it could start
        self.ended()

    def ended(self) -> None:
        self.unfinished -= 1
        self.driver.wake()

    def any(self) -> bool:
        """Whether a task has been called in this superstep."""
        return self._called

    def close_step(self) -> None:
        """Start the count of a new superstep."""
        self._called = False
