cdef class Started:
    cdef object coroutine
    cdef object value                # what it awaits
