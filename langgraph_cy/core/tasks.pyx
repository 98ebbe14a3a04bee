# cython: language_level=3, embedsignature=True
"""Tasks: one execution of one node within a superstep.

A task carries just what running it needs. Its id, its `RunnableConfig`, its `Runtime` and
its scratchpad come into being when something looks at them, and are then what upstream
would have made before the node started.
"""

from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.contextvars cimport PyContextVar_Set
from cpython.object cimport PyObject_Call
from cpython.time cimport time as unix_time

import random

from langgraph_cy import upstream as up
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.plan cimport BranchStep, CallStep, Step, WriteEntry, WriteStep
from langgraph_cy.locks import observing

cdef object CHILD_CONFIG = up.var_child_runnable_config
cdef object Runnable = up.Runnable
cdef object Send = up.Send
cdef str TASKS = up.TASKS
cdef str START = up.START
cdef str END = up.END
cdef str CONFIG_KEY_RUNTIME = up.CONFIG_KEY_RUNTIME


cdef class Head:

    def __cinit__(self):
        # Upstream draws the random part of a checkpoint id when it makes the checkpoint.
        # Drawn at another moment, it would change what a seeded program draws after it.
        self.node = random.getrandbits(48)

    cpdef str id(self, long step):
        """The checkpoint id, as `create_checkpoint` would have made it for `step`."""
        with observing:
            if self._id is None:
                self._id = str(up.uuid6(node=self.node, clock_seq=step))
            return self._id


cdef class Task:
    """One execution of a node (upstream: `PregelExecutableTask`)."""

    def __cinit__(self, *args, **kwargs):
        if LGCY_DEBUG_BUILD:
            born("Task")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("Task")

    @property
    def id(self):
        """The task id: a hash of the checkpoint id and of the task's place in the graph."""
        if self._id is None:
            with observing:
                if self._id is None:
                    self._id = self.context.task_id(self)
        return self._id

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
            with observing:
                if self._scratchpad is None:
                    self._scratchpad = self.context.scratchpad(self)
        return self._scratchpad

    cpdef object config(self):
        """The complete config that upstream would invoke the node with."""
        cdef object config = self._config
        if config is None:
            with observing:
                if self._config is None:
                    self._config = self.context.task_config(self)
                config = self._config
        return config

    cpdef object step_config(self, int index):
        """The config of one step of the node's `RunnableSeq`."""
        if not self.node.in_sequence:
            return self.config()
        with observing:
            if self._sequence is None:
                self._sequence = self.context.start_sequence(self)
            return self.context.step_config(self, self._sequence, index)

    cdef int restart(self) except -1:
        """Make ready for another attempt, which sees a config of its own."""
        self.attempt += 1
        self.forget()
        return 0

    cdef int forget(self) except -1:
        """Let go of the config, which refers back to the task."""
        self._config = None
        self._sequence = None
        return 0


cdef class ObservedConfig(dict):
    """A config that becomes complete on first sight.

    Stands in the context variable while a node runs that takes no config itself. Every
    access from Python fills it; a copy of it is a plain dict.
    """

    def __cinit__(self, *args, **kwargs):
        if LGCY_DEBUG_BUILD:
            born("ObservedConfig")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("ObservedConfig")

    cdef int fill(self) except -1:
        cdef object complete
        if self.task is None:
            return 0
        with observing:
            if self.task is not None:
                complete = self.task.step_config(self.index)
                if self.path is not None:
                    complete = self.task.context.path_config(self.task, complete, self.path)
                dict.update(self, complete)
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


cdef inline bint may_be_runnable(object value):
    """Whether a returned value is a Runnable, told from the commonest types first."""
    cdef object kind = type(value)
    if value is None or kind is dict or kind is str or kind is list or kind is tuple:
        return False
    return isinstance(value, Runnable)


cdef dict injected(CallStep call, Task task, object config):
    """The keyword arguments that upstream injects into a function that asks for them."""
    cdef dict kwargs = {}
    for name, attribute in call.accepts:
        if name == "config":
            kwargs[name] = config
        elif name == "runtime":
            kwargs[name] = config["configurable"][CONFIG_KEY_RUNTIME]
        elif name == "previous":
            kwargs[name] = None  # a task's own: only a saver keeps a previous value
        elif name == "store":
            kwargs[name] = task.context.store
        else:
            kwargs[name] = getattr(task.context.runtime, attribute)
    return kwargs


