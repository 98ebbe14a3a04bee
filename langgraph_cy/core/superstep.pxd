from langgraph_cy.core.plan cimport KeySet, Plan
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Head, Task

cpdef enum Status:
    PENDING
    DONE
    OUT_OF_STEPS
    DRAINING


cdef class Run:
    cdef readonly Plan plan
    cdef readonly object context        # makes configs, holds what the run was called with
    cdef RunState state
    cdef readonly Head head
    cdef readonly long step
    cdef readonly long stop
    cdef readonly Status status
    cdef readonly list tasks            # of the superstep under way
    cdef readonly bint values           # `values` chunks are wanted
    cdef readonly bint updates          # `updates` chunks are wanted
    cdef readonly bint paired           # chunks are (mode, payload)
    cdef readonly bint latest_only      # nobody sees chunks: `invoke` keeps the last values
    cdef KeySet output
    cdef list _chunks
    cdef bint unread                    # `latest` is stale until read from the channels
    cdef object _latest
    cdef readonly list interrupts       # collected for `invoke`
    cdef bint pending                   # a task of this superstep has reported writes
    cdef int start(self, object input, object input_keys) except -1
    cdef int next_checkpoint(self) except -1
    cdef bint tick(self) except -1
    cdef int after_tick(self) except -1
    cdef int commit(self, object task) except -1
    cdef int fail(self, object task, object error) except -1
    cdef int emit_updates(self, object task, object writes) except -1
    cdef int emit_interrupt(self, object task, object interrupts) except -1
    cdef int emit_values(self, list tasks) except -1
    cdef bint hidden(self, object task) except -1
    cdef int put(self, str mode, object payload) except -1
    cpdef list take_chunks(self)
    cpdef int close(self) except -1
    cpdef bint suppress(self, object error) except -1
    cpdef object latest(self)
