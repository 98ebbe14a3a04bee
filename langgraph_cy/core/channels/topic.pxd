from langgraph_cy.core.channels.base cimport Channel


cdef class Topic(Channel):
    cdef public object values   # list of what was published
    cdef public object accumulate  # whether values outlive the step
