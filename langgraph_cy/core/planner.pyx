# cython: language_level=3, embedsignature=True
"""The task planner: which tasks make up the next superstep (upstream: `prepare_next_tasks`).

Sends come first, in the order they were sent; then the nodes that an updated channel
triggers, by name.
"""

import sys
from copy import copy

from langgraph_cy import upstream as up
from langgraph_cy.core.plan cimport PlanNode
from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.state cimport RunState, managed_value
from langgraph_cy.core.tasks cimport Head, Task

cdef object Send = up.Send
cdef object MISSING = up.MISSING
cdef object logger = up.logger
cdef str PUSH = up.PUSH
cdef bint NOTES = sys.version_info >= (3, 11)


cdef Task new_task(
    RunState state, RunSettings context, Head head, long step, long stop, PlanNode node, long index,
    list pending,
):
    cdef Task task = Task.__new__(Task)
    task.name = node.name
    task.node = node
    task.writes = []
    task.step = step
    task.stop = stop
    task.index = index
    task.head = head
    task.context = context
    task.state = state
    task.pending = pending
    return task


def rank_of(PlanNode node):
    """Sort key that puts nodes in the order of their names."""
    return node.rank


cdef bint triggered(RunState state, PlanNode node) except -1:
    """Whether a trigger of the node holds a value that the node has not seen."""
    cdef Py_ssize_t position, channel
    for position in range(len(node.trigger_indices)):
        channel = node.trigger_indices[position]
        if channel < 0:
            raise KeyError(node.spec.triggers[position])
        if state.available(channel) and state.newer(node, channel, position):
            return True
    return False


cdef object read_input(RunState state, PlanNode node, Task task, dict shared):
    """The input of a pull task, MISSING where the node has nothing to read.

    Args:
        shared: inputs already read in this superstep, by group of like-reading nodes.
    """
    cdef Py_ssize_t i, channel
    cdef object name, value
    cdef dict values
    if shared is not None and node.input_group in shared:
        return copy(shared[node.input_group])
    if isinstance(node.channels, str):
        channel = node.input_indices[0]
        if channel < 0 or not state.available(channel):
            return MISSING
        value = state.get(channel)
    else:
        values = {}
        for i in range(len(node.input_names)):
            name = node.input_names[i]
            channel = node.input_indices[i]
            if channel < 0:
                values[name] = managed_value(state.plan.managed[name], task)
            elif state.available(channel):
                values[name] = state.get(channel)
        value = values
    if node.mapper is not None:
        value = node.mapper(value)
    if shared is not None:
        shared[node.input_group] = value
    return value


cdef int push_tasks(
    RunState state, RunSettings context, Head head, long step, long stop, list pending, list tasks
) except -1:
    """Add a task for every valid Send of the last superstep."""
    cdef long index = 0
    cdef Task task
    cdef PlanNode node
    for packet in state.get(state.plan.tasks_index):
        if not isinstance(packet, Send):
            logger.warning(f"Ignoring invalid packet type {type(packet)} in pending sends")
        elif packet.node not in state.plan.node_index:
            logger.warning(f"Ignoring unknown node name {packet.node} in pending sends")
        else:
            node = state.plan.node_index[packet.node]
            if node.proc is not None:
                task = new_task(state, context, head, step, stop, node, index, pending)
                task.input = packet.arg
                task.timeout = packet.timeout if packet.timeout is not None else node.spec.timeout
                task.path = (PUSH, index, False)
                tasks.append(task)
        index += 1
    return 0


cdef object candidates(RunState state):
    """The nodes that could run next, without looking at every node where that is known."""
    cdef Py_ssize_t i
    cdef tuple found = (), others
    cdef set all_found = None
    if (state.updated_count == 0 and not state.updated_others) or not state.plan.has_subscribers:
        return state.plan.nodes if state.has_versions() else ()
    for i in range(state.updated_count):
        others = <tuple>state.plan.subscribers[state.updated[i]]
        if not others:
            continue
        if not found:
            found = others
        else:
            if all_found is None:
                all_found = set(found)
            all_found.update(others)
    if all_found is None and len(found) < 2:
        return found
    return sorted(found if all_found is None else all_found, key=rank_of)


cdef list prepare_next_tasks(
    RunState state, RunSettings context, Head head, long step, long stop, list pending
):
    """The tasks of the next superstep, in upstream's order.

    Args:
        context: what makes configs for tasks that are observed.
        head: the checkpoint the superstep starts from.
        pending: the writes made since then, which may hold answers to interrupts.
        step: number of the superstep; stop: the last one the recursion limit allows.
    """
    cdef list tasks = []
    cdef object nodes
    cdef dict shared
    cdef PlanNode node
    cdef Task task
    cdef object value
    if state.plan.tasks_index >= 0 and state.available(state.plan.tasks_index):
        push_tasks(state, context, head, step, stop, pending, tasks)
    nodes = candidates(state)
    if not state.has_versions():
        return tasks
    shared = {} if len(nodes) > 1 else None
    for item in nodes:
        node = <PlanNode>item
        if not triggered(state, node):
            continue
        task = new_task(state, context, head, step, stop, node, -1, pending)
        task.path = node.path
        task.timeout = node.spec.timeout
        try:
            value = read_input(state, node, task, shared)
        except Exception as error:
            if NOTES:
                error.add_note(f"Before task with name '{node.name}' and path '{node.path}'")
            raise
        if value is MISSING or node.proc is None:
            continue
        task.input = value
        tasks.append(task)
    return tasks
