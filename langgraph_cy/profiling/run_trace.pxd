from langgraph_cy.profiling.recorder cimport Catalog, Part, Scope


cdef class RunTrace:
    cdef tuple recorders             # that take in what happens
    cdef readonly Catalog catalog
    cdef readonly Scope scope
    cdef readonly int number
    cdef readonly int above          # number of the run that it is a part of, 0 without one
    cdef readonly int task_above     # ... and of the task there
    cdef readonly int thread         # number of the thread that it began on
    cdef readonly bint asynchronous
    cdef readonly object reason      # why stock's engine has run it, None if it has not
    cdef readonly long long began    # ns
    cdef long long since             # when the part under way has begun, ns
    cdef long long parts[Part.PARTS]  # ns
    cdef int part                    # under way
    cdef int step
    cdef bint ended
    cdef int outcome
    cdef str error
    cdef unsigned long ident         # of the thread that drives the run
    cdef TaskTrace alone             # the task that runs on this thread, None between tasks
    cdef readonly object spans       # of OpenTelemetry, or None
    cdef int mark(self, int part) noexcept
    cdef int close_part(self, long long moment, bint last) noexcept
    cdef int begin_step(self, long step) except -1
    cdef int dispatch(self) except -1
    cdef int begin_alone(self, object name) except -1
    cdef int end_alone(self, object error) except -1
    cdef int leave(self, object error) except -1
    cdef int end(self, object error, int outcome) except -1


cdef class TaskTrace:
    cdef RunTrace trace
    cdef readonly object name
    cdef int label
    cdef int number
    cdef int step
    cdef long long queued            # ns, 0 of a task that runs alone
    cdef long long started
    cdef long long ended
    cdef long long paused
    cdef int failed                  # attempts
    cdef int outcome
    cdef TaskTrace previous          # what was current before
    cdef object span
    cdef int enter(self) except -1
    cdef int exit(self, object error) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1
    cdef int ran(self, object error) except -1
    cdef int done(self) except -1
    cdef int report(self, int part, long long start, long long end) except -1


cdef class SaveTrace:
    cdef RunTrace trace
    cdef int part
    cdef int before                  # part that it interrupts, -1 where it is beside the run
    cdef int step
    cdef long long started
    cdef long long serialised        # ns
    cdef long long dumping           # since when it serialises, 0 while it does not
    cdef int thread
    cdef SaveTrace previous


cdef TaskTrace task_here()
cdef SaveTrace begin_dump()
cdef int end_dump(SaveTrace save) except -1
