# cython: language_level=3, embedsignature=True
"""The synchronous driver: one task runs in the caller's thread, several on workers.

It owns what the core must not: threads, waiting, retries. What may be observed of it is
upstream's: the order in which chunks come out, which failure is raised, and that a run
returns only after everything it started has ended.
"""

import asyncio
import queue
import random
import sys
import threading
import time
import weakref
from dataclasses import replace

from cpython.contextvars cimport (
    PyContext_Copy, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit,
)

from langgraph_cy import upstream as up
from langgraph_cy.drivers.calls import CalledTasks
from langgraph_cy.core.superstep cimport Run, Status
from langgraph_cy.core.tasks cimport Task, run_attempt
from langgraph_cy.drivers.workers cimport Workers

cdef object CancelledError = asyncio.CancelledError
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object GraphInterrupt = up.GraphInterrupt
cdef object NodeCancelledError = up.NodeCancelledError
cdef object ParentCommand = up.ParentCommand
cdef bint NOTES = sys.version_info >= (3, 11)


cdef int execute(Task task) except -1:
    """Run a task until it succeeds or its retry policies give up (upstream: `run_with_retry`)."""
    cdef object policies = task.node.spec.retry_policy or task.context.retry_policy
    if task.timeout is not None:
        raise up.sync_timeout_unsupported(task.name)
    while True:
        try:
            return run_attempt(task)
        except ParentCommand as error:
            if handle_here(task, error):
                return 0
            raise
        except GraphBubbleUp:
            raise
        except CancelledError as error:
            # raised by the node itself: no asyncio task of ours runs it
            raise NodeCancelledError(task.name) from error
        except Exception as error:
            if NOTES:
                error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
            if not policies:
                raise
            delay = retry_delay(policies, error, task.attempt + 1)
            if delay is None:
                raise
            time.sleep(delay)
            up.retry_logger.info(
                f"Retrying task {task.name} after {delay:.2f} seconds "
                f"(attempt {task.attempt + 1}) after {error.__class__.__name__} {error}",
                exc_info=error,
            )
        task.restart()


def retry_delay(policies, error, failures):
    """Seconds to wait before another attempt, None where no policy allows one.

    Args:
        policies: upstream `RetryPolicy`s; the first that covers the error decides.
        failures: attempts that have failed, this one included.
    """
    for policy in policies:
        if up._should_retry_on(policy, error):
            break
    else:
        return None
    if failures >= policy.max_attempts:
        return None
    interval = min(
        policy.max_interval,
        policy.initial_interval * policy.backoff_factor ** (failures - 1),
    )
    return interval + random.uniform(0, 1) if policy.jitter else interval


def handle_here(Task task, error):
    """Whether a command raised for a parent graph was meant for this task's graph.

    If so the task's writers carry it out; otherwise it is addressed to the graph above.
    """
    namespace = task.config()[up.CONF][up.CONFIG_KEY_CHECKPOINT_NS]
    command = error.args[0]
    if command.graph in (namespace, up.recast_checkpoint_ns(namespace), task.name):
        for writer in task.node.spec.flat_writers:
            writer.invoke(command, task.config())
        return True
    if command.graph == up.Command.PARENT:
        above = up._checkpoint_ns_for_parent_command(namespace)
        error.args = (replace(command, graph=above),)
    return False


cdef class TaskJob:
    """One task of a fan-out, as a worker runs it."""

    def __call__(self):
        cdef object context = PyContext_Copy(self.fanout.base)
        cdef object raised = None
        PyContext_Enter(context)
        try:
            execute(self.task)
        except BaseException as error:
            raised = error
        finally:
            PyContext_Exit(context)
        self.fanout.finished(self.task, raised)


cdef class Fanout:
    """The tasks of one superstep, running on workers.

    Args:
        lock: held while an outcome is recorded.
        reports: the queue that wakes the thread which waits for the run.
        each: report every task that ends, for a stream; else only the end or a failure.
    """

    def __init__(self, Run run, Workers workers, lock, reports, bint each):
        self.run = run
        self.workers = workers
        self.reports = reports
        self.each = each
        self.base = PyContext_CopyCurrent()
        self.lock = lock
        self.errors = []

    cdef int submit(self) except -1:
        """Start the tasks of the superstep."""
        cdef list jobs = []
        cdef TaskJob job
        for task in self.run.tasks:
            job = TaskJob.__new__(TaskJob)
            job.fanout = self
            job.task = <Task>task
            jobs.append(job)
        self.unfinished = len(jobs)
        try:
            self.workers.submit(jobs)
        except BaseException:
            if self.workers.active == 0:
                self.unfinished = 0
            raise
        return 0

    cdef int finished(self, Task task, object error) except -1:
        """Take over what became of a task, whatever that raises, and wake who waits for it."""
        cdef bint wake = False
        with self.lock:
            try:
                if error is None:
                    self.run.commit(task)
                else:
                    self.run.fail(task, error)
            except BaseException as raised:
                error = raised
            if error is not None:
                self.errors.append(error)
                if self.failure is None and not isinstance(error, GraphBubbleUp):
                    self.failure = error
            task.forget()
            self.unfinished -= 1
            wake = self.each or self.unfinished == 0 or self.failure is error is not None
        if wake:
            self.reports.put(None)
        return 0

    cdef int stop(self) except -1:
        """After a failure: drop what no worker has started."""
        cdef long dropped = 0
        for job in self.workers.discard():
            if type(job) is TaskJob:
                dropped += 1
            else:
                job.cancel()  # a called task, whose caller may be waiting for it
        with self.lock:
            self.unfinished -= dropped
        return 0

    cdef object outcome(self):
        """What the tasks raised: a failure first, else their interrupts together, else None."""
        for error in self.errors:
            if not isinstance(error, GraphInterrupt):
                return error
        if self.errors:
            return GraphInterrupt(
                tuple([interrupt for error in self.errors for interrupt in error.args[0]])
            )
        return None


