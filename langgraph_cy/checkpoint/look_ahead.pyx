# cython: language_level=3, embedsignature=True
"""Asks for the memory of messages before they are read.

Messages lie all over the memory, each in some 30 places that lead to each other, and with many of
them most of the time would go in waiting. So while one is written, the next ones are looked at, two
steps further into each, and what the step after a step reads is asked for. With more steps at a
time there would be no time between them; with fewer, so many messages would be on their way that
what was asked for first would have left the nearest cache when its turn comes.
"""

from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memcpy, memset

from langgraph_cy.checkpoint.dict_items cimport Items, entries_of, items_of, next_item
from langgraph_cy.checkpoint.fragments cimport expect
from langgraph_cy.checkpoint.messages cimport Layout, extras_at, fields_at, layout_of
from langgraph_cy.checkpoint.prefetching cimport prefetch, prefetch_to_write

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
    MOST_BYTES = 320      # and that are asked for of keys or characters
    SIZE = 16             # from an object's address, where its size is: perhaps in the next line
    CHARS = 48            # and a string's characters
    TEXT = 2048           # bytes that will be written soon


cdef inline void prefetch_object(PyObject* value) noexcept:
    """Ask for what tells what a value is."""
    prefetch(value)
    prefetch(<char*>value + SIZE)


cdef inline void prefetch_bytes(const char* at, Py_ssize_t length) noexcept:
    cdef const char* end = at + min(length, MOST_BYTES)
    while at < end:
        prefetch(at)
        at += CACHE_LINE
    prefetch(end - 1)


cdef inline void prefetch_items(PyObject* mapping) noexcept:
    prefetch_bytes(
        <const char*>(<Dictionary*>mapping).ma_keys, KEYS + ITEM * PyDict_GET_SIZE(mapping))


cdef inline void prefetch_own(Coming* coming) noexcept:
    """Ask for the values of those fields that are not the same in all messages."""
    cdef Layout layout = <Layout>coming.layout
    cdef Py_ssize_t i
    coming.entries = entries_of(coming.fields, layout.count)
    if coming.entries == NULL:
        coming.fields = NULL
        return
    for i in range(layout.own_count):
        prefetch_object(coming.entries[layout.own[i]].value)


cdef inline void look_into(Coming* coming, PyObject* value) noexcept:
    """Ask for the rest of a string; keep a container, and ask for its items."""
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        prefetch_bytes(<char*>value + CHARS, PyUnicode_GET_LENGTH(value))
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
        prefetch_object(value)
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


cdef void look_ahead(Ahead* ahead, PyObject* values, Py_ssize_t i, const char* at) noexcept:
    """Before a list's item `i` is written, look at those behind it.

    Args:
        ahead: what was seen until now; `next` is -1 before the first item.
        values: the list.
        i: the index, most often one more than the last time.
        at: where it will be written.
    """
    cdef PyObject* value
    cdef Coming* coming
    if i != ahead.next:
        memset(ahead, 0, sizeof(Ahead))    # nothing has been seen step by step
    ahead.values = values
    ahead.next = i + 1
    if ahead.asked < at:
        ahead.asked = at
    while ahead.asked < at + TEXT:
        prefetch_to_write(ahead.asked)
        ahead.asked += CACHE_LINE
    if i + 5 < PyList_GET_SIZE(values):
        value = PyList_GET_ITEM(values, i + 5)
        prefetch(<char*>value - BEFORE)
        prefetch(<char*>value + BEHIND)
        expect(value)
    coming = &ahead.coming[(i + 4) % MOST_COMING]
    if coming.fields != NULL:
        prefetch_items(coming.fields)
    coming = &ahead.coming[(i + 3) % MOST_COMING]
    if coming.fields != NULL:
        look_into_own(coming)
    go_deeper(&ahead.coming[(i + 2) % MOST_COMING])
    go_deeper(&ahead.coming[(i + 1) % MOST_COMING])


cdef void look_further(Ahead* ahead) noexcept:
    """While that item is written, take the other step into each of those behind it."""
    cdef PyObject* value
    cdef Coming* coming
    cdef Py_ssize_t i = ahead.next - 1
    coming = &ahead.coming[(i + 5) % MOST_COMING]
    coming.fields = NULL
    coming.count = 0
    if i + 5 < PyList_GET_SIZE(ahead.values):
        value = PyList_GET_ITEM(ahead.values, i + 5)
        coming.layout = layout_of(Py_TYPE(value))
        if coming.layout != NULL:
            coming.fields = fields_at(value)
            prefetch(coming.fields)
            prefetch(extras_at(value))
    coming = &ahead.coming[(i + 4) % MOST_COMING]
    if coming.fields != NULL:
        prefetch_own(coming)
    prefetch_values(&ahead.coming[(i + 3) % MOST_COMING])
    prefetch_values(&ahead.coming[(i + 2) % MOST_COMING])
    prefetch_values(&ahead.coming[(i + 1) % MOST_COMING])
