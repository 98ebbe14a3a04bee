# cython: language_level=3, embedsignature=True
"""The contexts that nodes and paths run in, each with the config that they may ask for.

Upstream copies the caller's context for every call and sets the config in the copy, which takes
longer than a small node. A call that has left no trace leaves its context to the run's next one.
"""

from contextvars import Context, ContextVar
from gc import get_referents

cimport cython
from cpython.contextvars cimport (
    PyContext_CopyCurrent, PyContext_Enter, PyContext_Exit, PyContextVar_Set,
)
from cpython.dict cimport PyDict_Size
from cpython.object cimport PyObject

from langgraph_cy import upstream as up
from langgraph_cy.core.references cimport lgcy_held_by

cdef object CHILD_CONFIG = up.var_child_runnable_config


cdef struct Referents:
    PyObject* last
    int count


cdef int note(PyObject* referent, void* found) except -1:
    (<Referents*>found).last = referent
    (<Referents*>found).count += 1
    return 0


cdef object bindings_of(object context):
    """The immutable mapping inside of a context that nobody is in; None where it can't be told.

    Two contexts have the same one if nothing has been set in either since one was copied from
    the other.
    """
    cdef Referents found = Referents(NULL, 0)
    (<PyObject*>context).ob_type.tp_traverse(<PyObject*>context, &note, &found)
    return <object>found.last if found.count == 1 else None


# Such a mapping is a tree, of which others may share branches: a copy in which another variable is
# set has another root, and but one other node on the way to that variable.

cdef set inner_types():
    """The types of nodes that have other nodes in them: of few variables, and of many."""
    cdef set found = set()
    for count in (1, 200):
        context = Context()
        for _ in range(count):
            context.run(ContextVar("variable").set, None)
        found.update(map(type, get_referents(bindings_of(context))))  # the root's
    return found


cdef set INNER = inner_types()


cdef list way_to(object node, object value):
    """The nodes below a mapping, or one of its nodes, that lead to a value; None if none do."""
    cdef list found = get_referents(node)
    cdef list way
    for each in found:
        if each is value:
            return []
    for each in found:
        if type(each) in INNER:
            way = way_to(each, value)
            if way is not None:
                way.append(each)
                return way
    return None


@cython.freelist(4)
cdef class NodeContext:
    """A context with an `ObservedConfig` in it."""


cdef NodeContext new_context(object context, object outside):
    """Set a config in a copy of the caller's context.

    Args:
        outside: bindings of the copy.
    """
    cdef NodeContext made = NodeContext.__new__(NodeContext)
    made.context = context
    made.outside = outside
    made.config = ObservedConfig.__new__(ObservedConfig)
    PyContext_Enter(context)
    try:
        PyContextVar_Set(CHILD_CONFIG, made.config)
    finally:
        PyContext_Exit(context)
    made.bindings = bindings_of(context)
    made.way = way_to(made.bindings, made.config)
    return made


cdef NodeContext context_for(Task task, int index, object path):
    """The context for a call of what a task's node runs.

    Args:
        index: of the node's step whose config stands in it.
        path: the path of a conditional edge that is called; None for the node's own function.
    """
    cdef object copy = PyContext_CopyCurrent()
    cdef object outside = bindings_of(copy)
    cdef object spare = task.context.spare_context
    cdef NodeContext found
    task.context.spare_context = None
    if spare is not None and outside is not None and (<NodeContext>spare).outside is outside:
        found = <NodeContext>spare
    else:
        found = new_context(copy, outside)
    found.config.task = task
    found.config.index = index
    found.config.attempt = task.attempt
    found.config.path = path
    return found


cdef int keep(NodeContext used, RunSettings settings) except -1:
    """Leave the context of a call that has ended to the next one, if nothing can tell.

    Nobody has looked at the config or has got hold of it, nothing has been set in the context,
    and nobody has it or a copy of it. The caller refers to it through `used` only.
    """
    cdef ObservedConfig config = used.config
    cdef object node
    if config.task is not None and PyDict_Size(config):
        config.fill()  # it has been changed past its methods
    if (
        used.way is not None
        and config.task is not None
        and lgcy_held_by(<PyObject*>config, 3)          # by its context, by `used`, and here
        and lgcy_held_by(<PyObject*>used.bindings, 2)   # by the context and by `used`
        and lgcy_held_by(<PyObject*>used.context, 1)
        and bindings_of(used.context) is used.bindings
    ):
        for node in used.way:
            if not lgcy_held_by(<PyObject*>node, 3):    # by the one above, by `used`, and here
                return 0
        config.task = None
        config.path = None
        settings.spare_context = used
    return 0
