# cython: language_level=3, embedsignature=True
"""The graph plan: what a graph's nodes, channels and writers come down to.

A plan holds no values, only names turned into indices and closures turned into
operations, so that any number of runs on any number of threads may share it. It is made
once for a graph and dropped when an attribute that it was made from changes.
"""

from cython cimport final

from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.ref cimport PyObject
from cpython.tuple cimport PyTuple_GET_ITEM, PyTuple_GET_SIZE

from langgraph_cy import upstream as up
from langgraph_cy.core.guards cimport lgcy_dict_version
from langgraph_cy.core.channels cimport (
    TRAIT_CONSUMES, TRAIT_FINISHES, TRAIT_STABLE, BinaryOperatorAggregate, Channel, DeltaChannel,
    channel_traits, compiled_channel,
)

cdef extern from "Python.h":
    # As in cpython.list and cpython.tuple, but nothing is counted for what is only compared.
    PyObject* list_item "PyList_GET_ITEM"(PyObject*, Py_ssize_t)
    PyObject* tuple_item "PyTuple_GET_ITEM"(PyObject*, Py_ssize_t)
    Py_ssize_t list_size "PyList_GET_SIZE"(PyObject*)
    Py_ssize_t tuple_size "PyTuple_GET_SIZE"(PyObject*)

cdef object BaseChannel = up.BaseChannel
cdef object ChannelWrite = up.ChannelWrite
cdef object ChannelWriteEntry = up.ChannelWriteEntry
cdef object ChannelWriteTupleEntry = up.ChannelWriteTupleEntry
cdef object PASSTHROUGH = up.PASSTHROUGH
cdef object SKIP_WRITE = up.SKIP_WRITE
cdef object RunnableCallable = up.RunnableCallable
cdef object RunnableSeq = up.RunnableSeq
cdef object Send = up.Send
cdef str TASKS = up.TASKS

# Writes under these keys say what became of a task; no channel receives them.
cdef tuple RESERVED_WRITES = (
    up.NO_WRITES, up.PUSH, up.RESUME, up.INTERRUPT, up.RETURN, up.ERROR, up.ERROR_SOURCE_NODE,
)

cdef enum:
    ENTRY_UPDATES   # StateGraph: the keys of the dict a node returned
    ENTRY_CONTROL   # StateGraph: Send and Command among what a node returned
    ENTRY_MAPPER    # any other function from output to writes
    ENTRY_STATIC    # a constant, such as an edge's trigger
    ENTRY_PASS      # the output itself to one channel


cdef class WriteEntry:
    """One entry of an upstream `ChannelWrite`, ready to turn an output into writes."""

    cdef int collect(self, object output, list writes) except -1:
        cdef object mapped
        if self.kind == ENTRY_STATIC:
            writes.append(self.value)
        elif self.kind == ENTRY_UPDATES and type(output) is dict:
            for key, value in (<dict>output).items():
                if key in self.keys:
                    writes.append((key, value))
        elif self.kind == ENTRY_CONTROL and (output is None or type(output) is dict):
            pass
        elif self.kind == ENTRY_PASS:
            mapped = output if self.value is None else self.value(output)
            if mapped is not SKIP_WRITE and not (self.skip_none and mapped is None):
                writes.append((self.channel, mapped))
        else:
            mapped = self.value(output)
            if mapped:
                writes.extend(mapped)
        return 0


