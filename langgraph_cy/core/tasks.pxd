from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.plan cimport PlanNode
from langgraph_cy.core.state cimport RunState


cdef class Head:
    """The checkpoint that a superstep starts from, named only if somebody asks."""
    cdef object _id
    cdef object node                     # 48 random bits, as an int
    cdef readonly object previous        # what the thread's last run returned (functional API)
    cdef readonly bint old               # of the first format, which hashes task ids otherwise
    cpdef str id(self, long step)


cdef Head drawn_head()
cdef Head known_head(str id, object previous, bint old)


cdef class Task:
    cdef readonly object name            # a str, or an Enum member that is one
    cdef readonly PlanNode node
    cdef readonly object input
    cdef readonly list writes            # of (channel, value), in the order they were made
    cdef readonly list pending           # the run's pending writes when the task was prepared
    cdef readonly tuple path
    cdef readonly long step
    cdef readonly long stop
    cdef readonly long index             # position among the Sends, -1 for a pull task
    cdef readonly object timeout         # upstream's TimeoutPolicy, None without one
    cdef readonly long attempt           # attempts that failed so far
    cdef readonly double started         # Unix time of the first attempt, seconds
    cdef readonly Head head
    cdef readonly RunSettings context         # the run's RunContext
    cdef RunState state
    cdef object _id
    cdef object _scratchpad
    cdef object _prepared                # the task's config, once observed
    cdef object _config                  # complete config of this attempt, once observed
    cdef object _step_config             # of the last step whose config was observed
    cdef int _step                       # ... and which one that is
    cdef object _sequence                # upstream's run manager of the RunnableSeq
    cdef bint ran_graph                  # a graph has run as its node, and asked for no config
    cdef object _cache_key               # MISSING until asked for
    cdef str made_id(self)
    cpdef object attempt_config(self)
    cpdef object step_config(self, int index)
    cdef object late_config(self, int index)
    cdef int restart(self) except -1
    cdef int forget(self) except -1


cdef class ObservedConfig(dict):
    cdef Task task                       # None once filled, or if made by somebody else
    cdef object path                     # branch path whose run this is, None for the node
    cdef int index                       # step of the node
    cdef long attempt                    # ... and the task's attempt that it belongs to
    cdef int fill(self) except -1
