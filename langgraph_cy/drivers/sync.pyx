# cython: language_level=3, embedsignature=True
"""The synchronous driver: one task runs in the caller's thread, several on workers.

It owns what the core must not: threads, waiting, retries, savers and caches. What may be
observed of it is upstream's: the order in which chunks come out, which failure is raised, and
that a run returns only after everything it started has ended.
"""

import asyncio
import concurrent.futures
import queue
import threading
import time
import weakref

from cpython.contextvars cimport (
    PyContext_Copy, PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit,
)

from langgraph_cy import upstream as up
from langgraph_cy.drivers import caching
from langgraph_cy.drivers.calls import CalledTasks
from langgraph_cy.drivers.loading import load
from langgraph_cy.drivers.retrying import (
    combined, handle_here, log_retry, noted_delay, stops_others,
)
from langgraph_cy.locks import fork_safe
from langgraph_cy.core.history cimport SavedRun
from langgraph_cy.core.superstep cimport Run, Status, control_of
from langgraph_cy.core.attempts cimport run_attempt
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.drivers.workers cimport Workers
from langgraph_cy.profiling.recorder cimport Outcome, Part, now
from langgraph_cy.profiling.run_trace cimport RunTrace, TaskTrace, task_here

cdef object CancelledError = asyncio.CancelledError
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object NodeCancelledError = up.NodeCancelledError
cdef object ParentCommand = up.ParentCommand
cdef object opening = fork_safe(threading.Lock())


cdef int execute(Task task) except -1:
    """Run a task until it succeeds or its retry policies give up (upstream: `run_with_retry`)."""
    cdef TaskTrace trace
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
            delay = noted_delay(task, error)
            if delay is None:
                raise
            trace = task_here()
            if trace is not None:
                trace.pause()
            try:
                time.sleep(delay)
            finally:
                if trace is not None:
                    trace.resume()
            log_retry(task, delay, error)
        task.restart()


cdef class TaskJob:
    """One task of a fan-out, as a worker runs it."""

    def __call__(self):
        cdef object raised = None
        cdef TaskTrace trace = None
        PyContext_Enter(self.context)
        try:
            if self.queued:
                trace = self.fanout.driver.trace.begin_task(self.task.name, self.queued)
            if type(self.task) is Task:
                execute(<Task>self.task)
            else:
                self.fanout.driver.run_upstream(self.task)
        except BaseException as error:
            raised = error
        finally:
            if trace is not None:
                trace.ran(raised)
            PyContext_Exit(self.context)
        self.fanout.finished(self.task, raised)
        if trace is not None:
            trace.done()


cdef class Fanout:
    """The tasks of one superstep, running on workers.

    Args:
        driver: the driver of the run, which is woken.
        each: report every task that ends, for a stream; else only the end or a failure.
    """

    def __init__(self, SyncDriver driver not None, bint each):
        self.driver = driver
        self.run = driver.run
        self.each = each
        self.base = PyContext_CopyCurrent()
        self.errors = []
        self.handling = []

    cdef int submit(self, list tasks) except -1:
        """Start tasks of the superstep."""
        cdef list jobs = []
        cdef TaskJob job
        cdef long long queued = now() if self.driver.measured else 0
        for task in tasks:
            job = TaskJob.__new__(TaskJob)
            job.fanout = self
            job.task = task
            job.context = PyContext_Copy(self.base)
            job.queued = queued
            jobs.append(job)
        with self.driver.lock:
            self.unfinished += len(jobs)
        try:
            self.driver.workers.submit(jobs)
        except BaseException:
            if self.driver.workers.active == 0:
                self.unfinished = 0
            raise
        return 0

    cdef int finished(self, object task, object error) except -1:
        """Take over what became of a task, whatever that raises, and wake who waits for it."""
        cdef bint wake = False
        with self.driver.lock:
            try:
                if error is None:
                    self.driver.commit(task, self.unfinished == 1 and not self.handling)
                else:
                    self.run.fail(task, error)
            except BaseException as raised:
                error = raised
            if error is not None and not self.closed and handled(task, error):
                self.handling.append((task, error))
                wake = True
            else:
                if error is not None:
                    self.errors.append(error)
                    if self.failure is None and stops_others(error):
                        self.failure = error
                if type(task) is Task:
                    (<Task>task).forget()
                self.unfinished -= 1
            wake = wake or self.each or self.unfinished == 0 or self.failure is error is not None
        if wake:
            self.driver.reports.put(None)
        return 0

    cdef int handle(self) except -1:
        """Start the error handlers of tasks that have failed."""
        cdef list handlers = []
        with self.driver.lock:
            failed, self.handling = self.handling, []
        try:
            for task, error in failed:
                handler = self.driver.handler_of(task, error)
                (<Task>task).forget()
                if handler is not None:
                    handlers.append(handler)
            if handlers:
                self.submit(handlers)
        finally:  # or the run would wait for them for ever
            with self.driver.lock:
                self.unfinished -= len(failed)
        return 0

    cdef int stop(self) except -1:
        """After a failure: drop what no worker has started."""
        cdef list dropped = []
        for job in self.driver.workers.discard():
            if type(job) is TaskJob:
                dropped.append(job)
            else:
                job.cancel()  # a called task, whose caller may be waiting for it
        with self.driver.lock:
            self.closed = True
            self.unfinished -= len(dropped) + len(self.handling)
            self.handling = []
            for job in dropped:
                self.run.fail((<TaskJob>job).task, concurrent.futures.CancelledError())
        return 0


