# cython: language_level=3, embedsignature=True
"""The JSON texts of messages, each kept while its message lives and is unchanged.

A message may be changed in place, anywhere within it. So beside the text stands a trace of what
the message consisted of: for a dictionary its version, which changes whenever the dictionary
does; for a list, and where dictionaries have no version, what was in it. Strings and numbers never
change. Those in the trace are held, so that nothing else can be where one was.

Messages that one call has written are kept as a batch, in the order of the walk: the next time
most of them follow each other again, in memory and in the text. They share the text that was
returned, unless little of it is theirs or is still needed.

No code of others runs in here, nor any other thread: nothing can change meanwhile. Making a weak
reference may collect garbage, which is to be off when `keep` is called.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport (
    PyMem_Free,
    PyMem_Malloc,
    PyMem_RawCalloc,
    PyMem_RawFree,
    PyMem_RawRealloc,
)
from cpython.object cimport PyObject, PyTypeObject
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcmp, memcpy

from langgraph_cy.checkpoint.json_text cimport is_latest, set_length
from langgraph_cy.checkpoint.messages cimport extras_at, fields_at
from langgraph_cy.checkpoint.prefetching cimport prefetch
from langgraph_cy.core.references cimport lgcy_held_by

cdef extern from "Python.h":
    PyTypeObject PyDict_Type, PyList_Type, PyTuple_Type
    PyTypeObject* Py_TYPE(PyObject* value) noexcept
    void Py_INCREF(PyObject* value) noexcept
    void Py_DECREF(PyObject* value) noexcept
    int PyDict_Next(
        PyObject* dictionary, Py_ssize_t* at, PyObject** key, PyObject** value) noexcept
    PyObject* PyList_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyTuple_GET_SIZE(PyObject* values) noexcept
    PyObject* PyTuple_GET_ITEM(PyObject* values, Py_ssize_t i) noexcept
    Py_ssize_t PyBytes_GET_SIZE(PyObject* data) noexcept
    PyObject* PyWeakref_NewRef(PyObject* referent, PyObject* callback) except NULL
    ctypedef struct WeakReference "PyWeakReference":
        Py_ssize_t hash            # kept for those who ask for it; nobody can for a message's

# Bounds of the table. A text that would take more than a share of the bytes isn't kept.
cdef Py_ssize_t MAX_ENTRIES = 1 << 16
cdef Py_ssize_t MAX_BYTES = 64 << 20
cdef Py_ssize_t SHARE = 8
cdef Py_ssize_t OVERHEAD = 200     # bytes of a record beside its text and trace, about

cdef enum:
    NEEDED = 4       # of a shared text, this part at least must be of use
    ADDRESS = -8     # the bits of a word that aren't CONTAINER


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
    """Add what is in the container whose word is the last."""
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
    if trace.room - trace.count <= count:
        more_words(trace, count + 1)
    words = trace.words + trace.count
    words[0] = <uint64_t>count
    words += 1
    trace.count += count + 1
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
        if Py_TYPE(container) != &PyDict_Type or PyDict_GET_SIZE(container) * 2 != count:
            return False
        while PyDict_Next(container, &at, &key, &value):
            if words[i] != <uint64_t>key or words[i + 1] & ~<uint64_t>1 != <uint64_t>value:
                return False
            i += 2
        return True
    if kind == LIST:
        if Py_TYPE(container) != &PyList_Type or PyList_GET_SIZE(container) != count:
            return False
        for i in range(count):
            if words[i] & ~<uint64_t>1 != <uint64_t>PyList_GET_ITEM(container, i):
                return False
        return True
    if Py_TYPE(container) != &PyTuple_Type or PyTuple_GET_SIZE(container) != count:
        return False
    for i in range(count):
        if words[i] & ~<uint64_t>1 != <uint64_t>PyTuple_GET_ITEM(container, i):
            return False
    return True


cdef inline bint unchanged(uint64_t* words, Py_ssize_t length) noexcept:
    """Whether containers are what they were, the first and all in them.

    Each is only looked at when that in which it is has been found to hold it: so there is an
    object at its address, be it another one than it was.
    """
    cdef uint64_t* end = words + length
    cdef PyObject* container
    cdef Container kind
    while words < end:
        container = <PyObject*>(words[0] & <uint64_t>ADDRESS)
        kind = <Container>(words[0] & CONTAINER)
        if kind == VERSIONED:
            if Py_TYPE(container) != &PyDict_Type or version_of(container) != words[1]:
                return False
            words += 2
        elif kind == EMPTY_DICT:
            if Py_TYPE(container) != &PyDict_Type or PyDict_GET_SIZE(container) != 0:
                return False
            words += 1
        elif kind == EMPTY_LIST:
            if Py_TYPE(container) != &PyList_Type or PyList_GET_SIZE(container) != 0:
                return False
            words += 1
        else:
            if not same_items(container, kind, words + 2, words[1]):
                return False
            words += 2 + words[1]
    return True


cdef void refer(uint64_t* words, Py_ssize_t length, bint more) noexcept:
    """Own the keys and leaves of a trace, or no longer. Containers might refer to the message."""
    cdef uint64_t* end = words + length
    cdef uint64_t* next
    cdef uint64_t kind
    while words < end:
        kind = words[0] & CONTAINER
        if kind < DICT:
            words += 2 if kind == VERSIONED else 1
            continue
        next = words + 2 + words[1]
        words += 2
        while words < next:
            if not words[0] & 1:
                if more:
                    Py_INCREF(<PyObject*>words[0])
                else:
                    Py_DECREF(<PyObject*>words[0])
            words += 1


# ---- batches -----------------------------------------------------------------------------------

@cython.final
@cython.no_gc             # the cycle with the references is undone by `forget`
cdef class Batch:
    """What is kept of the messages that one call has written. It is called when one of them goes.
    """

    cdef Record* records           # and one more that isn't used
    cdef uint64_t* words
    cdef Py_ssize_t live           # records that are used
    cdef Py_ssize_t needed         # bytes of the shared text that are theirs
    cdef bytes shared              # the text that they share, None if each has its own
    cdef Py_ssize_t sharing        # records whose text is in it
    cdef Py_ssize_t room           # how long it may become in place

    def __call__(self, ref):
        forget(slot_of(self.records[(<WeakReference*>ref).hash].message))

    def __dealloc__(self):
        PyMem_Free(self.records)
        PyMem_Free(self.words)


cdef inline Py_ssize_t cost(Record* record, bint shared) noexcept:
    return (
        (0 if shared else <Py_ssize_t>record.length)
        + <Py_ssize_t>record.count * <Py_ssize_t>sizeof(uint64_t) + OVERHEAD)


cdef int take(Record* record, PyObject* whole, char* chars) except -1:
    """Let the text be elsewhere."""
    Py_INCREF(whole)
    Py_DECREF(record.whole)
    record.whole = whole
    record.chars = chars
    return 0


cdef bytes text_of(Record* record):
    """The text alone, the same object each time."""
    cdef bytes text
    if record.length == PyBytes_GET_SIZE(record.whole):
        return <bytes>record.whole
    text = PyBytes_FromStringAndSize(record.chars, record.length)
    part(record, text)
    return text


cdef int part(Record* record, bytes text) except -1:
    """Let a record have its text for itself."""
    global held
    cdef Batch batch = <Batch>record.batch
    take(record, <PyObject*>text, PyBytes_AS_STRING(text))
    held += record.length
    batch.sharing -= 1
    return unneed(batch, record.length)


cdef int unneed(Batch batch, Py_ssize_t length) except -1:
    """Of the shared text so much is not needed any more: perhaps it is better shared no longer."""
    global held
    cdef Record* record
    cdef bytes text, whole = batch.shared
    cdef Py_ssize_t left
    batch.needed -= length
    if batch.needed * NEEDED >= len(whole):
        return 0
    left = batch.needed
    batch.shared = None
    held -= len(whole)
    record = batch.records
    while left:
        if record.message != NULL and record.whole == <PyObject*>whole:
            text = PyBytes_FromStringAndSize(record.chars, record.length)
            take(record, <PyObject*>text, PyBytes_AS_STRING(text))
            held += record.length
            left -= record.length
        record += 1
    return 0


cdef bytes grown(Record* record, Py_ssize_t kept, const char* rest, Py_ssize_t length):
    """The text of a list that begins as one did before; None if it has to be put together.

    Where nobody has the shared text any more, it becomes the new one in place.

    Args:
        record: the first message's.
        kept: how long its text is with those that follow it unchanged.
        rest: what comes behind them, `length` characters.
    """
    global held
    cdef Batch batch = <Batch>record.batch
    cdef PyObject* whole = <PyObject*>batch.shared
    cdef char* chars
    cdef Py_ssize_t before
    if record.whole != whole:
        return None
    chars = PyBytes_AS_STRING(<object>whole)
    before = PyBytes_GET_SIZE(whole)
    if record.chars != chars + 1:
        return None
    if 1 + kept + length != before or memcmp(chars + 1 + kept, rest, length) != 0:
        if kept != batch.needed + batch.sharing - 1:
            return None                # others need what comes behind
        if not lgcy_held_by(whole, 1 + batch.sharing + is_latest(whole)):
            return None
        if 1 + kept + length > batch.room:
            return None
        memcpy(chars + 1 + kept, rest, length)
        set_length(whole, 1 + kept + length)
        held += PyBytes_GET_SIZE(whole) - before
    return batch.shared


# ---- the table, by address: open addressing with linear probing --------------------------------

cdef struct Slot:
    PyObject* message              # NULL: it is free
    Record* record

cdef Slot* slots = NULL            # at most half of them taken
cdef size_t mask = 0
cdef Py_ssize_t entries = 0
cdef Py_ssize_t held = 0           # bytes
cdef size_t hand = 0               # where the next one is taken out when it gets too full


cdef inline size_t home(PyObject* message) noexcept:
    return <size_t>((<uint64_t>message >> 4) * 0x9E3779B97F4A7C15ULL >> 24) & mask


cdef inline size_t slot_of(PyObject* message) noexcept:
    """Where a message's record is, or else where it would go. There has to be a table."""
    cdef size_t i = home(message)
    while slots[i].message != NULL and slots[i].message != message:
        i = (i + 1) & mask
    return i


