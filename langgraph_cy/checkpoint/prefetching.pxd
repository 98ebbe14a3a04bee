# cython: language_level=3

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define lgcy_prefetch(at) __builtin_prefetch(at)
    #else
    #define lgcy_prefetch(at) ((void)(at))
    #endif
    """
    # Ask for the memory there, which may be anywhere, without waiting for it.
    void prefetch "lgcy_prefetch"(const void* at) noexcept
