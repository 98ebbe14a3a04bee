# cython: language_level=3, embedsignature=True
"""Values as JSON text, or not at all.

A value is declined as a whole where reading the text, with upstream's `JsonPlusSerializer` or
with `decoding`, would not give exactly what upstream's own encoding gives after a round trip.
A value without messages is walked through to find that out, then orjson writes the text. One with
messages is written on the walk: what a message consists of is noted at the same time, and texts
that are kept are copied.

Only exact types are looked into, and garbage isn't collected meanwhile. So no code of others
runs, nor any other thread: what is written is what was seen on the walk.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject, PyTypeObject
from libc.math cimport isfinite
from libc.string cimport memcpy

from orjson import JSONEncodeError, dumps

from langgraph_cy.checkpoint.dict_items cimport Items, items_of, next_item
from langgraph_cy.checkpoint.fragments cimport (
    Journal,
    Record,
    Trace,
    entered,
    find,
    grown,
    keep,
    left,
    note_dict,
    note_list,
    note_tuple,
)
from langgraph_cy.checkpoint.fragments cimport text_of as text_of_record
from langgraph_cy.checkpoint.json_survey cimport (
    MANY_FLOATS,
    MAX_DEPTH,
    MIXED,
    PLAIN,
    are_floats,
    survey,
)
from langgraph_cy.checkpoint.json_text cimport (
    Text,
    begin,
    finish,
    give_up,
    length_of,
    put,
    put_integer,
    put_key,
    put_lead,
    put_long,
    put_string,
    reserve,
    room_for,
)
from langgraph_cy.checkpoint.look_ahead cimport MANY, Ahead, look_ahead, look_further
from langgraph_cy.checkpoint.messages cimport (
    ANY,
    CONTENT,
    EMPTY_STRING,
    INTEGER,
    LIST_OF_TYPED,
    LITERAL,
    MAPPING,
    NOT_EXTRAS,
    NULL_ONLY,
    OPTIONAL_INTEGER,
    OPTIONAL_STRING,
    OPTIONAL_TYPED,
    STRING,
    TOOL_CALLS,
    TYPED,
    Kind,
    Layout,
    Shape,
    extras_at,
    fields_at,
    fits_content,
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
    PyObject* Py_True
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PySequence_Fast_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    double PyFloat_AS_DOUBLE(PyObject* number) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    bint PyGC_Disable() noexcept
    bint PyGC_Enable() noexcept


# ---- values without messages -------------------------------------------------------------------

cdef bytes written(object value):
    try:
        return dumps(value)
    except JSONEncodeError:
        return None


# ---- values with messages ----------------------------------------------------------------------
#
# Each of these adds something to a text at `at` and returns what is behind it; NULL without an
# error: the value is declined, and what has been written is of no use. With a trace the value is
# within a message: what it consists of is noted, and messages in it are declined, since pydantic
# makes dictionaries of them.

cdef char* put_by_orjson(Text* text, char* at, PyObject* value) except NULL:
    cdef bytes found = dumps(<object>value)
    return put(text, at, PyBytes_AS_STRING(found), PyBytes_GET_SIZE(found))


cdef inline char* put_few(Text* text, char* at, const char* chars, Py_ssize_t length) except NULL:
    memcpy(at, chars, length)
    return room_for(text, at + length, 0)


cdef inline char* put_end(
    Text* text, char* at, Py_ssize_t start, char opening, char closing
) except NULL:
    """End a container that began there: each item was written with a comma before it."""
    if at == text.start + start:
        at[0] = opening
        at += 1
    else:
        text.start[start] = opening
    at[0] = closing
    return room_for(text, at + 1, 0)


cdef char* put_mapping(
    Text* text, char* at, PyObject* values, Trace* trace, int depth
) except? NULL:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t start
    cdef Items items
    if depth > MAX_DEPTH:
        return NULL
    if trace != NULL:
        note_dict(trace, values)
    if PyDict_GET_SIZE(values) == 0:
        return put_few(text, at, b"{}", 2)
    at = room_for(text, at, 0)
    start = at - text.start
    items_of(values, &items)
    while next_item(&items, &key, &value):
        at = put_key(text, at, key)
        if at == NULL:
            return NULL
        at = put_value(text, at, value, trace, depth + 1)
        if at == NULL:
            return NULL
    return put_end(text, at, start, c"{", c"}")


cdef char* put_items(
    Text* text, char* at, PyObject* values, Py_ssize_t count, Trace* trace, int depth
) except? NULL:
    """The items of a list or a tuple that is `depth` deep."""
    cdef Py_ssize_t i, start
    at = room_for(text, at, 0)
    start = at - text.start
    for i in range(count):
        at[0] = c","
        at = put_value(text, at + 1, PySequence_Fast_GET_ITEM(values, i), trace, depth + 1)
        if at == NULL:
            return NULL
    return put_end(text, at, start, c"[", c"]")


cdef char* put_list(Text* text, char* at, PyObject* values, Trace* trace, int depth) except? NULL:
    cdef Py_ssize_t count = PyList_GET_SIZE(values)
    if depth > MAX_DEPTH:
        return NULL
    if trace != NULL:
        note_list(trace, values)
    if count >= MANY_FLOATS and are_floats(values):
        return put_by_orjson(text, at, values)
    if trace == NULL and count and layout_of(Py_TYPE(PyList_GET_ITEM(values, 0))) != NULL:
        return put_messages(text, at, values, depth)
    return put_items(text, at, values, count, trace, depth)


cdef char* put_tuple(Text* text, char* at, PyObject* values, Trace* trace, int depth) except? NULL:
    if depth > MAX_DEPTH:
        return NULL
    if trace != NULL:
        note_tuple(trace, values)
    return put_items(text, at, values, PyTuple_GET_SIZE(values), trace, depth)


cdef inline char* put_value(
    Text* text, char* at, PyObject* value, Trace* trace, int depth
) except? NULL:
    if Py_TYPE(value) == &PyUnicode_Type:
        return put_string(text, at, value)
    if Py_TYPE(value) == &PyLong_Type:
        return put_integer(text, at, value)
    if value == Py_None:
        return put_few(text, at, b"null", 4)
    if Py_TYPE(value) == &PyDict_Type:
        return put_mapping(text, at, value, trace, depth)
    return put_other_value(text, at, value, trace, depth)


cdef char* put_other_value(
    Text* text, char* at, PyObject* value, Trace* trace, int depth
) except? NULL:
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyList_Type:
        return put_list(text, at, value, trace, depth)
    if cls == &PyBool_Type:
        if value == Py_True:
            return put_few(text, at, b"true", 4)
        return put_few(text, at, b"false", 5)
    if cls == &PyFloat_Type:
        return put_by_orjson(text, at, value) if isfinite(PyFloat_AS_DOUBLE(value)) else NULL
    if cls == &PyTuple_Type:
        return put_tuple(text, at, value, trace, depth)
    return put_message(text, at, value) if trace == NULL else NULL


# ---- messages ----------------------------------------------------------------------------------

cdef char* put_content(Text* text, char* at, PyObject* value, Trace* trace) except? NULL:
    if Py_TYPE(value) == &PyUnicode_Type:
        return put_string(text, at, value)
    return put_list(text, at, value, trace, 2) if fits_content(value) else NULL


cdef char* put_typed(
    Text* text, char* at, Shape shape, PyObject* values, Trace* trace, int depth
) except? NULL:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t i, start, guess = 0
    cdef unsigned int found = 0
    cdef Items items
    if Py_TYPE(values) != &PyDict_Type:
        return NULL
    note_dict(trace, values)
    at = room_for(text, at, 0)
    start = at - text.start
    items_of(values, &items)
    while next_item(&items, &key, &value):
        if guess < shape.count and key == name_at(shape, guess):
            i = guess
            at = put_lead(at, shape.lead[i], shape.lead_length[i])
        else:
            at = put_key(text, at, key)
            if at == NULL:
                return NULL
            i = index_of(shape, key, guess)
        guess += 1
        if i >= 0:
            found |= 1 << i
            at = put_field(text, at, shape, i, value, trace, depth)
        elif shape.open:
            at = put_value(text, at, value, trace, depth)
        else:
            return NULL
        if at == NULL:
            return NULL
    if found & shape.required != shape.required:
        return NULL
    return put_end(text, at, start, c"{", c"}")


cdef char* put_list_of_typed(
    Text* text, char* at, Shape shape, PyObject* values, Trace* trace, int depth
) except? NULL:
    cdef Py_ssize_t i, start = at - text.start
    note_list(trace, values)
    for i in range(PyList_GET_SIZE(values)):
        at[0] = c","
        at = put_typed(text, at + 1, shape, PyList_GET_ITEM(values, i), trace, depth)
        if at == NULL:
            return NULL
    return put_end(text, at, start, c"[", c"]")


cdef enum:
    # Kinds, as bits.
    TEXT = 1 << STRING | 1 << OPTIONAL_STRING | 1 << CONTENT | 1 << ANY
    NULLABLE = 1 << OPTIONAL_STRING | 1 << OPTIONAL_TYPED | 1 << OPTIONAL_INTEGER | 1 << NULL_ONLY
    NUMBER = 1 << INTEGER | 1 << OPTIONAL_INTEGER
    DICTIONARY = 1 << TYPED | 1 << OPTIONAL_TYPED


cdef inline char* put_field(
    Text* text, char* at, Shape shape, Py_ssize_t i, PyObject* value, Trace* trace, int depth
) except? NULL:
    """Declined unless pydantic dumps and validates the value of a field as it is."""
    cdef unsigned int kind = 1 << shape.kinds[i]
    if Py_TYPE(value) == &PyUnicode_Type and kind & TEXT:
        return put_string(text, at, value)
    if value == Py_None and kind & NULLABLE:
        return put_few(text, at, b"null", 4)
    if value == shape.usual[i]:
        at = put_lead(at, shape.usual_text[i], shape.usual_length[i])
        return room_for(text, at, 0)
    if Py_TYPE(value) == &PyLong_Type and kind & NUMBER:
        return put_integer(text, at, value)
    return put_other_field(text, at, shape, i, value, trace, depth)


cdef inline char* put_certain_string(
    Text* text, char* at, Shape shape, Py_ssize_t i, PyObject* value
) except? NULL:
    if shape.kinds[i] == LITERAL and is_one_of(value, shape.detail[i]):
        return put_string(text, at, value)
    if shape.kinds[i] == EMPTY_STRING and PyUnicode_GET_LENGTH(value) == 0:
        return put_few(text, at, b'""', 2)
    return NULL


cdef char* put_other_field(
    Text* text, char* at, Shape shape, Py_ssize_t i, PyObject* value, Trace* trace, int depth
) except? NULL:
    cdef Kind kind = shape.kinds[i]
    cdef PyTypeObject* cls = Py_TYPE(value)
    if kind == ANY:
        return put_value(text, at, value, trace, depth + 1)
    if kind == CONTENT:
        return put_content(text, at, value, trace)
    if cls == &PyDict_Type:
        if kind == MAPPING:
            return put_mapping(text, at, value, trace, depth + 1)
        if 1 << kind & DICTIONARY:
            return put_typed(text, at, <Shape>shape.detail[i], value, trace, depth + 1)
    elif cls == &PyUnicode_Type:
        return put_certain_string(text, at, shape, i, value)
    elif cls == &PyList_Type and kind == LIST_OF_TYPED:
        return put_list_of_typed(text, at, <Shape>shape.detail[i], value, trace, depth + 2)
    return NULL


cdef char* put_extras(
    Text* text, char* at, Layout layout, PyObject* extras, Trace* trace
) except? NULL:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Items items
    if extras == Py_None:
        return at
    if extras == NULL or Py_TYPE(extras) != &PyDict_Type:
        return NULL
    note_dict(trace, extras)
    items_of(extras, &items)
    while next_item(&items, &key, &value):
        if not layout.open:
            return NULL
        at = put_key(text, at, key)
        if at == NULL or index_of(layout, key, 0) >= 0 or <object>key in NOT_EXTRAS:
            return NULL
        at = put_value(text, at, value, trace, 2)
        if at == NULL:
            return NULL
    return at


cdef enum:
    MIDDLE = 2    # the field with which about half of a message has been written


cdef char* put_fields(
    Text* text, char* at, Layout layout, PyObject* fields, Trace* trace, Ahead* ahead
) except? NULL:
    """What is in the `__dict__` of a message."""
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef PyObject* parsed = NULL       # additional_kwargs
    cdef bint calls = False
    cdef Py_ssize_t i = 0
    cdef Items items
    if fields == NULL or PyDict_GET_SIZE(fields) != layout.count:
        return NULL
    note_dict(trace, fields)
    items_of(fields, &items)
    while next_item(&items, &key, &value):
        if key != name_at(layout, i):
            if Py_TYPE(key) != &PyUnicode_Type or not same_text(key, name_at(layout, i)):
                return NULL
        at = put_lead(at, layout.lead[i], layout.lead_length[i])
        at = put_field(text, at, layout, i, value, trace, 1)
        if at == NULL:
            return NULL
        if i == 1:
            parsed = value
        if i == MIDDLE and ahead != NULL:
            look_further(ahead)
        if layout.kinds[i] == LIST_OF_TYPED:
            calls |= PyList_GET_SIZE(value) > 0
        i += 1
    if layout.parses_calls and not calls and PyDict_GET_SIZE(parsed):
        if TOOL_CALLS in <dict>parsed:
            return NULL                # the class would parse these
    return at


cdef Journal journal           # used by one walk at a time, see above

cdef Py_ssize_t typical = 256  # length of a message's text, as the last ones had it

cdef enum:
    MOST_RESERVED = 1 << 22    # bytes for messages that are to come


cdef char* put_new(
    Text* text, char* at, PyObject* message, PyObject* known, Ahead* ahead
) except? NULL:
    """A message that has changed or is new, of a class with this layout.

    With `ahead` those behind it are looked at meanwhile.
    """
    cdef Layout layout = <Layout>known
    cdef Py_ssize_t start
    entered(&journal, message, length_of(text, at))
    at = put(text, at, PyBytes_AS_STRING(layout.opening), PyBytes_GET_SIZE(layout.opening))
    start = at - text.start
    at = put_fields(text, at, layout, fields_at(message), &journal.trace, ahead)
    if at == NULL:
        return NULL
    at = put_extras(text, at, layout, extras_at(message), &journal.trace)
    if at == NULL:
        return NULL
    at = put_end(text, at, start, c"{", c"}")
    at[0] = c"}"
    at = room_for(text, at + 1, 0)
    left(&journal, length_of(text, at))
    return at


cdef char* put_message(Text* text, char* at, PyObject* message) except? NULL:
    """Declined, too, if it isn't one."""
    cdef Record* record = find(message, NULL)
    cdef PyObject* layout = layout_of(Py_TYPE(message))
    if record != NULL:
        return put(text, at, record.chars, record.length)
    return NULL if layout == NULL else put_new(text, at, message, layout, NULL)


