# One measured interval. Which fields mean what for which kind is said in `Part`.
cdef struct Event:
    long long queued             # when it could have begun; of a save: how long it serialised
    long long start
    long long end
    long long closed             # when what came of it had been taken over
    int run                      # number of the run
    int step                     # of the superstep
    int label                    # of the node, -1 without one
    int task                     # number of the task, 0 without one
    int thread                   # number of the thread
    unsigned char kind           # Part
    unsigned char outcome        # Outcome
    unsigned short failed        # attempts that failed before


# What became of all tasks of one node, whether or not there was room for their events.
cdef struct Total:
    long long tasks
    long long alone              # tasks that ran on the thread of their run
    long long errors
    long long failed             # attempts that were followed by another
    long long cached
    long long queued             # ns
    long long run                # ns
    long long longest            # ns
    long long committed          # ns


cpdef enum Part:
    OPEN
    LOAD
    INPUT
    PLAN
    CACHE
    RUN
    RETRY
    DISPATCH
    WAIT
    COMMIT
    APPLY
    STREAM
    CHECKPOINT
    SERIALISE
    SAVE
    SAVE_WAIT
    CONSUMER
    FINISH
    STOCK
    OTHER
    PARTS
    TASK = 32
    TASK_RETRY
    TASK_SAVE
    TASK_CACHED


cpdef enum Outcome:
    SUCCEEDED
    FAILED
    INTERRUPTED
    CANCELLED
    CLOSED
    OUT_OF_STEPS
    DRAINED
    UNDER_WAY


cdef class Catalog:
    cdef readonly list labels        # (scope number, node name) of every label
    cdef readonly list scopes        # Scope
    cdef readonly list threads       # names
    cdef dict known_scopes
    cdef dict paths                  # path of a scope -> how many graphs have it
    cdef dict known_threads          # ident -> number
    cdef int runs
    cdef int tasks
    cdef int thread_number(self) except -1
    cdef int next_run(self) noexcept
    cdef int next_task(self) noexcept
    cdef int label_of(self, Scope scope, object name) except -1
    cdef Scope scope_of(self, Scope above, object node, object graph)


cdef class Scope:
    cdef readonly int number
    cdef readonly object graph
    cdef readonly str name           # of the graph
    cdef readonly str path           # ... with the nodes that it runs in
    cdef readonly int above          # number of the scope of the run above, -1 at the top
    cdef readonly object node        # name of the node there
    cdef dict labels                 # node name -> label


cdef class Recorder:
    cdef object __weakref__
    cdef readonly Catalog catalog
    cdef readonly list runs          # RunTrace of every run there was room for
    cdef list states                 # what they had come to when the recording stopped
    cdef readonly long limit         # how many events and runs are kept
    cdef readonly long count         # events there have been
    cdef readonly long left_out      # ... of which there was no room for
    cdef readonly long runs_left_out
    cdef readonly long long began    # ns
    cdef readonly long long ended    # ns, 0 while it records
    cdef readonly object spans       # makes OpenTelemetry spans, or None
    cdef long long parts[Part.PARTS]  # ns, of runs that are no part of another
    cdef Event** blocks
    cdef Total* totals
    cdef long size_of_totals
    cdef int append(self, const Event* event) noexcept
    cdef int add_up(self, const Event* event) noexcept
    cdef Event* place(self) noexcept


cdef long long now() noexcept nogil
