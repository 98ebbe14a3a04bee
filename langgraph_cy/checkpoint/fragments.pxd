# cython: language_level=3
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from langgraph_cy.core.guards cimport lgcy_dict_version as _   # for the C text beside it

cdef extern from *:
    uint64_t version_of "lgcy_dict_version"(PyObject* dictionary) noexcept


cdef struct Trace:
    # What a message consisted of. A node for each container, before those of the containers in
    # it: the container (not owned), its version, its kind and how many words follow; then these,
    # the keys and values in it. Nothing follows where a version tells of changes.
    uint64_t* words
    Py_ssize_t count
    Py_ssize_t room

cdef enum Container:
    DICT
    LIST
    TUPLE

cdef enum:
    NODE = 3     # words before the keys and values


cdef int more_words(Trace* trace, Py_ssize_t more) except -1
cdef int note_items(Trace* trace, PyObject* container, Container kind) except -1


cdef inline int note(Trace* trace, PyObject* container, Container kind) except -1:
    """Add the node of a container."""
    cdef uint64_t* node
    if trace.room - trace.count < NODE:
        more_words(trace, NODE)
    node = trace.words + trace.count
    node[0] = <uint64_t>container
    node[1] = version_of(container) if kind == DICT else 0
    node[2] = kind
    trace.count += NODE
    if node[1] == 0:
        note_items(trace, container, kind)
    return 0


cdef bytes find(PyObject* message)
cdef int keep(object message, bytes text, Trace* trace) except -1
