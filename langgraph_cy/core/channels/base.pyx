# cython: language_level=3, embedsignature=True, auto_pickle=False
"""What all compiled channels share: the C interface, and the Python methods that lead to it.

Where upstream's method would reach the constructor or a method that a Python subclass may override,
the Python method does so too.
"""

from cython cimport final

import copy as copy_module
import copyreg
import inspect
import types

from langgraph_cy import upstream

cdef object MISSING = upstream.MISSING
cdef object shallow_copy = copy_module.copy
cdef object slot_names = copyreg._slotnames  # what object.__reduce_ex__ itself goes by
cdef set COMPILED = set()  # the classes whose exact instances may take the C path


cdef int mark_compiled(object cls) except -1:
    """Let exact instances of a class take the C path."""
    COMPILED.add(cls)
    return 0


cdef bint is_compiled(object cls) except -1:
    """Whether exact instances of a class take the C path."""
    return cls in COMPILED


cdef object detached(object container):
    """A copy of a list or set that a channel goes on changing, for whoever keeps it; and the other
    way round. Anything else is no container of ours."""
    cls = type(container)
    if cls is list or cls is set:
        return container.copy()
    return shallow_copy(container) if isinstance(container, (list, set)) else container


@final
cdef class StockSignature:
    # Descriptor for `__signature__`. A plain class attribute would also answer for a Python
    # subclass that has a constructor of its own.

    def __init__(self, counterpart):
        self.signature = inspect.signature(counterpart)

    def __get__(self, instance, owner):
        if instance is None:
            for cls in owner.__mro__:
                if "__signature__" in cls.__dict__:
                    return self.signature
                if "__init__" in cls.__dict__ or "__new__" in cls.__dict__:
                    break
        raise AttributeError("__signature__")


cdef class Channel:
    """Common base of the compiled channels; stands in for `langgraph.channels.BaseChannel`.

    A channel of one's own derives from upstream's `BaseChannel`, or from one of the concrete
    channels of this package.

    Args:
        typ: Type of the values.
        key: Name of the channel in the graph.
    """

    __slots__ = ("key", "typ")
    __class_getitem__ = classmethod(types.GenericAlias)

    def __init__(self, typ, key=""):
        self.typ = typ
        self.key = key

    def __getstate__(self):
        # MISSING is known by identity, which no pickle keeps; absent, __cinit__ puts it back.
        cdef dict slots = {}
        for name in slot_names(type(self)):
            held = getattr(self, name, MISSING)
            if held is not MISSING:
                slots[name] = held
        return getattr(self, "__dict__", None) or None, slots

    def __setstate__(self, state):
        attributes, slots = state
        if attributes:
            (<object>self).__dict__.update(attributes)
        for name, held in slots.items():
            setattr(self, name, held)

    # The C interface; see base.pxd.

    cdef int c_traits(self) noexcept:
        return 0

    cdef Channel c_bare(self):
        cdef type cls = type(self)
        cdef Channel twin = <Channel>cls.__new__(cls)
        twin.typ = self.typ
        twin.key = self.key
        return twin

    cdef Channel c_fresh(self):
        return self.c_bare()

    cdef Channel c_copy(self):
        raise NotImplementedError(type(self).__name__)

    cdef bint c_available(self) except -1:
        raise NotImplementedError(type(self).__name__)

    cdef object c_get(self):
        raise NotImplementedError(type(self).__name__)

    cdef bint c_update(self, list values) except -1:
        return self.apply(values)

    cdef bint c_put(self, object value) except -1:
        return self.c_update([value])

    cdef bint c_consume(self) except -1:
        return False

    cdef bint c_finish(self) except -1:
        return False

    cdef bint apply(self, object values) except -1:
        raise NotImplementedError(type(self).__name__)

    cdef tuple arguments(self):
        return (self.typ,)

    cdef object twin(self):
        if is_compiled(type(self)):
            return self.c_bare()
        twin = type(self)(*self.arguments())
        twin.key = self.key
        return twin

    # The Python interface.

    @property
    def ValueType(self):
        """Type of what `get` returns."""
        return self.typ

    @property
    def UpdateType(self):
        """Type of one element of what `update` takes."""
        return self.typ

    def copy(self):
        """Return a channel of the same class in the same state."""
        return self.c_copy()

    def checkpoint(self):
        """Return the state in a form that can be stored, or `MISSING` when the channel is empty."""
        raise NotImplementedError(type(self).__name__)

    def from_checkpoint(self, checkpoint):
        """Return a channel of the same class and arguments in the given state.

        Args:
            checkpoint: What `checkpoint` returned, or `MISSING` for an empty channel.
        """
        raise NotImplementedError(type(self).__name__)

    def get(self):
        """Return the value.

        Raises:
            EmptyChannelError: There is none, or none that may be read yet.
        """
        return self.c_get()

    def is_available(self):
        """Return whether `get` would return a value."""
        return self.c_available()

    def update(self, values):
        """Apply one step's writes and return whether the channel changed.

        Args:
            values: Sequence of the values written in this step; empty when there were none.

        Raises:
            InvalidUpdateError: The channel does not take these values.
        """
        return self.c_update(values) if type(values) is list else self.apply(values)

    def consume(self):
        """Note that a task read the channel; return whether the channel changed."""
        return self.c_consume()

    def finish(self):
        """Note that the run is about to end; return whether the channel changed."""
        return self.c_finish()


cdef int channel_traits(Channel channel) except -1:
    """Return the TRAIT_ flags of an exact compiled channel."""
    return channel.c_traits()


def traits(Channel channel not None):
    """Return the names of what the planner knows about a channel of an exact compiled type.

    Args:
        channel: A compiled channel.

    Returns:
        A set of `"clears on empty"`, `"finishes"`, `"consumes"` and `"stable"`.
    """
    cdef int flags = channel_traits(channel)
    names = (
        (TRAIT_CLEARS_ON_EMPTY, "clears on empty"),
        (TRAIT_FINISHES, "finishes"),
        (TRAIT_CONSUMES, "consumes"),
        (TRAIT_STABLE, "stable"),
    )
    return {name for flag, name in names if flags & <int>flag}
