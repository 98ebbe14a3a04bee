# Running coroutines on by hand.

from cpython.object cimport PyObject

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    # Gives what is awaited next, or at the end what is returned, as a reference to be taken over.
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR
