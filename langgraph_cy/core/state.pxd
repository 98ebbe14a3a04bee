from langgraph_cy.core.channels cimport Channel
from langgraph_cy.core.plan cimport BranchStep, KeySet, Plan


cdef class RunState:
    cdef readonly Plan plan
    cdef list channels           # by channel index: a compiled channel or a user's own
    cdef bint has_custom         # some channel follows the Python protocol
    cdef long long* versions     # by channel index, 0 while a channel has none
    cdef long long newest        # the highest version given out so far
    cdef long long* seen         # versions_seen: by node offset + trigger, 0 where absent
    cdef char* has_seen          # by node index: the node has a versions_seen entry
    cdef char* updated_mask      # by channel index: updated in the last superstep
    cdef list updated            # indices set in updated_mask
    cdef char* live_mask         # by channel index: listed in `live`
    cdef list live               # compiled channels that an empty update would clear
    cdef dict _named             # name -> channel, for code that reads state by name
    cdef bint is_custom(self, Py_ssize_t index) except -1
    cdef bint available(self, Py_ssize_t index) except -1
    cdef object get(self, Py_ssize_t index)
    cdef bint update(self, Py_ssize_t index, list values) except -1
    cdef bint consume(self, Py_ssize_t index) except -1
    cdef bint finish(self, Py_ssize_t index) except -1
    cdef int mark_updated(self, Py_ssize_t index) except -1
    cdef int clear_updated(self) except -1
    cdef object read_keys(self, KeySet keys)
    cdef object fresh_read(self, BranchStep step, list writes, object task)
    cdef Channel changed_copy(self, Py_ssize_t index, list values)
    cpdef dict named(self)


cdef object managed_value(object spec, object task)