cdef WriteEntry lower_entry(object entry):
    """The operation for one entry of a `ChannelWrite`, None where it has no equal here."""
    cdef WriteEntry lowered = WriteEntry()
    if isinstance(entry, Send):
        lowered.kind = ENTRY_STATIC
        lowered.value = (TASKS, entry)
    elif isinstance(entry, ChannelWriteEntry):
        if entry.channel == TASKS:
            return None  # upstream refuses it when it runs
        if entry.value is PASSTHROUGH:
            lowered.kind = ENTRY_PASS
            lowered.channel = entry.channel
            lowered.skip_none = entry.skip_none
            lowered.value = entry.mapper
        elif entry.mapper is None and entry.value is not SKIP_WRITE and not (
            entry.skip_none and entry.value is None
        ):
            lowered.kind = ENTRY_STATIC
            lowered.value = (entry.channel, entry.value)
        else:
            return None
    elif isinstance(entry, ChannelWriteTupleEntry) and entry.value is PASSTHROUGH:
        lowered.value = entry.mapper
        code = getattr(entry.mapper, "__code__", None)
        if code is up.UPDATES_CODE:
            lowered.kind = ENTRY_UPDATES
            lowered.keys = frozenset(closure_value(entry.mapper, up.UPDATES_KEYS))
        elif entry.mapper is up._control_branch:
            lowered.kind = ENTRY_CONTROL
        else:
            lowered.kind = ENTRY_MAPPER
    else:
        return None
    return lowered


cdef object closure_value(object function, str name):
    """What the free variable `name` of a closure holds."""
    return function.__closure__[function.__code__.co_freevars.index(name)].cell_contents


cdef class Step:
    """A step of a node that upstream's Runnable machinery runs."""

    def __init__(self, runnable, int index):
        self.runnable = runnable
        self.index = index


cdef class CallStep(Step):
    """A step that is a plain function, called directly."""


cdef class GraphStep(Step):
    """A step that is a graph, run as a part of the run that it is a node of."""


cdef class WriteStep(Step):
    """A step that is a `ChannelWrite` whose entries are all understood."""


cdef class BranchStep(Step):
    """A conditional edge: reads fresh state, asks the path function, triggers nodes."""


cdef CallStep lower_call(object runnable, int index, bint traced, list guards):
    """The direct call for a `RunnableCallable`, None where upstream has to make it.

    Args:
        traced: whether upstream opens a callback run of its own around the function. A
            branch's path has one; the function of a StateGraph node has none.
    """
    cdef CallStep step
    cdef list accepts = []
    if type(runnable) is not RunnableCallable:
        return None
    if runnable.explode_args or runnable.kwargs or bool(runnable.trace) is not traced:
        return None
    step = CallStep(runnable, index)
    step.func = runnable.func
    step.afunc = runnable.afunc or None
    step.recurse = runnable.recurse
    for name, (attribute, default) in runnable.func_accepts.items():
        if name in ("config", "runtime"):
            step.takes_config = True
        elif name == "error":
            return None
        accepts.append((name, attribute))
    step.accepts = tuple(accepts)
    for key in ("func", "afunc", "trace", "recurse", "explode_args", "kwargs", "func_accepts"):
        guards.append((runnable.__dict__, key, runnable.__dict__[key]))
    return step


cdef Step lower_writer(object runnable, int index, Plan plan):
    """The operation for one writer of a node; a generic step where it has no equal."""
    cdef Step step
    if type(runnable) is ChannelWrite:
        entries = [lower_entry(entry) for entry in runnable.writes]
        if None not in entries:
            step = WriteStep(runnable, index)
            (<WriteStep>step).entries = tuple(entries)
            plan.guards.append((runnable.__dict__, "writes", runnable.writes))
            plan.freeze(runnable.writes)
            return step
    elif type(runnable) is RunnableCallable:
        step = lower_branch(runnable, index, plan)
        if step is not None:
            return step
    return Step(runnable, index)


