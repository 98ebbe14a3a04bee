# cython: language_level=3, embedsignature=True
"""What a run reports while it is measured.

At any moment a run is in exactly one part, from the moment its entry point was called to the one at
which it returns: so the parts add up to its wall time. Only the thread that drives the run
changes the part. What happens beside it, on workers, in asyncio tasks and in a saver's threads, is
measured by itself.
"""

from cpython.contextvars cimport PyContextVar_Set, get_value
from cpython.pythread cimport PyThread_get_thread_ident

import asyncio
import concurrent.futures
from contextvars import ContextVar
from functools import wraps

from langgraph.errors import GraphBubbleUp, GraphInterrupt

from langgraph_cy.profiling.recorder cimport Event, Outcome, Part, Recorder, Scope, now
from langgraph_cy.profiling import recorder as recorders

cdef list active = recorders.active

cdef enum:
    BEFORE = -2                      # number of a superstep that no run has

cdef tuple CANCELLED = (asyncio.CancelledError, concurrent.futures.CancelledError)
# the task that runs in a context, and the saver's call
cdef object TASK = ContextVar("langgraph_cy.profiling.task", default=None)
cdef object SAVE = ContextVar("langgraph_cy.profiling.save", default=None)


cdef int outcome_of(object error) except -1:
    """What an error means for the task or the run that raises it."""
    if error is None:
        return Outcome.SUCCEEDED
    if isinstance(error, GraphInterrupt):
        return Outcome.INTERRUPTED
    if isinstance(error, GraphBubbleUp):  # a command for a graph above
        return Outcome.SUCCEEDED
    if isinstance(error, CANCELLED):
        return Outcome.CANCELLED
    if isinstance(error, GeneratorExit):
        return Outcome.CLOSED
    return Outcome.FAILED


cdef TaskTrace task_here():
    """The trace of the task that runs in this context, or None."""
    return <TaskTrace?>get_value(TASK) if active else None


def begin_run(graph, bint asynchronous, long long began, reason=None):
    """The trace of a run that begins, for all recorders at work.

    Args:
        began: when its entry point was called, as `clock` had it.
        reason: why stock's engine runs it, None where it does not.
    """
    cdef RunTrace trace = RunTrace.__new__(RunTrace)
    cdef TaskTrace task = get_value(TASK)
    cdef Recorder recorder
    cdef Scope above = None
    trace.recorders = tuple(active)
    if not trace.recorders:          # the last one has just stopped
        return None
    recorder = trace.recorders[-1]
    trace.catalog = recorder.catalog
    if task is not None and task.trace.catalog is trace.catalog:
        trace.above = task.trace.number
        trace.task_above = task.number
        above = task.trace.scope
    trace.scope = trace.catalog.scope_of(above, None if above is None else task.name, graph)
    trace.number = trace.catalog.next_run()
    trace.thread = trace.catalog.thread_number()
    trace.ident = PyThread_get_thread_ident()
    trace.asynchronous = asynchronous
    trace.reason = reason
    trace.step = BEFORE
    trace.began = trace.since = began
    trace.part = Part.OPEN if reason is None else Part.STOCK
    for each in trace.recorders:
        (<Recorder>each).add_run(trace)
        if (<Recorder>each).spans is not None:
            trace.spans = (<Recorder>each).spans.run(trace)
    return trace


