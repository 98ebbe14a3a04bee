# cython: language_level=3, embedsignature=True
"""The head of a run: every channel's value and version, and what each node has seen.

Channels and versions live in arrays by channel index. Compiled channels are driven through
their C methods; a user's own channel through the protocol of upstream's `BaseChannel`.
"""

from cpython.list cimport PyList_GET_ITEM
from libc.stdlib cimport calloc, free

from langgraph_cy import upstream as up
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.channels cimport TRAIT_CLEARS_ON_EMPTY, Channel, DeltaChannel, LastValue

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
        # one byte more, so that an empty graph is no failed allocation
        self.versions = <long long*>calloc(channels + 1, sizeof(long long))
        self.seen = <long long*>calloc(plan.seen_size + 1, sizeof(long long))
        self.has_seen = <char*>calloc(len(plan.nodes) + 1, 1)
        self.updated_mask = <char*>calloc(channels + 1, 1)
        self.live_mask = <char*>calloc(channels + 1, 1)
        if not (
            self.versions and self.seen and self.has_seen and self.updated_mask and self.live_mask
        ):
            raise MemoryError()
        self.plan = plan
        self.has_custom = len(plan.custom) > 0
        self.channels = plan.new_channels()
        self.updated = []
        self.live = []

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("RunState")
        free(self.versions)
        free(self.seen)
        free(self.has_seen)
        free(self.updated_mask)
        free(self.live_mask)

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

    cdef bint update(self, Py_ssize_t index, list values) except -1:
        cdef bint changed
        if self.is_custom(index):
            return bool(self.channels[index].update(values if values else EMPTY_SEQ))
        changed = (<Channel>PyList_GET_ITEM(self.channels, index)).c_update(values)
        if (
            values
            and not self.live_mask[index]
            and <long>self.plan.traits[index] & TRAIT_CLEARS_ON_EMPTY
        ):
            self.live_mask[index] = 1
            self.live.append(index)
        return changed

    cdef bint consume(self, Py_ssize_t index) except -1:
        if self.is_custom(index):
            return bool(self.channels[index].consume())
        return (<Channel>PyList_GET_ITEM(self.channels, index)).c_consume()

    cdef bint finish(self, Py_ssize_t index) except -1:
        if self.is_custom(index):
            return bool(self.channels[index].finish())
        return (<Channel>PyList_GET_ITEM(self.channels, index)).c_finish()

    cdef int mark_updated(self, Py_ssize_t index) except -1:
        if not self.updated_mask[index]:
            self.updated_mask[index] = 1
            self.updated.append(index)
        return 0

    cdef int clear_updated(self) except -1:
        for index in self.updated:
            self.updated_mask[<Py_ssize_t>index] = 0
        self.updated = []
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
        cdef dict written = None  # channel index -> the task's writes to it
        cdef dict copies = None   # channel index -> channel with them, where there are several
        cdef dict values = {}
        cdef Py_ssize_t i, index
        cdef object name, position
        cdef list own
        cdef Channel channel
        for name, value in writes:
            position = self.plan.channel_index.get(name)
            if (
                position is not None
                and <Py_ssize_t>position >= 0  # below are reserved writes and managed values
                and position in step.select_indices
            ):
                if written is None:
                    written = {position: [value]}
                elif position in written:
                    (<list>written[position]).append(value)
                else:
                    written[position] = [value]
        if written is not None and len(written) > 1:
            # in the order of the channels, so that the first of several errors is the same
            copies = {}
            for position in sorted(written):
                copies[position] = self.changed_copy(position, <list>written[position])
        for i in range(len(step.select_names)):
            position = step.select_indices[i]
            index = position
            if index < 0:
                continue
            name = step.select_names[i]
            if written is not None and position in written:
                own = <list>written[position]
                if copies is not None:
                    channel = <Channel>copies[position]
                elif len(own) == 1 and type(self.channels[index]) is LastValue:
                    values[name] = own[0]
                    continue
                else:
                    channel = self.changed_copy(index, own)
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
