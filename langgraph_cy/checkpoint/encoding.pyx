# cython: language_level=3, embedsignature=True
"""Values as JSON text, or not at all.

A value is declined as a whole where reading the text, with upstream's `JsonPlusSerializer` or
with `decoding`, would not give exactly what upstream's own encoding gives after a round trip.
The value is walked through to find that out; then orjson writes the text.

Only exact types are looked into, and garbage isn't collected meanwhile. So no code of others
runs, nor any other thread: what is written is what was seen on the walk.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from libc.math cimport isfinite
from libc.string cimport memcpy

from orjson import Fragment, JSONEncodeError, dumps

from langgraph_cy.checkpoint.fragments cimport DICT, LIST, TUPLE, Trace, find, keep, note
from langgraph_cy.checkpoint.messages cimport (
    ANY,
    CONTENT,
    EMPTY_STRING,
    INTEGER,
    LIST_OF_TYPED,
    LITERAL,
    MAPPING,
    NULL_ONLY,
    OPTIONAL_INTEGER,
    OPTIONAL_STRING,
    OPTIONAL_TYPED,
    STRING,
    TYPED,
    Kind,
    Layout,
    Shape,
    extras_at,
    fields_at,
    index_of,
    is_one_of,
    layout_of,
    name_at,
    same_text,
)

cdef extern from "Python.h":
    PyTypeObject PyBool_Type, PyDict_Type, PyFloat_Type, PyList_Type, PyLong_Type
    PyTypeObject PyTuple_Type, PyUnicode_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    PyObject* Py_None
    int PyDict_Next(
        PyObject* dictionary, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    double PyFloat_AS_DOUBLE(PyObject* number) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    int PyUnicode_KIND(PyObject* text) noexcept
    void* PyUnicode_DATA(PyObject* text) noexcept
    bint PyGC_Disable() noexcept
    bint PyGC_Enable() noexcept

# Half of what pydantic dumps and orjson writes, and far from where a small stack ends.
cdef enum:
    MAX_DEPTH = 120

cdef enum:
    PLAIN = 0           # orjson can write it: all but too long integers and surrogates, which it
    DECLINED = 1        # refuses itself
    MIXED = 2           # there are messages in it

cdef str TOOL_CALLS = "tool_calls"

# Keys that a constructor of a message takes for something else than a field.
cdef frozenset NOT_EXTRAS = frozenset(("self", "content_blocks"))


# ---- what JSON knows ---------------------------------------------------------------------------

cdef inline bint is_key(PyObject* key) noexcept:
    """Whether JSON has such keys, and it isn't `lc`, which makes an envelope of a dictionary."""
    cdef char* chars
    if Py_TYPE(key) != &PyUnicode_Type:
        return False
    if PyUnicode_GET_LENGTH(key) != 2:
        return True
    chars = <char*>PyUnicode_DATA(key)
    return PyUnicode_KIND(key) != 1 or chars[0] != c"l" or chars[1] != c"c"


cdef int survey_mapping(PyObject* values, Trace* trace, int depth) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note(trace, values, DICT)
    while PyDict_Next(values, &at, &key, &value):
        found = survey(value, trace, depth + 1) if is_key(key) else DECLINED
        if found == DECLINED:
            return DECLINED
        all |= found
    return all


cdef int survey_list(PyObject* values, Trace* trace, int depth) except -1:
    cdef Py_ssize_t i
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note(trace, values, LIST)
    for i in range(PyList_GET_SIZE(values)):
        found = survey(PyList_GET_ITEM(values, i), trace, depth + 1)
        if found == DECLINED:
            return DECLINED
        all |= found
    return all


cdef int survey_tuple(PyObject* values, Trace* trace, int depth) except -1:
    cdef Py_ssize_t i
    cdef int found, all = PLAIN
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note(trace, values, TUPLE)
    for i in range(PyTuple_GET_SIZE(values)):
        found = survey(PyTuple_GET_ITEM(values, i), trace, depth + 1)
        if found == DECLINED:
            return DECLINED
        all |= found
    return all


cdef int survey(PyObject* value, Trace* trace, int depth) except -1:
    """PLAIN, DECLINED or MIXED.

    With a trace, the value is within a message: what it consists of is noted, and messages in it
    are declined, since pydantic makes dictionaries of them.
    """
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type or value == Py_None or cls == &PyLong_Type or cls == &PyBool_Type:
        return PLAIN
    if cls == &PyDict_Type:
        return survey_mapping(value, trace, depth)
    if cls == &PyList_Type:
        return survey_list(value, trace, depth)
    if cls == &PyFloat_Type:
        return PLAIN if isfinite(PyFloat_AS_DOUBLE(value)) else DECLINED
    if cls == &PyTuple_Type:
        return survey_tuple(value, trace, depth)
    if trace == NULL and layout_of(cls) is not None:
        return MIXED
    return DECLINED


