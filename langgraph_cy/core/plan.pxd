from langgraph_cy.core.channels cimport Channel


cdef class WriteEntry:
    cdef int kind             # one of the ENTRY_* codes in plan.pyx
    cdef object value         # the static write, the mapper or the upstream entry
    cdef frozenset keys       # ENTRY_UPDATES: state keys the node may write
    cdef object channel       # ENTRY_PASS: channel written with the node's output
    cdef bint skip_none       # ENTRY_PASS: a None is not written
    cdef int collect(self, object output, list writes) except -1


cdef class Step:
    cdef readonly object runnable  # the upstream runnable this step stands in for
    cdef readonly int index        # position in the node's RunnableSeq


cdef class CallStep(Step):
    cdef readonly object func      # the plain function to call, None if there is only `afunc`
    cdef readonly object afunc     # what to await in an asynchronous run, None: call `func`
    cdef readonly tuple accepts    # ((name, runtime attribute), ...) to inject
    cdef readonly bint takes_config  # or runtime, which lives in the config
    cdef readonly bint recurse     # a returned Runnable is invoked in turn


cdef class GraphStep(Step):
    pass


cdef class WriteStep(Step):
    cdef readonly tuple entries    # of WriteEntry


cdef class BranchStep(Step):
    cdef readonly object branch    # upstream's BranchSpec
    cdef readonly CallStep call    # its path, None where only upstream can run it
    cdef readonly object ends      # path result -> node, None where they are the same
    cdef readonly bint reads       # the path gets fresh state, not the node's output
    cdef readonly bint merges      # ... merged over the node's output
    cdef readonly object select    # state key or keys read
    cdef readonly tuple select_names    # the same, as a tuple
    cdef readonly frozenset select_set  # ... and those that are channels, as a set
    cdef readonly tuple select_indices  # their channel indices, -1 for managed values
    cdef readonly object mapper    # state dict -> schema instance
    cdef dict routes               # answer -> the write it leads to, None for the end; as asked


cdef class PlanNode:
    cdef readonly object name            # a str, or an Enum member that is one
    cdef readonly int index              # position in the graph's nodes
    cdef readonly int rank               # position in the nodes sorted by name
    cdef readonly object spec            # upstream's PregelNode
    cdef readonly object proc            # PregelNode.node: what upstream would invoke
    cdef readonly tuple triggers         # sorted trigger names, as task ids use them
    cdef list trigger_indices            # channel index of each trigger, -1 if unknown
    cdef list consumed                   # those of them that change when told of a run
    cdef int seen_offset                 # where this node's versions_seen start
    cdef readonly object channels        # PregelNode.channels
    cdef tuple input_names               # the same, as a tuple
    cdef tuple input_indices             # channel index of each, -1 for managed values
    cdef readonly object mapper
    cdef readonly int input_group        # nodes of one group read the same input
    cdef readonly bint hidden            # tagged so that streams leave it out
    cdef readonly tuple path             # task path of a pull task
    cdef readonly Step first             # lowered first step, None: invoke `proc` whole
    cdef readonly tuple writers          # of Step: what follows the first step
    cdef readonly bint in_sequence       # the first step runs inside upstream's RunnableSeq
    cdef readonly object error_handler   # name of the node that takes over a failure, or None


cdef class Guarded:
    cdef dict mapping
    cdef list items                      # of (key, value)
    cdef Py_ssize_t size                 # of the mapping, -1 where it may grow
    cdef unsigned long long version      # of the mapping when it was last looked at
    cdef bint holds(self) except -1


cdef class KeySet:
    cdef readonly object keys            # a channel name or a list of them
    cdef readonly bint single            # keys is one name
    cdef frozenset names
    cdef list indices
    cdef readonly bint stable            # values only change when written
    cdef bint changed(self, object keys) except -1


cdef class Plan:
    cdef readonly tuple nodes            # of PlanNode
    cdef readonly dict node_index        # name -> PlanNode
    cdef readonly tuple channel_names
    cdef readonly dict channel_index     # name -> index; -1 for reserved write keys
    cdef list prototypes                 # Channel twin to renew per run, or upstream's spec
    cdef list traits                     # traits of each compiled channel, None for a user's own
    cdef readonly list custom            # indices of channels that follow the Python protocol
    cdef list finishing                  # indices of compiled channels with a finish()
    cdef list filled                     # indices of channels that may start with a value
    cdef list subscribers                # channel index -> tuple of PlanNode
    cdef readonly dict managed           # name -> managed value class
    cdef readonly int tasks_index        # channel index of the Topic of Sends, or -1
    cdef readonly bint has_delta
    cdef readonly bint has_untracked     # values that checkpoints leave out
    cdef readonly bint rebuilds          # some channel may be rebuilt from stored writes
    cdef readonly bint has_subscribers   # any channel triggers a node at all
    cdef int seen_size                   # total number of triggers
    cdef readonly bint caches            # some node has a cache policy
    cdef readonly bint plain             # nothing about the graph itself needs a config
    cdef readonly str unsupported        # why only upstream's engine can run the graph
    cdef list guards                     # (dict, key, value) the plan was made from
    cdef list guarded                    # the same as Guarded, one for each dict
    cdef list own                        # (key, value) of the graph's own attributes
    cdef unsigned long long version      # of those when they were last looked at
    cdef list frozen                     # (list, tuple copy) the plan was made from
    cdef dict key_sets                   # output keys -> KeySet
    cdef object last_keys                # output keys of the last run
    cdef KeySet last_key_set             # ... and what they came to
    cdef int build(self, graph) except -1
    cdef int freeze(self, object sequence) except -1
    cdef int freeze_mapping(self, object mapping) except -1
    cdef int group_guards(self) except -1
    cpdef bint is_current(self, dict attributes)
    cpdef KeySet key_set(self, object keys)
    cdef list new_channels(self)


cpdef Plan plan_of(object graph)
