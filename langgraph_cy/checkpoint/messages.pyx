# cython: language_level=3, embedsignature=True
"""What instances of LangChain's message classes are made of, and how they are put together."""

from sys import intern
from types import MemberDescriptorType

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport Py_TYPE
from cpython.set cimport PySet_Add, PySet_New
from libc.string cimport memchr, memcmp

from langgraph_cy.checkpoint.json_text cimport FEW

cdef object BaseModel, SAFE_MSGPACK_TYPES, dumps, known_models
from langgraph.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from orjson import dumps
from pydantic import BaseModel

from langgraph_cy.checkpoint.message_schemas import known_models

cdef extern from "structmember.h":
    pass

cdef extern from "Python.h":
    int PyObject_GenericSetDict(object owner, object value, void* context) except -1
    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct MemberDescriptor "PyMemberDescrObject":
        PyMemberDef* d_member
    ctypedef struct Type "PyTypeObject":
        object (*tp_new)(Type* cls, PyObject* args, PyObject* kwargs)

if type(vars(BaseModel)["__pydantic_extra__"]) is not MemberDescriptorType:
    raise ImportError("pydantic's models have no slots")

# Slots of every pydantic model.
cdef object EXTRA = vars(BaseModel)["__pydantic_extra__"]
cdef object FIELDS_SET = vars(BaseModel)["__pydantic_fields_set__"]
cdef object PRIVATE = vars(BaseModel)["__pydantic_private__"]

TOOL_CALLS = "tool_calls"
NOT_EXTRAS = frozenset(("self", "content_blocks"))

cdef tuple NOTHING = ()
cdef dict KINDS = {
    "any": ANY,
    "string": STRING,
    "optional_string": OPTIONAL_STRING,
    "integer": INTEGER,
    "optional_integer": OPTIONAL_INTEGER,
    "mapping": MAPPING,
    "literal": LITERAL,
    "content": CONTENT,
    "typed": TYPED,
    "optional_typed": OPTIONAL_TYPED,
    "list_of_typed": LIST_OF_TYPED,
    "empty_string": EMPTY_STRING,
    "null_only": NULL_ONLY,
    "never": NEVER,
}

cdef tuple OWN_KINDS = (
    STRING, OPTIONAL_STRING, CONTENT, MAPPING, TYPED, OPTIONAL_TYPED, LIST_OF_TYPED, ANY)


cdef class Shape:

    def __init__(self, tuple entries, bint open):
        cdef Py_ssize_t i
        if len(entries) > MOST_FIELDS:
            raise LookupError("more fields than there is room for")
        self.count = len(entries)
        self.names = tuple([intern(entry.name) for entry in entries])
        self.leads = [b"," + dumps(name) + b":" for name in self.names]
        if any(len(lead) > FEW for lead in self.leads):
            raise LookupError("a name that is too long")
        self.details = []
        self.usual_texts = []
        self.required = 0
        self.open = open
        for i, entry in enumerate(entries):
            self.kinds[i] = KINDS[entry.kind]
            detail = entry.detail
            if self.kinds[i] in (TYPED, OPTIONAL_TYPED, LIST_OF_TYPED):
                detail = Shape(detail.entries, detail.open)
            elif self.kinds[i] == LITERAL:
                detail = tuple(map(intern, detail))
                usual = dumps(detail[0])
                if len(usual) <= FEW:
                    self.usual[i] = PyTuple_GET_ITEM(<PyObject*>detail, 0)
                    self.usual_length[i] = len(usual)
                    self.usual_texts.append(usual.ljust(FEW))
                    self.usual_text[i] = PyBytes_AS_STRING(self.usual_texts[-1])
            self.details.append(detail)
            self.detail[i] = <PyObject*>detail
            if entry.required:
                self.required |= 1 << i
            self.lead_length[i] = len(self.leads[i])
            self.leads[i] = self.leads[i].ljust(FEW)
            self.lead[i] = PyBytes_AS_STRING(self.leads[i])


cdef class Layout(Shape):

    def __init__(self, model):
        cdef Py_ssize_t i
        Shape.__init__(self, model.entries, model.extras)
        self.cls = model.cls
        path = [*model.cls.__module__.split("."), model.cls.__name__]
        self.parses_calls = model.parses_calls
        self.direct = model.direct
        self.opening = b'{"lc":2,"type":"constructor","id":' + dumps(path) + b',"kwargs":'
        for i in range(self.count):
            if self.kinds[i] in OWN_KINDS:
                self.own[self.own_count] = <int>i
                self.own_count += 1
        self.defaults = dict.fromkeys(self.names)
        self.name_set = frozenset(self.names)

    cdef object build(self, dict fields, dict extras):
        """An instance, as calling the class with all fields and these extras returns it."""
        cdef object given = PySet_New(self.name_set)
        cdef object made = (<Type*>self.cls).tp_new(
            <Type*>self.cls, <PyObject*>NOTHING, NULL)
        if extras:
            for name in extras:
                PySet_Add(given, name)
        PyObject_GenericSetDict(made, fields, NULL)
        Py_TYPE(EXTRA).tp_descr_set(EXTRA, made, extras)
        Py_TYPE(FIELDS_SET).tp_descr_set(FIELDS_SET, made, given)
        Py_TYPE(PRIVATE).tp_descr_set(PRIVATE, made, None)
        return made


EXTRA_OFFSET = (<MemberDescriptor*>EXTRA).d_member.offset


cdef list KNOWN = []
cdef bytes PATH_END = b'],"kwargs":'


cdef PyObject* layout_opened(const char* chars, Py_ssize_t room) noexcept:
    """The layout whose opening comes first of so many characters (borrowed), NULL if none does."""
    cdef const char* end = <const char*>memchr(chars, c"]", room)
    cdef Py_ssize_t i, length
    cdef PyObject* layout
    if end == NULL:
        return NULL
    length = end - chars + PyBytes_GET_SIZE(PATH_END)
    if length > room:
        return NULL
    for i in range(PyList_GET_SIZE(<PyObject*>KNOWN)):
        layout = PyList_GET_ITEM(<PyObject*>KNOWN, i)
        if PyBytes_GET_SIZE((<Layout>layout).opening) == length:
            if memcmp(PyBytes_AS_STRING((<Layout>layout).opening), chars, length) == 0:
                return layout
    return NULL


def known_classes():
    """The classes in the table."""
    return [(<Layout>layout).cls for layout in KNOWN]


cdef int fill() except -1:
    cdef Layout layout
    cdef size_t i
    for model in known_models()[:PLACES // 4]:
        if (model.cls.__module__, model.cls.__name__) in SAFE_MSGPACK_TYPES:
            try:
                layout = Layout(model)
            except LookupError:
                continue               # left to upstream
            KNOWN.append(layout)
            i = place_of(<PyTypeObject*>layout.cls)
            classes[i] = <PyTypeObject*>layout.cls
            layouts[i] = <PyObject*>layout
    return 0


fill()
