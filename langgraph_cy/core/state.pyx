# cython: language_level=3, embedsignature=True
"""The head of a run: every channel's value and version, and what each node has seen.

Channels and versions live in arrays by channel index. Compiled channels are driven through
their C methods; a user's own channel through the protocol of upstream's `BaseChannel`.
"""

from cpython.list cimport PyList_GET_ITEM
from cpython.object cimport PyObject
from libc.stdlib cimport calloc, free

from langgraph_cy import upstream as up
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.channels cimport TRAIT_CLEARS_ON_EMPTY, Channel, DeltaChannel, LastValue

cdef extern from "Python.h":
    PyObject* list_item "PyList_GET_ITEM"(object, Py_ssize_t)  # only to be compared: not counted

cdef object EmptyChannelError = up.EmptyChannelError
cdef object EMPTY_SEQ = up.EMPTY_SEQ
cdef object IsLastStepManager = up.IsLastStepManager
cdef object RemainingStepsManager = up.RemainingStepsManager


cdef object managed_value(object spec, object task):
    """What a managed value shows to a task."""
    if spec is IsLastStepManager:
        return task.step == task.stop - 1
    if spec is RemainingStepsManager:
        return task.stop - task.step
    return spec.get(task.scratchpad)


cdef class RunState:
    """Channel values, versions and versions_seen of one run (upstream: `Checkpoint`)."""

    def __cinit__(self, Plan plan):
        if LGCY_DEBUG_BUILD:
            born("RunState")
        cdef Py_ssize_t channels = len(plan.channel_names)
        cdef Py_ssize_t nodes = len(plan.nodes)
        # one block for all arrays; one byte more, so that an empty graph is no failed allocation
        cdef Py_ssize_t wide = (channels + plan.seen_size) * sizeof(long long)
        wide += channels * sizeof(Py_ssize_t)
        self.versions = <long long*>calloc(wide + 2 * channels + nodes + 1, 1)
        if not self.versions:
            raise MemoryError()
        self.seen = self.versions + channels
        self.updated = <Py_ssize_t*>(self.seen + plan.seen_size)
        self.has_seen = <char*>(self.updated + channels)
        self.updated_mask = self.has_seen + nodes
        self.live_mask = self.updated_mask + channels
        self.plan = plan
        self.has_custom = len(plan.custom) > 0
        self.channels = plan.new_channels()
        self.live = []

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("RunState")
        free(self.versions)

    cdef int keep_history(self, dict versions, dict seen, object numbering) except -1:
        """Count versions the way a saver does, in the mappings that checkpoints hold."""
        self.stored_versions = versions
        self.stored_seen = seen
        self.numbering = numbering
        return 0

    cdef bint has_versions(self) except -1:
        """Whether any channel has ever been written."""
        return self.newest > 0 if self.stored_versions is None else bool(self.stored_versions)

    cdef int open_version(self) except -1:
        """Settle which version the changes of a superstep get."""
        if self.stored_versions is not None:
            self.next_stored = self.numbering(
                max(self.stored_versions.values()) if self.stored_versions else None, None
            )
        self.next = self.newest + 1
        return 0

    cdef int changed(self, Py_ssize_t index) except -1:
        """Give a channel that has changed the version of this superstep."""
        if self.stored_versions is None:
            self.versions[index] = self.next
            self.newest = self.next
        else:
            self.stored_versions[self.plan.channel_names[index]] = self.next_stored
        return 0

    cdef bint newer(self, object node, Py_ssize_t index, Py_ssize_t position) except -1:
        """Whether a trigger's channel has a version that the node has not seen.

        Args:
            index: of the channel; position: of the trigger among the node's.
        """
        cdef PlanNode planned = <PlanNode>node
        cdef dict seen
        cdef object name, null
        if self.stored_versions is None:
            return (
                not self.has_seen[planned.index]
                or self.versions[index] > self.seen[planned.seen_offset + position]
            )
        seen = self.stored_seen.get(planned.name)
        if seen is None:
            return True
        name = self.plan.channel_names[index]
        for null in self.stored_versions.values():
            null = type(null)()
            break
        return self.stored_versions.get(name, null) > seen.get(name, null)

    cdef inline bint is_custom(self, Py_ssize_t index) except -1:
        return self.has_custom and index in self.plan.custom

    cdef bint available(self, Py_ssize_t index) except -1:
        if self.is_custom(index):
            return self.channels[index].is_available()
        return (<Channel>PyList_GET_ITEM(self.channels, index)).c_available()

    cdef object get(self, Py_ssize_t index):
        if self.is_custom(index):
            return self.channels[index].get()
        return (<Channel>PyList_GET_ITEM(self.channels, index)).c_get()

    cdef inline Channel own(self, Py_ssize_t index):
        """A compiled channel that is about to change, and no other run's."""
        cdef Channel channel = <Channel>PyList_GET_ITEM(self.channels, index)
        if <PyObject*>channel == list_item(self.plan.prototypes, index):
            channel = channel.c_fresh()
            self.channels[index] = channel
            if self._named is not None:
                self._named[self.plan.channel_names[index]] = channel
        return channel

    cdef bint update(self, Py_ssize_t index, list values) except -1:
        cdef bint changed
        if self.is_custom(index):
            return bool(self.channels[index].update(values if values else EMPTY_SEQ))
        changed = self.own(index).c_update(values)
        if values:
            self.track(index)
        return changed

    cdef bint put(self, Py_ssize_t index, object value) except -1:
        """Update a channel with one value."""
        cdef bint changed
        if self.is_custom(index):
            return bool(self.channels[index].update([value]))
        changed = self.own(index).c_put(value)
        self.track(index)
        return changed

    cdef bint consume(self, Py_ssize_t index) except -1:
        if self.is_custom(index):
            return bool(self.channels[index].consume())
        return self.own(index).c_consume()

    cdef bint finish(self, Py_ssize_t index) except -1:
        if self.is_custom(index):
            return bool(self.channels[index].finish())
        return self.own(index).c_finish()

    cdef int mark_updated(self, Py_ssize_t index) except -1:
        if not self.updated_mask[index]:
            self.updated_mask[index] = 1
            self.updated[self.updated_count] = index
            self.updated_count += 1
        return 0

    cdef int clear_updated(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.updated_count):
            self.updated_mask[self.updated[i]] = 0
        self.updated_count = 0
        self.updated_others = None
        return 0

    cdef int set_updated(self, object names) except -1:
        """Take over which channels an earlier run has updated last."""
        cdef object position
        self.clear_updated()
        for name in names:
            position = self.plan.channel_index.get(name, -1)
            if <Py_ssize_t>position >= 0:
                self.mark_updated(position)
            else:
                self.updated_others = (self.updated_others or []) + [name]
        return 0

    cdef list updated_names(self):
        """Names of the channels updated in the last superstep."""
        cdef Py_ssize_t i
        cdef list names = [
            self.plan.channel_names[self.updated[i]] for i in range(self.updated_count)
        ]
        return names + self.updated_others if self.updated_others else names

    cdef int replace(self, Py_ssize_t index, object channel) except -1:
        """Put a channel that holds a stored value in place of the fresh one."""
        self.channels[index] = channel
        self._named = None
        if self.plan.traits[index] is not None and self.available(index):
            self.track(index)
        return 0

    cdef int track(self, Py_ssize_t index) except -1:
        """List a channel that an empty update would clear."""
        if not self.live_mask[index] and <long>self.plan.traits[index] & TRAIT_CLEARS_ON_EMPTY:
            self.live_mask[index] = 1
            self.live.append(index)
        return 0

    cdef object read_keys(self, KeySet keys):
        """The values under some output keys (upstream: `read_channels`)."""
        cdef dict values
        cdef Py_ssize_t index
        if keys.single:
            index = keys.indices[0]
            if index < 0:
                raise KeyError(keys.keys)
            try:
                return self.get(index)
            except EmptyChannelError:
                return None
        values = {}
        for name, position in zip(keys.keys, keys.indices):
            index = position
            if index < 0:
                raise KeyError(name)
            if self.is_custom(index):
                try:
                    values[name] = self.get(index)
                except EmptyChannelError:
                    pass
            elif self.available(index):
                values[name] = self.get(index)
        return values

    cdef object fresh_read(self, BranchStep step, list writes, object task):
        """State as one task alone has changed it, for the path of a conditional edge.

        Upstream (`local_read`) copies every channel and applies the task's writes, or no
        writes, to each copy. Only channels that are read and would differ are copied here.
        """
        cdef dict copies = None   # name -> channel with the task's writes
        cdef dict values = {}
        cdef Py_ssize_t i, index
        cdef object name, only = None, value = None
        cdef Channel channel
        for write in writes:
            if write[0] in step.select_set:
                if only is None and copies is None:
                    only, value = write
                else:
                    copies = self.changed_copies(step, writes)
                    break
        if only is not None and copies is None:
            index = self.plan.channel_index[only]
            if type(self.channels[index]) is not LastValue:
                copies = {only: self.changed_copy(index, [value])}
        for i in range(len(step.select_names)):
            index = step.select_indices[i]
            if index < 0:
                continue
            name = step.select_names[i]
            if copies is not None and name in copies:
                channel = <Channel>copies[name]
            elif copies is None and only is not None and name == only:
                values[name] = value
                continue
            elif <long>self.plan.traits[index] & TRAIT_CLEARS_ON_EMPTY:
                continue
            else:
                channel = <Channel>PyList_GET_ITEM(self.channels, index)
                if type(channel) is DeltaChannel:
                    channel = channel.c_copy()  # which copies the value, too
            if channel.c_available():
                values[name] = channel.c_get()
        if isinstance(step.select, str):
            return values.get(step.select)
        for i in range(len(step.select_names)):
            if <Py_ssize_t>step.select_indices[i] < 0:
                name = step.select_names[i]
                values[name] = managed_value(self.plan.managed[name], task)
        return values

    cdef dict changed_copies(self, BranchStep step, list writes):
        """Copies of all channels that a task has written to and a step reads, by name."""
        cdef dict written = {}
        cdef dict copies = {}
        for name, value in writes:
            if name in step.select_set:
                if name in written:
                    (<list>written[name]).append(value)
                else:
                    written[name] = [value]
        # in the order of the channels, so that the first of several errors is the same
        for name in sorted(written, key=self.plan.channel_index.__getitem__):
            copies[name] = self.changed_copy(self.plan.channel_index[name], <list>written[name])
        return copies

    cdef Channel changed_copy(self, Py_ssize_t index, list values):
        """A channel as a task's own writes leave it; what they raise, for the task to fail."""
        cdef Channel channel = (<Channel>PyList_GET_ITEM(self.channels, index)).c_copy()
        channel.c_update(values)
        return channel

    cpdef dict named(self):
        """Channels by name, as upstream's readers take them."""
        if self._named is None:
            self._named = dict(zip(self.plan.channel_names, self.channels))
        return self._named
