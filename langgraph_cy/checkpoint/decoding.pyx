# cython: language_level=3, embedsignature=True
"""JSON text as values: parsed by orjson, then the envelopes in it made messages, in place.

Anything out of the ordinary, be it only unlike what `encoding` writes, is left to upstream's
`JsonPlusSerializer`, which then reads the whole text. So all that is refused, warned of or
imported is refused, warned of or imported by upstream's code.
"""

from cpython.dict cimport PyDict_Copy, PyDict_GetItem, PyDict_SetItem
from cpython.list cimport PyList_SetItem
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

from orjson import JSONDecodeError, loads

from langgraph_cy.checkpoint.dict_items cimport Items, items_of, next_item
from langgraph_cy.checkpoint.json_survey cimport is_key
from langgraph_cy.checkpoint.messages cimport (
    ANY,
    CONTENT,
    EMPTY_STRING,
    INTEGER,
    LIST_OF_TYPED,
    LITERAL,
    MAPPING,
    MOST_FIELDS,
    NULL_ONLY,
    OPTIONAL_INTEGER,
    OPTIONAL_STRING,
    OPTIONAL_TYPED,
    STRING,
    TYPED,
    Kind,
    Layout,
    Shape,
    index_of,
    is_one_of,
    layout_named,
    name_at,
    same_text,
)

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyFloat_Type, PyList_Type, PyLong_Type, PyUnicode_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    PyObject* Py_None
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    double PyFloat_AS_DOUBLE(PyObject* number) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    bint PyGC_Disable() noexcept
    bint PyGC_Enable() noexcept

cdef enum:
    DONE = 0
    UNUSUAL = 1        # for upstream to read
    MAX_DEPTH = 500

cdef tuple ENVELOPE = ("lc", "type", "id", "kwargs")
cdef str CONSTRUCTOR = "constructor"
cdef str TOOL_CALLS = "tool_calls"
cdef str CONTENT_BLOCKS = "content_blocks"
cdef str SELF = "self"
cdef object LC_VERSION = 2
cdef double TOO_LARGE = 2.0 ** 63


# ---- does a value pass pydantic's validation unchanged? ----------------------------------------

cdef bint fits_content(PyObject* value) noexcept:
    cdef Py_ssize_t i
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        return True
    if cls != &PyList_Type:
        return False
    for i in range(PyList_GET_SIZE(value)):
        cls = Py_TYPE(PyList_GET_ITEM(value, i))
        if cls != &PyUnicode_Type and cls != &PyDict_Type:
            return False
    return True


cdef bint fits_typed(Shape shape, PyObject* values) noexcept:
    """Also in the order of its keys, which validation would bring about."""
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t i, last = -1
    cdef unsigned int found = 0
    cdef Items items
    if Py_TYPE(values) != &PyDict_Type:
        return False
    items_of(values, &items)
    while next_item(&items, &key, &value):
        i = index_of(shape, key, last + 1)
        if i < 0:
            if not shape.open:
                return False
            last = shape.count         # others come behind all that are known
            continue
        if i <= last or not fits(shape, i, value):
            return False
        last = i
        found |= 1 << i
    return found & shape.required == shape.required


cdef bint fits(Shape shape, Py_ssize_t i, PyObject* value) noexcept:
    cdef Kind kind = shape.kinds[i]
    cdef PyTypeObject* cls = Py_TYPE(value)
    cdef Py_ssize_t j
    cdef Shape inner
    if kind == ANY:
        return True
    if kind == CONTENT:
        return fits_content(value)
    if value == Py_None:
        return kind in (OPTIONAL_STRING, OPTIONAL_TYPED, OPTIONAL_INTEGER, NULL_ONLY)
    if kind == STRING or kind == OPTIONAL_STRING:
        return cls == &PyUnicode_Type
    if kind == MAPPING:
        return cls == &PyDict_Type
    if kind == LITERAL:
        return cls == &PyUnicode_Type and is_one_of(value, shape.detail[i])
    if kind == INTEGER or kind == OPTIONAL_INTEGER:
        return cls == &PyLong_Type
    if kind == EMPTY_STRING:
        return cls == &PyUnicode_Type and PyUnicode_GET_LENGTH(value) == 0
    if kind == TYPED or kind == OPTIONAL_TYPED:
        inner = <Shape>shape.detail[i]
        return fits_typed(inner, value)
    if kind == LIST_OF_TYPED:
        if cls != &PyList_Type:
            return False
        inner = <Shape>shape.detail[i]
        for j in range(PyList_GET_SIZE(value)):
            if not fits_typed(inner, PyList_GET_ITEM(value, j)):
                return False
        return True
    return False


# ---- messages ----------------------------------------------------------------------------------

cdef bint has_lc(PyObject* values) noexcept:
    """Whether a dict is an envelope, or means to look like one."""
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    items_of(values, &items)
    while next_item(&items, &key, &value):
        if not is_key(key):
            return True
    return False


cdef void find_fields(Layout layout, PyObject* kwargs, PyObject** values) noexcept:
    """The values of a layout's fields, NULL where there is none; most often they are in order."""
    cdef PyObject* key = NULL
    cdef Items items
    cdef Py_ssize_t i = 0
    items_of(kwargs, &items)
    while i < layout.count and next_item(&items, &key, values + i):
        if not same_text(key, name_at(layout, i)):
            break
        i += 1
    for i in range(i, layout.count):
        values[i] = PyDict_GetItem(<object>kwargs, <object>name_at(layout, i))


