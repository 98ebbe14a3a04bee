from langgraph_cy.core.channels.single_value cimport SingleValue


cdef class LastValue(SingleValue):
    pass


cdef class LastValueAfterFinish(SingleValue):
    cdef public object finished  # whether the value may be read
