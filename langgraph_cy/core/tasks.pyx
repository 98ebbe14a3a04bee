# cython: language_level=3, embedsignature=True
"""Tasks: one execution of one node within a superstep.

A task carries just what running it needs. Its id, its `RunnableConfig`, its `Runtime` and
its scratchpad come into being when something looks at them, and are then what upstream
would have made before the node started.
"""

from cpython.contextvars cimport PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit
from cpython.contextvars cimport PyContextVar_Set
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject_Call
from cpython.ref cimport Py_DECREF, PyObject
from cpython.time cimport time as unix_time

import random
import sys
from binascii import unhexlify

from langgraph_cy import upstream as up
from langgraph_cy.core.ids cimport checkpoint_id, hashed_id
from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.plan cimport BranchStep, CallStep, GraphStep, Step, WriteEntry, WriteStep

cdef object CHILD_CONFIG = up.var_child_runnable_config
cdef object Command = up.Command
cdef object Runnable = up.Runnable
cdef object Send = up.Send
cdef object MISSING = up.MISSING
cdef str TASKS = up.TASKS
cdef str PULL = up.PULL
cdef str PUSH = up.PUSH
cdef str START = up.START
cdef str END = up.END
cdef dict RANDOM = vars(random)
cdef int MOST_ROUTES = 1024
cdef str CONFIG_KEY_RUNTIME = up.CONFIG_KEY_RUNTIME
# Before, asyncio's tasks take no context: upstream runs coroutines in the caller's own.
cdef bint CONTEXTS = sys.version_info >= (3, 11)

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    PySendResult PyIter_Send(object iterator, object value, PyObject** result) except PYGEN_ERROR
    bint PyCoro_CheckExact(object value)


cdef class Head:

    def __cinit__(self, bint drawn=True):
        # Upstream draws the random part of a checkpoint id when it makes the checkpoint.
        # Drawn at another moment, it would change what a seeded program draws after it.
        if drawn:
            self.node = RANDOM["getrandbits"](48)

    cpdef str id(self, long step):
        """The checkpoint id, as `create_checkpoint` would have made it for `step`."""
        if self._id is None:
            made = checkpoint_id(step, self.node)
            if self._id is None:  # no other thread has been first
                self._id = made
        return self._id


cdef Head known_head(str id, object previous, bint old):
    """The head of a run whose checkpoints have their ids, and are kept."""
    cdef Head head = Head.__new__(Head, False)
    head._id = id
    head.previous = previous
    head.old = old
    return head


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
        """The config of one step of the node's `RunnableSeq`."""
        if not self.node.in_sequence:
            return self.attempt_config()
        with self.context.observing():
            if self._sequence is None:
                self._sequence = self.context.start_sequence(self)
            return self.context.step_config(self, self._sequence, index)

    cdef int restart(self) except -1:
        """Make ready for another attempt, which sees a config of its own."""
        self.attempt += 1
        self._config = None
        self._sequence = None
        return 0

    cdef int forget(self) except -1:
        """Let go of the config, which refers back to the task."""
        self._prepared = None
        self._config = None
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
        cdef Task task = self.task
        if task is None:
            return 0
        with task.context.observing():
            if self.task is not None:
                complete = task.step_config(self.index)
                if self.path is not None:
                    complete = task.context.path_config(task, complete, self.path)
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
            kwargs[name] = task.head.previous
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


cdef object run_below = None    # (graph, task, input) -> what the graph returns
cdef object await_below = None  # the same, for it to be awaited
cdef object fits_below = None   # (graph, method name) -> whether it may run so


def set_below(fits, run, awaited):
    """Tell how to run a graph that is a node, as the module does that runs graphs."""
    global fits_below, run_below, await_below
    fits_below, run_below, await_below = fits, run, awaited


cdef bint runs_below(Task task, str method) except -1:
    """Whether a task's node is a graph that can run without a config of its own."""
    cdef RunSettings context = task.context
    return (
        type(task.node.first) is GraphStep
        and context.open_below
        and context.stream is None
        and task.attempt == 0
        and not isinstance(task.input, Command)  # which is no input, but resumes a thread
        and fits_below(task.node.first.runnable, method)
    )