cdef BranchStep lower_branch(object runnable, int index, Plan plan):
    """The operation for what `BranchSpec.run` made, None if this is something else."""
    cdef BranchStep step
    branch = getattr(runnable.func, "__self__", None)
    if type(branch) is not up.BranchSpec or runnable.func.__func__ is not up.BranchSpec._route:
        return None
    writer = runnable.kwargs.get("writer")
    if getattr(writer, "__code__", None) is not up.BRANCH_WRITES_CODE:
        return None
    step = BranchStep(runnable, index)
    step.call = lower_call(branch.path, index, True, plan.guards)
    if step.call is None:
        return None
    reader = runnable.kwargs.get("reader")
    if reader is not None:
        arguments = getattr(reader, "keywords", {})
        if (
            getattr(reader, "func", None) is not up.ChannelRead.do_read
            or reader.args
            or set(arguments) != {"select", "fresh", "mapper"}
            or arguments["fresh"] is not True
            or plan.custom
        ):
            return None
        step.reads = True
        step.merges = branch.input_schema is None
        step.mapper = arguments["mapper"]
        step.select = arguments["select"]
        names = (step.select,) if isinstance(step.select, str) else tuple(step.select)
        for name in names:
            if name not in plan.managed and plan.channel_index.get(name, -1) < 0:
                return None
        if isinstance(step.select, str) and step.select in plan.managed:
            return None
        step.select_names = names
        step.select_set = frozenset([name for name in names if name not in plan.managed])
        step.select_indices = tuple(
            [-1 if name in plan.managed else plan.channel_index[name] for name in names]
        )
    step.branch = branch
    step.ends = branch.ends
    step.routes = {}
    if branch.ends:
        plan.freeze_mapping(branch.ends)
    return step


cdef class PlanNode:
    """One node: its triggers, its input and the steps it runs, in indices."""

    @property
    def lowered(self):
        """Whether the node's function is called directly, not through upstream's Runnable."""
        return isinstance(self.first, (CallStep, WriteStep))


cdef PlanNode make_node(object name, int index, object spec, Plan plan, dict groups):
    cdef PlanNode node = PlanNode()
    cdef dict attributes = spec.__dict__
    node.name = name
    node.index = index
    node.spec = spec
    node.proc = spec.node
    node.triggers = tuple(sorted(spec.triggers))
    node.trigger_indices = [plan.channel_index.get(trigger, -1) for trigger in spec.triggers]
    node.consumed = [
        index
        for index in dict.fromkeys(node.trigger_indices)
        if index >= 0
        and (plan.traits[index] is None or <long>plan.traits[index] & TRAIT_CONSUMES)
    ]
    node.seen_offset = plan.seen_size
    plan.seen_size += len(node.trigger_indices)
    node.channels = spec.channels
    if isinstance(spec.channels, list):
        node.input_names = tuple(spec.channels)
        node.input_indices = tuple([
            -1 if key in plan.managed else plan.channel_index.get(key, -2) for key in spec.channels
        ])
        if -2 in node.input_indices:
            plan.unsupported = "node reads an unknown channel"
    elif isinstance(spec.channels, str):
        node.input_indices = (plan.channel_index.get(spec.channels, -1),)
    else:
        plan.unsupported = "node channels are neither a name nor a list"
    node.mapper = spec.mapper
    node.input_group = groups.setdefault(spec.input_cache_key, len(groups))
    node.hidden = up.TAG_HIDDEN in (spec.tags or ())
    node.path = (up.PULL, name)
    if spec.cache_policy is not None:
        plan.caches = True
    lower_proc(node, plan)
    for key in (
        "node", "triggers", "channels", "mapper", "tags", "cache_policy",
    ):
        plan.guards.append((attributes, key, attributes.get(key)))
    plan.freeze(spec.triggers)
    plan.freeze(spec.channels)
    plan.freeze(spec.tags or ())
    return node


