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

from orjson import JSONEncodeError, dumps

from langgraph_cy.checkpoint.fragments cimport (
    Journal,
    Record,
    Trace,
    entered,
    find,
    keep,
    left,
    note_dict,
    note_list,
    note_tuple,
)
from langgraph_cy.checkpoint.fragments cimport text_of as text_of_record
from langgraph_cy.checkpoint.json_survey cimport (
    DECLINED,
    MANY_FLOATS,
    MAX_DEPTH,
    MIXED,
    PLAIN,
    are_floats,
    is_key,
    survey,
)
from langgraph_cy.checkpoint.json_text cimport (
    Text,
    begin,
    finish,
    give_up,
    length_of,
    put,
    put_char,
    put_integer,
    put_long,
    put_string,
    put_word,
    room_for,
)
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
    PyObject* Py_True
    int PyDict_Next(
        PyObject* dictionary, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PySequence_Fast_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    double PyFloat_AS_DOUBLE(PyObject* number) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    bint PyGC_Disable() noexcept
    bint PyGC_Enable() noexcept
    ctypedef struct Dictionary "PyDictObject":
        void* ma_keys

cdef extern from *:
    """
    #if defined(__GNUC__)
    #define lgcy_prefetch(at) __builtin_prefetch(at)
    #else
    #define lgcy_prefetch(at) ((void)(at))
    #endif
    """
    void prefetch "lgcy_prefetch"(const void* at) noexcept

cdef str TOOL_CALLS = "tool_calls"

# Keys that a constructor of a message takes for something else than a field.
cdef frozenset NOT_EXTRAS = frozenset(("self", "content_blocks"))


# ---- values without messages -------------------------------------------------------------------

cdef bytes written(object value):
    try:
        return dumps(value)
    except JSONEncodeError:
        return None


# ---- values with messages ----------------------------------------------------------------------
#
# Each of these returns PLAIN, or DECLINED; then what has been written is of no use. With a trace
# the value is within a message: what it consists of is noted, and messages in it are declined,
# since pydantic makes dictionaries of them.

cdef int put_by_orjson(Text* text, PyObject* value) except -1:
    cdef bytes found = dumps(<object>value)
    put(text, PyBytes_AS_STRING(found), PyBytes_GET_SIZE(found))
    return PLAIN


cdef int put_mapping(Text* text, PyObject* values, Trace* trace, int depth) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0
    cdef char before = c"{"
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note_dict(trace, values)
    while PyDict_Next(values, &at, &key, &value):
        room_for(text, 1)
        put_char(text, before)
        before = c","
        if not is_key(key) or not put_word(text, key):
            return DECLINED
        room_for(text, 1)
        put_char(text, c":")
        if put_value(text, value, trace, depth + 1):
            return DECLINED
    room_for(text, 2)
    if before == c"{":
        put_char(text, c"{")
    put_char(text, c"}")
    return PLAIN


cdef int put_items(
    Text* text, PyObject* values, Py_ssize_t count, Trace* trace, int depth
) except -1:
    """The items of a list or a tuple that is `depth` deep."""
    cdef Py_ssize_t i
    cdef char before = c"["
    for i in range(count):
        room_for(text, 1)
        put_char(text, before)
        before = c","
        if put_value(text, PySequence_Fast_GET_ITEM(values, i), trace, depth + 1):
            return DECLINED
    room_for(text, 2)
    if before == c"[":
        put_char(text, c"[")
    put_char(text, c"]")
    return PLAIN


cdef int put_list(Text* text, PyObject* values, Trace* trace, int depth) except -1:
    cdef Py_ssize_t count = PyList_GET_SIZE(values)
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note_list(trace, values)
    if count >= MANY_FLOATS and are_floats(values):
        return put_by_orjson(text, values)
    if trace == NULL and count and layout_of(Py_TYPE(PyList_GET_ITEM(values, 0))) is not None:
        return put_messages(text, values, depth)
    return put_items(text, values, count, trace, depth)


cdef int put_tuple(Text* text, PyObject* values, Trace* trace, int depth) except -1:
    if depth > MAX_DEPTH:
        return DECLINED
    if trace != NULL:
        note_tuple(trace, values)
    return put_items(text, values, PyTuple_GET_SIZE(values), trace, depth)


cdef int put_value(Text* text, PyObject* value, Trace* trace, int depth) except -1:
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        return not put_string(text, value)
    if value == Py_None:
        return put(text, b"null", 4)
    if cls == &PyLong_Type:
        return not put_integer(text, value)
    if cls == &PyDict_Type:
        return put_mapping(text, value, trace, depth)
    if cls == &PyList_Type:
        return put_list(text, value, trace, depth)
    if cls == &PyBool_Type:
        return put(text, b"true", 4) if value == Py_True else put(text, b"false", 5)
    if cls == &PyFloat_Type:
        return put_by_orjson(text, value) if isfinite(PyFloat_AS_DOUBLE(value)) else DECLINED
    if cls == &PyTuple_Type:
        return put_tuple(text, value, trace, depth)
    return put_message(text, value) if trace == NULL else DECLINED


# ---- messages ----------------------------------------------------------------------------------

cdef int put_content(Text* text, PyObject* value, Trace* trace) except -1:
    cdef Py_ssize_t i
    cdef PyTypeObject* cls = Py_TYPE(value)
    if cls == &PyUnicode_Type:
        return not put_string(text, value)
    if cls != &PyList_Type:
        return DECLINED
    for i in range(PyList_GET_SIZE(value)):
        cls = Py_TYPE(PyList_GET_ITEM(value, i))
        if cls != &PyUnicode_Type and cls != &PyDict_Type:
            return DECLINED
    return put_list(text, value, trace, 2)


cdef int put_typed(Text* text, Shape shape, PyObject* values, Trace* trace, int depth) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0, i, guess = 0
    cdef unsigned int found = 0
    if Py_TYPE(values) != &PyDict_Type:
        return DECLINED
    note_dict(trace, values)
    while PyDict_Next(values, &at, &key, &value):
        if not is_key(key):
            return DECLINED
        room_for(text, 1)
        put_char(text, c"," if guess else c"{")
        if not put_word(text, key):
            return DECLINED
        room_for(text, 1)
        put_char(text, c":")
        i = index_of(shape, key, guess)
        guess += 1
        if i >= 0:
            found |= 1 << i
            if put_field(text, shape, i, value, trace, depth):
                return DECLINED
        elif not shape.open or put_value(text, value, trace, depth):
            return DECLINED
    room_for(text, 2)
    if guess == 0:
        put_char(text, c"{")
    put_char(text, c"}")
    return PLAIN if found & shape.required == shape.required else DECLINED


cdef int put_field(
    Text* text, Shape shape, Py_ssize_t i, PyObject* value, Trace* trace, int depth
) except -1:
    """DECLINED unless pydantic dumps and validates the value of a field as it is."""
    cdef Kind kind = shape.kinds[i]
    cdef PyTypeObject* cls = Py_TYPE(value)
    cdef Py_ssize_t j, count
    cdef Shape inner
    if kind == ANY:
        return put_value(text, value, trace, depth + 1)
    if kind == CONTENT:
        return put_content(text, value, trace)
    if value == Py_None:
        if kind not in (OPTIONAL_STRING, OPTIONAL_TYPED, OPTIONAL_INTEGER, NULL_ONLY):
            return DECLINED
        return put(text, b"null", 4)
    if cls == &PyUnicode_Type:
        if kind == LITERAL:
            if not is_one_of(value, shape.detail[i]):
                return DECLINED
            return not put_word(text, value)
        elif kind == EMPTY_STRING:
            if PyUnicode_GET_LENGTH(value) != 0:
                return DECLINED
        elif kind != STRING and kind != OPTIONAL_STRING:
            return DECLINED
        return not put_string(text, value)
    if cls == &PyDict_Type:
        if kind == MAPPING:
            return put_mapping(text, value, trace, depth + 1)
        if kind == TYPED or kind == OPTIONAL_TYPED:
            inner = <Shape>shape.detail[i]
            return put_typed(text, inner, value, trace, depth + 1)
        return DECLINED
    if cls == &PyList_Type:
        if kind != LIST_OF_TYPED:
            return DECLINED
        inner = <Shape>shape.detail[i]
        note_list(trace, value)
        room_for(text, 2)
        put_char(text, c"[")
        count = PyList_GET_SIZE(value)
        for j in range(count):
            if j:
                room_for(text, 1)
                put_char(text, c",")
            if put_typed(text, inner, PyList_GET_ITEM(value, j), trace, depth + 2):
                return DECLINED
        room_for(text, 1)
        put_char(text, c"]")
        return PLAIN
    if cls == &PyLong_Type and (kind == INTEGER or kind == OPTIONAL_INTEGER):
        return not put_integer(text, value)
    return DECLINED


cdef int put_extras(Text* text, Layout layout, PyObject* extras, Trace* trace) except -1:
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef Py_ssize_t at = 0
    if extras == Py_None:
        return PLAIN
    if extras == NULL or Py_TYPE(extras) != &PyDict_Type:
        return DECLINED
    note_dict(trace, extras)
    while PyDict_Next(extras, &at, &key, &value):
        if not layout.open or not is_key(key):
            return DECLINED
        if index_of(layout, key, 0) >= 0 or <object>key in NOT_EXTRAS:
            return DECLINED
        room_for(text, 1)
        put_char(text, c",")
        if not put_word(text, key):
            return DECLINED
        room_for(text, 1)
        put_char(text, c":")
        if put_value(text, value, trace, 2):
            return DECLINED
    return PLAIN


cdef struct Fields:
    # The `__dict__` of a message, and what is in it unless that is too much.
    PyObject* message
    PyObject* mapping
    PyObject* keys[MOST_FIELDS]
    PyObject* values[MOST_FIELDS]


cdef inline void gather(Fields* fields, PyObject* message) noexcept:
    cdef Py_ssize_t at = 0, i = 0
    fields.message = message
    fields.mapping = fields_at(message)
    if fields.mapping == NULL or PyDict_GET_SIZE(fields.mapping) > MOST_FIELDS:
        return
    while PyDict_Next(fields.mapping, &at, fields.keys + i, fields.values + i):
        i += 1


cdef int put_fields(Text* text, Layout layout, Fields* fields, Trace* trace) except -1:
    cdef PyObject* key
    cdef PyObject* value
    cdef PyObject* parsed = NULL       # additional_kwargs
    cdef bint calls = False
    cdef Py_ssize_t i
    if fields.mapping == NULL or PyDict_GET_SIZE(fields.mapping) != layout.count:
        return DECLINED
    note_dict(trace, fields.mapping)
    for i in range(layout.count):
        key = fields.keys[i]
        value = fields.values[i]
        if Py_TYPE(key) != &PyUnicode_Type or not same_text(key, name_at(layout, i)):
            return DECLINED
        put(text, layout.lead[i], layout.lead_length[i])
        if put_field(text, layout, i, value, trace, 1):
            return DECLINED
        if layout.parses_calls:
            if i == 1:
                parsed = value
            elif layout.kinds[i] == LIST_OF_TYPED and PyList_GET_SIZE(value):
                calls = True
    if parsed != NULL and not calls and PyDict_GET_SIZE(parsed) and TOOL_CALLS in <dict>parsed:
        return DECLINED                # the class would parse these
    return PLAIN


cdef Journal journal           # used by one walk at a time, see above


cdef int put_new(Text* text, PyObject* message, Fields* fields) except -1:
    """A message that has changed or is new, with its fields gathered."""
    cdef Layout layout = layout_of(Py_TYPE(message))
    if layout is None:
        return DECLINED
    entered(&journal, message, length_of(text))
    if put_fields(text, layout, fields, &journal.trace):
        return DECLINED
    if put_extras(text, layout, extras_at(message), &journal.trace):
        return DECLINED
    put(text, b"}}", 2)
    left(&journal, length_of(text))
    return PLAIN


cdef int put_message(Text* text, PyObject* message) except -1:
    """DECLINED, too, if it isn't one."""
    cdef Record* record = find(message, NULL)
    cdef Fields fields
    if record != NULL:
        return put(text, record.chars, record.length)
    if layout_of(Py_TYPE(message)) is None:
        return DECLINED
    gather(&fields, message)
    return put_new(text, message, &fields)


# Messages lie all over the memory, and most of the time goes in waiting for it: so what is about
# to be read is asked for in good time, one step further into a message with each that is written.

cdef enum:
    CACHE_LINE = 64


cdef inline PyObject* message_at(PyObject* values, Py_ssize_t i) noexcept:
    """The item of a list if it is a message, NULL if there is none."""
    cdef PyObject* message
    if i >= PyList_GET_SIZE(values):
        return NULL
    message = PyList_GET_ITEM(values, i)
    return NULL if layout_of(Py_TYPE(message)) is None else message


cdef inline void prefetch_keys(PyObject* mapping, Py_ssize_t lines) noexcept:
    """Of a dict, if there is one."""
    cdef Py_ssize_t i
    if mapping != NULL:
        for i in range(lines):
            prefetch(<char*>(<Dictionary*>mapping).ma_keys + i * CACHE_LINE)


cdef void look_ahead(PyObject* values, Py_ssize_t i, Fields* next) noexcept:
    """Gather the fields of the message after this one, and ask for what comes behind."""
    cdef PyObject* message
    cdef Py_ssize_t j
    if i + 4 < PyList_GET_SIZE(values):
        prefetch(<char*>PyList_GET_ITEM(values, i + 4) - CACHE_LINE)
        prefetch(PyList_GET_ITEM(values, i + 4))
    message = message_at(values, i + 3)
    if message != NULL:
        prefetch(fields_at(message))
    message = message_at(values, i + 2)
    if message != NULL:
        prefetch_keys(fields_at(message), 5)
    message = message_at(values, i + 1)
    if message == NULL:
        return
    gather(next, message)
    if next.mapping == NULL or PyDict_GET_SIZE(next.mapping) > MOST_FIELDS:
        return
    for j in range(PyDict_GET_SIZE(next.mapping)):
        prefetch(next.values[j])


cdef void look_within(Fields* fields) noexcept:
    """Ask for what is in the dictionaries among the fields."""
    cdef PyObject* value
    cdef Py_ssize_t i
    if fields.mapping == NULL or PyDict_GET_SIZE(fields.mapping) > MOST_FIELDS:
        return
    for i in range(PyDict_GET_SIZE(fields.mapping)):
        value = fields.values[i]
        if Py_TYPE(value) == &PyDict_Type and PyDict_GET_SIZE(value):
            prefetch_keys(value, 4)


cdef int put_messages(Text* text, PyObject* values, int depth) except -1:
    """A list which begins with a message. Texts that follow each other are copied as one."""
    cdef Py_ssize_t i, length = 0
    cdef PyObject* message
    cdef Record* record
    cdef Record* last = NULL           # one whose text has yet to be copied
    cdef char* chars = NULL            # where that text, and those before it, begins
    cdef Fields fields[2]              # of this message and of the next one, in turn
    fields[0].message = fields[1].message = NULL
    room_for(text, 1)
    put_char(text, c"[")
    for i in range(PyList_GET_SIZE(values)):
        message = PyList_GET_ITEM(values, i)
        record = find(message, last)
        if record != NULL:
            if last != NULL and record.whole == last.whole and record.chars == chars + length + 1:
                length += record.length + 1
                last = record
                continue
        if last != NULL:
            put_long(text, chars, length)
            room_for(text, 1)
            put_char(text, c",")
        last = record
        if record != NULL:
            chars = record.chars
            length = record.length
            continue
        if layout_of(Py_TYPE(message)) is None:
            if put_value(text, message, NULL, depth + 1):
                return DECLINED
        else:
            if fields[i & 1].message != message:
                gather(&fields[i & 1], message)
            look_within(&fields[i & 1])
            look_ahead(values, i, &fields[~i & 1])
            if put_new(text, message, &fields[i & 1]):
                return DECLINED
        room_for(text, 1)
        put_char(text, c",")
    if last != NULL:
        put_long(text, chars, length)
        room_for(text, 1)
        put_char(text, c",")
    text.at[-1] = c"]"
    return PLAIN


# ---- whole values ------------------------------------------------------------------------------

cdef bint is_list_of_messages(object value) noexcept:
    return (
        Py_TYPE(<PyObject*>value) == &PyList_Type
        and PyList_GET_SIZE(<PyObject*>value) > 0
        and layout_of(Py_TYPE(PyList_GET_ITEM(<PyObject*>value, 0))) is not None
    )


cdef bytes text_with_messages(object value):
    """The text of a value in which there may be messages, which are kept; None if declined."""
    cdef Text text
    cdef bytes whole
    begin(&text)
    try:
        if put_value(&text, <PyObject*>value, NULL, 0):
            return None
        whole = finish(&text)
        keep(&journal, whole, None)
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
    cdef Text text
    cdef Fields fields
    cdef bytes alone
    cdef Py_ssize_t i
    begin(&text)
    try:
        for i in range(len(messages)):
            message = PyList_GET_ITEM(<PyObject*>messages, i)
            record = find(message, record)
            if record != NULL:
                found.append(text_of_record(record))
                continue
            if layout_of(Py_TYPE(message)) is None:
                return None
            gather(&fields, message)
            if put_new(&text, message, &fields):
                return None
            alone = PyBytes_FromStringAndSize(text.start, text.at - text.start)
            text.at = text.start
            new.append(alone)
            found.append(alone)
        keep(&journal, None, new)
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
