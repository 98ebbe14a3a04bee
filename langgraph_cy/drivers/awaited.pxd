from langgraph_cy.core.superstep cimport Run
from langgraph_cy.core.tasks cimport Task
from langgraph_cy.profiling.run_trace cimport RunTrace, TaskTrace


cdef class TaskCoroutine:
    cdef AsyncDriver driver
    cdef object task
    cdef long long queued            # since when it could have begun, 0 where not measured
    cdef bint begun
    cdef bint ended
    cdef object started              # the asyncio task, once it is known to wait
    cdef object rest                 # coroutine: what is left of the task
    cdef object awaited              # what that waits for
    cdef TaskTrace trace
    cdef object take(self)
    cdef bint go_on(self, object value) except -1
    cdef int begin(self) except -1
    cdef int end(self, object error) except -1


cdef class AsyncDriver:
    cdef object __weakref__
    cdef readonly Run run
    cdef readonly bint eager
    cdef readonly object saves       # AwaitedSaves, None where nothing is stored
    cdef readonly object cache
    cdef readonly object step_timeout  # seconds, None for no limit
    cdef readonly bint sync_saves    # a superstep waits until its checkpoint is stored
    cdef readonly object loop
    cdef readonly object gate        # semaphore of `max_concurrency`, or None
    cdef object thread               # id of the loop's thread
    cdef object deadline             # of the superstep under way, in the loop's time
    cdef object waiter               # future that ends the driver's waiting
    cdef bint woken                  # something has happened since it last waited
    cdef bint announced              # it will be woken in the loop's next turn
    cdef bint each                   # wake it for every task, not only at the end
    cdef bint closed                 # what still fails is nobody's to handle
    cdef bint cleaning               # what still ran has been cancelled
    cdef readonly dict jobs          # asyncio task under way -> the superstep's, or None
    cdef readonly long unfinished    # tasks of the superstep that run in them
    cdef list errors                 # what they raised, in the order they did
    cdef object failure              # the first error that stops the others
    cdef list handling               # (task, error): failures that error handlers take over
    cdef readonly object calls       # AwaitedCalls, once a node has called a task
    cdef Task single                 # the task that runs in the caller's own asyncio task
    cdef object coroutine            # ... what runs it, where that has not ended at once
    cdef object awaited              # ... and what that awaits
    cdef object error                # what ends the run when the superstep closes
    cdef bint measured               # `trace` is there: where the time goes is noted
    cdef readonly RunTrace trace
    cpdef bint begin_plain(self, object input, object input_keys) except -1
    cdef int apply_input(self, object input, object input_keys) except -1
    cpdef bint tick(self) except -1
    cpdef bint begin(self) except -1
    cdef bint launch(self) except -1
    cdef bint spread(self, list tasks) except -1
    cdef int start_task(self, object task, long long queued) except -1
    cdef object started(self, object coroutine, object name, bint lazy)
    cdef object attempt(self, Task task)
    cdef bint fail_single(self, Task task, object error) except -1
    cdef int commit(self, object task, bint last) except -1
    cdef int commit_alone(self, object task) except -1
    cpdef int finished(self, object task, object error) except -1
    cdef int announce(self) except -1
    cdef bint pending(self) except -1
    cpdef bint close_step(self) except -1