cdef object weakly(object method):
    """A method as a function that does not keep its object alive."""
    reference = weakref.WeakMethod(method)

    def call():
        bound = reference()
        if bound is not None:
            bound()

    return call


cdef bint handled(object task, object error) except -1:
    """Whether an error handler takes over a task's failure."""
    return (
        type(task) is Task
        and (<Task>task).node.error_handler is not None
        and not isinstance(error, GraphBubbleUp)
    )


cdef class SyncDriver:
    """Drives one run from its input to its end in the calling thread.

    Args:
        run: the run, not started yet.
        max_concurrency: how many tasks may run at once; None for upstream's default.
        eager: a task runs on a worker even when it is alone, so that what it streams and the
            tasks it calls come out while it runs.
        saves: the run's `ThreadSaves`, None where nothing is stored or cached.
        cache: keeps writes of tasks, or None.
        step_timeout: seconds that a superstep may take, None for no limit.
    """

    def __init__(
        self, Run run not None, max_concurrency=None, bint eager=False, *,
        saves=None, cache=None, step_timeout=None, bint sync_saves=False,
    ):
        self.run = run
        self.max_concurrency = max_concurrency
        self.eager = eager
        self.saves = saves
        self.cache = cache
        self.step_timeout = step_timeout
        self.sync_saves = sync_saves and saves is not None
        run.context.driver = weakref.ref(self)
        if eager:
            self.open_threads()
            run.on_chunk = weakly(self.wake)

    cdef int open_threads(self) except -1:
        """Make what a run needs to work with threads, unless it has that."""
        if self.workers is None:
            with opening:
                if self.workers is None:
                    self.lock = threading.RLock()
                    self.reports = queue.SimpleQueue()
                    self.workers = Workers(self.max_concurrency)
        return 0

    def wake(self):
        """Let the thread that waits for the run look for chunks."""
        self.reports.put(None)

    def measure(self, RunTrace trace not None):
        """Have what the run does from now on measured."""
        self.trace = self.run.trace = trace
        self.measured = self.run.measured = True
        if self.saves is not None:
            self.saves.measure(trace)

    def start(self, input, input_keys):
        """Load the thread's past and apply the input.

        Raises what upstream raises for an input that it can't use.
        """
        try:
            if isinstance(self.run, SavedRun):
                if self.measured:
                    self.trace.mark(Part.LOAD)
                load(self.run)
            if self.measured:
                self.trace.mark(Part.INPUT)
            self.run.start(input, input_keys)
            self.tell()
        except BaseException as error:
            if self.measured:
                self.trace.end(error, 0)
            raise

    cpdef bint tick(self) except -1:
        """Prepare the next superstep; False when there is none."""
        return self.run.tick()

    cpdef bint begin(self) except -1:
        """Run the superstep's task if there is just one, or start its tasks on workers.

        Returns:
            Whether anything is still running: then `wait` until it is False.
        """
        cdef Task task
        cdef list tasks = self.run.tasks
        self.error = None
        if self.saves is not None:
            if self.cache is not None:
                if self.measured:
                    self.trace.mark(Part.CACHE)
                self.match_cached()
                if self.measured:
                    self.trace.mark(Part.OTHER)
            tasks = self.run.runnable()
            if not tasks:
                return False
        if len(tasks) > 1 or self.eager or self.step_timeout is not None:
            return self.spread(tasks)
        if type(tasks[0]) is not Task:
            return self.spread(tasks)  # an error handler that goes on after a resume
        task = <Task>tasks[0]
        try:
            if self.measured:
                self.trace.begin_alone(task.name)
            execute(task)
            if self.measured:
                self.trace.end_alone(None)
            self.commit(task, True)
        except Exception as error:
            if self.measured:
                self.trace.end_alone(error)
            self.run.fail(task, error)
            if not handled(task, error):
                self.error = error
            else:
                handler = self.handler_of(task, error)
                if handler is not None:
                    return self.spread([handler])
        task.forget()
        return self.calls is not None and self.calls.any()

    cdef bint spread(self, list tasks) except -1:
        """Start tasks on workers."""
        if self.measured:
            self.trace.dispatch()
        self.open_threads()
        if self.step_timeout:
            self.deadline = time.monotonic() + self.step_timeout
        self.fanout = Fanout(self, self.eager or self.run.modes != 0 or self.run.modes_above != 0)
        self.fanout.submit(tasks)
        return True

    cdef int commit(self, object task, bint last) except -1:
        """Record a task that has ended, and let the cache know.

        Args:
            last: no other node of the superstep is running.
        """
        if self.saves is not None:
            self.saves.closing = last and self.run.unobserved() and (
                self.calls is None or not self.calls.any()
            )
        self.run.commit(task)
        if self.cache is not None:
            entry = caching.entry(task)
            if entry is not None:
                self.saves.start(self.cache.set, entry)
        return 0

    def match_cached(self):
        """Give tasks that have not run the writes that the cache has for them."""
        tasks = caching.wanted(self.run.tasks)
        if tasks:
            for task in caching.fill(tasks, self.cache.get(tuple(tasks))):
                if self.measured:
                    self.trace.found(task.name)
                self.run.put_writes(task, task.writes, True)

    def handler_of(self, Task task, error):
        """The task that handles another's failure, once that failure is stored; or None."""
        if self.saves is not None:
            self.saves.wait_handled()
        self.open_threads()
        with self.lock:
            handler = self.run.accept_handler(task, error)
            if handler is not None and self.cache is not None:
                self.match_cached()
        return handler

    def run_upstream(self, task):
        """Run one of upstream's own tasks."""
        up.run_with_retry(
            task, None, configurable={up.CONFIG_KEY_CALL: self.call_for(task)}
        )

    def call_for(self, task):
        """What upstream puts in a task's config for it to call others."""
        def call(*args, **options):
            return self.call(task, *args, **options)
        return call

    @property
    def failed(self):
        """Whether closing the superstep will raise."""
        return self.error is not None

    cpdef bint wait(self) except -1:
        """Wait until another task has ended. False when the superstep needs no more waiting."""
        if self.measured:
            self.trace.mark(Part.WAIT)
        if self.fanout is not None:
            if self.fanout.handling:
                self.fanout.handle()
            if self.fanout.failure is not None:
                self.fanout.stop()
                self.error = self.fanout.failure
                return False
        if not self.unfinished():
            return self.settle()
        if self.deadline is None:
            self.reports.get()
            if self.fanout is not None and self.fanout.handling:
                self.fanout.handle()
            return True
        try:
            self.reports.get(timeout=max(0, self.deadline - time.monotonic()))
            return True
        except queue.Empty:
            self.settle()
            if self.fanout is not None:
                self.fanout.stop()
            if self.error is None:
                self.error = TimeoutError("Timed out")
            return False

    cdef bint settle(self) except -1:
        """Note what the superstep's tasks have raised, and that no waiting is left."""
        if self.fanout is not None:
            self.error = combined(self.fanout.errors)
        return False

    cdef bint unfinished(self) except -1:
        """Whether any task of the superstep is still running, called ones included."""
        return (self.fanout is not None and self.fanout.unfinished > 0) or (
            self.calls is not None and self.calls.unfinished > 0
        )

    cpdef int close_step(self) except -1:
        """Close the superstep after its last task. Raises what its tasks raised."""
        self.deadline = None
        if self.error is not None:
            error, self.error = self.error, None
            if self.fanout is not None:
                self.fanout.errors = []  # a raised error must not lead back to itself
                self.fanout.failure = None
            raise error
        if self.calls is not None:
            self.calls.close_step()
        self.fanout = None
        self.run.after_tick()
        if self.saves is not None:
            self.tell()
            if self.measured:
                self.trace.mark(Part.SAVE_WAIT)
            self.saves.wait_room()
            if self.sync_saves:
                self.saves.settle()
        elif self.run.context.lifecycle is not None:
            self.tell()
        return 0

    def tell(self):
        """Hand lifecycle events to their handlers."""
        if self.run.context.lifecycle is not None:
            self.run.context.lifecycle.tell()

    cpdef int join(self) except -1:
        """Wait for whatever this run still has on workers, however the run ended."""
        if self.fanout is not None and self.fanout.unfinished > 0:
            with self.lock:
                self.fanout.closed = True
                self.fanout.unfinished -= len(self.fanout.handling)
                self.fanout.handling = []
        while self.unfinished():
            self.reports.get()
        return 0

    cpdef bint leave(self, object error) except -1:
        """End the run and wait for all it has started.

        Args:
            error: what has ended it, None if nothing has been raised.

        Returns:
            Whether the run swallows the error.
        """
        cdef bint swallowed = False
        if self.measured:
            self.trace.leave(error)
        try:
            swallowed = self.run.leave(error)
        finally:
            if self.measured:
                self.trace.mark(Part.WAIT)
            try:
                self.join()
                if self.saves is not None:
                    if self.measured:
                        self.trace.mark(Part.SAVE_WAIT)
                    self.saves.finish(error is None or swallowed)
            finally:
                if self.measured:
                    self.trace.end(error, outcome_of(self.run))
        self.tell()
        return swallowed

    def finish(self):
        """Raise for a run that stopped before its graph was done."""
        if self.run.status != Status.DONE:
            raise_unfinished(self.run)

    def complete(self):
        """Run to the end with nobody watching: what `invoke` needs."""
        cdef object error
        try:
            while self.run.tick():
                if self.begin():
                    while self.wait():
                        pass
                self.close_step()
        except BaseException as raised:
            error = raised
            if isinstance(raised, StopIteration):
                # as out of a generator, which upstream's engine is
                error = RuntimeError("generator raised StopIteration")
                error.__cause__ = raised
            if not self.leave(error):
                if error is raised:
                    raise
                raise error
        else:
            self.leave(None)
        self.finish()

    def call(self, caller, func, input, **options):
        """Start a task that a running one calls; what upstream puts in a config to do so."""
        if self.calls is None:
            self.open_threads()
            self.calls = CalledTasks(self)
        return self.calls.call(caller, func, input, **options)

    def accept_call(self, caller, call):
        """Upstream's executable task for a call, in the superstep under way."""
        index = caller.config[up.CONF][up.CONFIG_KEY_SCRATCHPAD].call_counter()
        with self.lock:
            task = self.run.accept_call(caller, index, call)
            if task is not None and self.cache is not None:
                self.match_cached()
        return task

    def submit_call(self, job):
        """Queue a called task on the run's workers."""
        self.workers.submit([job])

    def commit_call(self, task, error):
        """Report a called task that has ended, in turn with the tasks that called it."""
        with self.lock:
            if error is None:
                self.commit(task, False)
            else:
                self.run.fail(task, error)


cdef int outcome_of(Run run) except -1:
    """How a run ended, as a profile has it."""
    if run.status == Status.OUT_OF_STEPS:
        return Outcome.OUT_OF_STEPS
    if run.status == Status.DRAINING:
        return Outcome.DRAINED
    if run.status == Status.INTERRUPT_BEFORE or run.status == Status.INTERRUPT_AFTER:
        return Outcome.INTERRUPTED
    return Outcome.SUCCEEDED


cpdef int raise_unfinished(Run run) except -1:
    """Raise for a run that stopped before its graph was done, but for an interrupt."""
    if run.status == Status.OUT_OF_STEPS:
        raise up.GraphRecursionError(
            up.create_error_message(
                message=(
                    f"Recursion limit of {run.context.recursion_limit} reached "
                    "without hitting a stop condition. You can increase the "
                    "limit by setting the `recursion_limit` config key."
                ),
                error_code=up.ErrorCode.GRAPH_RECURSION_LIMIT,
            )
        )
    if run.status == Status.DRAINING:
        raise up.GraphDrained(control_of(run.context).drain_reason or "shutdown")
    return 0