cdef ObservedConfig observed_config(Task task):
    """The config that the first step of a task's node would see."""
    cdef ObservedConfig observed = ObservedConfig.__new__(ObservedConfig)
    observed.task = task
    return observed


cdef object run_step(Task task, object argument):
    """Run the first step of a node and return its output."""
    cdef Step step = task.node.first
    cdef object config, context
    if runs_below(task, "invoke"):
        context = PyContext_CopyCurrent()
        PyContext_Enter(context)
        try:
            PyContextVar_Set(CHILD_CONFIG, observed_config(task))
            return run_below(step.runnable, task, argument)
        finally:
            PyContext_Exit(context)
    if type(step) is CallStep and (<CallStep>step).func is not None:
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


async def awaiting(awaitable):
    """A coroutine for an awaitable that is none."""
    return await awaitable


async def step_awaited(Task task, argument):
    """Run the first step of a node by upstream's Runnable, in the context that is current."""
    config = task.step_config(0)
    if CONTEXTS:
        PyContextVar_Set(CHILD_CONFIG, config)
    return await (<Step>task.node.first).runnable.ainvoke(argument, config)


cdef class AsyncCall:
    """A call of a coroutine function, awaited in the caller's own asyncio task.

    Each step of the coroutine runs inside one copied context, as upstream's does that has a
    task of its own. `step` may be called before anything awaits: what never waits for anything
    never suspends its caller.
    """

    cdef object open(self):
        """Call the function; the coroutine it returns."""
        cdef ObservedConfig observed
        cdef dict kwargs = None
        cdef object config = None, result
        cdef CallStep call = self.call
        cdef Task task = self.task
        cdef int index = 0 if self.asked is None else self.asked.index
        if call is None:
            if self.context is not None and runs_below(task, "ainvoke"):
                PyContextVar_Set(CHILD_CONFIG, observed_config(task))
                return await_below(task.node.first.runnable, task, self.argument)
            return step_awaited(task, self.argument)
        if call.takes_config:
            self.own = config = task.step_config(index)
            if self.asked is not None:  # a path has a callback run of its own around it
                config = task.context.path_config(task, config, call.runnable)
        elif self.context is not None:
            observed = ObservedConfig.__new__(ObservedConfig)
            observed.task = task
            observed.index = index
            if self.asked is not None:
                observed.path = call.runnable
            config = observed
        if call.accepts:
            kwargs = injected(call, task, self.own)
        if self.context is not None:
            PyContextVar_Set(CHILD_CONFIG, config)
        if kwargs is None:
            result = call.afunc(self.argument)
        else:
            result = PyObject_Call(call.afunc, (self.argument,), kwargs)
        return result if PyCoro_CheckExact(result) else awaiting(result)

    cdef bint settle(self, object result) except -1:
        """Take what a coroutine returned. True where it is a Runnable, which runs in turn."""
        self.coroutine = None
        if self.recursed or self.call is None or not self.call.recurse:
            self.value = result
        elif may_be_runnable(result):
            self.recursed = True
            if self.own is None:
                index = 0 if self.asked is None else self.asked.index
                self.own = self.task.step_config(index)
            if self.asked is not None:
                self.context = None
            self.coroutine = result.ainvoke(self.argument, self.own)
            return True
        else:
            self.value = result
        return False

    cdef bint step(self, object sent) except -1:
        """Run on until the coroutine awaits something: True, and `value` is that. Else it ended."""
        cdef PyObject* result = NULL
        cdef PySendResult status
        while True:
            context = self.context
            if context is not None:
                PyContext_Enter(context)
            try:
                if self.coroutine is None:
                    self.coroutine = self.open()
                status = PyIter_Send(self.coroutine, sent, &result)
            finally:
                if context is not None:
                    PyContext_Exit(context)
            value = <object>result
            Py_DECREF(value)
            if status == PYGEN_NEXT:
                self.value = value
                return True
            if not self.settle(value):
                return False
            sent = None

    def __await__(self):
        if self.coroutine is None and not self.step(None):
            return self.value
        while True:
            awaited, self.value = self.value, None
            try:
                sent = yield awaited
            except BaseException as error:
                if self.throw(error):
                    continue
                return self.value
            if not self.step(sent):
                return self.value

    def throw(self, error):
        """Raise inside of the coroutine. True where it goes on and awaits something."""
        context = self.context
        if context is not None:
            PyContext_Enter(context)
        try:
            if isinstance(error, GeneratorExit):
                self.coroutine.close()
                raise error
            self.value = self.coroutine.throw(error)
            return True
        except StopIteration as stopped:
            result = stopped.value
        finally:
            if context is not None:
                PyContext_Exit(context)
        return self.settle(result) and self.step(None)


