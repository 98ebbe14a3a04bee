"""Tasks that a node calls: `@task` functions started from inside a running node."""

from __future__ import annotations

import inspect
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any

from langgraph_cy import upstream as up


class CalledTask:
    """A task that another task called, in the shape in which the core takes tasks.

    Args:
        prepared: upstream's `PregelExecutableTask`.
    """

    __slots__ = ("hidden", "name", "path", "prepared", "writes")

    def __init__(self, prepared: Any) -> None:
        self.prepared = prepared
        self.name = prepared.name
        self.path = prepared.path
        self.writes = prepared.writes
        self.hidden = up.TAG_HIDDEN in prepared.config.get("tags", ())


class CallJob:
    """One called task, as a worker runs it."""

    def __init__(self, calls: CalledTasks, task: CalledTask, retry_policy: Any) -> None:
        self.calls = calls
        self.task = task
        self.retry_policy = retry_policy
        self.context = copy_context()
        self.future: Future[Any] = Future()

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
        prepared = self.task.prepared
        return up.run_with_retry(
            prepared,
            self.retry_policy,
            configurable={up.CONFIG_KEY_CALL: partial(self.calls.call, prepared)},
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
        self._tasks: list[CalledTask] = []
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
        prepared = self.driver.run.context.called_task(caller, call)
        task = CalledTask(prepared)
        job = CallJob(self, task, retry_policy)
        with self._lock:
            self.unfinished += 1
            self._tasks.append(task)
        try:
            self.driver.submit_call(job)
        except RuntimeError:
            self.ended()
            raise
        answer: Future[Any] = Future()
        up.chain_future(job.future, answer)
        return answer

    def commit(self, task: CalledTask, error: BaseException | None) -> None:
        self.driver.commit_call(task, error)

    def ended(self) -> None:
        with self._lock:
            self.unfinished -= 1
        self.driver.reports.put(None)

    def any(self) -> bool:
        """Whether a task has been called in this superstep."""
        return bool(self._tasks)

    def take(self) -> list[CalledTask]:
        """The tasks called in this superstep, whose writes it applies."""
        tasks, self._tasks = self._tasks, []
        return tasks