cdef int lower_proc(PlanNode node, Plan plan) except -1:
    """Split what upstream would invoke for the node into steps."""
    node.writers = ()
    if type(node.proc) is ChannelWrite:
        step = lower_writer(node.proc, 0, plan)
        if type(step) is WriteStep:
            node.first = step
    elif type(node.proc) is RunnableSeq:
        policy = node.proc.trace_policy
        if (
            node.proc.trace_inputs is not None
            or policy.process_inputs is not None
            or policy.process_outputs is not None
        ):
            return 0  # these see every payload, so upstream has to run the sequence
        steps = node.proc.steps
        plan.guards.append((node.proc.__dict__, "steps", steps))
        plan.freeze(steps)
        node.in_sequence = True
        first = steps[0]
        if type(first) is ChannelWrite:
            node.first = lower_writer(first, 0, plan)
        else:
            node.first = lower_call(first, 0, False, plan.guards)
        if node.first is None:
            node.first = (GraphStep if isinstance(first, up.Pregel) else Step)(first, 0)
        node.writers = tuple(
            [lower_writer(step, i, plan) for i, step in enumerate(steps) if i > 0]
        )
    return 0


@final
cdef class Guarded:
    """Items of one mapping that a plan was made from."""

    cdef bint holds(self) except -1:
        """Whether they are what they were."""
        cdef PyObject* found
        cdef tuple item
        cdef unsigned long long version = lgcy_dict_version(self.mapping)
        if version and version == self.version:
            return True
        if self.size >= 0 and len(self.mapping) != self.size:
            return False
        for entry in self.items:
            item = <tuple>entry
            found = PyDict_GetItemWithError(self.mapping, <object>PyTuple_GET_ITEM(item, 0))
            if found == NULL:
                if <object>PyTuple_GET_ITEM(item, 1) is not None:
                    return False
            elif found != <PyObject*>PyTuple_GET_ITEM(item, 1):
                return False
        self.version = version
        return True


cdef class KeySet:
    """Output keys of a run, with what deciding about them each superstep needs."""

    cdef bint changed(self, object keys) except -1:
        """Whether the list that the keys are from holds others now."""
        cdef Py_ssize_t i
        cdef list live
        cdef tuple kept
        if self.single:
            return False
        if type(keys) is not list:
            return True
        live = <list>keys
        kept = <tuple>self.keys
        if PyList_GET_SIZE(live) != PyTuple_GET_SIZE(kept):
            return True
        for i in range(PyTuple_GET_SIZE(kept)):
            if PyList_GET_ITEM(live, i) != PyTuple_GET_ITEM(kept, i):
                return True
        return False


