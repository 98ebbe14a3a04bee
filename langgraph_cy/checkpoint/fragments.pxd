# cython: language_level=3
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint32_t, uint64_t

from langgraph_cy.core.guards cimport lgcy_dict_version as _   # for the C text beside it

cdef extern from *:
    uint64_t version_of "lgcy_dict_version"(PyObject* dictionary) noexcept

cdef extern from "Python.h":
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept

cdef enum Container:
    # What a word of a trace says of the container whose address it is.
    VERSIONED             # a dict; its version follows
    EMPTY_DICT
    EMPTY_LIST
    DICT                  # how many words follow, then the keys and values in turn
    LIST                  # how many words follow, then the items
    TUPLE

cdef enum:
    CONTAINER = 7         # the bits of a word that hold it


cdef struct Trace:
    # What messages consisted of: the containers, each before those in it. Not owned.
    uint64_t* words
    Py_ssize_t count
    Py_ssize_t room


cdef struct Record:
    # The text of a message that was as the trace says.
    PyObject* message     # not owned; NULL: this record is not used any more
    PyTypeObject* cls     # of the message when it was encoded
    PyObject* extras      # its `__pydantic_extra__`, not owned
    PyObject* whole       # bytes, owned, where the text is
    char* chars
    PyObject* batch       # that this is in, not owned
    PyObject* ref         # weak, to the message, owned; calls the batch
    uint64_t* words       # the trace; keys and values are owned unless they are odd
    uint32_t length       # of the text
    uint32_t count        # of the words


cdef struct Written:
    # A message that has been written and may be kept.
    PyObject* message
    Py_ssize_t start      # of its text
    Py_ssize_t length
    Py_ssize_t first      # word in the trace
    Py_ssize_t count      # of words


cdef struct Journal:
    # The messages that one call has written.
    Written* items
    Py_ssize_t count
    Py_ssize_t room
    Trace trace


cdef int more_words(Trace* trace, Py_ssize_t more) except -1
cdef int note_items(Trace* trace, PyObject* container, Container kind) except -1


cdef inline int note_word(Trace* trace, PyObject* container, Container kind) except -1:
    if trace.room - trace.count < 2:
        more_words(trace, 2)
    trace.words[trace.count] = <uint64_t>container | kind
    trace.count += 1
    return 0


cdef inline int note_dict(Trace* trace, PyObject* values) except -1:
    cdef uint64_t version
    if PyDict_GET_SIZE(values) == 0:
        return note_word(trace, values, EMPTY_DICT)
    version = version_of(values)
    if version == 0:
        note_word(trace, values, DICT)
        return note_items(trace, values, DICT)
    note_word(trace, values, VERSIONED)
    trace.words[trace.count] = version
    trace.count += 1
    return 0


cdef inline int note_list(Trace* trace, PyObject* values) except -1:
    if PyList_GET_SIZE(values) == 0:
        return note_word(trace, values, EMPTY_LIST)
    note_word(trace, values, LIST)
    return note_items(trace, values, LIST)


cdef inline int note_tuple(Trace* trace, PyObject* values) except -1:
    note_word(trace, values, TUPLE)
    return note_items(trace, values, TUPLE)


cdef int entered(Journal* journal, PyObject* message, Py_ssize_t start) except -1
cdef void left(Journal* journal, Py_ssize_t end) noexcept
cdef void expect(PyObject* message) noexcept
cdef Record* find(PyObject* message, Record* last) noexcept
cdef bytes text_of(Record* record)
cdef bytes grown(Record* record, Py_ssize_t kept, const char* rest, Py_ssize_t length)
cdef int keep(Journal* journal, bytes whole, Py_ssize_t room, list texts) except -1
