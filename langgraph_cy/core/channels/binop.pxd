from langgraph_cy.core.channels.single_value cimport SingleValue

cdef object NOT_OVERWRITE       # what overwrite_in() returns for any other value


cdef class BinaryOperatorAggregate(SingleValue):
    cdef public object operator  # (value, update) -> value
    cdef object factory         # concrete type that makes the first value ...
    cdef object factory_of      # ... and the `typ` that it was derived from

    cdef object initial(self)


cdef object concrete_type(object typ)
cdef object overwrite_in(object value)
cdef bint same_operator(object left, object right) except -1
cdef int raise_second_overwrite() except -1