cdef class RunTrace:
    """One run as it is measured."""

    cdef int close_part(self, long long moment, bint last) noexcept:
        """Report the part under way, which ends.

        Args:
            last: with it ends the task that runs alone.
        """
        cdef Event event
        cdef long long spent = moment - self.since
        if spent <= 0 and not last:
            return 0
        event.kind = <unsigned char>self.part
        event.run = self.number
        event.step = self.step
        event.thread = self.thread
        event.queued = event.start = self.since
        event.end = moment
        event.closed = 0
        event.label = -1
        event.task = 0
        event.outcome = 0
        event.failed = 0
        if self.alone is not None and (self.part == Part.RUN or self.part == Part.RETRY):
            event.label = self.alone.label
            event.task = self.alone.number
            if last:
                event.closed = moment
                event.outcome = <unsigned char>self.alone.outcome
                event.failed = <unsigned short>self.alone.failed
        self.parts[self.part] += spent
        self.since = moment
        for each in self.recorders:
            if not self.above and not (<Recorder>each).ended:
                (<Recorder>each).parts[self.part] += spent
            (<Recorder>each).append(&event)
        return 0

    cdef int mark(self, int part) noexcept:
        """Begin a part, which ends the one before."""
        self.close_part(now(), False)
        self.part = part
        return 0

    def switch(self, int part):
        """Begin a part.

        Returns:
            The one that this ends.
        """
        cdef int before = self.part
        self.mark(part)
        return before

    def go_on(self, int part):
        """Go on with a part, on whichever thread the consumer of the chunks asks for more."""
        self.mark(part)
        self.ident = PyThread_get_thread_ident()

    def drives(self):
        """Whether the calling thread is the one that drives the run."""
        return self.ident == PyThread_get_thread_ident()

    cdef int begin_step(self, long step) except -1:
        """Begin to plan a superstep."""
        if self.spans is not None:
            self.spans.end_step()
        self.mark(Part.PLAN)
        self.step = <int>step
        return 0

    cdef int dispatch(self) except -1:
        """Begin to hand tasks over."""
        self.mark(Part.DISPATCH)
        if self.spans is not None:
            self.spans.begin_step(self.step)
        return 0

    cdef int begin_alone(self, object name) except -1:
        """Begin to run a task in the thread of the run; in the context that its node will see."""
        cdef TaskTrace task
        self.mark(Part.OTHER)
        if self.spans is not None:
            self.spans.begin_step(self.step)
        task = self.new_task(name)
        task.enter()
        self.mark(Part.RUN)
        self.alone = task
        return 0

    cdef int end_alone(self, object error) except -1:
        """End the task that runs in the thread of the run, if there is one."""
        cdef TaskTrace task = self.alone
        if task is None:
            return 0
        task.outcome = outcome_of(error)
        self.close_part(now(), True)
        self.part = Part.COMMIT
        self.alone = None
        task.exit(error)
        return 0

    cdef int leave(self, object error) except -1:
        """The supersteps are over."""
        self.end_alone(error)
        self.mark(Part.FINISH)
        self.step = BEFORE
        return 0

    cdef int end(self, object error, int outcome) except -1:
        """The run is over, but for what its caller still does with it.

        Args:
            outcome: where no error says more.
        """
        self.mark(Part.FINISH)
        self.ended = True
        self.outcome = outcome_of(error) or outcome
        if self.outcome == Outcome.FAILED:
            self.error = type(error).__name__
        if self.spans is not None:
            self.spans.end(error, self.outcome)
        return 0

    def enter_stock(self):
        """Let stock's engine go on; graphs that its nodes run are a part of this run."""
        cdef TaskTrace task = self.alone
        if task is None:
            self.alone = task = TaskTrace.__new__(TaskTrace)
            task.trace = self
            task.label = -1
        self.mark(Part.STOCK)
        self.ended = False
        task.previous = get_value(TASK)
        PyContextVar_Set(TASK, task)
        if self.spans is not None:
            self.spans.enter()

    def exit_stock(self):
        """Stock's engine hands on a chunk."""
        cdef TaskTrace task = self.alone
        if self.spans is not None:
            self.spans.exit()
        task.exit(None)
        self.mark(Part.CONSUMER)

    def end_stock(self, error):
        """Stock's engine has come to an end.

        Args:
            error: what it has raised, None if nothing.
        """
        if not self.ended:
            self.exit_stock()
            self.end(error, Outcome.SUCCEEDED)

    def new_task(self, name):
        """The trace of a task that is about to run."""
        cdef TaskTrace task = TaskTrace.__new__(TaskTrace)
        task.trace = self
        task.name = name
        task.step = self.step
        task.label = self.catalog.label_of(self.scope, name)
        task.number = self.catalog.next_task()
        return task

    def begin_task(self, name, long long queued):
        """Begin a task beside the thread of the run, in the context that its node will see.

        Args:
            queued: since when it could have begun, as `clock` had it.
        """
        cdef TaskTrace task = self.new_task(name)
        task.queued = queued
        task.enter()
        task.started = now()
        return task

    def found(self, name):
        """Note a task that did not run, since its writes were in the cache."""
        cdef TaskTrace task = self.new_task(name)
        task.queued = now()
        task.report(Part.TASK_CACHED, task.queued, task.queued)

    def begin_save(self, int part, bint beside):
        """Begin a call of the saver, in the context that it will see.

        Args:
            part: `Part.SAVE` or `Part.SERIALISE`.
            beside: it is beside the run, whichever thread it is on.
        """
        cdef SaveTrace save = SaveTrace.__new__(SaveTrace)
        save.trace = self
        save.part = part
        save.step = self.step
        save.before = -1
        save.previous = get_value(SAVE)
        PyContextVar_Set(SAVE, save)
        if not beside and self.drives():
            save.before = self.part
            self.mark(part)
        else:
            save.thread = self.catalog.thread_number()
            save.started = now()
        return save

    def cut(self, Recorder recorder not None):
        """Report to a recorder that stops what there is of the part under way.

        Returns:
            What the run has come to.
        """
        cdef tuple others = tuple([each for each in self.recorders if each is not recorder])
        cdef long long since = self.since, spent = self.parts[self.part]
        if self.ended:
            made = self.state()
        else:
            self.recorders = (recorder,)
            self.close_part(now(), False)
            made = self.state()
            self.since = since           # to the others it goes on
            self.parts[self.part] = spent
        self.recorders = others
        return made

    def state(self):
        """What the run has come to."""
        cdef int part
        return {
            "number": self.number,
            "scope": self.scope.number,
            "above": self.above,
            "task_above": self.task_above,
            "thread": self.thread,
            "asynchronous": self.asynchronous,
            "reason": self.reason,
            "began": self.began,
            "ended": self.since,
            "outcome": self.outcome if self.ended else Outcome.UNDER_WAY,
            "error": self.error,
            "parts": [self.parts[part] for part in range(Part.PARTS)],
        }


