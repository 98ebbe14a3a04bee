# cython: language_level=3, embedsignature=True
"""The asynchronous driver: one task runs in the caller's own asyncio task, several in theirs.

What never waits for anything never suspends the caller either, so a superstep whose nodes
return at once costs no trip through the event loop.
"""

import asyncio
import sys
import threading
import weakref
from functools import partial

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent
from cpython.ref cimport Py_DECREF, PyObject

from langgraph_cy import upstream as up
from langgraph_cy.drivers import caching
from langgraph_cy.drivers.calls import AwaitedCalls
from langgraph_cy.drivers.loading import await_load
from langgraph_cy.drivers.retrying import combined, stops_others
from langgraph_cy.drivers.task_coroutines import execute, gated
from langgraph_cy.core.history cimport SavedRun
from langgraph_cy.core.superstep cimport Run, Status
from langgraph_cy.core.attempts cimport advance
from langgraph_cy.core.coroutines cimport PYGEN_NEXT, PyIter_Send
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.drivers.sync cimport outcome_of, raise_unfinished, weakly
from langgraph_cy.drivers.task_coroutines cimport Started
from langgraph_cy.profiling.recorder cimport Part, now
from langgraph_cy.profiling.run_trace cimport RunTrace

cdef object CancelledError = asyncio.CancelledError
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object NodeCancelledError = up.NodeCancelledError
cdef object eager_task_factory = getattr(asyncio, "eager_task_factory", None)
cdef object get_running_loop = asyncio.get_running_loop
cdef object get_ident = threading.get_ident
# From here on a task tells how often it has been asked to cancel itself.
cdef bint CANCELLING = sys.version_info >= (3, 11)
# ... and takes a context.
cdef bint CONTEXTS = CANCELLING


cdef bint handled(object task, object error) except -1:
    """Whether an error handler takes over a task's failure."""
    return (
        type(task) is Task
        and (<Task>task).node.error_handler is not None
        and isinstance(error, Exception)
        and not isinstance(error, GraphBubbleUp)
    )


cdef int raise_ended() except -1:
    raise RuntimeError("cannot reuse already awaited coroutine")


@cython.freelist(64)
cdef class TaskCoroutine:
    """What the asyncio task of a superstep's task runs: the task, then word of how it ended.

    A coroutine, made to cost little where the task waits for nothing.
    """

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.go_on(None):
            return self.take()
        raise StopIteration

    def send(self, value):
        """Go on with what the awaited has come to."""
        if self.go_on(value):
            return self.take()
        raise StopIteration

    def throw(self, error, value=None, traceback=None):
        """Go on with what the awaited has raised, or in order to be cancelled."""
        if self.ended:
            raise_ended()
        if not self.begun:
            self.begun = self.ended = True
            started, self.started = self.started, None
            self.driver.jobs.pop(started, None)
            self.driver.finished(self.task, CancelledError())
            raise error
        try:
            return self.rest.throw(error)
        except StopIteration:
            self.end(None)
        except BaseException as raised:
            self.end(raised)
        raise StopIteration

    def close(self):
        """Give the task up."""
        self.ended = True
        if self.rest is not None:
            self.rest.close()

    cdef object take(self):
        """What is awaited now."""
        awaited, self.awaited = self.awaited, None
        return awaited

    cdef bint go_on(self, object value) except -1:
        """Run on. True where the task awaits something, False once it has ended."""
        cdef PyObject* result = NULL
        cdef object error = None
        if self.ended:
            raise_ended()
        try:
            if not self.begun:
                self.begin()
            if self.rest is not None:
                status = PyIter_Send(self.rest, value, &result)
                awaited = <object>result
                Py_DECREF(awaited)
                if status == PYGEN_NEXT:
                    self.awaited = awaited
                    return True
        except BaseException as raised:
            error = raised
        self.end(error)
        return False

    cdef int begin(self) except -1:
        """Run the task as far as that goes without waiting."""
        cdef AsyncDriver driver = self.driver
        self.begun = True
        if self.queued:
            self.trace = driver.trace.begin_task(self.task.name, self.queued)
        if type(self.task) is Task:
            self.rest = driver.attempt(<Task>self.task)
        else:
            self.rest = up.arun_with_retry(
                self.task,
                None,
                stream=driver.run.context.stream_nodes,
                configurable={up.CONFIG_KEY_CALL: partial(driver.call, self.task)},
            )
        return 0

    cdef int end(self, object error) except -1:
        """Report how the task has ended."""
        cdef AsyncDriver driver = self.driver
        cdef bint raising = error is not None and not isinstance(error, (Exception, CancelledError))
        started, self.started = self.started, None
        self.ended = True
        self.rest = None
        driver.jobs.pop(started, None)
        if isinstance(error, CancelledError) and CANCELLING and not driver.closed:
            # its own doing: nobody has cancelled it for the run's sake
            failure = NodeCancelledError(self.task.name)
            failure.__cause__ = error
            error = failure
        try:
            if self.trace is not None:
                self.trace.ran(error)
            driver.finished(self.task, error)
        finally:
            if self.trace is not None:
                self.trace.done()
        if raising:  # out of the event loop, as from any task
            if started is not None:
                started.add_done_callback(driver.drop_job)
            raise error
        return 0


