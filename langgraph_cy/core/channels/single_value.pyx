# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channels that hold one value or none.

Invariant: `value` is `MISSING` if and only if there is none.
"""

from langgraph_cy.core.channels.base cimport TRAIT_CLEARS_ON_EMPTY, Channel

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object EmptyChannelError = upstream.EmptyChannelError
cdef object InvalidUpdateError = upstream.InvalidUpdateError


cdef int raise_guarded(object key, str name) except -1:
    raise InvalidUpdateError(
        f"At key '{key}': {name}(guard=True) can receive only one value per step. "
        "Use guard=False if you want to store any one of multiple values."
    )


cdef class SingleValue(Channel):
    """Base of the channels that hold one value or none. Not for use on its own."""

    def __cinit__(self):
        self.value = MISSING

    cdef Channel c_copy(self):
        cdef SingleValue twin = self.twin()
        twin.value = self.value
        return twin

    cdef bint c_available(self) except -1:
        return self.value is not MISSING

    cdef object c_get(self):
        if self.value is MISSING:
            raise EmptyChannelError()
        return self.value

    cdef bint c_update(self, list values) except -1:
        cdef Py_ssize_t count = len(values)
        if count == 0:
            if self.value is MISSING or not self.c_traits() & TRAIT_CLEARS_ON_EMPTY:
                return False
            self.value = MISSING
            return True
        self.admit(count)
        self.value = values[count - 1]
        return True

    cdef bint apply(self, object values) except -1:
        # In upstream's order, so that what is no sequence fails as it does there.
        cdef Py_ssize_t count = len(values)
        if count == 0:
            return self.c_update([])
        self.admit(count)
        self.value = values[-1]
        return True

    cdef int admit(self, Py_ssize_t count) except -1:
        return 0

    def checkpoint(self):
        """Return the value, or `MISSING` when there is none."""
        return self.value

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class that holds `checkpoint`, unless that is `MISSING`."""
        twin = self.twin()
        if checkpoint is not MISSING:
            twin.value = checkpoint
        return twin


cdef class GuardedValue(SingleValue):
    """Base of the channels that may insist on one value a step. Not for use on its own."""

    def __init__(self, typ, guard=True):
        self.typ = typ
        self.key = ""
        self.guard = guard
        self.value = MISSING

    cdef Channel c_bare(self):
        cdef GuardedValue twin = <GuardedValue>SingleValue.c_bare(self)
        twin.guard = self.guard
        return twin

    cdef tuple arguments(self):
        return self.typ, self.guard
