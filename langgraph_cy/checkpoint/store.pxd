# cython: language_level=3
from langgraph_cy.checkpoint.kept cimport Recent
from langgraph_cy.checkpoint.records cimport Namespace, Record


cdef class Store:
    # All that an InMemorySaver keeps.
    cdef readonly dict threads     # thread id -> checkpoint namespace -> Namespace
    cdef readonly dict early       # (thread id, namespace, checkpoint id) -> writes put before it
    cdef readonly object lock
    cdef Recent shapes
    cdef Recent frames
    cdef Recent channels           # of tasks' writes
    cdef dict paths                # of tasks, each for itself
    cdef tuple serde               # the serializer seen last, and what it may be spared

    cdef int traits(self, object serde) except -1
    cdef object encoded(self, object serde, int traits, object value)
    cdef object made(self, object serde, int traits, object value)
    cdef Record record(self, object thread_id, object checkpoint_ns, object checkpoint_id)
    cpdef Namespace namespace(self, object thread_id, object checkpoint_ns)
    cdef object frame_of(self, object config, object metadata, int* step)
    cdef int insert(
        self, object serde, object thread_id, object checkpoint_ns, Record like, dict checkpoint,
        dict new_versions, list values) except -1
