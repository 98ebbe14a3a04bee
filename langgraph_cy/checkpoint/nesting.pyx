# cython: language_level=3, embedsignature=True
"""What MessagePack would do to the process, found without reading it.

ormsgpack counts the nesting of one text. Upstream reads the payload of an extension as a text of
its own, and within it counts anew: some ten kilobytes can so be nested until the stack overflows,
which ends the process. And some fifty bytes are a set of a whole network's addresses, or a message
whose content is one: pydantic would make a list of it.
"""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp

cdef enum:
    # Upstream needs up to 800 bytes of stack for a container and 1,200 for an extension, and
    # can't write deeper than Python's stack: 500 extensions, of two containers each.
    LIMIT = 2500
    EXTENSION = 2       # what an extension adds
    # Codes of the extensions that upstream reads.
    SINGLE_ARGUMENT = 0  # with which it writes collections
    METHOD = 3
    LAST_CONSTRUCTOR = 5
    LAST_CODE = 7

cdef enum:
    FINE = 0
    BROKEN = 1          # which reading will tell
    TOO_DEEP = 2

cdef struct Head:
    # What an item begins with.
    uint8_t lead
    uint8_t code        # of an extension
    uint64_t length     # bytes of a string, bytes, an extension or a number; items of the others


cdef inline bint is_string(const Head* head) noexcept:
    return 0xA0 <= head.lead < 0xC0 or 0xD9 <= head.lead <= 0xDB


cdef inline bint is_array(const Head* head) noexcept:
    return 0x90 <= head.lead < 0xA0 or 0xDC <= head.lead <= 0xDD


cdef inline bint is_map(const Head* head) noexcept:
    return 0x80 <= head.lead < 0x90 or head.lead >= 0xDE and head.lead <= 0xDF


cdef inline bint is_extension(const Head* head) noexcept:
    return 0xC7 <= head.lead <= 0xC9 or 0xD4 <= head.lead <= 0xD8


cdef bint begins(const uint8_t** at, const uint8_t* end, Head* head) noexcept:
    """Read what an item begins with. Returns whether it is there, with the bytes it announces."""
    cdef uint8_t lead
    cdef int size = 0, i        # of the length, in bytes
    if at[0] >= end:
        return False
    lead = at[0][0]
    at[0] += 1
    head.lead = lead
    head.length = 0
    if lead < 0x80 or lead >= 0xE0:
        return True
    if lead < 0xA0:
        head.length = lead & 15
    elif lead < 0xC0:
        head.length = lead & 31
    elif lead < 0xC4:           # nil, booleans
        pass
    elif lead <= 0xC6:          # bytes
        size = 1 << (lead - 0xC4)
    elif lead <= 0xC9:          # extensions
        size = 1 << (lead - 0xC7)
    elif lead <= 0xCB:          # floats
        head.length = 4 << (lead - 0xCA)
    elif lead <= 0xD3:          # integers
        head.length = 1 << (lead & 3)
    elif lead <= 0xD8:          # extensions
        head.length = 1 << (lead - 0xD4)
    elif lead <= 0xDB:          # strings
        size = 1 << (lead - 0xD9)
    else:                       # arrays, maps
        size = 2 << (lead & 1)
    if end - at[0] < size + is_extension(head):
        return False
    for i in range(size):
        head.length = head.length << 8 | at[0][i]
    at[0] += size
    if is_extension(head):
        head.code = at[0][0]
        at[0] += 1
    return is_array(head) or is_map(head) or <uint64_t>(end - at[0]) >= head.length


# ---- what has no end ---------------------------------------------------------------------------

cdef struct String:
    const uint8_t* start
    uint64_t length


cdef bint string_at(const uint8_t** at, const uint8_t* end, String* found) noexcept:
    """Pass the next item. Returns whether it is a string."""
    cdef Head head
    if not begins(at, end, &head) or not is_string(&head):
        return False
    found.start = at[0]
    found.length = head.length
    at[0] += head.length
    return True


cdef inline bint ends_with(const String* string, const char* text, uint64_t length) noexcept:
    return (
        string.length >= length
        and memcmp(string.start + string.length - length, text, length) == 0)


