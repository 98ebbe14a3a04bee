from langgraph_cy.core.superstep cimport Run
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.drivers.workers cimport Workers
from langgraph_cy.profiling.run_trace cimport RunTrace


cdef int execute(Task task) except -1


cdef class Fanout:
    cdef SyncDriver driver
    cdef Run run
    cdef object base             # context that every task's own is copied from
    cdef readonly long unfinished
    cdef bint each               # wake the driver for every task, not only at the end
    cdef bint closed             # what still fails is nobody's to handle
    cdef readonly list errors    # what tasks raised, in the order they did
    cdef readonly object failure  # the first error that stops the others
    cdef list handling           # (task, error): failures that error handlers take over
    cdef int submit(self, list tasks) except -1
    cdef int finished(self, object task, object error) except -1
    cdef int handle(self) except -1
    cdef int stop(self) except -1


cdef class TaskJob:
    cdef Fanout fanout
    cdef object task
    cdef object context
    cdef long long queued        # since when it could have begun, 0 where that is not measured


cdef class SyncDriver:
    cdef object __weakref__
    cdef readonly Run run
    cdef readonly object max_concurrency
    cdef readonly bint eager
    cdef readonly object saves       # ThreadSaves, None where nothing is stored
    cdef readonly object cache
    cdef readonly object step_timeout  # seconds, None for no limit
    cdef readonly bint sync_saves    # a superstep waits until its checkpoint is stored
    cdef object deadline             # of the superstep under way
    cdef object lock                 # held while what became of a task is recorded
    cdef readonly object reports     # SimpleQueue: wakes the thread that waits for the run
    cdef readonly Workers workers    # None until a superstep needs threads
    cdef Fanout fanout               # of the superstep under way, if it has one
    cdef readonly object calls       # CalledTasks, once a node has called a task
    cdef object error                # what ends the run when the superstep closes
    cdef bint measured               # `trace` is there: where the time goes is noted
    cdef readonly RunTrace trace
    cdef int open_threads(self) except -1
    cpdef bint tick(self) except -1
    cpdef bint begin(self) except -1
    cpdef bint wait(self) except -1
    cdef bint spread(self, list tasks) except -1
    cdef bint settle(self) except -1
    cdef int commit(self, object task, bint last) except -1
    cdef bint unfinished(self) except -1
    cpdef int close_step(self) except -1
    cpdef int join(self) except -1
    cpdef bint leave(self, object error) except -1


cdef object weakly(object method)
cdef int outcome_of(Run run) except -1
cpdef int raise_unfinished(Run run) except -1
