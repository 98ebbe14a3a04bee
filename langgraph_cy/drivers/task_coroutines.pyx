# cython: language_level=3, embedsignature=True
"""Coroutines in which tasks of an asynchronous run end, or wait for their turn."""

import asyncio
import sys
from functools import partial

from cpython.ref cimport Py_DECREF, PyObject

from langgraph_cy import upstream as up
from langgraph_cy.drivers.retrying import handle_here, log_retry, noted_delay
from langgraph_cy.core.attempts cimport advance
from langgraph_cy.core.coroutines cimport PYGEN_NEXT, PyIter_Send
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.profiling.run_trace cimport TaskTrace, task_here

cdef object CancelledError = asyncio.CancelledError
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object NodeCancelledError = up.NodeCancelledError
cdef object ParentCommand = up.ParentCommand
cdef object current_task = asyncio.current_task
# From here on a task tells how often it has been asked to cancel itself.
cdef bint CANCELLING = sys.version_info >= (3, 11)


async def execute(Task task, rest=None, failed=None):
    """Run a task until it succeeds or its retry policies give up (upstream: `arun_with_retry`).

    Args:
        rest: what `advance` has left to do of the first attempt.
        failed: what that attempt has raised.
    """
    if task.timeout is not None:
        call = partial(task.context.call, task)
        return await up.arun_with_retry(
            task, None, stream=task.context.stream_nodes, configurable={up.CONFIG_KEY_CALL: call}
        )
    while True:
        try:
            if failed is not None:
                raise failed
            if rest is None:
                rest = advance(task)
            if rest is not None:
                await rest
            return
        except ParentCommand as error:
            if handle_here(task, error):
                return
            raise
        except GraphBubbleUp:
            raise
        except CancelledError as error:
            # raised by the node itself, or because somebody wants the run to end?
            if CANCELLING and current_task() is not None and not current_task().cancelling():
                raise NodeCancelledError(task.name) from error
            raise
        except Exception as error:
            delay = noted_delay(task, error)
            if delay is None:
                raise
            trace = task_here()
            if trace is not None:
                (<TaskTrace>trace).pause()
            try:
                await asyncio.sleep(delay)
            finally:
                if trace is not None:
                    (<TaskTrace>trace).resume()
            log_retry(task, delay, error)
        rest = failed = None
        task.restart()


cdef class Started:
    """The rest of a coroutine that has been started and awaits something."""

    def __await__(self):
        cdef PyObject* result = NULL
        while True:
            awaited, self.value = self.value, None
            try:
                sent = yield awaited
            except GeneratorExit:
                self.coroutine.close()
                raise
            except BaseException as error:
                try:
                    self.value = self.coroutine.throw(error)
                except StopIteration as stopped:
                    return stopped.value
                continue
            status = PyIter_Send(self.coroutine, sent, &result)
            value = <object>result
            Py_DECREF(value)
            if status != PYGEN_NEXT:
                return value
            self.value = value


async def gated(gate, coroutine):
    """A coroutine that waits until fewer than the allowed number run."""
    try:
        async with gate:
            return await coroutine
    finally:
        coroutine.close()
