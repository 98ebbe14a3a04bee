# cython: language_level=3, embedsignature=True
"""Write application: the end of a superstep (upstream: `apply_writes`).

Order is everything here: tasks by path, channels by first write, versions handed out
once per superstep.
"""

from cpython.dict cimport PyDict_GetItemWithError
from cpython.ref cimport PyObject

from langgraph_cy import upstream as up
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Task

cdef object logger = up.logger


def task_order(task):
    """Sort key of a task: its path as a string (upstream: `task_path_str`)."""
    return path_string(task.path)


cdef bint in_order(list tasks) except -1:
    """Whether it is plain to see that tasks stand in the order of their paths.

    So they do when the planner has made them, unless it has put Sends before triggered nodes.
    """
    cdef long index = -1
    cdef int rank = -1
    cdef Task task
    for item in tasks:
        if type(item) is not Task:
            return False
        task = <Task>item
        if task.index > index:
            index = task.index
        elif index < 0 and task.node.rank > rank and type(task.name) is str:
            rank = task.node.rank
        else:
            return False
    return True


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
    if state.stored_seen is not None:
        return mark_stored_seen(state, tasks)
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


cdef int mark_stored_seen(RunState state, list tasks) except -1:
    """The same in the mapping that checkpoints hold."""
    cdef dict seen, versions = state.stored_versions
    for item in tasks:
        seen = state.stored_seen.get(item.name)
        if seen is None:
            state.stored_seen[item.name] = seen = {}
        for trigger in item.triggers:
            if trigger in versions:
                seen[trigger] = versions[trigger]
    return 0


cdef int consume(RunState state, list tasks) except -1:
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
                state.changed(channel)
    return 0


cdef inline list writes_of(object task):
    """A task's writes."""
    cdef object writes
    if type(task) is Task:
        return (<Task>task).writes
    writes = task.writes
    return <list>writes if type(writes) is list else list(writes)


cdef dict grouped(RunState state, list tasks):
    """Written values by channel index, in the order the channels were first written."""
    cdef dict groups = {}
    cdef dict indices = state.plan.channel_index
    cdef PyObject* found
    cdef object position
    for task in tasks:
        for write in writes_of(task):
            channel, value = write
            found = PyDict_GetItemWithError(indices, channel)
            if found == NULL:
                logger.warning(
                    f"Task {task.name} with path {task.path} wrote to unknown channel {channel}, "
                    "ignoring it."
                )
                continue
            position = <object>found
            if <Py_ssize_t>position >= 0:
                found = PyDict_GetItemWithError(groups, position)
                if found == NULL:
                    groups[position] = [value]
                else:
                    (<list>found).append(value)
    return groups


cdef inline int note_change(RunState state, Py_ssize_t channel) except -1:
    """Note that a channel has changed."""
    state.changed(channel)
    # one that shows no value can't trigger anything
    if state.available(channel):
        state.mark_updated(channel)
    return 0


cdef enum:
    FEW = 8  # writes that are compared with one another sooner than put in a mapping


cdef bint update_few(RunState state, list writes) except -1:
    """Apply a lone task's writes if they are few, each to a channel of its own.

    Returns:
        Whether they are. If not, nothing has been done.
    """
    cdef Py_ssize_t channels[FEW]
    cdef Py_ssize_t i, j, count = len(writes)
    cdef PyObject* found
    if count > FEW:
        return False
    for i in range(count):
        found = PyDict_GetItemWithError(state.plan.channel_index, writes[i][0])
        if found == NULL:
            return False
        channels[i] = <object>found
        for j in range(i):
            if channels[j] == channels[i] and channels[i] >= 0:
                return False
    for i in range(count):
        if channels[i] >= 0:
            if state.put(channels[i], writes[i][1]):
                note_change(state, channels[i])
    return True


cdef int update(RunState state, list tasks) except -1:
    """Apply what tasks have written, by channel in the order of the first writes."""
    if len(tasks) == 1 and update_few(state, writes_of(tasks[0])):
        return 0
    for position, values in grouped(state, tasks).items():
        if state.update(position, <list>values):
            note_change(state, position)
    return 0


cdef int notify(RunState state) except -1:
    """Let the channels that were not written know that a superstep has passed.

    Upstream calls every channel. Of the compiled ones only those listed as live would do
    anything; a user's own is always called.
    """
    cdef Py_ssize_t channel, kept = 0
    for position in state.live:
        channel = position
        if not state.available(channel):
            state.live_mask[channel] = 0
        elif state.updated_mask[channel]:
            state.live[kept] = position
            kept += 1
        else:
            state.live_mask[channel] = 0
            if state.update(channel, []):
                state.changed(channel)
    if kept < len(state.live):
        del state.live[kept:]
    for position in state.plan.custom:
        channel = position
        if state.available(channel) and not state.updated_mask[channel]:
            if state.update(channel, []):
                note_change(state, channel)
    return 0


cdef int finish(RunState state) except -1:
    """This may be the last superstep: channels that wait for the end may open now."""
    cdef Py_ssize_t channel, i
    for i in range(state.updated_count):
        if <tuple>state.plan.subscribers[state.updated[i]]:
            return 0
    for position in sorted(state.plan.finishing + state.plan.custom):
        channel = position
        if state.finish(channel):
            note_change(state, channel)
    return 0


cdef int apply_writes(RunState state, list tasks) except -1:
    """Apply what the tasks of a superstep wrote, and note which channels that updated.

    Args:
        tasks: `Task`s, upstream's own tasks where a node called one, and what else a run
            takes in: its input, the writes of a command.
    """
    cdef bint ran = False
    if len(tasks) > 1 and not in_order(tasks):
        tasks = sorted(tasks, key=task_order)
    for task in tasks:
        if type(task) is Task or task.triggers:
            ran = True
            break
    state.clear_updated()
    mark_seen(state, tasks)
    state.open_version()
    consume(state, tasks)
    update(state, tasks)
    if ran:  # else nothing but input: no superstep has passed
        notify(state)
        if state.plan.finishing or state.plan.custom:
            finish(state)
    return 0


cdef class InputWrites:
    """What a run is given from outside, in the shape of a task."""

    def __init__(self, list writes not None):
        self.writes = writes
        self.name = up.INPUT
        self.path = ()
        self.triggers = ()