cdef bytes written(object value):
    try:
        return dumps(value)
    except JSONEncodeError:
        return None


# ---- messages ----------------------------------------------------------------------------------

cdef int check_content(PyObject* value, Trace* trace) except -1:
    cdef Py_ssize_t i
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        return PLAIN
    if cls != &PyList_Type:
        return DECLINED
    for i in range(PyList_GET_SIZE(value)):
        cls = Py_TYPE(PyList_GET_ITEM(value, i))
        if cls != &PyUnicode_Type and cls != &PyDict_Type:
            return DECLINED
    return survey_list(value, trace, 2)


cdef int check_typed(Shape shape, PyObject* values, Trace* trace, int depth) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0, i, guess = 0
    cdef unsigned int found = 0
    if Py_TYPE(values) != &PyDict_Type:
        return DECLINED
    note(trace, values, DICT)
    while PyDict_Next(values, &at, &key, &value):
        if not is_key(key):
            return DECLINED
        i = index_of(shape, key, guess)
        guess += 1
        if i >= 0:
            found |= 1 << i
            if check_field(shape, i, value, trace, depth):
                return DECLINED
        elif not shape.open or survey(value, trace, depth):
            return DECLINED
    return PLAIN if found & shape.required == shape.required else DECLINED


cdef int check_field(
    Shape shape, Py_ssize_t i, PyObject* value, Trace* trace, int depth
) except -1:
    """PLAIN if pydantic dumps and validates the value of a field as it is."""
    cdef Kind kind = shape.kinds[i]
    cdef PyTypeObject* cls = Py_TYPE(value)
    cdef Py_ssize_t j
    cdef Shape inner
    if kind == ANY:
        return survey(value, trace, depth + 1)
    if kind == CONTENT:
        return check_content(value, trace)
    if value == Py_None:
        return kind not in (OPTIONAL_STRING, OPTIONAL_TYPED, OPTIONAL_INTEGER, NULL_ONLY)
    if kind == STRING or kind == OPTIONAL_STRING:
        return cls != &PyUnicode_Type
    if kind == MAPPING:
        return DECLINED if cls != &PyDict_Type else survey_mapping(value, trace, depth + 1)
    if kind == LITERAL:
        return cls != &PyUnicode_Type or not is_one_of(value, <PyObject*>shape.details[i])
    if kind == INTEGER or kind == OPTIONAL_INTEGER:
        return cls != &PyLong_Type
    if kind == EMPTY_STRING:
        return cls != &PyUnicode_Type or PyUnicode_GET_LENGTH(value) != 0
    if kind == TYPED or kind == OPTIONAL_TYPED:
        inner = <Shape>shape.details[i]
        return check_typed(inner, value, trace, depth + 1)
    if kind == LIST_OF_TYPED:
        if cls != &PyList_Type:
            return DECLINED
        inner = <Shape>shape.details[i]
        note(trace, value, LIST)
        for j in range(PyList_GET_SIZE(value)):
            if check_typed(inner, PyList_GET_ITEM(value, j), trace, depth + 2):
                return DECLINED
        return PLAIN
    return DECLINED


cdef int check_extras(Layout layout, PyObject* extras, Trace* trace) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0
    if extras == Py_None:
        return PLAIN
    if extras == NULL or Py_TYPE(extras) != &PyDict_Type:
        return DECLINED
    if PyDict_GET_SIZE(extras) == 0:
        note(trace, extras, DICT)
        return PLAIN
    if not layout.open or survey_mapping(extras, trace, 1):
        return DECLINED
    while PyDict_Next(extras, &at, &key, &value):
        if index_of(layout, key, 0) >= 0 or <object>key in NOT_EXTRAS:
            return DECLINED
    return PLAIN


cdef int check_fields(Layout layout, PyObject* fields, Trace* trace) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef PyObject* parsed = NULL       # additional_kwargs
    cdef bint calls = False
    cdef Py_ssize_t at = 0, i = 0
    if PyDict_GET_SIZE(fields) != layout.count:
        return DECLINED
    note(trace, fields, DICT)
    while PyDict_Next(fields, &at, &key, &value):
        if i >= layout.count or Py_TYPE(key) != &PyUnicode_Type:
            return DECLINED
        if not same_text(key, name_at(layout, i)):
            return DECLINED
        if check_field(layout, i, value, trace, 1):
            return DECLINED
        if layout.parses_calls:
            if i == 1:
                parsed = value
            elif layout.kinds[i] == LIST_OF_TYPED and PyList_GET_SIZE(value):
                calls = True
        i += 1
    if parsed != NULL and not calls and TOOL_CALLS in <dict>parsed:
        return DECLINED                # the class would parse these
    return PLAIN


