# cython: language_level=3, embedsignature=True
"""Live-object counters of a debug build, which must return to zero when nothing runs.

Without the C macro `LGCY_DEBUG` the calls are compiled away and nothing is counted.
"""

cdef dict counts = {}


cdef int born(str kind) except -1:
    counts[kind] = counts.get(kind, 0) + 1
    return 0


cdef void died(str kind) noexcept:
    counts[kind] = counts.get(kind, 0) - 1


def debug_build():
    """Whether this build counts its live objects."""
    return bool(LGCY_DEBUG_BUILD)


def live_objects():
    """How many objects of each counted kind are alive; empty without a debug build."""
    return dict(counts)
