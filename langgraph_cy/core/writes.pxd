from langgraph_cy.core.state cimport RunState


cdef int apply_writes(RunState state, list tasks) except -1
cdef int apply_input(RunState state, list writes) except -1
