# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel that folds, and what reducing channels have in common.

Invariant: one `Overwrite` a step at most, and no value written after it counts.
"""

from cpython.object cimport PyObject_GetItem

from langgraph_cy.core.channels.base cimport TRAIT_STABLE, Channel, StockSignature
from langgraph_cy.core.channels.single_value cimport SingleValue

import collections.abc

from typing_extensions import NotRequired, Required

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object OVERWRITE = upstream.constants.OVERWRITE
cdef object DeltaSnapshot = upstream._DeltaSnapshot
cdef object InvalidUpdateError = upstream.InvalidUpdateError
cdef object Overwrite = upstream.Overwrite
cdef object create_error_message = upstream.create_error_message
cdef object CONCURRENT_UPDATE = upstream.ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE
cdef object StockBinaryOperatorAggregate = upstream.BinaryOperatorAggregate

# With PyObject_GetItem: what cannot be sliced then says so in the interpreter's words.
cdef object REST = slice(1, None)
NOT_OVERWRITE = object()  # None and MISSING are values that an Overwrite may hold


cdef object concrete_type(object typ):
    """The type to call for a first value: without Annotated, Required and NotRequired, without
    parameters, and with the abstract collections replaced by the ones that can be made."""
    while hasattr(typ, "__origin__"):
        origin = typ.__origin__
        if origin is Required or origin is NotRequired:
            typ = typ.__args__[0]
        else:
            typ = origin
    if typ == collections.abc.Sequence or typ == collections.abc.MutableSequence:
        return list
    if typ == collections.abc.Set or typ == collections.abc.MutableSet:
        return set
    if typ == collections.abc.Mapping or typ == collections.abc.MutableMapping:
        return dict
    return typ


cdef object overwrite_in(object value):
    """The value that an overwrite carries, in any of its three forms, or NOT_OVERWRITE."""
    # Called for every write: what can be none of the three leaves at once.
    cls = type(value)
    if cls is Overwrite:
        return value.value
    if (
        cls is int or cls is str or cls is list or cls is float
        or cls is tuple or cls is bool or value is None
    ):
        return NOT_OVERWRITE
    if cls is not dict and isinstance(value, Overwrite):
        return value.value
    if isinstance(value, dict):
        if len(value) == 1 and OVERWRITE in value:
            return value[OVERWRITE]
        if value.get("type") == OVERWRITE and "value" in value:
            return value["value"]
    return NOT_OVERWRITE


cdef bint same_operator(object left, object right) except -1:
    # Every lambda is called '<lambda>' and each evaluation makes another one, so identity would
    # tell apart what the user wrote once.
    if left.__name__ == "<lambda>" or right.__name__ == "<lambda>":
        return True
    return left is right


cdef int raise_second_overwrite() except -1:
    message = "Can receive only one Overwrite value per super-step."
    raise InvalidUpdateError(create_error_message(message=message, error_code=CONCURRENT_UPDATE))


cdef class BinaryOperatorAggregate(SingleValue):
    """Folds every value into the one it holds.

    Stands in for `langgraph.channels.BinaryOperatorAggregate`. `update` lets an `Overwrite` replace
    the value and hide what follows it, and raises `InvalidUpdateError` for a second one.

    Args:
        typ: Type of the value; called without arguments for the first one, where that works.
        operator: `(value, update) -> value`.
    """

    __slots__ = ("value", "operator")
    __signature__ = StockSignature(StockBinaryOperatorAggregate)

    def __init__(self, typ, operator):
        self.typ = typ
        self.key = ""
        self.operator = operator
        self.value = self.initial()

    def __eq__(self, value):
        return isinstance(value, StockBinaryOperatorAggregate) and same_operator(
            self.operator, value.operator
        )

    cdef object initial(self):
        if self.factory_of is not self.typ or self.factory is None:
            self.factory = concrete_type(self.typ)
            self.factory_of = self.typ
        try:
            return self.factory()
        except Exception:
            return MISSING

    cdef int c_traits(self) noexcept:
        return TRAIT_STABLE

    cdef Channel c_bare(self):
        cdef BinaryOperatorAggregate twin = <BinaryOperatorAggregate>SingleValue.c_bare(self)
        twin.operator = self.operator
        twin.factory = self.factory
        twin.factory_of = self.factory_of
        twin.value = twin.initial()
        return twin

    cdef bint c_update(self, list values) except -1:
        return self.apply(values)

    cdef bint apply(self, object values) except -1:
        # Each result is stored at once: what a failing operator leaves behind is upstream's.
        cdef bint overwritten = False
        if not values:
            return False
        if self.value is MISSING:
            # Taken as it is, an Overwrite too: upstream looks only at what follows.
            self.value = values[0]
            values = PyObject_GetItem(values, REST)
        for value in values:
            held = overwrite_in(value)
            if held is NOT_OVERWRITE:
                if not overwritten:
                    self.value = self.operator(self.value, value)
            elif overwritten:
                raise_second_overwrite()
            else:
                self.value = held
                overwritten = True
        return True

    cdef tuple arguments(self):
        return self.typ, self.operator

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class that holds `checkpoint`.

        The snapshot of a `DeltaChannel` that the field used to be is unwrapped; `MISSING` leaves
        the first value in place.
        """
        if isinstance(checkpoint, DeltaSnapshot):
            checkpoint = checkpoint.value
        return SingleValue.from_checkpoint(self, checkpoint)
