from langgraph_cy.core.channels.base cimport Channel


cdef class Barrier(Channel):
    cdef public object names    # set to wait for
    cdef public object seen     # set of those that came


cdef class NamedBarrierValue(Barrier):
    pass


cdef class NamedBarrierValueAfterFinish(Barrier):
    cdef public object finished  # whether the barrier may open