cdef class SyncDriver:
    """Drives one run from its input to its end in the calling thread.

    Args:
        run: the run, not started yet.
        max_concurrency: how many tasks may run at once; None for upstream's default.
        eager: a task runs on a worker even when it is alone, so that what it streams and the
            tasks it calls come out while it runs (upstream: `stream_eager`).
    """

    def __init__(self, Run run not None, max_concurrency=None, bint eager=False):
        self.run = run
        self.max_concurrency = max_concurrency
        self.eager = eager
        self.lock = threading.Lock()
        self.reports = queue.SimpleQueue()
        run.context.driver = weakref.ref(self)

    def start(self, input, input_keys):
        """Apply the input. Raises what upstream raises for one that it can't use."""
        self.run.start(input, input_keys)

    cpdef bint tick(self) except -1:
        """Prepare the next superstep; False when there is none."""
        return self.run.tick()

    cpdef bint begin(self) except -1:
        """Run the superstep's task if there is just one, or start its tasks on workers.

        Returns:
            Whether anything is still running: then `wait` until it is False.
        """
        cdef Task task
        self.error = None
        if len(self.run.tasks) == 1 and not self.eager:
            task = <Task>self.run.tasks[0]
            try:
                execute(task)
                self.run.commit(task)
            except Exception as error:
                self.run.fail(task, error)
                self.error = error
            task.forget()
        else:
            if self.workers is None:
                self.workers = Workers(self.max_concurrency)
            self.fanout = Fanout(
                self.run, self.workers, self.lock, self.reports, self.run.updates
            )
            self.fanout.submit()
            return True
        return self.calls is not None and self.calls.any()

    @property
    def failed(self):
        """Whether closing the superstep will raise."""
        return self.error is not None

    cpdef bint wait(self) except -1:
        """Wait until another task has ended. False when the superstep needs no more waiting."""
        if self.fanout is not None and self.fanout.failure is not None:
            self.fanout.stop()
            self.error = self.fanout.failure
            return False
        if self.unfinished():
            self.reports.get()
            return True
        if self.fanout is not None:
            self.error = self.fanout.outcome()
        return False

    cdef bint unfinished(self) except -1:
        """Whether any task of the superstep is still running, called ones included."""
        return (self.fanout is not None and self.fanout.unfinished > 0) or (
            self.calls is not None and self.calls.unfinished > 0
        )

    cpdef int close_step(self) except -1:
        """Close the superstep after its last task. Raises what its tasks raised."""
        if self.error is not None:
            error, self.error = self.error, None
            if self.fanout is not None:
                self.fanout.errors = []  # a raised error must not lead back to itself
                self.fanout.failure = None
            raise error
        if self.calls is not None:
            self.run.tasks.extend(self.calls.take())
        self.fanout = None
        self.run.after_tick()
        return 0

    cpdef int join(self) except -1:
        """Wait for whatever this run still has on workers, however the run ended."""
        while self.unfinished():
            self.reports.get()
        return 0

    cpdef bint suppress(self, object error) except -1:
        """Whether the run swallows an exception that ended it."""
        if self.calls is not None:
            self.run.tasks.extend(self.calls.take())
        return self.run.suppress(error)

    def finish(self):
        """Raise for a run that stopped before its graph was done."""
        if self.run.status == Status.OUT_OF_STEPS:
            raise up.GraphRecursionError(
                up.create_error_message(
                    message=(
                        f"Recursion limit of {self.run.context.recursion_limit} reached "
                        "without hitting a stop condition. You can increase the "
                        "limit by setting the `recursion_limit` config key."
                    ),
                    error_code=up.ErrorCode.GRAPH_RECURSION_LIMIT,
                )
            )
        if self.run.status == Status.DRAINING:
            raise up.GraphDrained(self.run.context.control.drain_reason or "shutdown")

    def complete(self):
        """Run to the end with nobody watching: what `invoke` needs."""
        try:
            while self.run.tick():
                if self.begin():
                    while self.wait():
                        pass
                self.close_step()
            self.run.close()
        except GraphInterrupt as error:
            self.join()
            if not self.suppress(error):
                raise
        except StopIteration as error:
            # as out of a generator, which upstream's engine is
            raise RuntimeError("generator raised StopIteration") from error
        finally:
            self.join()
        self.finish()

    def call(self, caller, func, input, **options):
        """Start a task that a running one calls; what upstream puts in a config to do so."""
        if self.calls is None:
            if self.workers is None:
                self.workers = Workers(self.max_concurrency)
            self.calls = CalledTasks(self)
        return self.calls.call(caller, func, input, **options)

    def submit_call(self, job):
        """Queue a called task on the run's workers."""
        self.workers.submit([job])

    def commit_call(self, task, error):
        """Report a called task that has ended, in turn with the tasks that called it."""
        with self.lock:
            if error is None:
                self.run.commit(task)
            else:
                self.run.fail(task, error)
