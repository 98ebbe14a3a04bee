# cython: language_level=3, embedsignature=True
"""Write application: the end of a superstep (upstream: `apply_writes`).

Order is everything here: tasks by path, channels by first write, versions handed out
once per superstep.
"""

from langgraph_cy import upstream as up
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Task

cdef object logger = up.logger


def task_order(task):
    """Sort key of a task: its path as a string (upstream: `task_path_str`)."""
    return path_string(task.path)


def path_string(part):
    """A task path, or a part of one, as the string that upstream sorts by."""
    if isinstance(part, (tuple, list)):
        return "~" + ", ".join([path_string(inner) for inner in part])
    if isinstance(part, int):
        return f"{part:010d}"
    return str(part)


cdef int mark_seen(RunState state, list tasks) except -1:
    """Record which versions of its triggers each task was started by."""
    cdef Task task
    cdef Py_ssize_t position, channel
    for item in tasks:
        if type(item) is not Task:
            # a called task bears the name of its function, which may be a node's too
            node = state.plan.node_index.get(item.name)
            if node is not None:
                state.has_seen[<Py_ssize_t>node.index] = 1
            continue
        task = <Task>item
        state.has_seen[task.node.index] = 1
        if task.index >= 0:
            continue  # a Send is started by no channel
        for position in range(len(task.node.trigger_indices)):
            channel = task.node.trigger_indices[position]
            if channel >= 0 and state.versions[channel]:
                state.seen[task.node.seen_offset + position] = state.versions[channel]
    return 0


cdef int consume(RunState state, list tasks, long long version) except -1:
    """Tell every trigger channel that what it triggered has run."""
    cdef Py_ssize_t channel
    cdef list told = None
    for item in tasks:
        if type(item) is not Task or (<Task>item).index >= 0:
            continue
        for position in (<Task>item).node.consumed:
            channel = position
            if told is None:
                told = []
            elif position in told:
                continue
            told.append(position)
            if state.consume(channel):
                state.versions[channel] = version
                state.newest = version
    return 0


cdef dict grouped(RunState state, list tasks):
    """Written values by channel index, in the order the channels were first written."""
    cdef dict groups = {}
    cdef dict indices = state.plan.channel_index
    cdef object position
    for task in tasks:
        for channel, value in task.writes:
            position = indices.get(channel)
            if position is None:
                logger.warning(
                    f"Task {task.name} with path {task.path} wrote to unknown channel {channel}, "
                    "ignoring it."
                )
            elif <Py_ssize_t>position >= 0:
                if position in groups:
                    (<list>groups[position]).append(value)
                else:
                    groups[position] = [value]
    return groups


cdef int update(RunState state, dict groups, long long version) except -1:
    cdef Py_ssize_t channel
    for position, values in groups.items():
        channel = position
        if state.update(channel, <list>values):
            state.versions[channel] = version
            state.newest = version
            # a channel that shows no value can't trigger anything
            if state.available(channel):
                state.mark_updated(channel)
    return 0


cdef int notify(RunState state, long long version) except -1:
    """Let the channels that were not written know that a superstep has passed.

    Upstream calls every channel. Of the compiled ones only those listed as live would do
    anything; a user's own is always called.
    """
    cdef Py_ssize_t channel
    cdef list still = []
    for position in state.live:
        channel = position
        if not state.available(channel):
            state.live_mask[channel] = 0
        elif state.updated_mask[channel]:
            still.append(position)
        else:
            state.live_mask[channel] = 0
            if state.update(channel, []):
                state.versions[channel] = version
                state.newest = version
    state.live = still
    for position in state.plan.custom:
        channel = position
        if state.available(channel) and not state.updated_mask[channel]:
            if state.update(channel, []):
                state.versions[channel] = version
                state.newest = version
                if state.available(channel):
                    state.mark_updated(channel)
    return 0


cdef int finish(RunState state, long long version) except -1:
    """This may be the last superstep: channels that wait for the end may open now."""
    cdef Py_ssize_t channel
    for position in state.updated:
        if state.plan.subscribers[<Py_ssize_t>position]:
            return 0
    for position in sorted(state.plan.finishing + state.plan.custom):
        channel = position
        if state.finish(channel):
            state.versions[channel] = version
            state.newest = version
            if state.available(channel):
                state.mark_updated(channel)
    return 0


cdef int apply_writes(RunState state, list tasks) except -1:
    """Apply what the tasks of a superstep wrote, and note which channels that updated.

    Args:
        tasks: `Task`s, and upstream's own tasks where a node called one.
    """
    cdef long long version
    if len(tasks) > 1:
        tasks = sorted(tasks, key=task_order)
    state.clear_updated()
    mark_seen(state, tasks)
    version = state.newest + 1
    consume(state, tasks, version)
    update(state, grouped(state, tasks), version)
    if tasks:
        notify(state, version)
        if state.plan.finishing or state.plan.custom:
            finish(state, version)
    return 0


cdef class InputWrites:
    """A run's input in the shape of a task."""

    cdef readonly list writes
    cdef readonly str name
    cdef readonly tuple path


cdef int apply_input(RunState state, list writes) except -1:
    """Apply the input of a run, which is no superstep: nothing is consumed or finished."""
    cdef InputWrites task = InputWrites.__new__(InputWrites)
    task.writes = writes
    task.name = up.INPUT
    task.path = ()
    state.clear_updated()
    update(state, grouped(state, [task]), state.newest + 1)
    return 0