cdef object run_call(CallStep call, Task task, object argument, BranchStep asked):
    """Call a lowered function the way upstream's `RunnableCallable.invoke` does.

    Args:
        asked: the conditional edge whose path this is, None for the node's own function.
    """
    cdef ObservedConfig observed
    cdef dict kwargs = None
    cdef object config = None, own = None, result, context
    cdef int index = 0 if asked is None else asked.index
    if call.takes_config:
        own = config = task.step_config(index)
        if asked is not None:  # a path has a callback run of its own around it
            config = task.context.path_config(task, own, call.runnable)
    else:
        observed = ObservedConfig.__new__(ObservedConfig)
        observed.task = task
        observed.index = index
        if asked is not None:
            observed.path = call.runnable
        config = observed
    if call.accepts:
        kwargs = injected(call, task, own)
    context = PyContext_CopyCurrent()
    PyContext_Enter(context)
    try:
        PyContextVar_Set(CHILD_CONFIG, config)
        if kwargs is None:
            result = call.func(argument)
        else:
            result = PyObject_Call(call.func, (argument,), kwargs)
        if asked is None and call.recurse and may_be_runnable(result):
            result = result.invoke(argument, config if own is None else own)
    finally:
        PyContext_Exit(context)
    if asked is not None and call.recurse and may_be_runnable(result):
        result = result.invoke(argument, task.step_config(index))
    return result


cdef object run_step(Task task, object argument):
    """Run the first step of a node and return its output."""
    cdef Step step = task.node.first
    cdef object config, context
    if type(step) is CallStep:
        return run_call(<CallStep>step, task, argument, None)
    if type(step) is WriteStep:
        write(task, <WriteStep>step, argument)
        return argument
    config = task.step_config(0)
    context = PyContext_CopyCurrent()
    PyContext_Enter(context)
    try:
        PyContextVar_Set(CHILD_CONFIG, config)
        return step.runnable.invoke(argument, config)
    finally:
        PyContext_Exit(context)


cdef int write(Task task, WriteStep step, object output) except -1:
    cdef list writes = []
    for entry in step.entries:
        (<WriteEntry>entry).collect(output, writes)
    # all at once: a writer that raises half-way leaves nothing behind
    task.writes.extend(writes)
    return 0


cdef int branch(Task task, BranchStep step, object output) except -1:
    """Follow a conditional edge (upstream: `BranchSpec._route`)."""
    cdef object value = output, result, destination, target
    cdef list writes = []
    if step.reads:
        value = task.state.fresh_read(step, task.writes, task)
        if step.mapper is not None:
            value = step.mapper(value)
        if step.merges and isinstance(value, dict) and isinstance(output, dict):
            value = {**output, **value}
    result = run_call(step.call, task, value, step)
    for answer in result if isinstance(result, (list, tuple)) else (result,):
        if isinstance(answer, Send):
            destination = answer
            if answer.node == END:
                return refuse(task, step, output, result)
            writes.append((TASKS, answer))
            continue
        if step.ends:
            try:
                destination = step.ends[answer]
            except (KeyError, TypeError):  # unknown, or unhashable
                return refuse(task, step, output, result)
        else:
            destination = answer
        if isinstance(destination, Send):
            if destination.node == END:
                return refuse(task, step, output, result)
            writes.append((TASKS, destination))
            continue
        if destination is None or destination == START:
            return refuse(task, step, output, result)
        if destination == END:
            continue
        target = step.targets.get(destination) if type(destination) is str else None
        if target is None:
            target = (f"branch:to:{destination}", None)
            if type(destination) is str:
                step.targets[destination] = target
        writes.append(target)
    task.writes.extend(writes)
    return 0


cdef int refuse(Task task, BranchStep step, object output, object result) except -1:
    """Let upstream raise what it raises for a destination that is none."""
    config = task.step_config(step.index)
    step.branch._finish(step.runnable.kwargs["writer"], output, result, config)
    return 0


cdef int run_writers(Task task, object output) except -1:
    """Hand a node's output to the writers that follow it."""
    cdef object kind
    for step in task.node.writers:
        kind = type(step)
        if kind is WriteStep:
            write(task, <WriteStep>step, output)
        elif kind is BranchStep:
            branch(task, <BranchStep>step, output)
        else:
            output = (<Step>step).runnable.invoke(output, task.step_config((<Step>step).index))
    return 0


cdef int run_attempt(Task task) except -1:
    """Run a task once, from its input to its writes.

    Writes of an earlier attempt are dropped first, as upstream does.
    """
    task.writes.clear()
    if task.attempt == 0:
        task.started = unix_time()
    if task.node.first is None:
        task.node.proc.invoke(task.input, task.config())
    else:
        run_writers(task, run_step(task, task.input))
    return 0
