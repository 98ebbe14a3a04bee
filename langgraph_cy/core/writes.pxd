from langgraph_cy.core.state cimport RunState


cdef int apply_writes(RunState state, list tasks) except -1


cdef class InputWrites:
    cdef readonly list writes
    cdef readonly str name
    cdef readonly tuple path
    cdef readonly tuple triggers
