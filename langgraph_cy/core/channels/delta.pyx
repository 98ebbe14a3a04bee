# cython: language_level=3, embedsignature=True, auto_pickle=False
"""The channel whose checkpoints are its writes.

Invariant: replaying the stored writes on a snapshot, in any batches, makes the same value.
"""

from langgraph_cy.core.channels.base cimport Channel, StockSignature, is_compiled
from langgraph_cy.core.channels.binop cimport (
    NOT_OVERWRITE, concrete_type, overwrite_in, raise_second_overwrite, same_operator,
)
from langgraph_cy.core.channels.single_value cimport SingleValue

import copy as copy_module

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object DeltaSnapshot = upstream._DeltaSnapshot
cdef object StockDeltaChannel = upstream.DeltaChannel
cdef object shallow_copy = copy_module.copy


cdef class DeltaChannel(SingleValue):
    """Reduces a step's values in one call, and leaves its state to be replayed from the writes.

    Stands in for `langgraph.channels.DeltaChannel`. `update` lets an `Overwrite` replace the value
    and make the other values of the step void, and raises `InvalidUpdateError` for a second one.

    Args:
        reducer: `(value, updates) -> value`; deterministic, and indifferent to how the updates
            are split into batches.
        typ: Type of the value, `list` when not given; called without arguments for the first one.
        snapshot_frequency: Number of updates between two snapshots, positive.

    Raises:
        ValueError: `snapshot_frequency` is not positive.
    """

    __slots__ = ("value", "reducer", "snapshot_frequency")
    __signature__ = StockSignature(StockDeltaChannel)

    def __init__(self, reducer, typ=None, *, snapshot_frequency=100):
        if snapshot_frequency <= 0:
            raise ValueError(
                f"snapshot_frequency must be a positive int, got {snapshot_frequency}"
            )
        self.key = ""
        self.reducer = reducer
        self.snapshot_frequency = snapshot_frequency
        self.typ = list if typ is None else concrete_type(typ)
        self.value = MISSING

    def __eq__(self, other):
        if not isinstance(other, StockDeltaChannel):
            return False
        if self.snapshot_frequency != other.snapshot_frequency:
            return False
        return same_operator(self.reducer, other.reducer)

    cdef Channel c_bare(self):
        cdef DeltaChannel twin = <DeltaChannel>SingleValue.c_bare(self)
        twin.typ = concrete_type(self.typ)
        twin.reducer = self.reducer
        twin.snapshot_frequency = self.snapshot_frequency
        return twin

    cdef Channel c_fresh(self):
        cdef DeltaChannel twin = <DeltaChannel>self.c_bare()
        twin.value = self.typ()
        return twin

    cdef Channel c_copy(self):
        cdef DeltaChannel twin = self.twin()
        twin.value = MISSING if self.value is MISSING else shallow_copy(self.value)
        return twin

    cdef bint c_update(self, list values) except -1:
        return self.apply(values)

    cdef bint apply(self, object values) except -1:
        cdef bint overwritten = False
        cdef object replacement = None
        if not values:
            return False
        for value in values:
            held = overwrite_in(value)
            if held is not NOT_OVERWRITE:
                if overwritten:
                    raise_second_overwrite()
                overwritten = True
                replacement = held
        if overwritten:
            self.value = self.base_from(replacement)
            return True
        base = self.typ() if self.value is MISSING else self.value
        # The reducer may keep or change its list; the caller's is not for it.
        self.value = self.reducer(base, list(values))
        return True

    cdef object base_from(self, object replacement):
        return self.typ() if replacement is None else shallow_copy(replacement)

    cdef object twin(self):
        if is_compiled(type(self)):
            return self.c_bare()
        twin = type(self)(self.reducer, self.typ, snapshot_frequency=self.snapshot_frequency)
        twin.key = self.key
        return twin

    def checkpoint(self):
        """Return `MISSING`: what is stored are the writes, and snapshots that the loop takes."""
        return MISSING

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class in the given state.

        Args:
            checkpoint: A snapshot, a plain value (stored while the field was another channel), or
                `MISSING` for the first value, to replay the writes on.
        """
        twin = self.twin()
        if checkpoint is MISSING:
            twin.value = self.typ()
        elif isinstance(checkpoint, DeltaSnapshot):
            twin.value = checkpoint.value
        else:
            twin.value = checkpoint
        return twin

    def replay_writes(self, writes):
        """Reduce stored writes in one call, from the last `Overwrite` among them on.

        Args:
            writes: Sequence of `(task_id, channel, value)`, oldest first.
        """
        cdef list remaining = []
        cdef bint any_write = False
        base = self.value
        for _, _, value in writes:
            any_write = True
            held = overwrite_in(value)
            if held is NOT_OVERWRITE:
                remaining.append(value)
            else:
                base = self.base_from(held)
                remaining = []
        if any_write:
            self.value = self.reducer(base, remaining) if remaining else base
