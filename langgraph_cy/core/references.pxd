# cython: language_level=3
from cpython.object cimport PyObject

cdef extern from *:
    """
    /* Whether an object has so many references, and so nobody else has it. */
    #ifdef Py_GIL_DISABLED
    #define lgcy_held_by(object, count) 0   /* other threads count for themselves */
    #else
    #define lgcy_held_by(object, count) (Py_REFCNT(object) == (count))
    #endif
    """
    bint lgcy_held_by(PyObject* object, Py_ssize_t count) noexcept
