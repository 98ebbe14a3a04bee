# cython: language_level=3, embedsignature=True
"""What the core looks at in every superstep of what a run was called with."""

from threading import RLock

from cpython.contextvars cimport PyContext_CopyCurrent

from langgraph_cy import upstream as up

cdef str NS_SEP = up.NS_SEP


cdef class RunSettings:
    """The part of a run's `RunContext` that the core reads without asking Python."""

    cpdef object namespace_below(self, object name):
        """The checkpoint namespace that a node's tasks have in common."""
        cdef object parent = self.checkpoint_ns
        return f"{parent}{NS_SEP}{name}" if parent else name

    cpdef object observing(self):
        """The lock held while a config, an id or a scratchpad is made for whoever looks first.

        Several threads of a run may be the first at the same time. One for all runs would not
        do: whoever holds it may be made to collect garbage, and so to close a stream whose
        threads wait for it.
        """
        if self._observing is None:
            lock = RLock()
            if self._observing is None:
                self._observing = lock
        return self._observing


def plain_settings(cls, graph, input, user_context, control, limit, bint asynchronous):
    """The context of a run that was called without a config.

    Args:
        cls: the class of the context.
        graph, input, user_context, control: as for it.
        limit: how many supersteps may run.
        asynchronous: the run is awaited.
    """
    cdef RunSettings made = cls.__new__(cls)
    made.graph = graph
    made.input = input
    made.specs = graph.channels
    made.retry_policy = graph.retry_policy
    made.store = graph.store
    made.control = control
    made.asynchronous = asynchronous
    made.checkpoint_ns = ""
    made.namespace = ()
    made.recursion_limit = limit
    made.open_below = True
    made._user_context = user_context
    made._ambient = PyContext_CopyCurrent()
    return made
