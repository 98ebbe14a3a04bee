# cython: language_level=3
from cpython.object cimport PyObject

cdef enum:
    STEPS = 8             # between a message that is asked for and the one that is written
    MOST_DICTS = 4        # among the fields of a message; others are not asked for
    MANY = 200            # messages that are more than the processor's caches keep


cdef struct Coming:
    # A message that will be written soon.
    PyObject* fields      # its `__dict__`, NULL if there is none
    PyObject* dicts[MOST_DICTS]    # among its fields, those that aren't empty
    int count


cdef struct Ahead:
    Coming coming[STEPS]  # by the last bits of the index


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i) noexcept
