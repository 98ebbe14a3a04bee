# cython: language_level=3, embedsignature=True
"""Calls of what a node or the path of a conditional edge runs, as upstream's Runnables make them.

Each runs inside a context of its own, in which the config stands that it may ask for. A
coroutine function is awaited in the caller's own asyncio task.
"""

cimport cython
from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.contextvars cimport PyContextVar_Set
from cpython.object cimport PyObject_Call
from cpython.ref cimport Py_DECREF, PyObject

import sys

from langgraph_cy import upstream as up
from langgraph_cy.core.coroutines cimport PYGEN_NEXT, PyIter_Send
from langgraph_cy.core.node_contexts cimport NodeContext, context_for, keep
from langgraph_cy.core.outputs cimport write
from langgraph_cy.core.plan cimport GraphStep, Step, WriteStep
from langgraph_cy.core.settings cimport RunSettings

cdef object CHILD_CONFIG = up.var_child_runnable_config
cdef object Command = up.Command
cdef object Runnable = up.Runnable
cdef str CONFIG_KEY_RUNTIME = up.CONFIG_KEY_RUNTIME
# Before, asyncio's tasks take no context: upstream runs coroutines in the caller's own.
cdef bint CONTEXTS = sys.version_info >= (3, 11)

cdef extern from "Python.h":
    bint PyCoro_CheckExact(object value)


cdef inline bint may_be_runnable(object value):
    """Whether a returned value is a Runnable, told from the commonest types first."""
    cdef object kind = type(value)
    if value is None or kind is dict or kind is str or kind is list or kind is tuple:
        return False
    return isinstance(value, Runnable)


cdef dict injected(CallStep call, Task task, object config):
    """The keyword arguments that upstream injects into a function that asks for them."""
    cdef dict kwargs = {}
    for name, attribute in call.accepts:
        if name == "config":
            kwargs[name] = config
        elif name == "runtime":
            kwargs[name] = config["configurable"][CONFIG_KEY_RUNTIME]
        elif name == "previous":
            kwargs[name] = task.head.previous
        elif name == "store":
            kwargs[name] = task.context.store
        else:
            kwargs[name] = getattr(task.context.runtime, attribute)
    return kwargs


cdef object run_call(CallStep call, Task task, object argument, BranchStep asked):
    """Call a lowered function the way upstream's `RunnableCallable.invoke` does.

    Args:
        asked: the conditional edge whose path this is, None for the node's own function.
    """
    cdef NodeContext held = None
    cdef dict kwargs = None
    cdef object config = None, own = None, result, context
    cdef int index = 0 if asked is None else asked.index
    if call.takes_config:
        own = config = task.step_config(index)
        if asked is not None:  # a path has a callback run of its own around it
            config = task.context.path_config(own, call.runnable)
        context = PyContext_CopyCurrent()
    else:
        held = context_for(task, index, None if asked is None else call.runnable)
        context = held.context
    if call.accepts:
        kwargs = injected(call, task, own)
    PyContext_Enter(context)
    try:
        if held is None:
            PyContextVar_Set(CHILD_CONFIG, config)
        if kwargs is None:
            result = call.func(argument)
        else:
            result = PyObject_Call(call.func, (argument,), kwargs)
        if asked is None and call.recurse and may_be_runnable(result):
            result = result.invoke(argument, held.config if own is None else own)
    finally:
        PyContext_Exit(context)
    if held is not None:
        context = None
        keep(held, task.context)
    if asked is not None and call.recurse and may_be_runnable(result):
        result = result.invoke(argument, task.step_config(index))
    return result


cdef object run_below = None    # (graph, task, input) -> what the graph returns
cdef object await_below = None  # the same, for it to be awaited
cdef object fits_below = None   # (graph, method name) -> whether it may run so


def set_below(fits, run, awaited):
    """Tell how to run a graph that is a node, as the module does that runs graphs."""
    global fits_below, run_below, await_below
    fits_below, run_below, await_below = fits, run, awaited


cdef bint runs_below(Task task, str method) except -1:
    """Whether a task's node is a graph that can run without a config of its own."""
    cdef RunSettings context = task.context
    return (
        type(task.node.first) is GraphStep
        and context.open_below
        and context.stream is None
        and task.attempt == 0
        and not isinstance(task.input, Command)  # which is no input, but resumes a thread
        and fits_below(task.node.first.runnable, method)
    )


cdef object run_step(Task task, object argument):
    """Run the first step of a node and return its output."""
    cdef Step step = task.node.first
    cdef NodeContext held
    cdef object config, context, result
    if runs_below(task, "invoke"):
        held = context_for(task, 0, None)
        PyContext_Enter(held.context)
        try:
            result = run_below(step.runnable, task, argument)
        finally:
            PyContext_Exit(held.context)
        keep(held, task.context)
        return result
    if type(step) is CallStep and (<CallStep>step).func is not None:
        return run_call(<CallStep>step, task, argument, None)
    if type(step) is WriteStep:
        write(task, <WriteStep>step, argument)
        return argument
    config = task.step_config(0)
    context = PyContext_CopyCurrent()
    PyContext_Enter(context)
    try:
        PyContextVar_Set(CHILD_CONFIG, config)
        return step.runnable.invoke(argument, config)
    finally:
        PyContext_Exit(context)


