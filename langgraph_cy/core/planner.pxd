from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Head


cdef list prepare_next_tasks(
    RunState state, RunSettings context, Head head, long step, long stop, list pending
)
