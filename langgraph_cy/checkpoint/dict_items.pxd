# cython: language_level=3
from cpython.object cimport PyObject

# The items of a dict in order, as `PyDict_Next` gives them. Where the keys are strings, they are
# read where they lie, which takes a fifth of the instructions; nothing may change meanwhile.
cdef extern from *:
    """
    #include <stdint.h>

    /* The versions known to keep the keys of a dict so. */
    #if PY_VERSION_HEX >= 0x030B0000 && PY_VERSION_HEX < 0x030F0000 \\
        && !defined(PYPY_VERSION) && !defined(Py_GIL_DISABLED)
    #define LGCY_KNOWN_KEYS 1
    #else
    #define LGCY_KNOWN_KEYS 0
    #endif

    /* CPython's, of whose headers only those of its own modules may include this. */
    typedef struct {
        Py_ssize_t refcnt;
        uint8_t log2_size, log2_index_bytes, kind;    /* 0: there are other keys than strings */
        uint32_t version;
        Py_ssize_t usable, nentries;
        char indices[];                               /* the entries come behind them */
    } lgcy_keys;

    typedef struct {
        PyObject *key, *value;                        /* no value: removed */
    } lgcy_entry;

    typedef struct {
        const lgcy_entry *at, *end;
        PyObject *general;    /* a dict to ask `PyDict_Next`, NULL if there is no need to */
        Py_ssize_t position;
    } lgcy_items;

    static inline void lgcy_items_of(PyObject *mapping, lgcy_items *items) {
    #if LGCY_KNOWN_KEYS
        const PyDictObject *dict = (PyDictObject *)mapping;
        const lgcy_keys *keys = (const lgcy_keys *)dict->ma_keys;
        if (dict->ma_values == NULL && keys->kind != 0) {
            items->at = (const lgcy_entry *)(keys->indices + ((size_t)1 << keys->log2_index_bytes));
            items->end = items->at + keys->nentries;
            items->general = NULL;
            return;
        }
    #endif
        items->at = items->end = NULL;
        items->general = mapping;
        items->position = 0;
    }

    /* Where so many items lie, NULL if there are others or they don't lie so. */
    static inline const lgcy_entry *lgcy_entries_of(PyObject *mapping, Py_ssize_t count) {
        lgcy_items items;
        lgcy_items_of(mapping, &items);
        return items.end - items.at == count && PyDict_GET_SIZE(mapping) == count ? items.at : NULL;
    }

    static inline int lgcy_next_item(lgcy_items *items, PyObject **key, PyObject **value) {
        while (items->at < items->end) {
            const lgcy_entry *entry = items->at++;
            if (entry->value != NULL) {
                *key = entry->key;
                *value = entry->value;
                return 1;
            }
        }
        if (items->general) {    /* with copies, so that the rest can be in registers */
            Py_ssize_t position = items->position;
            PyObject *its_key, *its_value;
            if (PyDict_Next(items->general, &position, &its_key, &its_value)) {
                items->position = position;
                *key = its_key;
                *value = its_value;
                return 1;
            }
        }
        return 0;
    }
    """
    ctypedef struct Items "lgcy_items":
        pass
    ctypedef struct Entry "lgcy_entry":
        PyObject* key
        PyObject* value

    void items_of "lgcy_items_of"(PyObject* mapping, Items* items) noexcept
    const Entry* entries_of "lgcy_entries_of"(PyObject* mapping, Py_ssize_t count) noexcept
    bint next_item "lgcy_next_item"(Items* items, PyObject** key, PyObject** value) noexcept
