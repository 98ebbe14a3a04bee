# cython: language_level=3, embedsignature=True, auto_pickle=False
"""Channels that wait for a set of names.

Invariant: `seen` is this channel's alone; what goes in or out of it is copied.
"""

from langgraph_cy.core.channels.base cimport (
    TRAIT_CONSUMES, TRAIT_FINISHES, Channel, StockSignature, detached,
)

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object EmptyChannelError = upstream.EmptyChannelError
cdef object InvalidUpdateError = upstream.InvalidUpdateError
cdef object StockNamedBarrierValue = upstream.NamedBarrierValue
cdef object StockNamedBarrierValueAfterFinish = upstream.NamedBarrierValueAfterFinish


cdef class Barrier(Channel):
    """Base of the channels that wait for a set of names. Not for use on its own."""

    def __cinit__(self):
        self.seen = set()

    def __init__(self, typ, names):
        self.typ = typ
        self.key = ""
        self.names = names
        self.seen = set()

    cdef Channel c_bare(self):
        cdef Barrier twin = <Barrier>Channel.c_bare(self)
        twin.names = self.names
        return twin

    cdef Channel c_copy(self):
        cdef Barrier twin = self.twin()
        twin.seen = self.seen.copy()
        return twin

    cdef bint c_available(self) except -1:
        return self.seen == self.names

    cdef object c_get(self):
        if not self.c_available():
            raise EmptyChannelError()
        return None

    cdef bint c_consume(self) except -1:
        if self.c_available():
            self.seen = set()
            return True
        return False

    cdef bint apply(self, object values) except -1:
        cdef bint changed = False
        for value in values:
            if value not in self.names:
                raise InvalidUpdateError(
                    f"At key '{self.key}': Value {value} not in {self.names}"
                )
            if value not in self.seen:
                self.seen.add(value)
                changed = True
        return changed

    cdef tuple arguments(self):
        return self.typ, self.names


cdef class NamedBarrierValue(Barrier):
    """Opens when every name was written to it, and closes when it is read.

    Stands in for `langgraph.channels.NamedBarrierValue`. Unlike there, a checkpoint is a copy: a
    saver that is slower than the graph stores what the channel held at that time. `update` raises
    `InvalidUpdateError` for a value that is none of the names.

    Args:
        typ: Type of the names.
        names: Set of the names to wait for.
    """

    __slots__ = ("names", "seen")
    __signature__ = StockSignature(StockNamedBarrierValue)

    def __eq__(self, value):
        return isinstance(value, StockNamedBarrierValue) and value.names == self.names

    cdef int c_traits(self) noexcept:
        return TRAIT_CONSUMES

    def checkpoint(self):
        """Return a copy of the set of names seen."""
        return detached(self.seen)

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class that has seen a copy of the set `checkpoint`."""
        twin = self.twin()
        if checkpoint is not MISSING:
            twin.seen = detached(checkpoint)
        return twin


cdef class NamedBarrierValueAfterFinish(Barrier):
    """Opens when every name was written and the run finishes, and closes when it is read.

    Stands in for `langgraph.channels.NamedBarrierValueAfterFinish`. Unlike there, a checkpoint is
    a copy: a saver that is slower than the graph stores what the channel held at that time.
    `update` raises `InvalidUpdateError` for a value that is none of the names.

    Args:
        typ: Type of the names.
        names: Set of the names to wait for.
    """

    __slots__ = ("names", "seen", "finished")
    __signature__ = StockSignature(StockNamedBarrierValueAfterFinish)

    def __cinit__(self):
        self.finished = False

    def __init__(self, typ, names):
        Barrier.__init__(self, typ, names)
        self.finished = False

    def __eq__(self, value):
        return isinstance(value, StockNamedBarrierValueAfterFinish) and value.names == self.names

    cdef int c_traits(self) noexcept:
        return TRAIT_FINISHES | TRAIT_CONSUMES

    cdef Channel c_copy(self):
        cdef NamedBarrierValueAfterFinish twin = Barrier.c_copy(self)
        twin.finished = self.finished
        return twin

    cdef bint c_available(self) except -1:
        return self.finished and self.seen == self.names

    cdef bint c_consume(self) except -1:
        if Barrier.c_consume(self):
            self.finished = False
            return True
        return False

    cdef bint c_finish(self) except -1:
        if not self.finished and self.seen == self.names:
            self.finished = True
            return True
        return False

    def checkpoint(self):
        """Return `(seen, finished)`, with a copy of the set of names seen."""
        return detached(self.seen), self.finished

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class in the state `(seen, finished)`, or empty."""
        twin = self.twin()
        if checkpoint is not MISSING:
            seen, finished = checkpoint
            twin.seen = detached(seen)
            twin.finished = finished
        return twin
