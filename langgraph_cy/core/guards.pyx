# cython: language_level=3, embedsignature=True
"""Checks made at the start of every run, kept short: is upstream still what it was?"""

cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        unsigned int tp_version_tag
        unsigned long tp_flags
    const unsigned long Py_TPFLAGS_VALID_VERSION_TAG


cdef unsigned long long version_of(object owner) except? 0:
    """What changes whenever an attribute of a class or a module does; 0 where nothing counts."""
    cdef PyTypeObject* cls
    if not isinstance(owner, type):
        return lgcy_dict_version(<dict?>vars(owner))
    cls = <PyTypeObject*>owner
    if not cls.tp_flags & Py_TPFLAGS_VALID_VERSION_TAG:
        return 0
    return cls.tp_version_tag


cdef class Guards:
    """Attributes of upstream's modules and classes that have to be what they were.

    Looking them all up takes longer than a short run. So an owner's are looked up only when
    something about it has changed since they were last found in place.

    Args:
        allowed: (module or class, name, values that may stand there) triples.
    """

    cdef list owners       # of (module or class, [(name, values), ...])
    cdef list versions     # of each owner when it was last found in order

    def __init__(self, allowed):
        cdef dict by_owner = {}
        for owner, name, values in allowed:
            by_owner.setdefault(owner, []).append((name, values))
        self.owners = list(by_owner.items())
        self.versions = [0] * len(self.owners)

    def replaced(self):
        """The name of the first attribute that is not what it was, None where all are."""
        cdef Py_ssize_t i
        cdef tuple entry
        cdef unsigned long long version
        for i in range(len(self.owners)):
            entry = <tuple>self.owners[i]
            version = version_of(entry[0])
            if version and version == <unsigned long long>self.versions[i]:
                continue
            namespace = vars(entry[0])
            for name, values in entry[1]:
                if not stands(namespace.get(name), values):
                    return name
                getattr(entry[0], name)  # which makes the interpreter count a class's version
            self.versions[i] = version_of(entry[0])
        return None


cdef bint stands(object value, object values) except -1:
    """Whether an attribute is one of those that may stand there."""
    for allowed in values:
        if value is allowed:
            return True
    return False
