# cython: language_level=3
cdef object EMPTY     # in place of the value of a channel that has none
cdef object STEP      # in a frame, in place of the step


cdef class Typed:
    # What a serializer made of a value, where it isn't plain JSON.
    cdef readonly object tag
    cdef readonly object data


cdef class Log:
    # Parts of a list that grows, as long as it only grows.
    cdef list parts


cdef class Slice:
    # The list when it was that long.
    cdef Log log
    cdef Py_ssize_t count      # of its parts, without the last
    cdef bytes last            # the part that closes the list


cdef class Recent:
    # The last few tuples of a kind, to use one again in place of another that is like it.
    cdef list kept
    cdef Py_ssize_t at         # the one found last

    cdef tuple find(self, tuple made)
    cdef tuple add(self, tuple made)
    cdef tuple same(self, tuple made)


cdef bytes fitted(bytes data)
cdef object packed(object result)
cpdef tuple unpacked(object kept)
cdef Slice grown(Slice before, tuple parts)
cdef list held_by(object items)
cdef bint is_text(object value) except -1
cdef bint is_number(object value) except -1
