from langgraph_cy.core.tasks cimport Task


cdef int run_attempt(Task task) except -1
cdef object advance(Task task)
