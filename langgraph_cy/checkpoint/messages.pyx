# cython: language_level=3, embedsignature=True
"""What instances of LangChain's message classes are made of, and how they are put together."""

from sys import intern
from types import MemberDescriptorType

from cpython.bytes cimport PyBytes_AS_STRING
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport Py_TYPE
from cpython.set cimport PySet_Add, PySet_New

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


cdef class Shape:

    def __init__(self, tuple entries, bint open):
        cdef Py_ssize_t i
        if len(entries) > MOST_FIELDS:
            raise LookupError("more fields than there is room for")
        self.count = len(entries)
        self.names = tuple([intern(entry.name) for entry in entries])
        self.details = []
        self.required = 0
        self.open = open
        for i, entry in enumerate(entries):
            self.kinds[i] = KINDS[entry.kind]
            detail = entry.detail
            if self.kinds[i] in (TYPED, OPTIONAL_TYPED, LIST_OF_TYPED):
                detail = Shape(detail.entries, detail.open)
            elif self.kinds[i] == LITERAL:
                detail = tuple(map(intern, detail))
            self.details.append(detail)
            self.detail[i] = <PyObject*>detail
            if entry.required:
                self.required |= 1 << i


cdef class Layout(Shape):

    def __init__(self, model):
        cdef Py_ssize_t i
        Shape.__init__(self, model.entries, model.extras)
        self.cls = model.cls
        self.path = [*model.cls.__module__.split("."), model.cls.__name__]
        self.parses_calls = model.parses_calls
        self.direct = model.direct
        self.opening = b'{"lc":2,"type":"constructor","id":' + dumps(self.path) + b',"kwargs":'
        self.leads = [b"," + dumps(name) + b":" for name in self.names]
        for i, lead in enumerate(self.leads):
            self.lead_length[i] = len(lead)
            self.leads[i] = lead.ljust(FEW)
            self.lead[i] = PyBytes_AS_STRING(self.leads[i])
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


cdef dict BY_NAME = {}


cdef Layout layout_named(PyObject* name):
    """The layout of the class of a name (a str), None if there is none."""
    cdef PyObject* found = PyDict_GetItem(BY_NAME, <object>name)
    return None if found == NULL else <Layout>found


def known_classes():
    """The classes in the table."""
    return [(<Layout>layout).cls for layout in BY_NAME.values()]


cdef int fill() except -1:
    cdef Layout layout
    cdef size_t i
    for model in known_models()[:PLACES // 4]:
        if (model.cls.__module__, model.cls.__name__) in SAFE_MSGPACK_TYPES:
            BY_NAME[model.cls.__name__] = layout = Layout(model)
            i = place_of(<PyTypeObject*>layout.cls)
            classes[i] = <PyTypeObject*>layout.cls
            layouts[i] = <PyObject*>layout
    return 0


fill()
