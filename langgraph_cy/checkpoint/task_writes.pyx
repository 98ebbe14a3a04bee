# cython: language_level=3, embedsignature=True
"""The writes of tasks on a checkpoint, by task.

A group is a task's: its id, its path, its channels (a tuple: name, index, name, index, ...), and
the values. Where a task's writes came with several paths, the path is a tuple of them.
"""

cimport cython
from libc.string cimport memcmp

from langgraph_cy.core.ids cimport uuid_text

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text) noexcept
    const unsigned char* PyUnicode_1BYTE_DATA(object text) noexcept

cdef enum:
    MAX_GROUPS = 32     # that are searched one after another


@cython.final
@cython.no_gc
cdef class Id:

    def __eq__(self, other):
        return type(other) is Id and memcmp(self.raw, (<Id>other).raw, 16) == 0

    def __hash__(self):
        return (<Py_ssize_t*>self.raw)[0]


cdef bint read_uuid(str text, unsigned char* raw) noexcept:
    """Read a UUID in the form that `uuid_text` gives; False where it is in no such form."""
    cdef const unsigned char* read = PyUnicode_1BYTE_DATA(text)
    cdef int i, digit, at = 0
    for i in range(36):
        digit = read[i]
        if i == 8 or i == 13 or i == 18 or i == 23:
            if digit != c"-":
                return False
            continue
        if c"0" <= digit <= c"9":
            digit -= c"0"
        elif c"a" <= digit <= c"f":
            digit -= c"a" - 10
        else:
            return False
        if at & 1:
            raw[at >> 1] |= digit
        else:
            raw[at >> 1] = digit << 4
        at += 1
    return True


cdef object packed_id(object task_id):
    """A task's id as it is kept: a UUID takes less than half as much."""
    cdef Id id
    if type(task_id) is not str or len(<str>task_id) != 36 or not PyUnicode_IS_ASCII(task_id):
        return task_id
    id = Id.__new__(Id)
    return id if read_uuid(<str>task_id, id.raw) else task_id


cdef object id_text(object id):
    """A task's id as it was given."""
    return uuid_text((<Id>id).raw) if type(id) is Id else id


cdef tuple regrouped(tuple group, list channels, list values, object path):
    """A group with further writes of its task; of those with an index from 0 the first counts."""
    cdef dict writes = {index: rest for index, *rest in group_items(group)}
    cdef Py_ssize_t i
    cdef list names = [], kept = [], paths = []
    for i in range(len(values)):
        index = channels[2 * i + 1]
        if index < 0 or index not in writes:
            writes[index] = [channels[2 * i], values[i], path]
    for index, (name, value, its_path) in writes.items():
        names += (name, index)
        kept.append(value)
        paths.append(its_path)
    if type(path) is not tuple and all([each == paths[0] for each in paths]):
        return (group[0], paths[0], tuple(names), *kept)
    return (group[0], tuple(paths), tuple(names), *kept)


cdef list group_items(tuple group):
    """Index, channel, value and path of each write."""
    cdef tuple channels = <tuple>group[2]
    cdef object path = group[1]
    cdef Py_ssize_t i
    return [
        (
            channels[2 * i + 1],
            channels[2 * i],
            group[3 + i],
            path[i] if type(path) is tuple else path,
        )
        for i in range(len(group) - 3)
    ]


cdef object group_of(object writes, object id):
    """The writes of a task, given its packed id, None if there are none."""
    if writes is None:
        return None
    if type(writes) is dict:
        return (<dict>writes).get(id)
    if type(writes) is tuple:
        return writes if (<tuple>writes)[0] == id else None
    for group in <list>writes:
        if (<tuple>group)[0] == id:
            return group
    return None


cdef object added(object writes, tuple group):
    """The writes on a checkpoint with those of another task, or more of one.

    Returns:
        None without writes, the group of one task, a list of a few, a dict by task id of many.
    """
    cdef Py_ssize_t i
    if writes is None:
        return group
    if type(writes) is dict:
        (<dict>writes)[group[0]] = group
        return writes
    if type(writes) is tuple:
        return group if (<tuple>writes)[0] == group[0] else [writes, group]
    for i in range(len(<list>writes)):
        if (<tuple>(<list>writes)[i])[0] == group[0]:
            (<list>writes)[i] = group
            return writes
    (<list>writes).append(group)
    if len(<list>writes) > MAX_GROUPS:
        return {each[0]: each for each in <list>writes}
    return writes


cdef list groups_of(object writes):
    if writes is None:
        return []
    if type(writes) is tuple:
        return [writes]
    return list((<dict>writes).values() if type(writes) is dict else writes)


def write_items(writes):
    """The writes on a checkpoint.

    Args:
        writes: as `Store.writes` returns them.

    Returns:
        Of each write the path and id of its task, its index, its channel and its value as kept.
    """
    return [
        (path, id_text(group[0]), index, channel, value)
        for group in writes
        for index, channel, value, path in group_items(group)
    ]
