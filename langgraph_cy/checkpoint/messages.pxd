# cython: language_level=3
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint64_t
from libc.string cimport memcmp

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyList_Type, PyUnicode_Type
    PyTypeObject* type_of "Py_TYPE"(PyObject* value) noexcept
    PyObject** _PyObject_GetDictPtr(PyObject* owner) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    int PyUnicode_KIND(PyObject* text) noexcept
    void* PyUnicode_DATA(PyObject* text) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept

cdef enum Kind:
    ANY = 1         # whatever JSON represents
    STRING
    OPTIONAL_STRING
    INTEGER
    OPTIONAL_INTEGER
    MAPPING         # a dict with string keys
    LITERAL         # one of some strings
    CONTENT         # a string, or a list of strings and dicts
    TYPED           # a dict of a shape
    OPTIONAL_TYPED
    LIST_OF_TYPED
    EMPTY_STRING
    NULL_ONLY
    NEVER           # must not be there

cdef enum:
    MOST_FIELDS = 16

cdef str TOOL_CALLS
cdef frozenset NOT_EXTRAS     # keys that a constructor takes for something else than a field


cdef class Shape:
    """The keys of a dictionary, in order, and what may stand under each."""

    cdef Py_ssize_t count
    cdef tuple names                  # interned
    cdef Kind kinds[MOST_FIELDS]
    cdef list details                 # by index: the strings of a LITERAL, the Shape of a TYPED
    cdef PyObject* detail[MOST_FIELDS]     # the same
    cdef list leads                   # by index: the text before a value, and some more characters
    cdef const char* lead[MOST_FIELDS]     # the same
    cdef Py_ssize_t lead_length[MOST_FIELDS]
    cdef PyObject* usual[MOST_FIELDS]      # by index: the first string of a LITERAL, or NULL
    cdef const char* usual_text[MOST_FIELDS]   # its text, and some more characters
    cdef Py_ssize_t usual_length[MOST_FIELDS]
    cdef list usual_texts             # where these are
    cdef unsigned int required        # bits by index
    cdef bint open                    # other keys may follow


cdef class Layout(Shape):
    """A class of messages: the fields in its `__dict__`, and the envelope they are written in."""

    cdef object cls
    cdef bytes opening                # the JSON text before the fields
    cdef int own[MOST_FIELDS]         # the fields with values of a message's own, by index
    cdef Py_ssize_t own_count
    cdef bint parses_calls            # tool calls are made of what `additional_kwargs` holds
    cdef bint direct                  # instances may be put together without calling the class
    cdef dict defaults                # every field, in order
    cdef frozenset name_set

    cdef object build(self, dict fields, dict extras)


cdef Py_ssize_t EXTRA_OFFSET

cdef enum:
    PLACES = 128          # of the table of classes, of which a quarter is used at most

cdef PyTypeObject* classes[PLACES]
cdef PyObject* layouts[PLACES]
cdef PyObject* layout_opened(const char* chars, Py_ssize_t room) noexcept


cdef inline size_t place_of(PyTypeObject* type) noexcept:
    """Where in the table a class is, or else where it would go."""
    cdef size_t i = <size_t>(<uint64_t>type * 0x9E3779B97F4A7C15ULL >> 57)
    while classes[i] != type and classes[i] != NULL:
        i = (i + 1) % PLACES
    return i


cdef inline PyObject* layout_of(PyTypeObject* type) noexcept:
    """The Layout of a class (borrowed), NULL if it isn't a known class of messages."""
    return layouts[place_of(type)]


cdef inline PyObject* fields_at(PyObject* message) noexcept:
    """The `__dict__` of a message (borrowed), NULL if it has none yet."""
    cdef PyObject** at = _PyObject_GetDictPtr(message)
    return NULL if at == NULL else at[0]


cdef inline PyObject* extras_at(PyObject* message) noexcept:
    """The `__pydantic_extra__` of a message (borrowed), NULL if it has none."""
    return (<PyObject**>(<char*>message + EXTRA_OFFSET))[0]


cdef inline bint same_text(PyObject* one, PyObject* other) noexcept:
    """Whether two str are equal."""
    cdef Py_ssize_t length
    if one == other:
        return True
    length = PyUnicode_GET_LENGTH(one)
    if length != PyUnicode_GET_LENGTH(other) or PyUnicode_KIND(one) != PyUnicode_KIND(other):
        return False
    return memcmp(
        PyUnicode_DATA(one), PyUnicode_DATA(other), length * PyUnicode_KIND(one)
    ) == 0


cdef inline bint is_one_of(PyObject* string, PyObject* allowed) noexcept:
    """Whether a str is equal to one in a tuple."""
    cdef Py_ssize_t i
    for i in range(PyTuple_GET_SIZE(allowed)):
        if same_text(string, PyTuple_GET_ITEM(allowed, i)):
            return True
    return False


cdef inline bint fits_content(PyObject* value) noexcept:
    """Whether a value passes as CONTENT."""
    cdef Py_ssize_t i
    cdef PyTypeObject* cls = type_of(value)
    if cls == &PyUnicode_Type:
        return True
    if cls != &PyList_Type:
        return False
    for i in range(PyList_GET_SIZE(value)):
        cls = type_of(PyList_GET_ITEM(value, i))
        if cls != &PyUnicode_Type and cls != &PyDict_Type:
            return False
    return True


cdef inline PyObject* name_at(Shape shape, Py_ssize_t i) noexcept:
    return PyTuple_GET_ITEM(<PyObject*>shape.names, i)


cdef inline Py_ssize_t index_of(Shape shape, PyObject* key, Py_ssize_t guess) noexcept:
    """Where a key (a str) stands, -1 if nowhere; it is looked for at `guess` first."""
    cdef Py_ssize_t i
    if guess < shape.count and same_text(name_at(shape, guess), key):
        return guess
    for i in range(shape.count):
        if same_text(name_at(shape, i), key):
            return i
    return -1