cdef Trace message_trace       # used by one walk at a time, see above


cdef bytes text_of_new(Layout layout, PyObject* message):
    """The text of a message that has changed or is new, None if it is declined."""
    cdef PyObject* fields = fields_at(message)
    cdef PyObject* extras = extras_at(message)
    cdef object kwargs = <object>fields
    cdef bytes body, made
    cdef char* at
    message_trace.count = 0
    if check_fields(layout, fields, &message_trace):
        return None
    if check_extras(layout, extras, &message_trace):
        return None
    if extras != Py_None and PyDict_GET_SIZE(extras):
        kwargs = {**<dict>fields, **<dict>extras}
    body = written(kwargs)
    if body is None:
        return None
    made = PyBytes_FromStringAndSize(
        NULL, PyBytes_GET_SIZE(layout.opening) + PyBytes_GET_SIZE(body) + 1)
    at = PyBytes_AS_STRING(made)
    memcpy(at, PyBytes_AS_STRING(layout.opening), PyBytes_GET_SIZE(layout.opening))
    at += PyBytes_GET_SIZE(layout.opening)
    memcpy(at, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body))
    at[PyBytes_GET_SIZE(body)] = c"}"
    keep(<object>message, made, &message_trace)
    return made


cdef bytes text_of_message(PyObject* value):
    """The text of a message, None if it is no message or declined."""
    cdef Layout layout
    cdef bytes found = find(value)
    if found is None:
        layout = layout_of(Py_TYPE(value))
        if layout is not None:
            found = text_of_new(layout, value)
    return found


# ---- whole values ------------------------------------------------------------------------------

cdef list texts_of(list messages):
    """The texts of messages; None if there is anything else among them."""
    cdef list found = []
    cdef bytes text
    for message in messages:
        text = text_of_message(<PyObject*>message)
        if text is None:
            return None
        found.append(text)
    return found


cdef bytes joined(list texts):
    """A JSON list of these."""
    cdef Py_ssize_t size = 1
    cdef bytes text, whole
    cdef char* at
    for text in texts:
        size += PyBytes_GET_SIZE(text) + 1
    whole = PyBytes_FromStringAndSize(NULL, size)
    at = PyBytes_AS_STRING(whole)
    at[0] = c"["
    for text in texts:
        memcpy(at + 1, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))
        at += PyBytes_GET_SIZE(text) + 1
        at[0] = c","
    at[0] = c"]"
    return whole


cdef object with_texts(object value):
    """The value with texts in place of its messages, None if one of them is declined."""
    cdef list items
    cdef dict mapping
    if type(value) is dict:
        mapping = {}
        for key, item in (<dict>value).items():
            made = with_texts(item)
            if made is None and item is not None:
                return None
            mapping[key] = made
        return mapping
    if type(value) is list or type(value) is tuple:
        items = []
        for item in value:
            made = with_texts(item)
            if made is None and item is not None:
                return None
            items.append(made)
        return items
    if layout_of(Py_TYPE(<PyObject*>value)) is None:
        return value
    made = text_of_message(<PyObject*>value)
    return None if made is None else Fragment(made)


cdef bint is_list_of_messages(object value) noexcept:
    return (
        Py_TYPE(<PyObject*>value) == &PyList_Type
        and PyList_GET_SIZE(<PyObject*>value) > 0
        and layout_of(Py_TYPE(PyList_GET_ITEM(<PyObject*>value, 0))) is not None
    )


cdef object text_of(object value):
    cdef list texts
    cdef int found
    if value is None:
        return None                    # upstream has a tag for it
    if is_list_of_messages(value):
        texts = texts_of(value)
        if texts is not None:
            return joined(texts)
    elif layout_of(Py_TYPE(<PyObject*>value)) is not None:
        return text_of_message(<PyObject*>value)
    found = survey(<PyObject*>value, NULL, 0)
    if found == MIXED:
        value = with_texts(value)
        if value is None:
            return None
    return None if found == DECLINED else written(value)


def encode(value):
    """The JSON text of a value, as UTF-8; None if it isn't to be written as JSON."""
    cdef bint collecting = PyGC_Disable()
    try:
        return text_of(value)
    finally:
        if collecting:
            PyGC_Enable()


def encode_parts(value):
    """A list of messages as parts, which joined are what `encode` returns; otherwise None."""
    cdef list texts, parts = []
    cdef bint collecting
    if not is_list_of_messages(value):
        return None
    collecting = PyGC_Disable()
    try:
        texts = texts_of(value)
    finally:
        if collecting:
            PyGC_Enable()
    if texts is None:
        return None
    for text in texts:
        parts.append(b"," if parts else b"[")
        parts.append(text)
    parts.append(b"]")
    return tuple(parts)
