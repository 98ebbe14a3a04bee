# cython: language_level=3

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define lgcy_prefetch(at) __builtin_prefetch(at)
    #define lgcy_prefetch_to_write(at) __builtin_prefetch(at, 1)
    #else
    #define lgcy_prefetch(at) ((void)(at))
    #define lgcy_prefetch_to_write(at) ((void)(at))
    #endif
    """
    # Ask for the memory there, which may be anywhere, without waiting for it.
    void prefetch "lgcy_prefetch"(const void* at) noexcept
    void prefetch_to_write "lgcy_prefetch_to_write"(const void* at) noexcept