cdef char* put_messages(Text* text, char* at, PyObject* values, int depth) except? NULL:
    """A list which begins with a message. Texts that follow each other are copied as one."""
    cdef Py_ssize_t i, length = 0, rest = 0
    cdef PyObject* message
    cdef PyObject* layout
    cdef Ahead ahead
    cdef Record* record
    cdef Record* last = NULL           # one whose text has yet to be copied
    cdef char* chars = NULL            # where that text, and those before it, begins
    at = room_for(text, at, 0)
    at[0] = c"["
    at += 1
    for i in range(PyList_GET_SIZE(values)):
        message = PyList_GET_ITEM(values, i)
        record = find(message, last)
        if record != NULL:
            if last != NULL and record.whole == last.whole and record.chars == chars + length + 1:
                length += record.length + 1
                last = record
                continue
        if last != NULL:
            at = put_long(text, at, chars, length)
            at[0] = c","
            at += 1
        last = record
        if record != NULL:
            chars = record.chars
            length = record.length
            continue
        layout = layout_of(Py_TYPE(message))
        if layout == NULL:
            at = put_value(text, at, message, NULL, depth + 1)
        else:
            if rest == 0:              # the first one
                rest = PyList_GET_SIZE(values) - i
                at = reserve(text, at, min(rest, MOST_RESERVED // typical) * typical)
                ahead.next = -1
            if rest >= MANY:
                look_ahead(&ahead, values, i, at)
            at = put_new(text, at, message, layout, &ahead if rest >= MANY else NULL)
        if at == NULL:
            return NULL
        at[0] = c","
        at += 1
    if last != NULL:
        at = put_long(text, at, chars, length)
        at[0] = c","
        at += 1
    at[-1] = c"]"
    return room_for(text, at, 0)


# ---- whole values ------------------------------------------------------------------------------

cdef bint is_list_of_messages(object value) noexcept:
    return (
        Py_TYPE(<PyObject*>value) == &PyList_Type
        and PyList_GET_SIZE(<PyObject*>value) > 0
        and layout_of(Py_TYPE(PyList_GET_ITEM(<PyObject*>value, 0))) != NULL
    )


cdef bytes text_with_messages(object value):
    """The text of a value in which there may be messages, which are kept; None if declined."""
    global typical
    cdef Text text
    cdef bytes whole = None
    cdef Py_ssize_t room = 0
    cdef Record* record
    cdef char* at = begin(&text)
    try:
        at = put_value(&text, at, <PyObject*>value, NULL, 0)
        if at == NULL:
            return None
        if journal.count:
            typical = length_of(&text, at) // journal.count * 17 // 16 + 1
        if text.count == 1 and text.insertions[0].at == 1 and is_list_of_messages(value):
            record = find(PyList_GET_ITEM(<PyObject*>value, 0), NULL)
            whole = grown(
                record, text.insertions[0].length, text.start + 1, at - text.start - 1)
        if whole is None:
            whole = finish(&text, at, &room)
        keep(&journal, whole, room, None)
        return whole
    finally:
        give_up(&text)
        journal.count = journal.trace.count = 0


cdef bytes text_of(object value):
    cdef int found
    if value is None:
        return None                    # upstream has a tag for it
    if not is_list_of_messages(value):
        found = survey(<PyObject*>value, 0)
        if found == PLAIN:
            return written(value)
        if found != MIXED:
            return None
    return text_with_messages(value)


cdef list texts_of(list messages):
    """The texts of messages; None if one is declined, or there is anything else among them."""
    cdef list found = [], new = []
    cdef PyObject* message
    cdef Record* record = NULL
    cdef PyObject* layout
    cdef Text text
    cdef bytes alone
    cdef Py_ssize_t i
    cdef char* at
    begin(&text)
    try:
        for i in range(len(messages)):
            message = PyList_GET_ITEM(<PyObject*>messages, i)
            record = find(message, record)
            if record != NULL:
                found.append(text_of_record(record))
                continue
            layout = layout_of(Py_TYPE(message))
            if layout == NULL:
                return None
            at = put_new(&text, text.start, message, layout, NULL)
            if at == NULL:
                return None
            alone = PyBytes_FromStringAndSize(text.start, at - text.start)
            new.append(alone)
            found.append(alone)
        keep(&journal, None, 0, new)
        return found
    finally:
        give_up(&text)
        journal.count = journal.trace.count = 0


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
