cdef class RunSettings:
    cdef public object control         # upstream's RunControl, None until somebody may use it
    cdef public object lifecycle       # Lifecycle, None where no handler wants its events
    cdef public object node_finished   # called with the name of every node that has ended
    cdef public object namespace       # of the run's checkpoints, a tuple
    cdef public object specs           # the graph's channels by name
    cdef public object store
    cdef public bint watched           # a callback handler sees the run
    cdef public bint traced            # one of them is a tracer that nodes have to know of
    cdef public bint nested            # the run is inside a task of another
    cdef public bint hidden            # streams leave out all of its tasks
    cdef public bint resumable         # the run above resumes, so an input may be missing
    cdef public long first_step        # the first superstep of the run
    cdef public bint open_below        # graphs that are nodes may run without a config of their own
    cdef public RunSettings above      # of the run that this one is a node of, if it runs so
    # the rest is RunContext's own; here, a run that nobody asks about its context fills in nothing
    cdef public object graph
    cdef public object input
    cdef public object retry_policy
    cdef public object saver
    cdef public object cache
    cdef public object driver
    cdef public object checkpoint_ns
    cdef public object recursion_limit
    cdef public object replay_state
    cdef public object resume_map
    cdef public object stream
    cdef public object stream_writer
    cdef public bint asynchronous
    cdef public bint stream_nodes
    cdef public bint resuming
    cdef public object _ambient
    cdef public object _config
    cdef public object _first_config
    cdef public object _later_config
    cdef public object _manager
    cdef public object _run_manager
    cdef public object _runtime
    cdef public object _user_context
    cdef object spare_context          # NodeContext that the next call may have, or None
    cdef object _observing
    cpdef object namespace_below(self, object name)
    cpdef object observing(self)
