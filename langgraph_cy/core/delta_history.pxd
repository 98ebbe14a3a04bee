cdef class DeltaHistory:
    cdef dict specs                    # the graph's channels by name
    cdef readonly list names           # its DeltaChannels
    cdef readonly set forced           # channels that the next checkpoint must snapshot
    cdef set stored                    # (task id, channel) of writes the first checkpoint holds
    cdef list command_writes           # of the run's Command
    cdef list exit_writes              # (step, task id, path, channel, value), None unless late
    cdef object first_step             # first superstep of the run, None before it
    cdef list loaded                   # writes a resume has loaded, until its first superstep ends
    cdef bint is_delta(self, object name) except -1
    cdef list only(self, object writes)
    cdef int force(self, object pending_writes) except -1
    cdef int overwritten(self, object writes) except -1
    cdef int begin(self, list pending_writes, bint reapplies, bint late) except -1
    cdef int capture_command(self, object writes) except -1
    cdef int capture_input(self, long step, object writes) except -1
    cdef int close_step(self, list tasks, set reapplied) except -1
    cdef int capture_step(self, long step, list pending_writes, list tasks) except -1
    cdef dict counted(self, object metadata, object updated)
    cdef set due(self, dict channels, dict counters, dict versions)
