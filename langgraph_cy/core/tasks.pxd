from langgraph_cy.core.plan cimport PlanNode
from langgraph_cy.core.state cimport RunState


cdef class Head:
    """The checkpoint that a superstep starts from, named only if somebody asks."""
    cdef object _id
    cdef object node                     # 48 random bits, as an int
    cpdef str id(self, long step)


cdef class Task:
    cdef readonly object name            # a str, or an Enum member that is one
    cdef readonly PlanNode node
    cdef readonly object input
    cdef readonly list writes            # of (channel, value), in the order they were made
    cdef readonly tuple path
    cdef readonly long step
    cdef readonly long stop
    cdef readonly long index             # position among the Sends, -1 for a pull task
    cdef readonly object timeout         # of the Send that made it
    cdef readonly long attempt           # attempts that failed so far
    cdef readonly double started         # Unix time of the first attempt, seconds
    cdef readonly Head head
    cdef readonly object context         # the run's RunContext
    cdef RunState state
    cdef object _id
    cdef object _scratchpad
    cdef object _config                  # complete config of this attempt, once observed
    cdef object _sequence                # upstream's run manager of the RunnableSeq
    cpdef object config(self)
    cpdef object step_config(self, int index)
    cdef int restart(self) except -1
    cdef int forget(self) except -1


cdef class ObservedConfig(dict):
    cdef Task task                       # None once filled, or if made by somebody else
    cdef object path                     # branch path whose run this is, None for the node
    cdef int index                       # step of the node
    cdef int fill(self) except -1


cdef int run_attempt(Task task) except -1
