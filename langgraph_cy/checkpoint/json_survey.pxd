# cython: language_level=3
from cpython.object cimport PyObject, PyTypeObject

cdef extern from "Python.h":
    PyTypeObject PyUnicode_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    int PyUnicode_KIND(PyObject* text) noexcept
    void* PyUnicode_DATA(PyObject* text) noexcept

cdef enum:
    # Half of what pydantic dumps, and far from where a small stack ends.
    MAX_DEPTH = 120
    # So many floats in a list are better off in upstream's encoding: 9 bytes each, no digits.
    MANY_FLOATS = 16

cdef enum:
    PLAIN = 0           # JSON has it; but orjson has to refuse long integers and surrogates
    DECLINED = 1
    MIXED = 2           # there are messages in it
    FLOATS = 4          # there are many floats in it


cdef int survey(PyObject* value, int depth) noexcept
cdef bint are_floats(PyObject* values) noexcept


cdef inline bint is_key(PyObject* key) noexcept:
    """Whether JSON has such keys, and it isn't `lc`, which makes an envelope of a dictionary."""
    cdef char* chars
    if Py_TYPE(key) != &PyUnicode_Type:
        return False
    if PyUnicode_GET_LENGTH(key) != 2:
        return True
    chars = <char*>PyUnicode_DATA(key)
    return PyUnicode_KIND(key) != 1 or chars[0] != c"l" or chars[1] != c"c"
