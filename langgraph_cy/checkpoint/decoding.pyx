# cython: language_level=3, embedsignature=True
"""JSON text as values, the envelopes in it as messages.

A message is made of its text without an envelope between. Anything out of the ordinary, be it only
unlike what `encoding` writes (with spaces, or a message within a message), is left to upstream's
`JsonPlusSerializer`, which then reads the whole text. So all that is refused, warned of or imported
is refused, warned of or imported by upstream's code.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.object cimport PyObject, PyTypeObject
from libc.string cimport memcmp

from langgraph_cy.checkpoint.dict_items cimport Items, items_of, next_item
from langgraph_cy.checkpoint.json_reading cimport (
    Source,
    read_number,
    read_string,
    read_word,
    refuse,
    skip,
)
from langgraph_cy.checkpoint.json_survey cimport is_key
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
    fits_content,
    index_of,
    is_one_of,
    layout_opened,
    name_at,
)

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyList_Type, PyLong_Type, PyUnicode_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    PyObject* Py_None
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    bint PyGC_Disable() noexcept
    bint PyGC_Enable() noexcept

cdef enum:
    MAX_DEPTH = 500


# ---- does a value pass pydantic's validation unchanged? ----------------------------------------

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

cdef object made_of(Layout layout, Source* text, int depth):
    """The message whose fields come next, as calling the class returns it, without the call.

    None where the text isn't as `encoding` writes it, or what the call returns can't be said.
    """
    cdef dict fields = PyDict_Copy(layout.defaults), extras = {}
    cdef bint calls = False
    cdef Py_ssize_t i
    for i in range(layout.count):
        if not leads(text, layout, i):
            return None
        value = read_word(text) if layout.kinds[i] == LITERAL else read_value(text, depth)
        if not fits(layout, i, <PyObject*>value):
            return None
        if layout.kinds[i] == LIST_OF_TYPED and PyList_GET_SIZE(<PyObject*>value):
            calls = True
        PyDict_SetItem(fields, <object>name_at(layout, i), value)
    if layout.parses_calls and not calls and TOOL_CALLS in <dict>fields["additional_kwargs"]:
        return None
    while text.at[0] == c",":
        text.at += 1
        key = read_key(text)
        if not layout.open or index_of(layout, <PyObject*>key, 0) >= 0 or key in NOT_EXTRAS:
            return None
        extras[key] = read_value(text, depth)
    skip(text, b"}}", 2)
    return layout.build(fields, extras if layout.open else None)


cdef inline bint leads(Source* text, Layout layout, Py_ssize_t i) noexcept:
    """Whether the name of a field comes next, and what comes before it; it is read then."""
    cdef Py_ssize_t length = layout.lead_length[i] - 1
    if text.end - text.at <= length or text.at[0] != (c"," if i else c"{"):
        return False
    if memcmp(text.at + 1, layout.lead[i] + 1, length) != 0:
        return False
    text.at += length + 1
    return True


cdef object read_message(Source* text, int depth):
    """The message in an envelope that `encoding` may have written. None is within another."""
    cdef PyObject* found = layout_opened(text.at, text.end - text.at)
    if found == NULL or text.in_message:
        refuse()
    text.at += PyBytes_GET_SIZE((<Layout>found).opening)
    text.in_message = True
    message = read_fields(text, <Layout>found, depth + 1)
    text.in_message = False
    return message


cdef object read_fields(Source* text, Layout layout, int depth):
    """The message whose fields and the end of whose envelope come next."""
    cdef const char* start = text.at
    if layout.direct:
        made = made_of(layout, text, depth)
        if made is not None:
            return made
        text.at = start
    kwargs = read_value(text, depth)
    skip(text, b"}", 1)
    if type(kwargs) is not dict or not kwargs:
        refuse()
    try:
        return layout.cls(**kwargs)
    except Exception:
        refuse()                       # upstream returns something else, and warns


# ---- values ------------------------------------------------------------------------------------

cdef inline object read_key(Source* text):
    """A key with its colon; `lc` is none, but in envelopes that `encoding` may have written."""
    key = read_word(text)
    if text.at[0] != c":" or not is_key(<PyObject*>key):
        refuse()
    text.at += 1
    return key


cdef object read_mapping(Source* text, int depth):
    cdef dict made
    if text.end - text.at > 5 and memcmp(text.at + 1, b'"lc":', 5) == 0:
        return read_message(text, depth)
    made = {}
    if text.at[1] == c"}":
        text.at += 2
        return made
    if depth > MAX_DEPTH:
        refuse()
    while True:
        text.at += 1
        key = read_key(text)
        PyDict_SetItem(made, key, read_value(text, depth + 1))
        if text.at[0] != c",":
            skip(text, b"}", 1)
            return made


cdef object read_list(Source* text, int depth):
    cdef list made = []
    if text.at[1] == c"]":
        text.at += 2
        return made
    if depth > MAX_DEPTH:
        refuse()
    while True:
        text.at += 1
        made.append(read_value(text, depth + 1))
        if text.at[0] != c",":
            skip(text, b"]", 1)
            return made


cdef object read_value(Source* text, int depth):
    cdef char first = text.at[0]
    if first == c'"':
        return read_string(text)
    if first == c"{":
        return read_mapping(text, depth)
    if first == c"[":
        return read_list(text, depth)
    if first == c"n":
        skip(text, b"null", 4)
        return None
    if first == c"t":
        skip(text, b"true", 4)
        return True
    if first == c"f":
        skip(text, b"false", 5)
        return False
    return read_number(text)


def decode(data, otherwise):
    """The value of a JSON text.

    Args:
        data: the text, as UTF-8.
        otherwise: what to return where upstream has to read the text.
    """
    cdef Source text
    cdef bint collecting
    if type(data) is not bytes:
        if not isinstance(data, (bytearray, memoryview)):
            return otherwise
        try:
            data = bytes(data)
        except ValueError:
            return otherwise           # a view that was released
    text.at = PyBytes_AS_STRING(data)
    text.end = text.at + PyBytes_GET_SIZE(data)
    text.in_message = False
    # all that is made is in use: there is nothing to be collected
    collecting = PyGC_Disable()
    try:
        value = read_value(&text, 0)
        return value if text.at == text.end else otherwise
    except ValueError:
        return otherwise
    finally:
        if collecting:
            PyGC_Enable()
