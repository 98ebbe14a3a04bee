# The C interface of the channels. The c_* methods are for objects whose exact type is a compiled
# channel's: they do not look for overridden Python methods.

cdef enum:
    TRAIT_CLEARS_ON_EMPTY = 1   # an update without values empties it
    TRAIT_FINISHES = 2          # finish() may change it
    TRAIT_CONSUMES = 4          # consume() may change it
    TRAIT_STABLE = 8            # keeps its value until written, and every write is a change


cdef class StockSignature:
    cdef object signature       # inspect.Signature of upstream's class


# Upstream's slots are writable, hence `public` throughout; they hold any object, hence `object`.
cdef class Channel:
    cdef public object key      # name in the graph
    cdef public object typ      # type of the values, as given by the user

    cdef int c_traits(self) noexcept
    cdef Channel c_bare(self)                             # as the constructor leaves it
    cdef Channel c_fresh(self)                            # as from_checkpoint(MISSING) makes it
    cdef Channel c_copy(self)
    cdef bint c_available(self) except -1
    cdef object c_get(self)                               # EmptyChannelError when empty
    cdef bint c_update(self, list values) except -1       # values may be empty
    cdef bint c_put(self, object value) except -1         # c_update([value])
    cdef bint c_consume(self) except -1
    cdef bint c_finish(self) except -1

    # For Python subclasses too.
    cdef bint apply(self, object values) except -1        # c_update with what is no list
    cdef tuple arguments(self)                            # the constructor's
    cdef object twin(self)                                # what the constructor makes of them


cdef int mark_compiled(object cls) except -1
cdef bint is_compiled(object cls) except -1
cdef object detached(object container)
cdef int channel_traits(Channel channel) except -1
