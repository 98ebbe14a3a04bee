from langgraph_cy.core.channels cimport Channel
from langgraph_cy.core.plan cimport BranchStep, KeySet, Plan, PlanNode


cdef class RunState:
    cdef readonly Plan plan
    cdef list channels           # by channel index; the plan's prototype until it is first written
    cdef bint has_custom         # some channel follows the Python protocol
    cdef long long* versions     # by channel index, 0 while a channel has none
    cdef long long newest        # the highest version given out so far
    cdef long long next          # the version that changes of this superstep get
    cdef dict stored_versions    # what checkpoints hold: name -> version; None without history
    cdef dict stored_seen        # node name -> {trigger name: version}, likewise
    cdef object numbering        # (highest version, None) -> the next one, as the saver counts
    cdef object next_stored      # the version that changes of this superstep get
    cdef long long* seen         # versions_seen: by node offset + trigger, 0 where absent
    cdef char* has_seen          # by node index: the node has a versions_seen entry
    cdef char* updated_mask      # by channel index: updated in the last superstep
    cdef Py_ssize_t* updated     # the indices set in updated_mask, in the order they were
    cdef Py_ssize_t updated_count
    cdef list updated_others     # names updated last that are no channels of this graph
    cdef char* live_mask         # by channel index: listed in `live`
    cdef list live               # compiled channels that an empty update would clear
    cdef dict _named             # name -> channel, for code that reads state by name
    cdef int keep_history(self, dict versions, dict seen, object numbering) except -1
    cdef bint has_versions(self) except -1
    cdef int open_version(self) except -1
    cdef int changed(self, Py_ssize_t index) except -1
    cdef bint newer(self, object node, Py_ssize_t index, Py_ssize_t position) except -1
    cdef bint is_custom(self, Py_ssize_t index) except -1
    cdef bint available(self, Py_ssize_t index) except -1
    cdef object get(self, Py_ssize_t index)
    cdef Channel own(self, Py_ssize_t index)
    cdef bint update(self, Py_ssize_t index, list values) except -1
    cdef bint put(self, Py_ssize_t index, object value) except -1
    cdef bint consume(self, Py_ssize_t index) except -1
    cdef bint finish(self, Py_ssize_t index) except -1
    cdef int mark_updated(self, Py_ssize_t index) except -1
    cdef int clear_updated(self) except -1
    cdef int set_updated(self, object names) except -1
    cdef list updated_names(self)
    cdef int replace(self, Py_ssize_t index, object channel) except -1
    cdef int track(self, Py_ssize_t index) except -1
    cdef object read_keys(self, KeySet keys)
    cdef object fresh_read(self, BranchStep step, list writes, object task)
    cdef dict changed_copies(self, BranchStep step, list writes)
    cdef Channel changed_copy(self, Py_ssize_t index, list values)
    cpdef dict named(self)


cdef object managed_value(object spec, object task)