cdef int enlarge(Py_ssize_t wanted) except -1:
    """Have room for so many records."""
    global slots, mask
    cdef Slot* old = slots
    cdef size_t i, size = mask + 1 if slots != NULL else 0
    cdef size_t room = max(size, 256)
    while room < 2 * <size_t>wanted:
        room *= 2
    if room == size:
        return 0
    slots = <Slot*>PyMem_RawCalloc(room, sizeof(Slot))
    if slots == NULL:
        slots = old
        raise MemoryError()
    mask = room - 1
    for i in range(size):
        if old[i].message != NULL:
            slots[slot_of(old[i].message)] = old[i]
    PyMem_RawFree(old)
    return 0


cdef int forget(size_t i) except -1:
    """Take the record in a slot out, if there is one."""
    global entries, held
    cdef Record* gone = slots[i].record
    cdef size_t hole = i
    cdef Batch batch
    cdef bint shared
    if slots[i].message == NULL:
        return 0
    while True:                    # close the gap, so that a search need not look beyond one
        slots[hole].message = NULL
        while True:
            i = (i + 1) & mask
            if slots[i].message == NULL:
                break
            if ((i - home(slots[i].message)) & mask) >= ((i - hole) & mask):
                break
        if slots[i].message == NULL:
            break
        slots[hole] = slots[i]
        hole = i
    batch = <Batch>gone.batch
    shared = gone.whole == <PyObject*>batch.shared
    entries -= 1
    held -= cost(gone, shared)
    gone.message = NULL
    batch.live -= 1
    refer(gone.words, gone.count, False)
    Py_DECREF(gone.ref)
    if shared:
        batch.sharing -= 1
        unneed(batch, gone.length)
    Py_DECREF(gone.whole)
    return 0


