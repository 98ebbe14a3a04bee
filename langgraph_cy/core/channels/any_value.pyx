# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel for values that are all alike.

Invariant: it holds a value of the step before, or none.
"""

from langgraph_cy.core.channels.base cimport TRAIT_CLEARS_ON_EMPTY, StockSignature
from langgraph_cy.core.channels.single_value cimport SingleValue

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object StockAnyValue = upstream.AnyValue


cdef class AnyValue(SingleValue):
    """Holds the value written last; several in one step are taken to be equal.

    Stands in for `langgraph.channels.AnyValue`. A step without a value empties it.

    Args:
        typ: Type of the value.
        key: Name of the channel in the graph.
    """

    __slots__ = ("typ", "value")
    __signature__ = StockSignature(StockAnyValue)

    def __init__(self, typ, key=""):
        self.typ = typ
        self.key = key
        self.value = MISSING

    def __eq__(self, value):
        return isinstance(value, StockAnyValue)

    cdef int c_traits(self) noexcept:
        return TRAIT_CLEARS_ON_EMPTY

    cdef object twin(self):
        return self.c_bare() if type(self) is AnyValue else type(self)(self.typ, self.key)
