# cython: language_level=3
from langgraph_cy.checkpoint.kept cimport Recent


cdef class Record:
    # A checkpoint, as what changed against another one that was put before.
    cdef readonly object id
    cdef readonly object parent    # id of the checkpoint that it follows, or None
    cdef Record base               # what its changes are against, None if against nothing
    cdef tuple shape               # see `Field`
    cdef object versions           # that the shape's codes mean: a tuple, or the only one
    cdef object values             # of the channels stored with it: a tuple, or the only one
    cdef object writes             # that were made on it, see `added`
    cdef object frame              # metadata but its step: a tuple, or the serializer's bytes
    cdef long long time            # microseconds since 1970
    cdef int step
    cdef short depth               # how many bases there are below
    cdef bint extends              # it names no other nodes than its base

    cdef object version(self, Py_ssize_t code)
    cdef object value(self, Py_ssize_t position)
    cdef Py_ssize_t position(self, object name, object version, Py_ssize_t start) except -2
    cdef dict channel_versions(self, dict seen)


cdef class WholeRecord(Record):
    # One that is unlike those of the engine.
    cdef object dumped             # the serializer's bytes


cdef class Namespace:
    # The checkpoints of a graph in a thread, and the values that they name.
    cdef list records              # in the order in which their ids were first put
    cdef dict by_id                # None while that is the order of the ids, too
    cdef dict stored               # version -> the record that values were stored with, or several
    cdef dict grown                # channel -> the last Slice of its values
    cdef Record last               # put last
    cdef dict versions             # channel_versions of the last, None where unknown
    cdef dict seen                 # versions_seen of the last
    cdef long long puts

    cdef Record described(self, Recent shapes, dict checkpoint, dict new_versions)
    cdef int keep(self, Record record) except -1
    cdef object joined(self, Record parent, dict new_versions, list values)
    cdef int place(self, Record record) except -1
    cdef Record found(self, object id)
    cdef object shared(self, Record parent, object name, object value)


cdef Record undescribed(dict checkpoint, dict new_versions, object dumped)
