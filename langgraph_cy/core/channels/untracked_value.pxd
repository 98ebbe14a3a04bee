from langgraph_cy.core.channels.single_value cimport GuardedValue


cdef class UntrackedValue(GuardedValue):
    pass
