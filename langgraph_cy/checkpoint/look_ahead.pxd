# cython: language_level=3
from cpython.object cimport PyObject

from langgraph_cy.checkpoint.messages cimport MOST_DICTS

cdef enum:
    STEPS = 8             # between a message that is asked for and the one that is written
    MANY = 200            # messages that are more than the processor's caches keep


cdef struct Coming:
    # A message that will be written soon.
    PyObject* layout      # of its class; NULL: nothing more is asked for
    PyObject* fields      # its `__dict__`
    PyObject* dicts[MOST_DICTS]    # among its fields; others, before they are looked at
    Py_ssize_t count


cdef struct Ahead:
    Coming coming[STEPS]  # by the last bits of the index
    Py_ssize_t next       # index; with another one it begins anew


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i) noexcept
