from langgraph_cy.core.superstep cimport Run
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.drivers.workers cimport Workers


cdef int execute(Task task) except -1


cdef class Fanout:
    cdef Run run
    cdef Workers workers
    cdef object base             # context that every task's own is copied from
    cdef object lock
    cdef object reports          # the driver's
    cdef readonly long unfinished
    cdef bint each               # wake it for every task, not only at the end
    cdef readonly list errors    # what tasks raised, in the order they did
    cdef readonly object failure  # the first error that stops the others
    cdef int submit(self) except -1
    cdef int finished(self, Task task, object error) except -1
    cdef int stop(self) except -1
    cdef object outcome(self)


cdef class TaskJob:
    cdef Fanout fanout
    cdef Task task


cdef class SyncDriver:
    cdef object __weakref__
    cdef readonly Run run
    cdef readonly object max_concurrency
    cdef readonly bint eager
    cdef object lock                 # held while what became of a task is recorded
    cdef readonly object reports     # SimpleQueue: wakes the thread that waits for the run
    cdef readonly Workers workers    # None until a superstep needs threads
    cdef Fanout fanout               # of the superstep under way, if it has one
    cdef readonly object calls       # CalledTasks, once a node has called a task
    cdef object error                # what ends the run when the superstep closes
    cpdef bint tick(self) except -1
    cpdef bint begin(self) except -1
    cpdef bint wait(self) except -1
    cdef bint unfinished(self) except -1
    cpdef int close_step(self) except -1
    cpdef int join(self) except -1
    cpdef bint suppress(self, object error) except -1