cdef inline bint collects(const String* name) noexcept:
    """Whether a class goes through what it is made of."""
    if name.length == 3:
        return ends_with(name, b"set", 3)
    if name.length == 5:
        return ends_with(name, b"deque", 5)
    return name.length == 9 and ends_with(name, b"frozenset", 9)


cdef bint may_be_network(const uint8_t* at, const uint8_t* end) noexcept:
    """Whether the next item may become an IP network."""
    cdef Head head
    cdef String module, name
    while True:
        if not begins(&at, end, &head) or not is_extension(&head):
            return False
        end = at + head.length
        if not begins(&at, end, &head):
            return False
        if is_map(&head) or is_extension(&head):
            return True            # it is indexed as if it were an array
        if not is_array(&head) or not string_at(&at, end, &module):
            return False
        if not string_at(&at, end, &name):
            return False
        if ends_with(&module, b"ipaddress", 9) and ends_with(&name, b"etwork", 6):
            return True
        # where the class isn't allowed, or refuses its argument, that comes in its place


cdef str text_of(const String* string):
    return string.start[:string.length].decode("utf-8", "replace")


cdef bint endless(
    const uint8_t* at, const uint8_t* end, uint8_t code, int depth, goes_through
) except -1:
    """Whether an extension might make something of every address of a network.

    Of those that look different from what upstream writes, it is said without looking closer.
    """
    cdef Head head
    cdef String module, name, key
    cdef const uint8_t* argument
    cdef bint mapping
    cdef uint64_t count = 1
    argument = at
    if code > LAST_CONSTRUCTOR or not begins(&at, end, &head):
        return False
    if is_map(&head) or is_extension(&head):
        return item(&argument, end, depth, None) == FINE
    if not is_array(&head) or head.length < 3:
        return False
    if not string_at(&at, end, &module) or not string_at(&at, end, &name):
        return False
    argument = at
    if not begins(&at, end, &head):
        return False
    if collects(&name):
        return code != SINGLE_ARGUMENT or not is_array(&head)
    if is_extension(&head) and code != SINGLE_ARGUMENT and code != METHOD:
        return True
    mapping = is_map(&head)
    if mapping or is_array(&head):
        count = head.length
    else:
        at = argument
    while count:
        count -= 1
        if mapping and not string_at(&at, end, &key):
            return False           # nothing can be called with it
        if may_be_network(at, end) and goes_through(
            text_of(&module), text_of(&name), text_of(&key) if mapping else None
        ):
            return True
        if item(&at, end, depth, None):
            return False
    return False


# ---- how deep it is ----------------------------------------------------------------------------

cdef int item(const uint8_t** at, const uint8_t* end, int depth, goes_through) except -1:
    """Skip one item."""
    cdef Head head
    cdef const uint8_t* start
    cdef uint64_t count
    cdef int found
    if not begins(at, end, &head):
        return BROKEN
    if is_array(&head) or is_map(&head):
        if depth >= LIMIT:
            return TOO_DEEP
        count = head.length * (2 if is_map(&head) else 1)
        while count:
            found = item(at, end, depth + 1, goes_through)
            if found:
                return found
            count -= 1
        return FINE
    start = at[0]
    at[0] += head.length
    if is_extension(&head) and goes_through is not None and head.code <= LAST_CODE:
        depth += EXTENSION
        if depth > LIMIT or endless(start, at[0], head.code, depth, goes_through):
            return TOO_DEEP
        if item(&start, at[0], depth, goes_through) == TOO_DEEP:
            return TOO_DEEP
    return FINE


def too_deep(data, goes_through):
    """Whether reading a text might take more stack than there is, or go on for ever.

    Args:
        data: the text, perhaps damaged.
        goes_through: whether making an instance goes through an argument item by item: is called
            with the class's module, its name, and the argument's name or None. None if the
            payloads of upstream's extensions aren't read.
    """
    cdef Py_buffer view
    cdef const uint8_t* at
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    at = <const uint8_t*>view.buf
    try:
        return item(&at, at + view.len, 0, goes_through) == TOO_DEEP
    finally:
        PyBuffer_Release(&view)
