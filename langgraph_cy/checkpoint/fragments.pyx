# cython: language_level=3, embedsignature=True
"""The JSON texts of messages, each kept while its message lives and is unchanged.

A message may be changed in place, anywhere within it. So beside the text stands a trace of what
the message consisted of: for a dictionary its version, which changes whenever the dictionary
does; for a list, and where dictionaries have no version, what was in it. Strings and numbers never
change. Those in the trace are held, so that nothing else can be where one was.

No code of others runs in here, nor any other thread: nothing can change meanwhile. Making a weak
reference may collect garbage, which is to be off when `keep` is called.
"""

cimport cython
from cpython.mem cimport (
    PyMem_Free,
    PyMem_Malloc,
    PyMem_RawCalloc,
    PyMem_RawFree,
    PyMem_RawRealloc,
)
from cpython.object cimport PyObject, PyTypeObject
from cpython.weakref cimport PyWeakref_NewRef
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from langgraph_cy.checkpoint.messages cimport extras_at, fields_at

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyList_Type, PyTuple_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    void Py_INCREF(PyObject* value) noexcept
    void Py_DECREF(PyObject* value) noexcept
    int PyDict_Next(
        PyObject* dictionary, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    Py_ssize_t PyDict_GET_SIZE(PyObject* dictionary) noexcept
    Py_ssize_t PyList_GET_SIZE(PyObject* values) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject* data) noexcept

# Bounds of the table. A text that would take more than a share of the bytes isn't kept.
cdef Py_ssize_t MAX_ENTRIES = 1 << 16
cdef Py_ssize_t MAX_BYTES = 64 << 20
cdef Py_ssize_t SHARE = 8
cdef Py_ssize_t OVERHEAD = 300     # bytes of a fragment beside its text and leaves, about


# ---- traces ------------------------------------------------------------------------------------

cdef int more_words(Trace* trace, Py_ssize_t more) except -1:
    cdef Py_ssize_t room = max(2 * trace.room, trace.count + more, 512)
    cdef uint64_t* moved = <uint64_t*>PyMem_RawRealloc(trace.words, room * sizeof(uint64_t))
    if moved == NULL:
        raise MemoryError()
    trace.words = moved
    trace.room = room
    return 0


cdef inline uint64_t word(PyObject* value) noexcept:
    """A key or value in a trace: odd if it is a container."""
    cdef PyTypeObject* cls = Py_TYPE(value)
    return <uint64_t>value | (cls == &PyDict_Type or cls == &PyList_Type or cls == &PyTuple_Type)


cdef int note_items(Trace* trace, PyObject* container, Container kind) except -1:
    """Add what is in the container whose node is the last."""
    cdef Py_ssize_t count, i = 0, at = 0
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    cdef uint64_t* words
    if kind == DICT:
        count = 2 * PyDict_GET_SIZE(container)
    elif kind == LIST:
        count = PyList_GET_SIZE(container)
    else:
        count = PyTuple_GET_SIZE(container)
    if trace.room - trace.count < count:
        more_words(trace, count)
    words = trace.words + trace.count
    words[-1] |= <uint64_t>count << 2
    trace.count += count
    if kind == DICT:
        while PyDict_Next(container, &at, &key, &value):
            words[i] = <uint64_t>key
            words[i + 1] = word(value)
            i += 2
    elif kind == LIST:
        for i in range(count):
            words[i] = word(PyList_GET_ITEM(container, i))
    else:
        for i in range(count):
            words[i] = word(PyTuple_GET_ITEM(container, i))
    return 0


cdef bint same_items(
    PyObject* container, Container kind, uint64_t* words, Py_ssize_t count
) noexcept:
    """Whether a list, a tuple, or a dict without a version consists of these."""
    cdef Py_ssize_t i = 0, at = 0
    cdef PyObject* key = NULL
    cdef PyObject* value = NULL
    if kind == DICT:
        if PyDict_GET_SIZE(container) * 2 != count:
            return False
        while PyDict_Next(container, &at, &key, &value):
            if words[i] != <uint64_t>key or words[i + 1] & ~<uint64_t>1 != <uint64_t>value:
                return False
            i += 2
        return True
    if kind == LIST:
        if PyList_GET_SIZE(container) != count:
            return False
        for i in range(count):
            if words[i] & ~<uint64_t>1 != <uint64_t>PyList_GET_ITEM(container, i):
                return False
        return True
    if PyTuple_GET_SIZE(container) != count:
        return False
    for i in range(count):
        if words[i] & ~<uint64_t>1 != <uint64_t>PyTuple_GET_ITEM(container, i):
            return False
    return True


