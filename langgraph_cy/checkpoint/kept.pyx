# cython: language_level=3, embedsignature=True
"""Encoded values as they are kept in memory, and tuples that stand for others like them."""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.math cimport isfinite

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text) noexcept
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef enum:
    KEPT = 16           # tuples in a `Recent`

cdef object EMPTY = object()
cdef object STEP = object()


@cython.final
@cython.no_gc
cdef class Typed:
    pass


@cython.final
@cython.no_gc
cdef class Log:
    pass


@cython.final
@cython.no_gc
cdef class Slice:
    pass


cdef bytes fitted(bytes data):
    """The same bytes in no more memory than they need: orjson's take at least 4 KiB."""
    return PyBytes_FromStringAndSize(PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef object packed(object result):
    """A serializer's result as it is kept."""
    cdef Typed typed
    tag, data = result
    if type(tag) is str:
        if type(data) is bytes:
            if tag == "json":
                return fitted(<bytes>data)
            if not data and tag == "null":
                return None
            if not data and tag == "empty":
                return EMPTY
        elif type(data) is tuple and tag == "json":
            return data
        elif type(data) is bytearray:
            data = bytes(data)       # upstream's encoding of one is the object itself
    typed = Typed.__new__(Typed)
    typed.tag = tag
    typed.data = data
    return typed


cpdef tuple unpacked(object kept):
    """What is kept as a serializer's result: type tag and bytes."""
    if kept is None:
        return "null", b""
    if type(kept) is bytes:
        return "json", kept
    if type(kept) is Typed:
        return (<Typed>kept).tag, (<Typed>kept).data
    if type(kept) is Slice:
        return "json", b"".join((<Slice>kept).log.parts[:(<Slice>kept).count]) + (<Slice>kept).last
    if kept is EMPTY:
        return "empty", b""
    return "json", b"".join(kept)


cdef Slice grown(Slice before, tuple parts):
    """The parts of a list, shared with those of the list that it may have grown from."""
    cdef Py_ssize_t i, count = len(parts) - 1
    cdef list known = before.log.parts if before is not None else []
    cdef Slice found = Slice.__new__(Slice)
    cdef Log log
    for i in range(min(count, len(known))):
        if known[i] is not parts[i] and known[i] != parts[i]:
            break
    else:
        i = min(count, len(known))
    if before is None or i < min(count, len(known)):
        log = Log.__new__(Log)
        log.parts = known[:i]
        log.parts.extend(parts[i:count])
    else:
        log = before.log
        if count > len(known):
            known.extend(parts[i:count])
    found.log = log
    found.count = count
    found.last = parts[count]
    return found


cdef list held_by(object items):
    """The objects that these consist of, with them."""
    cdef list found = []
    for each in items:
        found.append(each)
        if type(each) is tuple or type(each) is list:
            found += held_by(each)
        elif type(each) is Typed:
            found.append((<Typed>each).data)
        elif type(each) is Slice:
            found += ((<Slice>each).log, (<Slice>each).log.parts, *(<Slice>each).log.parts)
    return found


# ---- what every serializer gives back as it is --------------------------------------------------

cdef bint is_text(object value) except -1:
    """Whether it is a str that every serializer gives back as it is."""
    if type(value) is not str:
        return False
    if not PyUnicode_IS_ASCII(value):
        try:
            (<str>value).encode()
        except UnicodeEncodeError:
            return False
    return True


cdef bint is_number(object value) except -1:
    cdef int overflow = 0
    if type(value) is int:
        PyLong_AsLongLongAndOverflow(value, &overflow)
        return overflow == 0
    return type(value) is float and isfinite(value)


# ---- tuples that are used again ------------------------------------------------------------------

cdef bint alike(object one, object other) except -1:
    """Whether one can stand for the other, so that nobody could tell."""
    cdef Py_ssize_t i
    if one is other:
        return True
    if type(one) is not type(other) or type(one) is float:
        return False
    if type(one) is not tuple:
        return one == other
    if len(<tuple>one) != len(<tuple>other):
        return False
    for i in range(len(<tuple>one)):
        if not alike((<tuple>one)[i], (<tuple>other)[i]):
            return False
    return True


@cython.final
cdef class Recent:

    def __cinit__(self):
        self.kept = []

    cdef tuple find(self, tuple made):
        """The one to use in its place, None if there is none."""
        cdef Py_ssize_t i, count = len(self.kept)
        if self.at < count and alike(self.kept[self.at], made):
            return self.kept[self.at]
        for i in range(count):
            if alike(self.kept[i], made):
                self.at = i
                return self.kept[i]
        return None

    cdef tuple add(self, tuple made):
        if len(self.kept) < KEPT:
            self.at = len(self.kept)
            self.kept.append(made)
        else:
            self.at = (self.at + 1) % KEPT
            self.kept[self.at] = made
        return made

    cdef tuple same(self, tuple made):
        """A tuple like this one, or this one."""
        cdef tuple found = self.find(made)
        return self.add(made) if found is None else found