cdef object put_together(Layout layout, dict kwargs):
    """What calling the class returns, without the call; None where that can't be said."""
    cdef dict fields = PyDict_Copy(layout.defaults), extras = {}
    cdef PyObject* values[MOST_FIELDS]
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t i
    cdef Items items
    cdef bint calls = False
    find_fields(layout, <PyObject*>kwargs, values)
    for i in range(layout.count):
        value = values[i]
        if value == NULL or not fits(layout, i, value):
            return None
        if layout.kinds[i] == LIST_OF_TYPED and PyList_GET_SIZE(value):
            calls = True
        PyDict_SetItem(fields, <object>name_at(layout, i), <object>value)
    if layout.parses_calls and not calls and TOOL_CALLS in <dict>fields["additional_kwargs"]:
        return None
    if not layout.open:
        return layout.build(fields, None)
    if PyDict_GET_SIZE(<PyObject*>kwargs) > layout.count:
        items_of(<PyObject*>kwargs, &items)
        while next_item(&items, &key, &value):
            if index_of(layout, key, 0) < 0:
                extras[<object>key] = <object>value
        if CONTENT_BLOCKS in extras or SELF in extras:
            return None
    return layout.build(fields, extras)


cdef bint is_text(PyObject* value, str text) noexcept:
    return Py_TYPE(value) == &PyUnicode_Type and same_text(value, <PyObject*>text)


cdef object message_of(PyObject* envelope, int depth):
    """The message in an envelope, None if the envelope isn't one that `encoding` writes."""
    cdef PyObject* keys[4]
    cdef PyObject* values[4]
    cdef PyObject* found
    cdef Py_ssize_t i, length
    cdef Layout layout
    cdef dict kwargs
    cdef Items items
    if PyDict_GET_SIZE(envelope) != 4:
        return None
    items_of(envelope, &items)
    for i in range(4):
        next_item(&items, keys + i, values + i)
        if not same_text(keys[i], PyTuple_GET_ITEM(<PyObject*>ENVELOPE, i)):
            return None
    if Py_TYPE(values[0]) != &PyLong_Type or <object>values[0] != LC_VERSION:
        return None
    if not is_text(values[1], CONSTRUCTOR):
        return None
    found = values[2]
    if Py_TYPE(found) != &PyList_Type:
        return None
    length = PyList_GET_SIZE(found)
    if length == 0:
        return None
    for i in range(length):
        if Py_TYPE(PyList_GET_ITEM(found, i)) != &PyUnicode_Type:
            return None
    layout = layout_named(PyList_GET_ITEM(found, length - 1))
    if layout is None or length != PyList_GET_SIZE(<PyObject*>layout.path):
        return None
    for i in range(length - 1):
        if not same_text(PyList_GET_ITEM(found, i), <PyObject*>layout.path[i]):
            return None
    found = values[3]
    if Py_TYPE(found) != &PyDict_Type or PyDict_GET_SIZE(found) == 0:
        return None
    kwargs = <dict>found
    if revive_mapping(found, depth) == UNUSUAL or has_lc(found):
        return None
    if layout.direct:
        made = put_together(layout, kwargs)
        if made is not None:
            return made
    try:
        return layout.cls(**kwargs)
    except Exception:
        return None                    # upstream returns something else, and warns


# ---- a walk through everything -----------------------------------------------------------------

cdef int revive_mapping(PyObject* values, int depth) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef PyTypeObject* cls
    cdef Items items
    items_of(values, &items)
    while next_item(&items, &key, &value):
        cls = Py_TYPE(value)
        if cls == &PyDict_Type:
            if has_lc(value):
                made = message_of(value, depth + 1)
                if made is None:
                    return UNUSUAL
                # no key is new: this may be done while walking
                PyDict_SetItem(<object>values, <object>key, made)
                continue
        if revive(value, cls, depth):
            return UNUSUAL
    return DONE


cdef int revive_list(PyObject* values, int depth) except -1:
    cdef PyObject* value
    cdef PyTypeObject* cls
    cdef Py_ssize_t i
    for i in range(PyList_GET_SIZE(values)):
        value = PyList_GET_ITEM(values, i)
        cls = Py_TYPE(value)
        if cls == &PyDict_Type:
            if has_lc(value):
                made = message_of(value, depth + 1)
                if made is None:
                    return UNUSUAL
                Py_INCREF(made)
                PyList_SetItem(<object>values, i, made)
                continue
        if revive(value, cls, depth):
            return UNUSUAL
    return DONE


cdef inline int revive(PyObject* value, PyTypeObject* cls, int depth) except -1:
    """What is within a value that isn't an envelope itself."""
    if cls == &PyDict_Type:
        if PyDict_GET_SIZE(value) == 0:
            return DONE
        return UNUSUAL if depth > MAX_DEPTH else revive_mapping(value, depth + 1)
    if cls == &PyList_Type:
        if PyList_GET_SIZE(value) == 0:
            return DONE
        return UNUSUAL if depth > MAX_DEPTH else revive_list(value, depth + 1)
    if cls == &PyFloat_Type:
        # perhaps an integer of more than 64 bits, which orjson reads as a float
        return not -TOO_LARGE < PyFloat_AS_DOUBLE(value) < TOO_LARGE
    return DONE


cdef object decoded(object data, object otherwise):
    cdef object value
    try:
        value = loads(data)
    except JSONDecodeError:
        return otherwise
    if type(value) is dict and has_lc(<PyObject*>value):
        value = message_of(<PyObject*>value, 0)
        return otherwise if value is None else value
    if revive(<PyObject*>value, Py_TYPE(<PyObject*>value), 0):
        return otherwise
    return value


def decode(data, otherwise):
    """The value of a JSON text.

    Args:
        data: the text, as UTF-8.
        otherwise: what to return where upstream has to read the text.
    """
    # all that is made is in use: there is nothing to be collected
    cdef bint collecting = PyGC_Disable()
    try:
        return decoded(data, otherwise)
    finally:
        if collecting:
            PyGC_Enable()