cdef PyTypeObject* CLASSES[3]
CLASSES[0] = &PyDict_Type
CLASSES[1] = &PyList_Type
CLASSES[2] = &PyTuple_Type


cdef bint unchanged(uint64_t* words, Py_ssize_t length) noexcept:
    """Whether containers are what they were, the first and all in them.

    Each is only looked at when that in which it is has been found to hold it: so there is an
    object at its address, be it another one than it was.
    """
    cdef uint64_t* end = words + length
    cdef PyObject* container
    cdef Py_ssize_t count
    cdef Container kind
    while words < end:
        container = <PyObject*>words[0]
        kind = <Container>(words[2] & 3)
        count = words[2] >> 2
        if Py_TYPE(container) != CLASSES[<int>kind]:
            return False
        if kind == DICT and words[1]:
            if words[1] != version_of(container):
                return False
        elif not same_items(container, kind, words + NODE, count):
            return False
        words += NODE + count
    return True


# ---- fragments ---------------------------------------------------------------------------------

@cython.final
@cython.no_gc             # leaves refer to nothing; the cycle with `ref` is undone by `forget`
cdef class Fragment:
    """The text of a message. It is called when the message goes."""

    cdef PyObject* message         # not owned
    cdef PyTypeObject* cls         # of the message when it was encoded
    cdef object ref                # weak, to the message; calls this
    cdef bytes text
    cdef PyObject* fields          # its `__dict__`, not owned
    cdef PyObject* extras          # its `__pydantic_extra__`, not owned
    cdef uint64_t* words          # a trace; keys and values are owned unless they are odd
    cdef Py_ssize_t count

    def __call__(self, ref):
        forget(slot_of(self.message))

    def __dealloc__(self):
        refer(self.words, self.count, False)
        PyMem_Free(self.words)


cdef void refer(uint64_t* words, Py_ssize_t length, bint more) noexcept:
    """Own the keys and leaves of a trace, or no longer. Containers might refer to the message."""
    cdef uint64_t* end = words + length
    cdef uint64_t* next
    while words < end:
        next = words + NODE + (words[2] >> 2)
        words += NODE
        while words < next:
            if not words[0] & 1:
                if more:
                    Py_INCREF(<PyObject*>words[0])
                else:
                    Py_DECREF(<PyObject*>words[0])
            words += 1


cdef inline Py_ssize_t cost(Fragment fragment) noexcept:
    return (PyBytes_GET_SIZE(<PyObject*>fragment.text)
            + fragment.count * <Py_ssize_t>sizeof(uint64_t) + OVERHEAD)


# ---- the table, by address: open addressing with linear probing --------------------------------

cdef PyObject** slots = NULL       # Fragments, owned; at most half of them taken
cdef size_t mask = 0
cdef Py_ssize_t entries = 0
cdef Py_ssize_t held = 0           # bytes
cdef size_t hand = 0               # where the next one is taken out when it gets too full


cdef inline size_t home(PyObject* message) noexcept:
    return <size_t>((<uint64_t>message >> 4) * 0x9E3779B97F4A7C15ULL >> 24) & mask


cdef inline size_t slot_of(PyObject* message) noexcept:
    """Where a message's fragment is, or else where it would go. There has to be a table."""
    cdef size_t i = home(message)
    while slots[i] != NULL and (<Fragment>slots[i]).message != message:
        i = (i + 1) & mask
    return i


cdef int enlarge() except -1:
    global slots, mask
    cdef PyObject** old = slots
    cdef size_t i, size = mask + 1 if slots != NULL else 0
    cdef size_t wanted = 2 * size if size else 256
    cdef PyObject** new = <PyObject**>PyMem_RawCalloc(wanted, sizeof(PyObject*))
    if new == NULL:
        raise MemoryError()
    slots = new
    mask = wanted - 1
    for i in range(size):
        if old[i] != NULL:
            slots[slot_of((<Fragment>old[i]).message)] = old[i]
    PyMem_RawFree(old)
    return 0


