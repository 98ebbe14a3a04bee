from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.tasks cimport ObservedConfig, Task


cdef class NodeContext:
    cdef object context                  # that the call's steps enter
    cdef ObservedConfig config           # what stands in it
    cdef object bindings                 # variables and values before the call
    cdef list way                        # nodes of these that lead to the config, or None
    cdef object outside                  # and of the one it was copied from; None where unknown


cdef NodeContext context_for(Task task, int index, object path)
cdef int keep(NodeContext used, RunSettings settings) except -1