async def awaiting(awaitable):
    """A coroutine for an awaitable that is none."""
    return await awaitable


async def step_awaited(Task task, argument):
    """Run the first step of a node by upstream's Runnable, in the context that is current."""
    config = task.step_config(0)
    if CONTEXTS:
        PyContextVar_Set(CHILD_CONFIG, config)
    return await (<Step>task.node.first).runnable.ainvoke(argument, config)


@cython.freelist(8)
cdef class AsyncCall:
    """A call of a coroutine function, awaited in the caller's own asyncio task.

    Each step of the coroutine runs inside one context, as upstream's does that has a task of its
    own. `step` may be called before anything awaits: what never waits for anything never
    suspends its caller.
    """

    cdef int prepare(self) except -1:
        """Settle the config and the context that the function sees."""
        cdef CallStep call = self.call
        cdef Task task = self.task
        cdef int index = 0 if self.asked is None else self.asked.index
        if call is not None and call.takes_config:
            self.own = self.config = task.step_config(index)
            if self.asked is not None:  # a path has a callback run of its own around it
                self.config = task.context.path_config(self.own, call.runnable)
        elif CONTEXTS and (call is not None or runs_below(task, "ainvoke")):
            self.held = context_for(task, index, None if self.asked is None else call.runnable)
            self.context = self.held.context
            return 0
        if CONTEXTS:
            self.context = PyContext_CopyCurrent()
        return 0

    cdef object open(self):
        """Call the function; the coroutine it returns."""
        cdef CallStep call = self.call
        cdef object result
        if call is None:
            if self.held is not None:
                return await_below(self.task.node.first.runnable, self.task, self.argument)
            return step_awaited(self.task, self.argument)
        if self.config is not None and self.context is not None:
            PyContextVar_Set(CHILD_CONFIG, self.config)
        if call.accepts:
            result = PyObject_Call(
                call.afunc, (self.argument,), injected(call, self.task, self.own)
            )
        else:
            result = call.afunc(self.argument)
        return result if PyCoro_CheckExact(result) else awaiting(result)

    cdef bint settle(self, object result) except -1:
        """Take what a coroutine returned. True where it is a Runnable, which runs in turn."""
        self.coroutine = None
        if self.recursed or self.call is None or not self.call.recurse:
            self.value = result
        elif may_be_runnable(result):
            self.recursed = True
            if self.own is None:
                index = 0 if self.asked is None else self.asked.index
                self.own = self.task.step_config(index)
            if self.asked is not None:
                self.context = None
            self.coroutine = result.ainvoke(self.argument, self.own)
            return True
        else:
            self.value = result
        if self.held is not None:
            self.context = None
            keep(self.held, self.task.context)
            self.held = None
        return False

    cdef bint step(self, object sent) except -1:
        """Run on until the coroutine awaits something: True, and `value` is that. Else it ended."""
        cdef PyObject* result = NULL
        while True:
            if self.context is not None:
                PyContext_Enter(self.context)
            try:
                if self.coroutine is None:
                    self.coroutine = self.open()
                status = PyIter_Send(self.coroutine, sent, &result)
            finally:
                if self.context is not None:
                    PyContext_Exit(self.context)
            value = <object>result
            Py_DECREF(value)
            if status == PYGEN_NEXT:
                self.value = value
                return True
            if not self.settle(value):
                return False
            sent = None

    def __await__(self):
        if self.coroutine is None and not self.step(None):
            return self.value
        while True:
            awaited, self.value = self.value, None
            try:
                sent = yield awaited
            except BaseException as error:
                if self.throw(error):
                    continue
                return self.value
            if not self.step(sent):
                return self.value

    def throw(self, error):
        """Raise inside of the coroutine. True where it goes on and awaits something."""
        if self.context is not None:
            PyContext_Enter(self.context)
        try:
            if isinstance(error, GeneratorExit):
                self.coroutine.close()
                raise error
            self.value = self.coroutine.throw(error)
            return True
        except StopIteration as stopped:
            result = stopped.value
        finally:
            if self.context is not None:
                PyContext_Exit(self.context)
        return self.settle(result) and self.step(None)


cdef AsyncCall call_of(Task task, object argument):
    """The awaitable for a node's first step."""
    cdef AsyncCall call = AsyncCall.__new__(AsyncCall)
    call.task = task
    call.argument = argument
    if type(task.node.first) is CallStep:
        call.call = <CallStep>task.node.first
    call.prepare()
    return call


cdef AsyncCall path_of(Task task, BranchStep step, object argument):
    """The awaitable for the path of a conditional edge."""
    cdef AsyncCall call = AsyncCall.__new__(AsyncCall)
    call.task = task
    call.argument = argument
    call.call = step.call
    call.asked = step
    call.prepare()
    return call


cdef bint needs_awaiting(Task task) except -1:
    """Whether a node's first step is something to await."""
    cdef object kind = type(task.node.first)
    if kind is WriteStep:
        return False
    return kind is not CallStep or (<CallStep>task.node.first).afunc is not None
