cdef extern from *:
    """
    #ifdef LGCY_DEBUG
    #define LGCY_DEBUG_BUILD 1
    #else
    #define LGCY_DEBUG_BUILD 0
    #endif
    """
    const int LGCY_DEBUG_BUILD


cdef int born(str kind) except -1
cdef void died(str kind) noexcept
