cdef class Workers:
    cdef readonly long limit     # how many jobs may run at once
    cdef object queue            # deque of jobs that wait
    cdef long active             # threads that take from the queue now
    cdef object lock
    cdef int submit(self, list jobs) except -1
    cpdef int run(self) except -1
