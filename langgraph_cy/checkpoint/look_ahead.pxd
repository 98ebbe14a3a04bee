# cython: language_level=3
from cpython.object cimport PyObject

from langgraph_cy.checkpoint.dict_items cimport Entry

cdef enum:
    MOST_COMING = 8       # more than there are messages that are looked into at a time
    MANY = 200            # messages that are more than the processor's caches keep
    MOST_CONTAINERS = 8   # of a message, that are as deep as each other
    MOST_ITEMS = 32       # of a container: longer ones are mostly read in order


cdef struct Coming:
    # A message that will be written soon.
    PyObject* layout      # of its class
    PyObject* fields      # its `__dict__`; NULL: nothing more is asked for
    const Entry* entries  # of that
    PyObject* containers[MOST_CONTAINERS]    # in it, as deep as it has been looked into
    Py_ssize_t count


cdef struct Ahead:
    Coming coming[MOST_COMING]    # by the last bits of the index
    PyObject* values      # the list
    Py_ssize_t next       # index, -1 at first; with another one it begins anew
    const char* asked     # the text's memory is asked for up to here


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i, const char* at) noexcept
cdef void look_further(Ahead* ahead) noexcept
