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

cdef object ITERATED
from langgraph_cy.checkpoint.networks import ITERATED

cdef enum:
    # Upstream needs up to 800 bytes of stack for a container and 1,200 for an extension, and
    # can't write deeper than Python's stack: 500 extensions, of two containers each.
    LIMIT = 2500
    EXTENSION = 2       # what an extension adds
    # Codes of the extensions that upstream reads; those that aren't named are constructors, too.
    SINGLE_ARGUMENT = 0  # with which it writes collections
    ARGUMENTS = 1
    METHOD = 3           # which it calls for `datetime` only
    ARRAY = 6
    SNAPSHOT = 7
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


# ---- names -------------------------------------------------------------------------------------

cdef struct String:
    const uint8_t* start
    uint64_t length


cdef inline bint is_text(const String* string, const char* text, uint64_t length) noexcept:
    return string.length == length and memcmp(string.start, text, length) == 0


cdef bint collects(const String* module, const String* name) noexcept:
    """Whether a class makes a collection of what it is given."""
    if is_text(module, b"builtins", 8):
        return is_text(name, b"set", 3) or is_text(name, b"frozenset", 9)
    return is_text(module, b"collections", 11) and is_text(name, b"deque", 5)


cdef bint is_network(const String* module, const String* name) noexcept:
    return (
        is_text(module, b"ipaddress", 9)
        and name.length >= 6
        and memcmp(name.start + name.length - 6, b"etwork", 6) == 0)


cdef str text_of(const String* string):
    return string.start[:string.length].decode("utf-8", "replace")


# ---- the walk ----------------------------------------------------------------------------------
#
# Beside what was found, each of these says whether reading the item may give an IP network, which
# one of the next functions may then find where somebody would go through it.

cdef int items(
    const uint8_t** at, const uint8_t* end, uint64_t count, int depth, goes_through
) except -1:
    cdef bint network
    cdef int found
    if depth > LIMIT:
        return TOO_DEEP
    while count:
        found = item(at, end, depth, goes_through, &network)
        if found:
            return found
        count -= 1
    return FINE


cdef int item(
    const uint8_t** at, const uint8_t* end, int depth, goes_through, bint* network
) except -1:
    """Skip one item."""
    cdef Head head
    cdef const uint8_t* start
    network[0] = False
    if not begins(at, end, &head):
        return BROKEN
    if is_array(&head):
        return items(at, end, head.length, depth + 1, goes_through)
    if is_map(&head):
        return items(at, end, 2 * head.length, depth + 1, goes_through)
    start = at[0]
    at[0] += head.length
    if is_extension(&head) and goes_through is not None and head.code <= LAST_CODE:
        depth += EXTENSION
        if depth > LIMIT:
            return TOO_DEEP
        if extension(start, at[0], head.code, depth, goes_through, network) == TOO_DEEP:
            return TOO_DEEP
    return FINE


cdef int string(
    const uint8_t** at, const uint8_t* end, int depth, goes_through, String* found
) except -1:
    """Skip one item, and say what string it is: an empty one if it is none."""
    cdef Head head
    cdef const uint8_t* start = at[0]
    cdef bint network
    found.start = start
    found.length = 0
    if not begins(at, end, &head):
        return BROKEN
    if is_extension(&head) and goes_through is not None:
        return TOO_DEEP            # nobody writes a name so, and it could be any
    if not is_string(&head):
        at[0] = start
        return item(at, end, depth, goes_through, &network)
    found.start = at[0]
    found.length = head.length
    at[0] += head.length
    return FINE


cdef int extension(
    const uint8_t* at, const uint8_t* end, uint8_t code, int depth, goes_through, bint* network
) except -1:
    """Go through the payload of an extension that upstream reads.

    What looks different from all that upstream writes, and could come to anything, is taken as
    having no end.
    """
    cdef Head head
    cdef const uint8_t* start = at
    cdef uint64_t count
    cdef bint ignored
    cdef int found
    if code == SNAPSHOT or not begins(&at, end, &head) or is_string(&head):
        return item(&start, end, depth, goes_through, &ignored)
    if not is_array(&head):
        found = item(&start, end, depth, goes_through, &ignored)
        # a map or what an extension comes to is indexed as if it were an array
        odd = is_extension(&head) or is_map(&head)
        return TOO_DEEP if odd and found == FINE else found
    depth += 1
    if depth > LIMIT:
        return TOO_DEEP
    if head.length < 3:
        return items(&at, end, head.length, depth, goes_through)
    if code == ARRAY:
        found = array(&at, end, depth, goes_through)
        count = head.length - 2
    else:
        found = call(&at, end, code, depth, goes_through, network)
        count = head.length - 3
    return items(&at, end, count, depth, goes_through) if found == FINE else found


cdef int array(const uint8_t** at, const uint8_t* end, int depth, goes_through) except -1:
    """The type and the shape of a numpy array: it is given a shape by going through that."""
    cdef Head head
    cdef const uint8_t* start
    cdef bint ignored
    cdef int found = item(at, end, depth, goes_through, &ignored)
    if found:
        return found
    start = at[0]
    if not begins(at, end, &head):
        return BROKEN
    if is_extension(&head):
        return TOO_DEEP
    at[0] = start
    return item(at, end, depth, goes_through, &ignored)


cdef int call(
    const uint8_t** at, const uint8_t* end, uint8_t code, int depth, goes_through, bint* network
) except -1:
    """The module, the name and the argument of what is called."""
    cdef Head head
    cdef String module, name, key
    cdef const uint8_t* argument
    cdef bint mapping, given
    cdef uint64_t left
    cdef int found = string(at, end, depth, goes_through, &module)
    if found == FINE:
        found = string(at, end, depth, goes_through, &name)
    if found:
        return found
    argument = at[0]
    if not begins(at, end, &head):
        return BROKEN
    if collects(&module, &name):
        if code != SINGLE_ARGUMENT or not is_array(&head):
            return TOO_DEEP
        return items(at, end, head.length, depth + 1, goes_through)
    mapping = is_map(&head)
    if not mapping and not is_array(&head):
        at[0] = argument
        found = item(at, end, depth, goes_through, network)
        if found:
            return found
        # where the class isn't allowed, or fails, its argument comes in its place
        given, network[0] = network[0], network[0] or is_network(&module, &name)
        if code == METHOD or goes_through is None or not is_extension(&head):
            return FINE
        if code == ARGUMENTS:
            return TOO_DEEP        # it could be a network, or a list of one
        if code != SINGLE_ARGUMENT:
            # perhaps the arguments of a class that isn't allowed
            for name_of_one in ITERATED:
                if goes_through(text_of(&module), text_of(&name), name_of_one):
                    return TOO_DEEP
            return FINE
        if given and goes_through(text_of(&module), text_of(&name), None):
            return TOO_DEEP
        return FINE
    depth += 1
    if depth > LIMIT:
        return TOO_DEEP
    network[0] = is_network(&module, &name)
    left = head.length
    while left:
        left -= 1
        if mapping:
            found = string(at, end, depth, goes_through, &key)
            if found:
                return found
        found = item(at, end, depth, goes_through, &given)
        if found:
            return found
        if given and code != METHOD and goes_through(
            text_of(&module), text_of(&name), text_of(&key) if mapping else None
        ):
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
    cdef bint network
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    at = <const uint8_t*>view.buf
    try:
        return item(&at, at + view.len, 0, goes_through, &network) == TOO_DEEP
    finally:
        PyBuffer_Release(&view)
