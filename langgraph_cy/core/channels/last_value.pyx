# cython: language_level=3, embedsignature=True, auto_pickle=False
"""Channels that hold the value written last.

Invariant: a `LastValue` never goes back to empty; a `LastValueAfterFinish` shows its value between
`finish` and `consume` only.
"""

from langgraph_cy.core.channels.base cimport (
    TRAIT_CONSUMES, TRAIT_FINISHES, TRAIT_STABLE, Channel, StockSignature,
)
from langgraph_cy.core.channels.single_value cimport SingleValue

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object EmptyChannelError = upstream.EmptyChannelError
cdef object InvalidUpdateError = upstream.InvalidUpdateError
cdef object create_error_message = upstream.create_error_message
cdef object CONCURRENT_UPDATE = upstream.ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE
cdef object StockLastValue = upstream.LastValue
cdef object StockLastValueAfterFinish = upstream.LastValueAfterFinish


cdef class LastValue(SingleValue):
    """Holds the value written last; takes one value a step.

    Stands in for `langgraph.channels.LastValue`. `update` raises `InvalidUpdateError` when there is
    more than one value.

    Args:
        typ: Type of the value.
        key: Name of the channel in the graph.
    """

    __slots__ = ("value",)
    __signature__ = StockSignature(StockLastValue)

    def __init__(self, typ, key=""):
        self.typ = typ
        self.key = key
        self.value = MISSING

    def __eq__(self, value):
        return isinstance(value, StockLastValue)

    cdef int c_traits(self) noexcept:
        return TRAIT_STABLE

    cdef bint c_put(self, object value) except -1:
        self.value = value
        return True

    cdef int admit(self, Py_ssize_t count) except -1:
        if count == 1:
            return 0
        message = (
            f"At key '{self.key}': Can receive only one value per step. "
            "Use an Annotated key to handle multiple values."
        )
        raise InvalidUpdateError(
            create_error_message(message=message, error_code=CONCURRENT_UPDATE)
        )

    cdef object twin(self):
        return self.c_bare() if type(self) is LastValue else type(self)(self.typ, self.key)


cdef class LastValueAfterFinish(SingleValue):
    """Holds the value written last, shows it once the run finishes, and is emptied by reading.

    Stands in for `langgraph.channels.LastValueAfterFinish`.

    Args:
        typ: Type of the value.
        key: Name of the channel in the graph.
    """

    __slots__ = ("value", "finished")
    __signature__ = StockSignature(StockLastValueAfterFinish)

    def __cinit__(self):
        self.finished = False

    def __init__(self, typ, key=""):
        self.typ = typ
        self.key = key
        self.value = MISSING
        self.finished = False

    def __eq__(self, value):
        return isinstance(value, StockLastValueAfterFinish)

    cdef int c_traits(self) noexcept:
        return TRAIT_FINISHES | TRAIT_CONSUMES

    cdef Channel c_copy(self):
        cdef LastValueAfterFinish twin = SingleValue.c_copy(self)
        if self.value is not MISSING:
            twin.finished = self.finished
        return twin

    cdef bint c_available(self) except -1:
        return self.value is not MISSING and self.finished

    cdef object c_get(self):
        if self.value is MISSING or not self.finished:
            raise EmptyChannelError()
        return self.value

    cdef bint c_consume(self) except -1:
        if self.finished:
            self.finished = False
            self.value = MISSING
            return True
        return False

    cdef bint c_finish(self) except -1:
        if not self.finished and self.value is not MISSING:
            self.finished = True
            return True
        return False

    cdef int admit(self, Py_ssize_t count) except -1:
        self.finished = False
        return 0

    def copy(self):
        """Return a channel of the same class in the same state; a subclass's from a checkpoint."""
        if type(self) is LastValueAfterFinish:
            return self.c_copy()
        return (<object>self).from_checkpoint((<object>self).checkpoint())

    def checkpoint(self):
        """Return `(value, finished)`, or `MISSING` when there is no value."""
        if self.value is MISSING:
            return MISSING
        return self.value, self.finished

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class in the state `(value, finished)`, or empty."""
        twin = self.twin()
        if checkpoint is not MISSING:
            twin.value, twin.finished = checkpoint
        return twin
