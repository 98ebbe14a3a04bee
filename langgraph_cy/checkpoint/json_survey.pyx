# cython: language_level=3, embedsignature=True
"""What JSON represents exactly, as far as upstream's encoding does."""

from cpython.object cimport PyObject, PyTypeObject
from libc.math cimport isfinite

from langgraph_cy.checkpoint.dict_items cimport Items, items_of, next_item
from langgraph_cy.checkpoint.messages cimport layout_of

cdef extern from "Python.h":
    PyTypeObject PyBool_Type, PyDict_Type, PyFloat_Type, PyList_Type, PyLong_Type, PyTuple_Type
    PyObject* Py_None
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    double PyFloat_AS_DOUBLE(PyObject* number) noexcept


cdef int survey_mapping(PyObject* values, int depth) noexcept:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    items_of(values, &items)
    while next_item(&items, &key, &value):
        found = survey(value, depth + 1) if is_key(key) else DECLINED
        if found == DECLINED or found == MIXED:
            return found
        all |= found
    return all


cdef int survey_list(PyObject* values, int depth) noexcept:
    cdef Py_ssize_t i, count = PyList_GET_SIZE(values)
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    if count >= MANY_FLOATS and are_floats(values):
        return FLOATS
    for i in range(count):
        found = survey(PyList_GET_ITEM(values, i), depth + 1)
        if found == DECLINED or found == MIXED:
            return found
        all |= found
    return all


cdef int survey_tuple(PyObject* values, int depth) noexcept:
    cdef Py_ssize_t i
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    for i in range(PyTuple_GET_SIZE(values)):
        found = survey(PyTuple_GET_ITEM(values, i), depth + 1)
        if found == DECLINED or found == MIXED:
            return found
        all |= found
    return all


cdef int survey(PyObject* value, int depth) noexcept:
    """PLAIN or FLOATS, DECLINED or MIXED; the latter two are said as soon as it is known."""
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type or value == Py_None or cls == &PyLong_Type or cls == &PyBool_Type:
        return PLAIN
    if cls == &PyDict_Type:
        return survey_mapping(value, depth)
    if cls == &PyList_Type:
        return survey_list(value, depth)
    if cls == &PyFloat_Type:
        return PLAIN if isfinite(PyFloat_AS_DOUBLE(value)) else DECLINED
    if cls == &PyTuple_Type:
        return survey_tuple(value, depth)
    return DECLINED if layout_of(cls) == NULL else MIXED


cdef bint are_floats(PyObject* values) noexcept:
    """Whether a list is of finite floats only."""
    cdef Py_ssize_t i
    cdef PyObject* value
    for i in range(PyList_GET_SIZE(values)):
        value = PyList_GET_ITEM(values, i)
        if Py_TYPE(value) != &PyFloat_Type or not isfinite(PyFloat_AS_DOUBLE(value)):
            return False
    return True
