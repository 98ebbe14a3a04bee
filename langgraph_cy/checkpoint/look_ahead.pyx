# cython: language_level=3, embedsignature=True
"""Asks for the memory of messages before they are read.

Messages lie all over the memory, each in some 30 places that lead to each other, and with many of
them most of the time would go in waiting. So while one is written, the next ones are looked at, one
step further into each, and what the step after it reads is asked for.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memset

from langgraph_cy.checkpoint.dict_items cimport Entry, Items, entries_of, items_of, next_item
from langgraph_cy.checkpoint.messages cimport Layout, fields_at, layout_of

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define lgcy_prefetch(at) __builtin_prefetch(at)
    #else
    #define lgcy_prefetch(at) ((void)(at))
    #endif
    """
    void prefetch "lgcy_prefetch"(const void* at) noexcept

cdef extern from "Python.h":
    PyTypeObject PyDict_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    ctypedef struct Dictionary "PyDictObject":
        void* ma_keys

cdef enum:
    CACHE_LINE = 64
    LINES = 4             # that the keys and values of a dict of ten take


cdef inline void prefetch_items(PyObject* mapping) noexcept:
    cdef Py_ssize_t i
    for i in range(LINES):
        prefetch(<char*>(<Dictionary*>mapping).ma_keys + i * CACHE_LINE)


cdef inline void prefetch_fields(Coming* coming) noexcept:
    """Ask for a message's fields, and note which of them may be dicts."""
    cdef Layout layout = <Layout>coming.layout
    cdef const Entry* entries = entries_of(coming.fields, layout.count)
    cdef Py_ssize_t i
    if entries == NULL:
        coming.layout = NULL
        return
    for i in range(layout.own_count):
        prefetch(entries[layout.own[i]].value)
    coming.count = layout.dict_count
    for i in range(layout.dict_count):
        coming.dicts[i] = entries[layout.own[i]].value


cdef inline void find_dicts(Coming* coming) noexcept:
    """Keep those that are dicts, and not empty; ask for their items."""
    cdef Py_ssize_t i, count = 0
    cdef PyObject* value
    for i in range(coming.count):
        value = coming.dicts[i]
        if Py_TYPE(value) == &PyDict_Type and PyDict_GET_SIZE(value):
            prefetch_items(value)
            coming.dicts[count] = value
            count += 1
    coming.count = count


cdef inline void prefetch_values(PyObject* mapping) noexcept:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    items_of(mapping, &items)
    while next_item(&items, &key, &value):
        prefetch(value)


cdef inline void prefetch_dicts(PyObject* mapping) noexcept:
    """Ask for the items of the dicts that are values."""
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    items_of(mapping, &items)
    while next_item(&items, &key, &value):
        if Py_TYPE(value) == &PyDict_Type:
            prefetch_items(value)


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i) noexcept:
    """Before a list's item `i` is written, look at those behind it.

    Args:
        ahead: all NULL and 0 before the first item.
        values: the list.
        i: the index, most often one more than the last time.
    """
    cdef PyObject* value
    cdef Coming* coming
    cdef Py_ssize_t j
    if i != ahead.next:
        memset(ahead, 0, sizeof(Ahead))    # nothing has been seen step by step
    ahead.next = i + 1
    if i + STEPS - 1 < PyList_GET_SIZE(values):
        value = PyList_GET_ITEM(values, i + STEPS - 1)
        prefetch(value)
        prefetch(<char*>value - CACHE_LINE)
    coming = &ahead.coming[(i + 6) % STEPS]
    coming.layout = NULL
    coming.count = 0
    if i + 6 < PyList_GET_SIZE(values):
        value = PyList_GET_ITEM(values, i + 6)
        coming.layout = layout_of(Py_TYPE(value))
        if coming.layout != NULL:
            coming.fields = fields_at(value)
            if coming.fields == NULL:
                coming.layout = NULL
            prefetch(coming.fields)
    coming = &ahead.coming[(i + 5) % STEPS]
    if coming.layout != NULL:
        prefetch_items(coming.fields)
    coming = &ahead.coming[(i + 4) % STEPS]
    if coming.layout != NULL:
        prefetch_fields(coming)
    find_dicts(&ahead.coming[(i + 3) % STEPS])
    coming = &ahead.coming[(i + 2) % STEPS]
    for j in range(coming.count):
        prefetch_values(coming.dicts[j])
    coming = &ahead.coming[(i + 1) % STEPS]
    for j in range(coming.count):
        prefetch_dicts(coming.dicts[j])
