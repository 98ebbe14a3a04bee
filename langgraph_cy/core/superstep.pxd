from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.plan cimport KeySet, Plan
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Head, Task
from langgraph_cy.profiling.run_trace cimport RunTrace

cpdef enum Status:
    INPUT
    PENDING
    DONE
    OUT_OF_STEPS
    DRAINING
    INTERRUPT_BEFORE
    INTERRUPT_AFTER

# Stream modes, one bit each.
cpdef enum Mode:
    VALUES = 1
    UPDATES = 2
    TASKS = 4
    CHECKPOINTS = 8
    DEBUG = 16
    CUSTOM = 32
    MESSAGES = 64
    TOOLS = 128

# What a chunk looks like to whoever takes it.
cpdef enum Shape:
    PAYLOAD
    PAIRED          # (mode, payload)
    FULL            # (namespace, mode, payload)


cdef class Run:
    cdef object __weakref__
    cdef readonly Plan plan
    cdef readonly RunSettings context        # makes configs, holds what the run was called with
    cdef RunState state
    cdef readonly Head head
    cdef readonly long step
    cdef readonly long stop
    cdef readonly Status status
    cdef readonly list tasks            # of the superstep under way; None before the first
    cdef readonly int modes             # of the chunks that the run's own caller takes
    cdef readonly int modes_above       # ... that the stream of the run above takes
    cdef object above                   # upstream's StreamProtocol of the run above, or None
    cdef readonly Shape shape
    cdef readonly bint latest_only      # nobody sees chunks: `invoke` keeps the last values
    cdef readonly object interrupt_before  # node names, "*" for all, or nothing
    cdef readonly object interrupt_after
    cdef public object on_chunk         # called when a chunk comes from outside of the loop
    cdef readonly tuple namespace       # of the run's checkpoints
    cdef readonly list pending_writes   # (task id, channel, value) since the last checkpoint
    cdef KeySet output
    cdef list _chunks
    cdef bint unread                    # `latest` is stale until read from the channels
    cdef object _latest
    cdef readonly list interrupts       # collected for `invoke`
    cdef bint restored                  # tasks have got writes back, which streams show
    cdef bint written                   # a task of this superstep has reported writes
    cdef readonly object result         # the output keys where the run ended, for watchers
    cdef bint measured                  # `trace` is there: where the time goes is noted
    cdef RunTrace trace
    cdef int set_up(
        self, Plan plan, RunSettings context, object output_keys, long recursion_limit
    ) except -1
    cpdef int start(self, object input, object input_keys) except -1
    cdef int save(self, str source) except -1
    cdef str checkpoint_id(self)
    cpdef dict checkpoint_like(self)
    cdef int prepare(self) except -1
    cdef int restore(self, object tasks) except -1
    cdef int restore_step(self) except -1
    cpdef bint tick(self) except -1
    cpdef list runnable(self)
    cpdef int after_tick(self) except -1
    cpdef int commit(self, object task) except -1
    cpdef int fail(self, object task, object error) except -1
    cpdef int put_writes(self, object task, object writes, bint cached) except -1
    cdef bint any_written(self) except -1
    cdef bint due_interrupt(self, object nodes) except -1
    cdef bint any_new(self) except -1
    cdef bint hidden(self, object task) except -1
    cdef bint unobserved(self) except -1
    cpdef bint wants(self, int mode)
    cdef int emit(self, int mode, object payload) except -1
    cdef int output_writes(self, object task, object writes, bint cached) except -1
    cdef int emit_tasks(self, object tasks) except -1
    cdef int emit_results(self, object task, object writes) except -1
    cdef int emit_debug(self, str kind, object payload, long step) except -1
    cdef int emit_updates(self, object task, object writes, bint cached) except -1
    cdef int emit_interrupt(self, object task, object writes) except -1
    cdef int emit_values(self, list tasks) except -1
    cpdef list take_chunks(self)
    cdef int apply(self) except -1
    cdef int at_exit(self, object error) except -1
    cpdef bint leave(self, object error) except -1
    cpdef object latest(self)
    cpdef object final(self)


cdef object control_of(RunSettings settings)
cpdef list map_input(object keys, object value)
