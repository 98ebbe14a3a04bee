# cython: language_level=3
from cpython.object cimport PyObject

cdef struct Source:
    # JSON text that is being read: bytes, so a NUL comes behind it.
    const char* at        # where to read on
    const char* end
    bint in_message


cdef int refuse() except -1
cdef int skip(Source* text, const char* chars, Py_ssize_t length) except -1
cdef object read_string(Source* text)
cdef object read_word(Source* text)
cdef object read_number(Source* text)
