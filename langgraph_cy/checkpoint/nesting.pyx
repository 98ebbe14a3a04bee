# cython: language_level=3, embedsignature=True
"""What MessagePack would do to the process, found without reading it.

ormsgpack counts the nesting of one text. Upstream reads the payload of an extension as a text of
its own, and within it counts anew: some ten kilobytes can so be nested until the stack overflows,
which ends the process. And some fifty bytes are a set of a whole network's addresses.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    # Upstream needs up to 800 bytes of stack for a container and 1,200 for an extension, and
    # can't write deeper than Python's stack: 500 extensions, of two containers each.
    LIMIT = 2500
    EXTENSION = 2       # what an extension adds
    LAST_CODE = 7       # of the extensions that upstream reads
    SINGLE_ARGUMENT = 0  # the one that upstream writes collections with

cdef enum:
    FINE = 0
    BROKEN = 1          # which reading will tell
    TOO_DEEP = 2


cdef uint64_t number(const uint8_t* at, int length) noexcept nogil:
    cdef uint64_t value = 0
    cdef int i
    for i in range(length):
        value = value << 8 | at[i]
    return value


cdef int items(
    const uint8_t** at, const uint8_t* end, uint64_t count, int depth, bint extensions
) noexcept nogil:
    cdef int found
    if depth > LIMIT:
        return TOO_DEEP
    while count:
        found = item(at, end, depth, extensions)
        if found:
            return found
        count -= 1
    return FINE


cdef bint collects(const uint8_t* name, int length) noexcept nogil:
    """Whether a class goes through what it is made of."""
    return (
        (length == 3 and memcmp(name, b"set", 3) == 0)
        or (length == 9 and memcmp(name, b"frozenset", 9) == 0)
        or (length == 5 and memcmp(name, b"deque", 5) == 0)
    )


cdef bint endless(const uint8_t* at, const uint8_t* end, uint8_t code) noexcept nogil:
    """Whether an extension makes a collection of anything but a list, as upstream never has it.

    Of an IP network it would be one of all its addresses.
    """
    cdef const uint8_t* name
    cdef int length
    if at >= end or not 0x93 <= at[0] <= 0x94:
        return False
    at += 1
    if item(&at, end, 0, False) or at >= end or not 0xA0 <= at[0] < 0xC0:
        return False
    length = at[0] & 31
    name = at + 1
    at = name + length
    if at >= end or not collects(name, length):
        return False
    return code != SINGLE_ARGUMENT or not (0x90 <= at[0] < 0xA0 or 0xDC <= at[0] <= 0xDD)


cdef int extension(
    const uint8_t* at, const uint8_t* end, int depth, uint8_t code
) noexcept nogil:
    if depth > LIMIT or endless(at, end, code):
        return TOO_DEEP
    return item(&at, end, depth, True)


cdef int item(
    const uint8_t** at, const uint8_t* end, int depth, bint extensions
) noexcept nogil:
    """Skip one item."""
    cdef uint8_t lead
    cdef int size = 0           # bytes of the length, or of the number
    cdef uint64_t length = 0
    cdef bint coded = False     # an extension
    if at[0] >= end:
        return BROKEN
    lead = at[0][0]
    at[0] += 1
    if lead < 0x80 or lead >= 0xE0 or 0xC0 <= lead <= 0xC3:
        return FINE
    if lead < 0x90:
        return items(at, end, 2 * (lead & 15), depth + 1, extensions)
    if lead < 0xA0:
        return items(at, end, lead & 15, depth + 1, extensions)
    if lead < 0xC0:
        length = lead & 31
    elif lead <= 0xC6:          # bytes
        size = 1 << (lead - 0xC4)
    elif lead <= 0xC9:
        size = 1 << (lead - 0xC7)
        coded = True
    elif lead <= 0xCB:          # floats
        length = 4 << (lead - 0xCA)
    elif lead <= 0xD3:          # integers
        length = 1 << (lead & 3)
    elif lead <= 0xD8:
        length = 1 << (lead - 0xD4)
        coded = True
    elif lead <= 0xDB:          # strings
        size = 1 << (lead - 0xD9)
    else:                       # arrays, maps
        size = 2 << (lead & 1)
    if size:
        if end - at[0] < size:
            return BROKEN
        length = number(at[0], size)
        at[0] += size
    if lead >= 0xDC:
        return items(at, end, length * (2 if lead >= 0xDE else 1), depth + 1, extensions)
    if <uint64_t>(end - at[0]) < length + coded:
        return BROKEN
    if coded:
        at[0] += 1
        if extensions and at[0][-1] <= LAST_CODE:
            if extension(at[0], at[0] + length, depth + EXTENSION, at[0][-1]) == TOO_DEEP:
                return TOO_DEEP
    at[0] += length
    return FINE


def too_deep(data, bint extensions):
    """Whether reading a text might take more stack than there is, or go on for ever.

    Args:
        data: the text, perhaps damaged.
        extensions: the payloads of upstream's extensions are read, too.
    """
    cdef Py_buffer view
    cdef const uint8_t* at
    cdef int found
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    at = <const uint8_t*>view.buf
    found = item(&at, at + view.len, 0, extensions)
    PyBuffer_Release(&view)
    return found == TOO_DEEP
