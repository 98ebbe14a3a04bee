# cython: language_level=3, embedsignature=True
"""Attempts: running a task once, from its input to its writes.

Synchronously (`run_attempt`), or in an asynchronous run as far as that goes without waiting
(`advance`).
"""

from cpython.time cimport time as unix_time

from langgraph_cy.core.node_calls cimport (
    AsyncCall, call_of, needs_awaiting, path_of, run_call, run_step,
)
from langgraph_cy.core.outputs cimport branch_input, follow, write
from langgraph_cy.core.plan cimport BranchStep, Step, WriteStep


cdef int branch(Task task, BranchStep step, object output) except -1:
    """Follow a conditional edge (upstream: `BranchSpec._route`)."""
    cdef object result = run_call(step.call, task, branch_input(task, step, output), step)
    return follow(task, step, output, result)


cdef object run_writers(Task task, object output):
    """Hand a node's output to the writers that follow it; what the last of them returns."""
    cdef object kind
    for step in task.node.writers:
        kind = type(step)
        if kind is WriteStep:
            write(task, <WriteStep>step, output)
        elif (
            kind is BranchStep
            and (<BranchStep>step).call.func is not None
            and not task.context.watched  # who sees the path called
        ):
            branch(task, <BranchStep>step, output)
        else:
            output = (<Step>step).runnable.invoke(output, task.step_config((<Step>step).index))
    return output


cdef int begin_attempt(Task task) except -1:
    """Drop the writes of an earlier attempt, as upstream does, and note when the first began."""
    if task.writes:
        del task.writes[:]
    if task.attempt == 0:
        task.started = unix_time()
    return 0


cdef int run_attempt(Task task) except -1:
    """Run a task once, from its input to its writes."""
    begin_attempt(task)
    if task.node.first is None:
        task.node.proc.invoke(task.input, task.attempt_config())
    elif not task.context.watched:
        run_writers(task, run_step(task, task.input))
    elif task.context.traced or not task.node.in_sequence:
        task.node.proc.invoke(task.input, task.attempt_config())
    else:
        run_watched(task)
    return 0


cdef int run_watched(Task task) except -1:
    """Run a task once under the eyes of handlers (upstream: `RunnableSeq.invoke`).

    They see the node start and end, and what it calls; of writing they see nothing.
    """
    sequence = task.node.proc._start(task.input, task.attempt_config())
    task._sequence = sequence
    try:
        output = run_writers(task, run_step(task, task.input))
    except BaseException as error:
        sequence.on_chain_error(error)
        raise
    task.node.proc._end(sequence, output)
    return 0


cdef object advance(Task task):
    """Run a task once in an asynchronous run, as far as that goes without waiting.

    Returns:
        The rest of it as a coroutine, None where nothing is left.
    """
    cdef AsyncCall call
    cdef object output
    begin_attempt(task)
    if task.node.first is None or task.context.watched:
        return task.context.await_whole(task)
    if needs_awaiting(task):
        call = call_of(task, task.input)
        if call.step(None):
            return await_node(task, call)
        output = call.value
    else:
        output = run_step(task, task.input)
    return advance_writers(task, 0, output)


cdef object advance_writers(Task task, Py_ssize_t index, object output):
    """Hand a node's output to its writers from one on, as far as that goes without waiting."""
    cdef AsyncCall path
    cdef object step, kind
    while index < len(task.node.writers):
        step = task.node.writers[index]
        kind = type(step)
        if kind is WriteStep:
            write(task, <WriteStep>step, output)
        elif kind is not BranchStep:
            return await_writer(task, index, output)
        elif (<BranchStep>step).call.afunc is None:
            branch(task, <BranchStep>step, output)
        else:
            path = path_of(task, <BranchStep>step, branch_input(task, <BranchStep>step, output))
            if path.step(None):
                return await_path(task, index, path, output)
            follow(task, <BranchStep>step, output, path.value)
        index += 1
    return None


async def await_node(Task task, AsyncCall call):
    """The rest of a task that waits for its node's function."""
    rest = advance_writers(task, 0, await call)
    if rest is not None:
        await rest


async def await_path(Task task, Py_ssize_t index, AsyncCall path, output):
    """The rest of a task that waits for the path of a conditional edge."""
    follow(task, <BranchStep>task.node.writers[index], output, await path)
    rest = advance_writers(task, index + 1, output)
    if rest is not None:
        await rest


async def await_writer(Task task, Py_ssize_t index, output):
    """The rest of a task from a writer on that upstream's Runnable machinery runs."""
    step = <Step>task.node.writers[index]
    output = await step.runnable.ainvoke(output, task.step_config(step.index))
    rest = advance_writers(task, index + 1, output)
    if rest is not None:
        await rest