cdef AsyncCall call_of(Task task, object argument):
    """The awaitable for a node's first step."""
    cdef AsyncCall call = AsyncCall.__new__(AsyncCall)
    call.task = task
    call.argument = argument
    if type(task.node.first) is CallStep:
        call.call = <CallStep>task.node.first
    if CONTEXTS:
        call.context = PyContext_CopyCurrent()
    return call


cdef AsyncCall path_of(Task task, BranchStep step, object argument):
    """The awaitable for the path of a conditional edge."""
    cdef AsyncCall call = call_of(task, argument)
    call.call = step.call
    call.asked = step
    return call


cdef bint needs_awaiting(Task task) except -1:
    """Whether a node's first step is something to await."""
    cdef object kind = type(task.node.first)
    if kind is WriteStep:
        return False
    return kind is not CallStep or (<CallStep>task.node.first).afunc is not None


cdef int write(Task task, WriteStep step, object output) except -1:
    cdef list writes = task.writes
    cdef Py_ssize_t before = PyList_GET_SIZE(writes)
    try:
        for entry in step.entries:
            (<WriteEntry>entry).collect(output, writes)
    except BaseException:
        del writes[before:]  # a writer that raises half-way leaves nothing behind
        raise
    return 0


cdef object branch_input(Task task, BranchStep step, object output):
    """What the path of a conditional edge is called with."""
    cdef object value
    if not step.reads:
        return output
    value = task.state.fresh_read(step, task.writes, task)
    if step.mapper is not None:
        value = step.mapper(value)
    if step.merges and isinstance(value, dict) and isinstance(output, dict):
        value = {**output, **value}
    return value


cdef int branch(Task task, BranchStep step, object output) except -1:
    """Follow a conditional edge (upstream: `BranchSpec._route`)."""
    cdef object result = run_call(step.call, task, branch_input(task, step, output), step)
    return follow(task, step, output, result)


cdef int follow(Task task, BranchStep step, object output, object result) except -1:
    """Write what the path of a conditional edge answered."""
    cdef list writes = task.writes
    cdef Py_ssize_t before = PyList_GET_SIZE(writes)
    cdef PyObject* known
    if type(result) is str:
        known = PyDict_GetItemWithError(step.routes, result)
        if known == NULL:
            destination = destination_of(step, result)
            if destination is None or destination == START or (
                isinstance(destination, Send) and destination.node == END
            ):
                return refuse(task, step, output, result, before)
            target = write_to(destination)
            if len(step.routes) < MOST_ROUTES:  # paths may make up names without end
                step.routes[result] = target
        else:
            target = <object>known
        if target is not None:
            writes.append(target)
        return 0
    for answer in result if isinstance(result, (list, tuple)) else (result,):
        destination = answer if isinstance(answer, Send) else destination_of(step, answer)
        if destination is None or destination == START or (
            isinstance(destination, Send) and destination.node == END
        ):
            return refuse(task, step, output, result, before)
        target = write_to(destination)
        if target is not None:
            writes.append(target)
    return 0


cdef object destination_of(BranchStep step, object answer):
    """Where an answer of a path leads: a node's name or a Send; None where to nowhere."""
    if not step.ends:
        return answer
    try:
        return step.ends[answer]
    except (KeyError, TypeError):  # unknown, or unhashable
        return None


cdef object write_to(object destination):
    """The write that starts a destination, None for the end."""
    if isinstance(destination, Send):
        return (TASKS, destination)
    return None if destination == END else (f"branch:to:{destination}", None)


