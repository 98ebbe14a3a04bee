# cython: language_level=3, embedsignature=True
"""Tasks: one execution of one node within a superstep.

A task carries just what running it needs. Its id, its `RunnableConfig`, its `Runtime` and
its scratchpad come into being when something looks at them, and are then what upstream
would have made before the node started.
"""

import random
from binascii import unhexlify

cimport cython
from cpython.dict cimport PyDict_Next
from cpython.object cimport PyObject

from langgraph_cy import upstream as up
from langgraph_cy.core.ids cimport checkpoint_id, hashed_id
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died

cdef object MISSING = up.MISSING
cdef str PULL = up.PULL
cdef str PUSH = up.PUSH
cdef dict RANDOM = vars(random)


@cython.freelist(4)
cdef class Head:

    cpdef str id(self, long step):
        """The checkpoint id, as `create_checkpoint` would have made it for `step`."""
        if self._id is None:
            made = checkpoint_id(step, self.node)
            if self._id is None:  # no other thread has been first
                self._id = made
        return self._id


cdef Head drawn_head():
    """The head of a run that keeps no checkpoints."""
    cdef Head head = Head.__new__(Head)
    # Upstream draws the random part of a checkpoint id when it makes the checkpoint. Drawn at
    # another moment, it would change what a seeded program draws after it.
    head.node = RANDOM["getrandbits"](48)
    return head


cdef Head known_head(str id, object previous, bint old):
    """The head of a run whose checkpoints have their ids, and are kept."""
    cdef Head head = Head.__new__(Head)
    head._id = id
    head.previous = previous
    head.old = old
    return head


@cython.freelist(64)
cdef class Task:
    """One execution of a node (upstream: `PregelExecutableTask`)."""

    def graph_ran(self):
        """Count a graph that has run as the task's node without asking for its config."""
        with self.context.observing():
            if self._scratchpad is None:
                self.ran_graph = True
            else:
                self._scratchpad.subgraph_counter()

    def __cinit__(self):
        self._cache_key = MISSING
        if LGCY_DEBUG_BUILD:
            born("Task")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("Task")

    @property
    def id(self):
        """The task id: a hash of the checkpoint id and of the task's place in the graph."""
        if self._id is None:
            with self.context.observing():
                if self._id is None:
                    self._id = self.made_id()
        return self._id

    cdef str made_id(self):
        """The id that upstream would give the task."""
        cdef object name = self.node.name
        cdef object namespace = self.context.namespace_below(name)
        cdef list parts = [namespace, str(self.step), name]
        if self.index < 0:
            parts += (PULL, *self.node.triggers)
        else:
            parts += (PUSH, str(self.index))
        checkpoint = self.head.id(self.step - 1)
        if self.head.old:
            return up._uuid5_str(unhexlify(checkpoint.replace("-", "")), *parts)
        return hashed_id(checkpoint, "".join(parts))

    @property
    def triggers(self):
        """What started the task: trigger channels by name, or the push marker."""
        return self.node.triggers if self.index < 0 else up.PUSH_TRIGGER

    @property
    def channels(self):
        """The run's channels by name."""
        return self.state.named()

    @property
    def managed(self):
        """The graph's managed values by name."""
        return self.state.plan.managed

    @property
    def scratchpad(self):
        """Upstream's `PregelScratchpad` of this task."""
        if self._scratchpad is None:
            with self.context.observing():
                if self._scratchpad is None:
                    scratchpad = self.context.scratchpad(self)
                    if self.ran_graph:
                        scratchpad.subgraph_counter()  # that graph was the task's first
                    self._scratchpad = scratchpad
        return self._scratchpad

    # what upstream's `PregelExecutableTask` has besides

    @property
    def proc(self):
        """What upstream would invoke."""
        return self.node.proc

    @property
    def config(self):
        """The config upstream's planner would have given the task."""
        cdef object config = self._prepared
        if config is None:
            with self.context.observing():
                if self._prepared is None:
                    self._prepared = self.context.prepared_config(self)
                config = self._prepared
        return config

    @property
    def retry_policy(self):
        """The node's retry policies, else the graph's."""
        return self.node.spec.retry_policy or self.context.retry_policy

    @property
    def writers(self):
        """The runnables that turn the node's output into writes."""
        return self.node.spec.flat_writers

    @property
    def subgraphs(self):
        """Graphs that the node runs."""
        return self.node.spec.subgraphs

    @property
    def cache_key(self):
        """Upstream's `CacheKey` for the task's writes, None where nothing is cached."""
        if self._cache_key is MISSING:
            self._cache_key = self.context.cache_key(self)
        return self._cache_key

    cpdef object attempt_config(self):
        """The complete config that upstream would invoke the node with."""
        cdef object config = self._config
        if config is None:
            with self.context.observing():
                if self._config is None:
                    self._config = self.context.task_config(self)
                config = self._config
        return config

    cpdef object step_config(self, int index):
        """The config of one step of the node's `RunnableSeq`, made from that of the step before.

        So what a node adds to its config reaches the path of a conditional edge.
        """
        if not self.node.in_sequence:
            return self.attempt_config()
        with self.context.observing():
            if self._step_config is None:
                self._step_config = self.late_config(index)
            elif self._step != index:
                self._step_config = self.context.step_config(
                    self._sequence, index, self._step_config
                )
            self._step = index
            return self._step_config

    cdef object late_config(self, int index):
        """The same made from the attempt's config: of the first step seen, or one that is over."""
        with self.context.observing():
            if self._sequence is None:
                self._sequence = self.context.start_sequence(self)
            return self.context.step_config(self._sequence, index, self.attempt_config())

    cdef int restart(self) except -1:
        """Make ready for another attempt, which sees a config of its own."""
        self.attempt += 1
        self._config = None
        self._step_config = None
        self._sequence = None
        return 0

    cdef int forget(self) except -1:
        """Let go of the config, which refers back to the task."""
        self._prepared = None
        self._config = None
        self._step_config = None
        self._sequence = None
        return 0


