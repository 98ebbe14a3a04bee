from langgraph_cy.core.node_contexts cimport NodeContext
from langgraph_cy.core.plan cimport BranchStep, CallStep
from langgraph_cy.core.tasks cimport Task


cdef class AsyncCall:
    cdef CallStep call
    cdef Task task
    cdef BranchStep asked                # the conditional edge whose path this is, else None
    cdef object argument
    cdef object own                      # the step's config, if the function takes it
    cdef object config                   # what it then finds in its context
    cdef NodeContext held                # else its context, for another call to come
    cdef object context                  # that every step enters, None for the caller's own
    cdef object coroutine                # what runs, None before and after
    cdef object value                    # what it awaits now, then what it returned
    cdef bint recursed                   # the function's result was a Runnable, which runs now
    cdef int prepare(self) except -1
    cdef object open(self)
    cdef bint step(self, object sent) except -1
    cdef bint settle(self, object result) except -1


cdef AsyncCall call_of(Task task, object argument)
cdef AsyncCall path_of(Task task, BranchStep step, object argument)
cdef bint needs_awaiting(Task task) except -1
cdef object run_call(CallStep call, Task task, object argument, BranchStep asked)
cdef object run_step(Task task, object argument)