cdef inline bint fits(Py_ssize_t more) noexcept:
    """Whether one more record of that many bytes is within the bounds."""
    return entries < MAX_ENTRIES and held + more <= MAX_BYTES


cdef int evict(Py_ssize_t more) except -1:
    """Keep within the bounds with one more record of that many bytes.

    Which ones go is as good as random: with a list that is longer than the table, throwing out
    the oldest would throw out just those that are needed next.
    """
    global hand
    while entries and not fits(more):
        hand = (hand + 1) & mask
        forget(hand)
    return 0


cdef void expect(PyObject* message) noexcept:
    """Ask for the place in the table where a message will be looked for."""
    if slots != NULL:
        prefetch(slots + home(message))


cdef Record* find(PyObject* message, Record* last) noexcept:
    """The record of a message if it is unchanged, NULL otherwise.

    Args:
        message: any object.
        last: the record of the message before it, or NULL; it tells where to look first.
    """
    cdef Record* record
    cdef Slot* slot
    if last != NULL and last[1].message == message:
        record = last + 1
    elif slots == NULL:
        return NULL
    else:
        slot = slots + slot_of(message)
        if slot.message == NULL:
            return NULL
        record = slot.record
    if (
        record.cls == Py_TYPE(message)
        and record.extras == extras_at(message)
        and <PyObject*>(record.words[0] & <uint64_t>ADDRESS) == fields_at(message)
        and unchanged(record.words, record.count)
    ):
        return record
    return NULL