cdef class ObservedConfig(dict):
    """A config that becomes complete on first sight.

    Stands in the context variable while a node runs that takes no config itself. Every
    access from Python fills it; a copy of it is a plain dict.
    """

    def __cinit__(self):
        if LGCY_DEBUG_BUILD:
            born("ObservedConfig")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("ObservedConfig")

    cdef int fill(self) except -1:
        cdef object complete
        cdef dict changes = None
        cdef PyObject *key, *value
        cdef Py_ssize_t place = 0
        cdef Task task = self.task
        if task is None:
            return 0
        with task.context.observing():
            if self.task is not None:
                if not task.node.in_sequence or (self.attempt == task.attempt and (
                    task._step_config is None or self.index >= task._step
                )):
                    complete = task.step_config(self.index)
                    if self.path is None and task.node.in_sequence:
                        task._step_config = self
                else:
                    complete = task.late_config(self.index)
                if self.path is not None:
                    complete = task.context.path_config(complete, self.path)
                while PyDict_Next(self, &place, &key, &value):
                    if changes is None:  # made by what goes past this class's methods
                        changes = {}
                    changes[<object>key] = <object>value
                dict.update(self, complete)
                if changes is not None:
                    dict.update(self, changes)
                self.task = None
                self.path = None
        return 0

    def __len__(self):
        self.fill()
        return dict.__len__(self)

    def __bool__(self):
        # What upstream asks first of the context variable's config. Filled here, it also
        # holds for C code that reads a dict without asking the object.
        self.fill()
        return True

    def __iter__(self):
        self.fill()
        return dict.__iter__(self)

    def __reversed__(self):
        self.fill()
        return dict.__reversed__(self)

    def __contains__(self, key):
        self.fill()
        return dict.__contains__(self, key)

    def __getitem__(self, key):
        self.fill()
        return dict.__getitem__(self, key)

    def __setitem__(self, key, value):
        self.fill()
        dict.__setitem__(self, key, value)

    def __delitem__(self, key):
        self.fill()
        dict.__delitem__(self, key)

    def __eq__(self, other):
        self.fill()
        return dict.__eq__(self, other)

    def __ne__(self, other):
        self.fill()
        return dict.__ne__(self, other)

    __hash__ = None

    def __or__(self, other):
        if isinstance(self, ObservedConfig):
            (<ObservedConfig>self).fill()
        return dict(self) | other

    def __ror__(self, other):
        self.fill()
        return other | dict(self)

    def __ior__(self, other):
        self.fill()
        dict.update(self, other)
        return self

    def __repr__(self):
        self.fill()
        return dict.__repr__(self)

    def __reduce__(self):
        self.fill()
        return (dict, (dict(self),))

    def __reduce_ex__(self, protocol):
        return self.__reduce__()

    def get(self, key, default=None):
        self.fill()
        return dict.get(self, key, default)

    def keys(self):
        self.fill()
        return dict.keys(self)

    def values(self):
        self.fill()
        return dict.values(self)

    def items(self):
        self.fill()
        return dict.items(self)

    def copy(self):
        self.fill()
        return dict.copy(self)

    def pop(self, *args):
        self.fill()
        return dict.pop(self, *args)

    def popitem(self):
        self.fill()
        return dict.popitem(self)

    def setdefault(self, key, default=None):
        self.fill()
        return dict.setdefault(self, key, default)

    def update(self, *args, **kwargs):
        self.fill()
        dict.update(self, *args, **kwargs)

    def clear(self):
        self.task = None
        dict.clear(self)
