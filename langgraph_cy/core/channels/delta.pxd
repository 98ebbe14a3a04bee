from langgraph_cy.core.channels.single_value cimport SingleValue


cdef class DeltaChannel(SingleValue):
    cdef public object reducer  # (value, updates) -> value
    cdef public object snapshot_frequency  # updates between two snapshots

    cdef object base_from(self, object replacement)
