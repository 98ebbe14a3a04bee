from langgraph_cy.core.channels.base cimport Channel


cdef class SingleValue(Channel):
    cdef public object value    # MISSING when empty

    cdef int admit(self, Py_ssize_t count) except -1      # a step's writes, of which the last stays


cdef class GuardedValue(SingleValue):
    cdef public object guard    # whether two values in one step are an error


cdef int raise_guarded(object key, str name) except -1