cdef class TaskTrace:
    """One task as it is measured."""

    cdef int enter(self) except -1:
        """Be the current task of the context."""
        self.previous = get_value(TASK)
        PyContextVar_Set(TASK, self)
        if self.trace.spans is not None:
            self.span = self.trace.spans.begin_node(self.name, self.step)
        return 0

    cdef int exit(self, object error) except -1:
        """Be that no more, if this context still has it so."""
        if get_value(TASK) is self:
            PyContextVar_Set(TASK, self.previous)
        self.previous = None
        if self.span is not None:
            self.trace.spans.end_node(self.span, error, self.outcome, self.failed)
            self.span = None
        return 0

    cdef int pause(self) except -1:
        """An attempt has failed, and the next one has to wait."""
        self.failed += 1
        if self.queued:
            self.paused = now()
        else:
            self.trace.mark(Part.RETRY)
        return 0

    cdef int resume(self) except -1:
        """The next attempt begins."""
        if self.queued:
            self.report(Part.TASK_RETRY, self.paused, now())
        else:
            self.trace.mark(Part.RUN)
        return 0

    cdef int ran(self, object error) except -1:
        """The task has run, and what it has come to is about to be taken over."""
        self.ended = now()
        self.outcome = outcome_of(error)
        self.exit(error)
        return 0

    cdef int done(self) except -1:
        """What the task has come to has been taken over."""
        self.report(Part.TASK, self.started, self.ended)
        return 0

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        self.ran(error)
        self.done()

    cdef int report(self, int part, long long start, long long end) except -1:
        cdef Event event
        event.kind = <unsigned char>part
        event.run = self.trace.number
        event.step = self.step
        event.label = self.label
        event.task = self.number
        event.thread = self.trace.catalog.thread_number()
        event.queued = self.queued
        event.start = start
        event.end = end
        event.closed = now()
        event.outcome = <unsigned char>self.outcome
        event.failed = <unsigned short>self.failed
        for each in self.trace.recorders:
            (<Recorder>each).append(&event)
        return 0


cdef class SaveTrace:
    """One call of a saver as it is measured."""

    def end(self):
        """The call has returned, or raised."""
        cdef Event event
        if get_value(SAVE) is self:
            PyContextVar_Set(SAVE, self.previous)
        self.previous = None
        if self.before >= 0:
            self.trace.mark(self.before)
            return
        event.kind = Part.TASK_SAVE
        event.run = self.trace.number
        event.step = self.step
        event.label = -1
        event.task = 0
        event.thread = self.thread
        event.queued = self.serialised
        event.start = self.started
        event.end = event.closed = now()
        if self.part == Part.SERIALISE:
            event.queued = event.end - event.start
        event.outcome = 0
        event.failed = 0
        for each in self.trace.recorders:
            (<Recorder>each).append(&event)


cdef SaveTrace begin_dump():
    """Begin to serialise a value for a saver; None where that is not measured."""
    cdef SaveTrace save = get_value(SAVE)
    if save is None or save.dumping or save.part == Part.SERIALISE:
        return None
    save.dumping = now()
    if save.before >= 0:
        save.trace.mark(Part.SERIALISE)
    return save


cdef int end_dump(SaveTrace save) except -1:
    """A value has been serialised."""
    save.serialised += now() - save.dumping
    save.dumping = 0
    if save.before >= 0:
        save.trace.mark(save.part)
    return 0


def measured_dump(function):
    """A serializer's function that says how long it takes where a saver's call is measured."""
    @wraps(function)
    def dumped(*args, **kwargs):
        cdef SaveTrace save = begin_dump()
        if save is None:
            return function(*args, **kwargs)
        try:
            return function(*args, **kwargs)
        finally:
            end_dump(save)

    return dumped
