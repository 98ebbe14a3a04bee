# cython: language_level=3, embedsignature=True
"""Asks for the memory of messages before they are read.

Messages lie all over the memory, each in some 30 places that lead to each other, and with many of
them most of the time would go in waiting. So while one is written, the next ones are looked at, one
step further into each, and what the step after it reads is asked for.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memcpy, memset

from langgraph_cy.checkpoint.dict_items cimport Items, entries_of, items_of, next_item
from langgraph_cy.checkpoint.fragments cimport expect
from langgraph_cy.checkpoint.messages cimport Layout, fields_at, layout_of
from langgraph_cy.checkpoint.prefetching cimport prefetch

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyList_Type, PyUnicode_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    ctypedef struct Dictionary "PyDictObject":
        void* ma_keys
    ctypedef struct List "PyListObject":
        void* ob_item

cdef enum:
    CACHE_LINE = 64
    BEFORE = 32           # bytes of a message that lie before its address,
    BEHIND = 40           # and where the last of those lie that are read
    KEYS = 48             # bytes of a small dict's keys before the first item,
    ITEM = 16             # of an item,
    MOST_BYTES = 320      # and that are asked for
    SHORT = 16            # characters of a string that lie in the line where it begins, mostly


cdef inline void prefetch_items(PyObject* mapping) noexcept:
    cdef const char* at = <const char*>(<Dictionary*>mapping).ma_keys
    cdef const char* end = at + min(KEYS + ITEM * PyDict_GET_SIZE(mapping), MOST_BYTES)
    while at < end:
        prefetch(at)
        at += CACHE_LINE
    prefetch(end - 1)


cdef inline void prefetch_own(Coming* coming) noexcept:
    """Ask for the values of those fields that are not the same in all messages."""
    cdef Layout layout = <Layout>coming.layout
    cdef Py_ssize_t i
    coming.entries = entries_of(coming.fields, layout.count)
    if coming.entries == NULL:
        coming.fields = NULL
        return
    for i in range(layout.own_count):
        prefetch(coming.entries[layout.own[i]].value)


cdef inline void look_into(Coming* coming, PyObject* value) noexcept:
    """Ask for the rest of a string; keep a container, and ask for its items."""
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        if PyUnicode_GET_LENGTH(value) > SHORT:
            prefetch(<char*>value + CACHE_LINE)
        return
    if coming.count == MOST_CONTAINERS:
        return
    if cls == &PyDict_Type and 0 < PyDict_GET_SIZE(value) <= MOST_ITEMS:
        prefetch_items(value)
    elif cls == &PyList_Type and 0 < PyList_GET_SIZE(value) <= MOST_ITEMS:
        prefetch((<List*>value).ob_item)
    else:
        return
    coming.containers[coming.count] = value
    coming.count += 1


cdef inline void look_into_own(Coming* coming) noexcept:
    cdef Layout layout = <Layout>coming.layout
    cdef Py_ssize_t i
    for i in range(layout.own_count):
        look_into(coming, coming.entries[layout.own[i]].value)


cdef inline void look_at(PyObject* value, Coming* found) noexcept:
    """Look into a value, for `found`; with NULL, only ask for it."""
    if found == NULL:
        prefetch(value)
    else:
        look_into(found, value)


cdef inline void look_at_values(PyObject* container, Coming* found) noexcept:
    """Look at what is in a container."""
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    cdef Py_ssize_t i
    if Py_TYPE(container) == &PyDict_Type:
        items_of(container, &items)
        while next_item(&items, &key, &value):
            look_at(value, found)
    else:
        for i in range(PyList_GET_SIZE(container)):
            look_at(PyList_GET_ITEM(container, i), found)


cdef inline void prefetch_values(Coming* coming) noexcept:
    """Ask for what is in the containers."""
    cdef Py_ssize_t i
    for i in range(coming.count):
        look_at_values(coming.containers[i], NULL)


cdef inline void go_deeper(Coming* coming) noexcept:
    """Look into what is in the containers: they are followed by those in them."""
    cdef PyObject* outer[MOST_CONTAINERS]
    cdef Py_ssize_t i, count = coming.count
    memcpy(outer, coming.containers, sizeof(outer))
    coming.count = 0
    for i in range(count):
        look_at_values(outer[i], coming)


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i) noexcept:
    """Before a list's item `i` is written, look at those behind it.

    Args:
        ahead: what was seen until now; `next` is -1 before the first item.
        values: the list.
        i: the index, most often one more than the last time.
    """
    cdef PyObject* value
    cdef Coming* coming
    if i != ahead.next:
        memset(ahead, 0, sizeof(Ahead))    # nothing has been seen step by step
    ahead.next = i + 1
    if i + 9 < PyList_GET_SIZE(values):
        value = PyList_GET_ITEM(values, i + 9)
        prefetch(<char*>value - BEFORE)
        prefetch(<char*>value + BEHIND)
        expect(value)
    coming = &ahead.coming[(i + 8) % STEPS]
    coming.fields = NULL
    coming.count = 0
    if i + 8 < PyList_GET_SIZE(values):
        value = PyList_GET_ITEM(values, i + 8)
        coming.layout = layout_of(Py_TYPE(value))
        if coming.layout != NULL:
            coming.fields = fields_at(value)
            prefetch(coming.fields)
    coming = &ahead.coming[(i + 7) % STEPS]
    if coming.fields != NULL:
        prefetch_items(coming.fields)
    coming = &ahead.coming[(i + 6) % STEPS]
    if coming.fields != NULL:
        prefetch_own(coming)
    coming = &ahead.coming[(i + 5) % STEPS]
    if coming.fields != NULL:
        look_into_own(coming)
    prefetch_values(&ahead.coming[(i + 4) % STEPS])
    go_deeper(&ahead.coming[(i + 3) % STEPS])
    prefetch_values(&ahead.coming[(i + 2) % STEPS])
    go_deeper(&ahead.coming[(i + 1) % STEPS])
