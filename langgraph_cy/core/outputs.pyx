# cython: language_level=3, embedsignature=True
"""What a node's output comes to: writes to channels, and where conditional edges lead."""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_SIZE
from cpython.ref cimport PyObject

from langgraph_cy import upstream as up
from langgraph_cy.core.plan cimport WriteEntry

cdef object Send = up.Send
cdef str TASKS = up.TASKS
cdef str START = up.START
cdef str END = up.END
cdef int MOST_ROUTES = 1024


cdef int write(Task task, WriteStep step, object output) except -1:
    cdef list writes = task.writes
    cdef Py_ssize_t before = PyList_GET_SIZE(writes)
    try:
        for entry in step.entries:
            (<WriteEntry>entry).collect(output, writes)
    except BaseException:
        del writes[before:]  # a writer that raises half-way leaves nothing behind
        raise
    return 0


cdef object branch_input(Task task, BranchStep step, object output):
    """What the path of a conditional edge is called with."""
    cdef object value
    if not step.reads:
        return output
    value = task.state.fresh_read(step, task.writes, task)
    if step.mapper is not None:
        value = step.mapper(value)
    if step.merges and isinstance(value, dict) and isinstance(output, dict):
        value = {**output, **value}
    return value


cdef int follow(Task task, BranchStep step, object output, object result) except -1:
    """Write what the path of a conditional edge answered."""
    cdef list writes = task.writes
    cdef Py_ssize_t before = PyList_GET_SIZE(writes)
    cdef PyObject* known
    if type(result) is str:
        known = PyDict_GetItemWithError(step.routes, result)
        if known == NULL:
            destination = destination_of(step, result)
            if destination is None or destination == START or (
                isinstance(destination, Send) and destination.node == END
            ):
                return refuse(task, step, output, result, before)
            target = write_to(destination)
            if len(step.routes) < MOST_ROUTES:  # paths may make up names without end
                step.routes[result] = target
        else:
            target = <object>known
        if target is not None:
            writes.append(target)
        return 0
    for answer in result if isinstance(result, (list, tuple)) else (result,):
        destination = answer if isinstance(answer, Send) else destination_of(step, answer)
        if destination is None or destination == START or (
            isinstance(destination, Send) and destination.node == END
        ):
            return refuse(task, step, output, result, before)
        target = write_to(destination)
        if target is not None:
            writes.append(target)
    return 0


cdef object destination_of(BranchStep step, object answer):
    """Where an answer of a path leads: a node's name or a Send; None where to nowhere."""
    if not step.ends:
        return answer
    try:
        return step.ends[answer]
    except (KeyError, TypeError):  # unknown, or unhashable
        return None


cdef object write_to(object destination):
    """The write that starts a destination, None for the end."""
    if isinstance(destination, Send):
        return (TASKS, destination)
    return None if destination == END else (f"branch:to:{destination}", None)


cdef int refuse(
    Task task, BranchStep step, object output, object result, Py_ssize_t before
) except -1:
    """Let upstream raise what it raises for a destination that is none.

    Args:
        before: how many writes the task had made.
    """
    del task.writes[before:]
    config = task.step_config(step.index)
    step.branch._finish(step.runnable.kwargs["writer"], output, result, config)
    return 0