cdef class AsyncDriver:
    """Drives one run from its input to its end on the running event loop.

    Args:
        run: the run, not started yet.
        max_concurrency: how many tasks may run at once where there are several, None for any
            number.
        eager: a task runs in an asyncio task of its own even when it is alone, so that what it
            streams and the tasks it calls come out while it runs.
        saves: the run's `AwaitedSaves`, None where nothing is stored or cached.
        cache: keeps writes of tasks, or None.
        step_timeout: seconds that a superstep may take, None for no limit.
    """

    def __init__(
        self, Run run not None, max_concurrency=None, bint eager=False, *,
        saves=None, cache=None, step_timeout=None, bint sync_saves=False,
    ):
        self.run = run
        self.eager = eager
        self.saves = saves
        self.cache = cache
        self.step_timeout = step_timeout
        self.sync_saves = sync_saves and saves is not None
        self.loop = get_running_loop()
        self.thread = get_ident()
        self.gate = asyncio.Semaphore(max_concurrency) if max_concurrency else None
        self.each = eager or run.modes != 0 or run.modes_above != 0
        self.jobs = {}
        self.errors = []
        self.handling = []
        run.context.driver = weakref.ref(self)
        if eager:
            run.on_chunk = weakly(self.wake)

    def measure(self, RunTrace trace not None):
        """Have what the run does from now on measured."""
        self.trace = self.run.trace = trace
        self.measured = self.run.measured = True
        if self.saves is not None:
            self.saves.measure(trace)

    cpdef bint begin_plain(self, object input, object input_keys) except -1:
        """Apply the input to a run without a past, which takes no waiting. Else `start` it."""
        if type(self.run) is not Run or self.run.context.lifecycle is not None:
            return False
        self.apply_input(input, input_keys)
        return True

    cdef int apply_input(self, object input, object input_keys) except -1:
        if not self.measured:
            self.run.start(input, input_keys)
            return 0
        self.trace.mark(Part.INPUT)
        try:
            self.run.start(input, input_keys)
        except BaseException as error:
            self.trace.end(error, 0)
            raise
        return 0

    async def start(self, input, input_keys):
        """Load the thread's past and apply the input.

        Raises what upstream raises for an input that it can't use.
        """
        if isinstance(self.run, SavedRun):
            await self.load()
        self.apply_input(input, input_keys)
        await self.tell()

    async def load(self):
        """Load the thread's past."""
        if self.measured:
            self.trace.mark(Part.LOAD)
        try:
            await await_load(self.run)
        except BaseException as error:
            if self.measured:
                self.trace.end(error, 0)
            raise

    cpdef bint tick(self) except -1:
        """Prepare the next superstep; False when there is none."""
        return self.run.tick()

    cpdef bint begin(self) except -1:
        """Start the superstep's tasks.

        Returns:
            Whether that is all there was to do: else await `resume`, and then `wait` until it
            is False.
        """
        self.error = None
        return False if self.cache is not None else self.launch()

    cdef bint launch(self) except -1:
        cdef Task task
        cdef PyObject* result = NULL
        cdef list tasks = self.run.tasks
        if self.saves is not None:
            tasks = self.run.runnable()
            if not tasks:
                return True
        if len(tasks) > 1 or self.eager or self.step_timeout is not None:
            return self.spread(tasks)
        if type(tasks[0]) is not Task:
            return self.spread(tasks)  # an error handler that goes on after a resume
        task = <Task>tasks[0]
        try:
            if self.measured:
                self.trace.begin_alone(task.name)
            coroutine = self.attempt(task)
            if coroutine is None:
                self.commit_alone(task)
                task.forget()
                return self.calls is None or not self.calls.any()
            status = PyIter_Send(coroutine, None, &result)
            value = <object>result
            Py_DECREF(value)
            if status == PYGEN_NEXT:
                self.single = task
                self.coroutine = coroutine
                self.awaited = value
                return False
            self.commit_alone(task)
        except Exception as error:
            return self.fail_single(task, error)
        task.forget()
        return self.calls is None or not self.calls.any()

    cdef object attempt(self, Task task):
        """Run a task in the caller's own asyncio task: None, or what is left to be awaited."""
        cdef object rest
        if task.timeout is not None:
            return execute(task)
        try:
            rest = advance(task)
        except BaseException as error:
            return execute(task, None, error)
        return None if rest is None else execute(task, rest)

    cdef bint fail_single(self, Task task, object error) except -1:
        """Note what a task has raised. False where an error handler takes over."""
        if self.measured:
            self.trace.end_alone(error)
        self.run.fail(task, error)
        if handled(task, error):
            self.handling.append((task, error))
            return False
        self.error = error
        task.forget()
        return self.calls is None or not self.calls.any()

    async def resume(self):
        """Go on with what `begin` has started. True where nothing is left to wait for."""
        cdef Started rest
        if self.cache is not None:
            if self.measured:
                self.trace.mark(Part.CACHE)
            await self.match_cached()
            if self.measured:
                self.trace.mark(Part.OTHER)
            if self.launch():
                return True
        if self.coroutine is None:
            return False
        rest = Started.__new__(Started)
        rest.coroutine, self.coroutine = self.coroutine, None
        rest.value, self.awaited = self.awaited, None
        task, self.single = self.single, None
        try:
            await rest
            self.commit_alone(task)
        except Exception as error:
            return self.fail_single(task, error)
        (<Task>task).forget()
        return self.calls is None or not self.calls.any()

    cdef bint spread(self, list tasks) except -1:
        """Start asyncio tasks for tasks of the superstep."""
        cdef long long queued = 0
        if self.measured:
            self.trace.dispatch()
            queued = now()
        if self.step_timeout:
            self.deadline = self.loop.time() + self.step_timeout
        self.unfinished += len(tasks)
        for task in list(tasks):  # one that starts at once may call others, which are added
            self.start_task(task, queued)
        return False

    cdef int start_task(self, object task, long long queued) except -1:
        """Start the asyncio task for a task of the superstep.

        Args:
            queued: since when it could have begun, 0 where that is not measured.
        """
        cdef TaskCoroutine job = TaskCoroutine.__new__(TaskCoroutine)
        job.driver = self
        job.task = task
        job.queued = queued
        started = self.started(job, task.name, eager_task_factory is None)
        if not started.done():
            self.jobs[started] = task
            job.started = started
            if started.get_coro() is not job:  # so it may end before it has got to the job
                started.add_done_callback(self.drop_job)
        return 0

    def start_call(self, coroutine, name):
        """Run a called task from the loop's next turn on: its caller's chunks come out first."""
        started = self.started(coroutine, name, True)
        self.jobs[started] = None
        started.add_done_callback(self.drop_job)
        return started

    cdef object started(self, object coroutine, object name, bint lazy):
        """An asyncio task for a coroutine, which ends with the run at the latest.

        Args:
            lazy: it begins in the loop's next turn, not at once.
        """
        if self.gate is not None:
            coroutine = gated(self.gate, coroutine)
        if lazy:
            if CONTEXTS:
                return self.loop.create_task(
                    coroutine, name=name, context=PyContext_CopyCurrent()
                )
            return self.loop.create_task(coroutine, name=name)
        return eager_task_factory(
            self.loop, coroutine, name=name, context=PyContext_CopyCurrent()
        )

    def drop_job(self, started):
        """Forget an asyncio task that has ended."""
        task = self.jobs.pop(started, None)
        # asked for, or the loop would complain that nobody has looked
        error = None if started.cancelled() else started.exception()
        if task is not None:  # it could not start
            self.finished(task, CancelledError() if error is None else error)

    cpdef int finished(self, object task, object error) except -1:
        """Take over what became of a task, whatever that raises, and wake who waits for it."""
        try:
            if error is None:
                self.commit(task, self.unfinished == 1 and not self.handling)
            else:
                # what was said to whom in cancelling it is not stored
                self.run.fail(
                    task, CancelledError() if isinstance(error, CancelledError) else error
                )
        except Exception as raised:
            error = raised
        if error is not None and not self.closed and handled(task, error):
            self.handling.append((task, error))
            return self.announce()
        if error is not None and not isinstance(error, CancelledError):
            self.errors.append(error)
            if self.failure is None and stops_others(error):
                self.failure = error
        if type(task) is Task:
            (<Task>task).forget()
        self.unfinished -= 1
        if self.each or self.unfinished == 0 or self.failure is error is not None:
            return self.announce()
        return 0

    cdef int announce(self) except -1:
        """Have the driver look at what has ended, once for all that does so before it can."""
        if not self.announced:
            self.announced = True
            self.loop.call_soon(self.notify)
        return 0

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
                self.saves.start(self.cache.aset, entry)
        return 0

    cdef int commit_alone(self, object task) except -1:
        """The same for a task that ran in the caller's own asyncio task, see `AwaitedSaves`."""
        if self.measured:
            self.trace.end_alone(None)
        if self.saves is None:
            return self.commit(task, True)
        self.saves.lazy = True
        try:
            return self.commit(task, True)
        finally:
            self.saves.lazy = False

    async def match_cached(self):
        """Give tasks that have not run the writes that the cache has for them."""
        tasks = caching.wanted(self.run.tasks)
        if tasks:
            for task in caching.fill(tasks, await self.cache.aget(tuple(tasks))):
                if self.measured:
                    self.trace.found(task.name)
                self.run.put_writes(task, task.writes, True)

    # waiting

    # How many turns of the loop lie between an event and what the driver does about it shows in
    # the order in which tasks go on and chunks come out. So it takes as many as upstream's.

    def notify(self):
        """End the driver's waiting."""
        self.announced = False
        self.woken = True
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def wake(self):
        """Let the run look for chunks and calls; from any thread."""
        if threading.get_ident() == self.thread:
            self.loop.call_soon(self.loop.call_soon, self.notify)
        elif not self.loop.is_closed():
            self.loop.call_soon_threadsafe(self.wake)

    cdef bint pending(self) except -1:
        """Whether any task of the superstep is still running, called ones included."""
        return self.unfinished > 0 or (self.calls is not None and self.calls.unfinished > 0)

    async def wait(self):
        """Wait until another task has ended. False when the superstep needs no more waiting."""
        if self.measured:
            self.trace.mark(Part.WAIT)
        if self.handling:
            await self.handle()
        if self.failure is not None:
            self.error = self.failure
            self.closed = True
            for job in list(self.jobs):
                job.cancel()
            return False
        if not self.pending():
            if self.errors and self.error is None:
                self.error = combined(self.errors)
            return False
        if not self.woken:
            self.waiter = self.loop.create_future()
            try:
                if self.deadline is None:
                    await self.waiter
                else:
                    left = max(0, self.deadline - self.loop.time())
                    done, _ = await asyncio.wait([self.waiter], timeout=left)
                    if not done:
                        return await self.time_out()
            finally:
                self.waiter = None
        self.woken = False
        if self.handling:
            await self.handle()
        return True

    async def time_out(self):
        """End a superstep that takes too long, the way upstream does: nothing says why."""
        try:
            await asyncio.wait_for(asyncio.Event().wait(), timeout=0)
        except asyncio.TimeoutError as error:
            self.error = error
        self.closed = True
        for job in list(self.jobs):
            job.cancel()
        return False

    async def handle(self):
        """Start the error handlers of tasks that have failed."""
        failed, self.handling = self.handling, []
        handlers = []
        for task, error in failed:
            if self.saves is not None:
                await self.saves.wait_handled()
            handler = self.run.accept_handler(task, error)
            (<Task>task).forget()
            if handler is not None:
                if self.cache is not None:
                    await self.match_cached()
                handlers.append(handler)
        if self.unfinished:
            self.unfinished -= len(failed)
        if handlers:
            self.spread(handlers)

    def cancel(self):
        """Ask all asyncio tasks of the run to end."""
        self.closed = True
        mark = object()
        for job in list(self.jobs):
            if not job.done():
                job.cancel(mark)

    # the end of a superstep, and of the run

    @property
    def failed(self):
        """Whether closing the superstep will raise."""
        return self.error is not None

    cpdef bint close_step(self) except -1:
        """Close the superstep after its last task. Raises what its tasks raised.

        Returns:
            Whether that is all there was to do: else await `store_step`.
        """
        self.deadline = None
        if self.error is not None:
            error, self.error = self.error, None
            self.errors = []  # a raised error must not lead back to itself
            self.failure = None
            raise error
        if self.calls is not None:
            self.calls.close_step()
        self.woken = False
        if self.sync_saves:
            self.saves.settling = self.run.context.lifecycle is None
        self.run.after_tick()
        return self.saves is None and self.run.context.lifecycle is None

    async def store_step(self):
        """Let handlers know of the superstep's end, and wait for its checkpoint where asked to."""
        if self.measured:
            self.trace.mark(Part.SAVE_WAIT)
        await self.tell()
        if self.saves is not None:
            await self.saves.wait_room()
            if self.sync_saves:
                await self.saves.settle()

    async def tell(self):
        """Hand lifecycle events to their handlers."""
        if self.run.context.lifecycle is not None:
            await self.run.context.lifecycle.await_tell()

    async def leave(self, error):
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
                self.trace.end(error, outcome_of(self.run))
            if self.jobs or self.saves is not None or not (
                # a generator that is being closed may not wait
                error is None or isinstance(error, GeneratorExit)
            ):
                if self.measured:
                    self.trace.mark(Part.WAIT)
                clean = self.loop.create_task(self.clean(error is None or swallowed))
                try:
                    await clean
                except CancelledError as cancelled:
                    if not self.cleaning:
                        self.cancel()  # which it was cancelled too early to do
                    # so that who cancels can wait for the rest, before closing a connection
                    cancelled.args = (*cancelled.args, clean)
                    raise
        await self.tell()
        return swallowed

    async def clean(self, raising):
        """Cancel what still runs and wait for it, and for what is being stored."""
        self.cleaning = True
        self.cancel()
        try:
            if self.jobs:
                await asyncio.wait(list(self.jobs))
            if self.saves is not None:
                if self.measured:
                    self.trace.mark(Part.SAVE_WAIT)
                await self.saves.finish(raising)
        finally:
            if self.measured:
                self.trace.mark(Part.FINISH)

    def finish(self):
        """Raise for a run that stopped before its graph was done."""
        if self.run.status != Status.DONE:
            raise_unfinished(self.run)

    async def complete(self):
        """Run to the end with nobody watching: what `ainvoke` needs."""
        cdef object error
        try:
            while self.run.tick():
                if not self.begin() and not await self.resume():
                    while await self.wait():
                        pass
                if not self.close_step():
                    await self.store_step()
        except BaseException as raised:
            error = raised
            if isinstance(raised, (StopIteration, StopAsyncIteration)):
                # as out of an asynchronous generator, which upstream's engine is
                error = RuntimeError(f"async generator raised {type(raised).__name__}")
                error.__cause__ = raised
            if not await self.leave(error):
                if error is raised:
                    raise
                raise error
        else:
            if self.jobs or self.saves is not None or self.measured:
                await self.leave(None)
            else:
                self.run.leave(None)
        self.finish()

    # calls

    def call(self, caller, func, input, **options):
        """Start a task that a running one calls; what upstream puts in a config to do so."""
        if self.calls is None:
            self.calls = AwaitedCalls(self)
        return self.calls.call(caller, func, input, **options)

    async def accept_call(self, caller, call):
        """Upstream's executable task for a call, in the superstep under way."""
        index = caller.config[up.CONF][up.CONFIG_KEY_SCRATCHPAD].call_counter()
        task = self.run.accept_call(caller, index, call)
        if task is not None and self.cache is not None:
            await self.match_cached()
        return task

    def commit_call(self, task, error):
        """Report a called task that has ended."""
        if error is None:
            self.commit(task, False)
        else:
            self.run.fail(
                task, CancelledError() if isinstance(error, CancelledError) else error
            )