cdef int refuse(
    Task task, BranchStep step, object output, object result, Py_ssize_t before
) except -1:
    """Let upstream raise what it raises for a destination that is none.

    Args:
        before: how many writes the task had made.
    """
    del task.writes[before:]
    config = task.step_config(step.index)
    step.branch._finish(step.runnable.kwargs["writer"], output, result, config)
    return 0


cdef object run_writers(Task task, object output):
    """Hand a node's output to the writers that follow it; what the last of them returns."""
    cdef object kind
    for step in task.node.writers:
        kind = type(step)
        if kind is WriteStep:
            write(task, <WriteStep>step, output)
        elif (
            kind is BranchStep
            and (<BranchStep>step).call.func is not None
            and not task.context.watched  # who sees the path called
        ):
            branch(task, <BranchStep>step, output)
        else:
            output = (<Step>step).runnable.invoke(output, task.step_config((<Step>step).index))
    return output


cdef int begin_attempt(Task task) except -1:
    """Drop the writes of an earlier attempt, as upstream does, and note when the first began."""
    task.writes.clear()
    if task.attempt == 0:
        task.started = unix_time()
    return 0


cdef int run_attempt(Task task) except -1:
    """Run a task once, from its input to its writes."""
    begin_attempt(task)
    if task.node.first is None:
        task.node.proc.invoke(task.input, task.attempt_config())
    elif not task.context.watched:
        run_writers(task, run_step(task, task.input))
    elif task.context.traced or not task.node.in_sequence:
        task.node.proc.invoke(task.input, task.attempt_config())
    else:
        run_watched(task)
    return 0


cdef int run_watched(Task task) except -1:
    """Run a task once under the eyes of handlers (upstream: `RunnableSeq.invoke`).

    They see the node start and end, and what it calls; of writing they see nothing.
    """
    sequence = task.node.proc._start(task.input, task.attempt_config())
    task._sequence = sequence
    try:
        output = run_writers(task, run_step(task, task.input))
    except BaseException as error:
        sequence.on_chain_error(error)
        raise
    task.node.proc._end(sequence, output)
    return 0


cdef object advance(Task task):
    """Run a task once in an asynchronous run, as far as that goes without waiting.

    Returns:
        The rest of it as a coroutine, None where nothing is left.
    """
    cdef AsyncCall call
    cdef object output
    begin_attempt(task)
    if task.node.first is None or task.context.watched:
        return task.context.await_whole(task)
    if needs_awaiting(task):
        call = call_of(task, task.input)
        if call.step(None):
            return await_node(task, call)
        output = call.value
    else:
        output = run_step(task, task.input)
    return advance_writers(task, 0, output)


cdef object advance_writers(Task task, Py_ssize_t index, object output):
    """Hand a node's output to its writers from one on, as far as that goes without waiting."""
    cdef AsyncCall path
    cdef object step, kind
    while index < len(task.node.writers):
        step = task.node.writers[index]
        kind = type(step)
        if kind is WriteStep:
            write(task, <WriteStep>step, output)
        elif kind is not BranchStep:
            return await_writer(task, index, output)
        elif (<BranchStep>step).call.afunc is None:
            branch(task, <BranchStep>step, output)
        else:
            path = path_of(task, <BranchStep>step, branch_input(task, <BranchStep>step, output))
            if path.step(None):
                return await_path(task, index, path, output)
            follow(task, <BranchStep>step, output, path.value)
        index += 1
    return None


async def await_node(Task task, AsyncCall call):
    """The rest of a task that waits for its node's function."""
    rest = advance_writers(task, 0, await call)
    if rest is not None:
        await rest


async def await_path(Task task, Py_ssize_t index, AsyncCall path, output):
    """The rest of a task that waits for the path of a conditional edge."""
    follow(task, <BranchStep>task.node.writers[index], output, await path)
    rest = advance_writers(task, index + 1, output)
    if rest is not None:
        await rest


async def await_writer(Task task, Py_ssize_t index, output):
    """The rest of a task from a writer on that upstream's Runnable machinery runs."""
    step = <Step>task.node.writers[index]
    output = await step.runnable.ainvoke(output, task.step_config(step.index))
    rest = advance_writers(task, index + 1, output)
    if rest is not None:
        await rest