# ---- what a call has written -------------------------------------------------------------------

cdef int entered(Journal* journal, PyObject* message, Py_ssize_t start) except -1:
    """Note that a message is being written, before its trace."""
    cdef Written* moved
    cdef Py_ssize_t room
    if journal.count == journal.room:
        room = max(2 * journal.room, 64)
        moved = <Written*>PyMem_RawRealloc(journal.items, room * sizeof(Written))
        if moved == NULL:
            raise MemoryError()
        journal.items = moved
        journal.room = room
    moved = journal.items + journal.count
    moved.message = message
    moved.start = start
    moved.first = journal.trace.count
    journal.count += 1
    return 0


cdef void left(Journal* journal, Py_ssize_t end) noexcept:
    """Note that the message entered last has been written up to here."""
    cdef Written* written = journal.items + journal.count - 1
    written.length = end - written.start
    written.count = journal.trace.count - written.first


cdef int keep(Journal* journal, bytes whole, Py_ssize_t room, list texts) except -1:
    """Keep the texts of the messages written, within the bounds; each in place of an older one.

    Args:
        journal: it is empty afterwards.
        whole: where the texts are, if not alone.
        room: how long that may become in place.
        texts: each alone, or None.
    """
    global entries, held
    cdef Py_ssize_t i, size, longest = MAX_BYTES // SHARE, total = 0
    cdef Py_ssize_t count = journal.count
    cdef Batch batch
    cdef Record* record
    cdef Written* written
    cdef PyObject* message
    cdef size_t at
    cdef bytes own
    cdef bint share = False
    if count == 0:
        return 0
    journal.count = 0
    batch = Batch.__new__(Batch)
    batch.records = <Record*>PyMem_Malloc((count + 1) * sizeof(Record))
    batch.words = <uint64_t*>PyMem_Malloc(journal.trace.count * sizeof(uint64_t))
    if batch.records == NULL or batch.words == NULL:
        raise MemoryError()
    memcpy(batch.words, journal.trace.words, journal.trace.count * sizeof(uint64_t))
    journal.trace.count = 0
    for i in range(count + 1):
        batch.records[i].message = NULL
    if whole is not None:
        for i in range(count):
            total += journal.items[i].length
        share = 2 * total >= len(whole) and len(whole) <= longest
    if share:
        batch.shared = whole
        batch.room = room
        evict(len(whole))
        held += len(whole)
    enlarge(entries + count)
    for i in range(count):
        written = journal.items + i
        message = written.message
        record = batch.records + i
        record.cls = Py_TYPE(message)
        record.extras = extras_at(message)
        record.length = <uint32_t>written.length
        record.words = batch.words + written.first
        record.count = <uint32_t>written.count
        at = slot_of(message)
        size = cost(record, False)
        if slots[at].message != NULL or size > longest or not fits(size):
            forget(at)
            if size > longest:
                continue
            evict(size)
            at = slot_of(message)
        size = cost(record, batch.shared is not None)
        if not fits(size):
            continue
        if batch.shared is not None:
            own = whole
            record.chars = PyBytes_AS_STRING(whole) + written.start
        elif texts is not None:
            own = texts[i]
            record.chars = PyBytes_AS_STRING(own)
        else:
            own = PyBytes_FromStringAndSize(
                PyBytes_AS_STRING(whole) + written.start, written.length)
            record.chars = PyBytes_AS_STRING(own)
        record.ref = PyWeakref_NewRef(message, <PyObject*>batch)
        (<WeakReference*>record.ref).hash = i
        record.whole = <PyObject*>own
        Py_INCREF(record.whole)
        record.batch = <PyObject*>batch
        record.message = message
        refer(record.words, record.count, True)
        slots[at].message = message
        slots[at].record = record
        entries += 1
        held += size
        batch.live += 1
        if batch.shared is not None:
            batch.needed += record.length
            batch.sharing += 1
    if batch.shared is not None:
        unneed(batch, 0)
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
