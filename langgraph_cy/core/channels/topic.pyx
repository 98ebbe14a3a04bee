# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel that collects.

Invariant: `values` is this channel's alone; what goes in or out of it is copied.
"""

from langgraph_cy.core.channels.base cimport (
    TRAIT_CLEARS_ON_EMPTY, Channel, StockSignature, detached,
)

import collections.abc

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object EmptyChannelError = upstream.EmptyChannelError
cdef object Sequence = collections.abc.Sequence
cdef object StockTopic = upstream.Topic


cdef class Topic(Channel):
    """Collects the values published to it, for one step or for the whole run.

    Stands in for `langgraph.channels.Topic`. Unlike there, a checkpoint is a copy: a saver that is
    slower than the graph stores what the channel held at that time. `update` takes lists among the
    values apart.

    Args:
        typ: Type of one value.
        accumulate: Whether values stay when the step is over.
    """

    __slots__ = ("values", "accumulate")
    __signature__ = StockSignature(StockTopic)

    def __cinit__(self):
        self.values = []

    def __init__(self, typ, accumulate=False):
        self.typ = typ
        self.key = ""
        self.accumulate = accumulate
        self.values = []

    def __eq__(self, value):
        return isinstance(value, StockTopic) and value.accumulate == self.accumulate

    cdef int c_traits(self) noexcept:
        # An accumulate that cannot be judged counts as false: the careful answer.
        try:
            return 0 if self.accumulate else TRAIT_CLEARS_ON_EMPTY
        except Exception:
            return TRAIT_CLEARS_ON_EMPTY

    cdef Channel c_bare(self):
        cdef Topic twin = <Topic>Channel.c_bare(self)
        twin.accumulate = self.accumulate
        return twin

    cdef Channel c_copy(self):
        cdef Topic twin = self.twin()
        twin.values = self.values.copy()
        return twin

    cdef bint c_available(self) except -1:
        return bool(self.values)

    cdef object c_get(self):
        if not self.values:
            raise EmptyChannelError()
        return list(self.values)

    cdef bint apply(self, object values) except -1:
        cdef bint changed = False
        cdef list flat = []
        if not self.accumulate:
            changed = bool(self.values)
            self.values = []
        for value in values:
            if isinstance(value, list):
                flat.extend(value)
            else:
                flat.append(value)
        if flat:
            changed = True
            self.values.extend(flat)
        return changed

    cdef tuple arguments(self):
        return self.typ, self.accumulate

    @property
    def ValueType(self):
        """`Sequence` of the type of one value."""
        return Sequence[self.typ]

    @property
    def UpdateType(self):
        """The type of one value, or a list of it."""
        return self.typ | list[self.typ]

    def checkpoint(self):
        """Return a copy of the list of values."""
        return detached(self.values)

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class that holds a copy of the list `checkpoint`.

        A tuple, whose second element is the list, is what early versions of upstream stored.
        """
        twin = self.twin()
        if checkpoint is not MISSING:
            if isinstance(checkpoint, tuple):
                checkpoint = checkpoint[1]
            twin.values = detached(checkpoint)
        return twin
