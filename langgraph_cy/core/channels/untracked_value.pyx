# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel that no checkpoint sees.

Invariant: what is stored of it, and what it restores, is empty.
"""

from langgraph_cy.core.channels.base cimport StockSignature
from langgraph_cy.core.channels.single_value cimport GuardedValue, raise_guarded

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object StockUntrackedValue = upstream.UntrackedValue


cdef class UntrackedValue(GuardedValue):
    """Holds the value written last and never stores it in a checkpoint.

    Stands in for `langgraph.channels.UntrackedValue`. `update` raises `InvalidUpdateError` when
    there is more than one value and the channel is guarded.

    Args:
        typ: Type of the value.
        guard: Whether more than one value in a step is an error.
    """

    __slots__ = ("value", "guard")
    __signature__ = StockSignature(StockUntrackedValue)

    def __eq__(self, value):
        return isinstance(value, StockUntrackedValue) and value.guard == self.guard

    cdef int admit(self, Py_ssize_t count) except -1:
        if count != 1 and self.guard:
            raise_guarded(self.key, "UntrackedValue")
        return 0

    def checkpoint(self):
        """Return `MISSING`: nothing of this channel is stored."""
        return MISSING

    def from_checkpoint(self, checkpoint):
        """Return an empty channel of the same class, whatever `checkpoint` is."""
        return self.twin()