cdef int forget(size_t i) except -1:
    """Take the fragment in a slot out, if there is one."""
    global entries, held
    cdef PyObject* gone = slots[i]
    cdef size_t hole = i
    cdef Fragment fragment
    if gone == NULL:
        return 0
    while True:                    # close the gap, so that a search need not look beyond one
        slots[hole] = NULL
        while True:
            i = (i + 1) & mask
            if slots[i] == NULL:
                break
            if ((i - home((<Fragment>slots[i]).message)) & mask) >= ((i - hole) & mask):
                break
        if slots[i] == NULL:
            break
        slots[hole] = slots[i]
        hole = i
    fragment = <Fragment>gone
    entries -= 1
    held -= cost(fragment)
    Py_DECREF(gone)
    fragment.ref = None
    return 0


cdef int evict(Py_ssize_t more) except -1:
    """Keep within the bounds with one more fragment of that many bytes.

    Which ones go is as good as random: with a list that is longer than the table, throwing out
    the oldest would throw out just those that are needed next.
    """
    global hand
    while entries and (entries >= MAX_ENTRIES or held + more > MAX_BYTES):
        hand = (hand + 1) & mask
        forget(hand)
    return 0


cdef bytes find(PyObject* message):
    """The text of a message if it is unchanged, None otherwise."""
    cdef Fragment fragment
    cdef PyObject* found
    if slots == NULL:
        return None
    found = slots[slot_of(message)]
    if found == NULL:
        return None
    fragment = <Fragment>found
    if (
        fragment.cls == Py_TYPE(message)
        and fragment.extras == extras_at(message)
        and fragment.fields == fields_at(message)
        and unchanged(fragment.words, fragment.count)
    ):
        return fragment.text
    return None


cdef int keep(object message, bytes text, Trace* trace) except -1:
    """Keep the text of a message, in place of any older one, if there is room for it."""
    global entries, held
    cdef PyObject* address = <PyObject*>message
    cdef Fragment fragment
    cdef size_t i
    cdef Py_ssize_t size
    fragment = Fragment.__new__(Fragment)
    size = trace.count * <Py_ssize_t>sizeof(uint64_t)
    fragment.words = <uint64_t*>PyMem_Malloc(size)
    if fragment.words == NULL:
        raise MemoryError()
    memcpy(fragment.words, trace.words, size)
    fragment.count = trace.count
    refer(fragment.words, fragment.count, True)
    fragment.message = address
    fragment.cls = Py_TYPE(address)
    fragment.fields = fields_at(address)
    fragment.extras = extras_at(address)
    fragment.text = text
    fragment.ref = PyWeakref_NewRef(message, fragment)
    if slots == NULL:
        enlarge()
    forget(slot_of(address))
    size = cost(fragment)
    if size > MAX_BYTES // SHARE:
        fragment.ref = None
        return 0
    evict(size)
    if 2 * <size_t>entries > mask:
        enlarge()
    i = slot_of(address)
    Py_INCREF(<PyObject*>fragment)
    slots[i] = <PyObject*>fragment
    entries += 1
    held += size
    return 0


# ---- for tests, and for those who want other bounds --------------------------------------------

def kept():
    """How many fragments are kept, and about how many bytes they take."""
    return entries, held


def clear():
    """Forget all fragments."""
    cdef size_t i
    while entries:
        for i in range(mask + 1):
            forget(i)


def set_bounds(Py_ssize_t max_entries, Py_ssize_t max_bytes):
    """How many fragments are kept at most, and how many bytes they may take.

    Returns:
        The bounds until now, in the same order.
    """
    global MAX_ENTRIES, MAX_BYTES
    if max_entries < 1 or max_bytes < 0:
        raise ValueError("room for one fragment is the least")
    before = MAX_ENTRIES, MAX_BYTES
    MAX_ENTRIES, MAX_BYTES = max_entries, max_bytes
    evict(0)
    return before