cdef class Plan:
    """What every run of one graph shares."""

    def __init__(self, graph):
        self.guards = []
        self.frozen = []
        self.key_sets = {}
        self.managed = {}
        self.channel_index = {}
        self.prototypes = []
        self.traits = []
        self.custom = []
        self.finishing = []
        self.filled = []
        self.tasks_index = -1
        self.nodes = ()
        self.node_index = {}
        self.subscribers = []
        self.channel_names = ()
        try:
            self.build(graph)
        except Exception as error:
            # what is too odd for a plan may still run on upstream's engine
            self.unsupported = f"no plan: {type(error).__name__}"

    cdef int build(self, graph) except -1:
        cdef Channel twin
        cdef int index = 0
        cdef PlanNode node
        channels = graph.channels
        if {type(channels), type(graph.nodes), type(graph.trigger_to_nodes)} != {dict}:
            self.unsupported = "nodes or channels not in a dict"
            return 0
        for name, spec in channels.items():
            if not isinstance(spec, BaseChannel):
                self.managed[name] = spec
                continue
            self.channel_index[name] = index
            twin = compiled_channel(spec)
            if twin is None:
                self.prototypes.append(spec)
                self.traits.append(None)
                self.custom.append(index)
                self.filled.append(index)
            else:
                self.prototypes.append(twin)
                self.traits.append(channel_traits(twin))
                if channel_traits(twin) & TRAIT_FINISHES:
                    self.finishing.append(index)
                if isinstance(twin, (BinaryOperatorAggregate, DeltaChannel)):
                    self.filled.append(index)
            if isinstance(spec, up.DeltaChannel):
                self.has_delta = self.rebuilds = True
            elif isinstance(spec, up.BinaryOperatorAggregate):
                self.rebuilds = True  # it may have been a DeltaChannel when it was stored
            elif isinstance(spec, up.UntrackedValue):
                self.has_untracked = True
            index += 1
        self.channel_names = tuple(self.channel_index)
        if TASKS in self.channel_index:
            self.tasks_index = self.channel_index[TASKS]
        for name in RESERVED_WRITES:
            self.channel_index[name] = -1
        groups = {}
        nodes = []
        self.freeze_mapping(channels)
        for name, spec in graph.nodes.items():
            if type(spec) is not up.PregelNode:
                self.unsupported = "node is not a plain PregelNode"
                break
            nodes.append(make_node(name, len(nodes), spec, self, groups))
        self.freeze_mapping(graph.nodes)
        self.nodes = tuple(nodes)
        self.node_index = {node.name: node for node in nodes}
        for rank, name in enumerate(sorted(self.node_index)):
            node = self.node_index[name]
            node.rank = rank
        self.subscribers = [
            # once each: a node may be subscribed to one channel twice
            tuple([
                self.node_index[target]
                for target in dict.fromkeys(graph.trigger_to_nodes.get(name, ()))
                if target in self.node_index
            ])
            for name in self.channel_names
        ]
        self.has_subscribers = bool(graph.trigger_to_nodes)
        self.freeze_mapping(graph.trigger_to_nodes)
        for targets in graph.trigger_to_nodes.values():
            self.freeze(targets)
        for key in ("nodes", "channels", "trigger_to_nodes"):
            self.guards.append((None, key, getattr(graph, key)))
        handlers = dict(graph.node_error_handler_map or {})
        for node in nodes:
            # a handler's own failure is nobody's to take over
            if node.name not in handlers.values():
                node.error_handler = handlers.get(node.name)
        if graph.cache_policy is not None:
            self.caches = True
        self.plain = not (
            graph.checkpointer
            or graph.config is not None
            or graph.cache is not None
            or graph.debug
            or graph.interrupt_before_nodes
            or graph.interrupt_after_nodes
        )
        for key in (
            "node_error_handler_map", "cache_policy", "step_timeout", "checkpointer", "config",
            "cache", "debug", "interrupt_before_nodes", "interrupt_after_nodes",
        ):
            self.guards.append((None, key, getattr(graph, key)))
        return 0

    cdef int freeze(self, object sequence) except -1:
        """Remember what a list holds, so that a later change drops the plan."""
        if type(sequence) is list:
            self.frozen.append((sequence, tuple(sequence)))
        elif not isinstance(sequence, (str, tuple)):
            self.unsupported = "triggers, channels or writers in a sequence of its own"
        return 0

    cdef int freeze_mapping(self, object mapping) except -1:
        """Remember a mapping's items, so that a later change drops the plan."""
        for key, value in mapping.items():
            self.guards.append((mapping, key, value))
        self.guards.append((mapping, None, len(mapping)))
        return 0

    cpdef bint is_current(self, dict attributes):
        """Whether the nodes, channels, functions and edges the plan was made from are in place.

        A channel that is changed inside, such as one given another reducer, is not noticed.

        Args:
            attributes: the graph's own `__dict__`.
        """
        cdef Py_ssize_t i, j
        cdef tuple guard
        cdef PyObject* found
        cdef PyObject* pair
        cdef PyObject* live
        cdef PyObject* copy
        cdef unsigned long long version = lgcy_dict_version(attributes)
        if self.guarded is None:
            self.group_guards()
        if not version or version != self.version:
            # not kept: a copy of a graph has the plan of the graph, and other attributes
            for entry in self.own:
                guard = <tuple>entry
                found = PyDict_GetItemWithError(attributes, <object>PyTuple_GET_ITEM(guard, 0))
                if found == NULL:
                    if <object>PyTuple_GET_ITEM(guard, 1) is not None:
                        return False
                elif found != <PyObject*>PyTuple_GET_ITEM(guard, 1):
                    return False
            self.version = version
        for i in range(PyList_GET_SIZE(self.guarded)):
            if not (<Guarded>list_item(<PyObject*>self.guarded, i)).holds():
                return False
        for i in range(PyList_GET_SIZE(self.frozen)):
            pair = list_item(<PyObject*>self.frozen, i)
            live = tuple_item(pair, 0)
            copy = tuple_item(pair, 1)
            if list_size(live) != tuple_size(copy):
                return False
            for j in range(tuple_size(copy)):
                if list_item(live, j) != tuple_item(copy, j):
                    return False
        return True

    cdef int group_guards(self) except -1:
        """Sort the guards by the mapping that they are of."""
        cdef dict groups = {}
        cdef Guarded guarded
        self.own = []
        for mapping, key, value in self.guards:
            if mapping is None:
                self.own.append((key, value))
                continue
            guarded = groups.get(id(mapping))
            if guarded is None:
                groups[id(mapping)] = guarded = Guarded.__new__(Guarded)
                guarded.mapping = mapping
                guarded.size = -1
                guarded.items = []
            if key is None:
                guarded.size = value
            else:
                guarded.items.append((key, value))
        self.guarded = list(groups.values())
        return 0

    cpdef KeySet key_set(self, object keys):
        """Output keys prepared for a run: a channel name, or a sequence of them."""
        cdef KeySet made
        if keys is self.last_keys and not self.last_key_set.changed(keys):
            return self.last_key_set
        cdef object cache_key = keys if isinstance(keys, str) else tuple(keys)
        made = self.key_sets.get(cache_key)
        if made is None:
            made = KeySet()
            made.keys = cache_key  # not the caller's list, which may change
            made.single = isinstance(keys, str)
            names = (keys,) if made.single else tuple(keys)
            made.names = frozenset(names)
            made.indices = [self.channel_index.get(name, -1) for name in names]
            made.stable = True
            for index in made.indices:
                if <long>index < 0 or index in self.custom:
                    made.stable = False
                elif not <long>self.traits[index] & TRAIT_STABLE:
                    made.stable = False
            if len(self.key_sets) < 64:  # callers may make up key lists without end
                self.key_sets[cache_key] = made
        self.last_keys = keys
        self.last_key_set = made
        return made

    cdef list new_channels(self):
        """Empty channels: those that start without a value are shared until a run writes them."""
        cdef list channels = self.prototypes.copy()
        cdef Py_ssize_t index
        for position in self.filled:
            index = position
            if self.traits[index] is None:
                channels[index] = self.prototypes[index].from_checkpoint(up.MISSING)
            else:
                channels[index] = (<Channel>self.prototypes[index]).c_fresh()
        return channels

    def __reduce__(self):
        # A copied or unpickled graph makes a plan of its own.
        return (type(None), ())

    def describe(self):
        """How each node runs: a list of (node, triggers, first step, writers)."""
        return [
            (
                node.name,
                node.triggers,
                "whole" if node.first is None else type(node.first).__name__,
                tuple([type(step).__name__ for step in node.writers]),
            )
            for node in self.nodes
        ]


PLAN_ATTRIBUTE = "_compiled_plan"


cpdef Plan plan_of(object graph):
    """The plan of a graph, made on first use and again whenever the graph has changed.

    It is kept in the graph's own `__dict__`, so that it lives and dies with the graph even
    where a node's closure refers back to it.

    Args:
        graph: a compiled upstream `Pregel`.
    """
    cdef dict attributes = graph.__dict__
    cdef PyObject* found = PyDict_GetItemWithError(attributes, PLAN_ATTRIBUTE)
    if found != NULL and type(<object>found) is Plan and (<Plan>found).is_current(attributes):
        return <Plan>found
    plan = Plan(graph)
    attributes[PLAN_ATTRIBUTE] = plan
    return plan
