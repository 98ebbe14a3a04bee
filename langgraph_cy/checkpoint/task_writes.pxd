# cython: language_level=3


cdef class Id:
    # Of a task, where it is a UUID in the usual form.
    cdef unsigned char raw[16]


cdef object packed_id(object task_id)
cdef tuple regrouped(tuple group, list channels, list values, object path)
cdef object group_of(object writes, object id)
cdef object added(object writes, tuple group)
cdef list groups_of(object writes)
