from langgraph_cy.core.channels.single_value cimport SingleValue


cdef class AnyValue(SingleValue):
    pass
