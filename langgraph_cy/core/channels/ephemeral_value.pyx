# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel that lasts one step, as a graph's edges do.

Invariant: it holds a value of the step before, or none.
"""

from langgraph_cy.core.channels.base cimport TRAIT_CLEARS_ON_EMPTY, StockSignature
from langgraph_cy.core.channels.single_value cimport GuardedValue, raise_guarded

from langgraph_cy import upstream

cdef object StockEphemeralValue = upstream.EphemeralValue


cdef class EphemeralValue(GuardedValue):
    """Holds the value written in the step before, and no longer.

    Stands in for `langgraph.channels.EphemeralValue`. `update` raises `InvalidUpdateError` when
    there is more than one value and the channel is guarded.

    Args:
        typ: Type of the value.
        guard: Whether more than one value in a step is an error.
    """

    __slots__ = ("value", "guard")
    __signature__ = StockSignature(StockEphemeralValue)

    def __eq__(self, value):
        return isinstance(value, StockEphemeralValue) and value.guard == self.guard

    cdef int c_traits(self) noexcept:
        return TRAIT_CLEARS_ON_EMPTY

    cdef bint c_put(self, object value) except -1:
        self.value = value
        return True

    cdef int admit(self, Py_ssize_t count) except -1:
        if count != 1 and self.guard:
            raise_guarded(self.key, "EphemeralValue")
        return 0
