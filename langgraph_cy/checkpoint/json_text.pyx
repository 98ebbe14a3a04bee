# cython: language_level=3, embedsignature=True
"""JSON text as orjson writes it, made in place: strings and integers, the rest is short."""

from cpython.object cimport PyObject
from libc.string cimport memcpy

from langgraph_cy.checkpoint.json_survey cimport is_key
from langgraph_cy.core.references cimport lgcy_held_by

cdef extern from *:
    """
    /* The hash, if it is known, belongs to what the bytes were. */
    #if defined(__GNUC__)
    #pragma GCC diagnostic push
    #pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    #endif
    static void lgcy_forget_hash(PyObject *data) { ((PyBytesObject *)data)->ob_shash = -1; }
    #if defined(__GNUC__)
    #pragma GCC diagnostic pop
    #endif
    """
    void forget_hash "lgcy_forget_hash"(PyObject* data) noexcept

cdef extern from "Python.h":
    void Py_SET_SIZE(PyObject* data, Py_ssize_t size) noexcept
    PyObject* PyBytes_FromStringAndSize(const char* chars, Py_ssize_t length) except NULL
    char* PyBytes_AS_STRING(PyObject* data) noexcept
    int _PyBytes_Resize(PyObject** data, Py_ssize_t length) except -1
    Py_ssize_t Py_SIZE(PyObject* data) noexcept
    void Py_DECREF(PyObject* value) noexcept
    int PyUnicode_KIND(PyObject* text) noexcept
    bint PyUnicode_IS_ASCII(PyObject* text) noexcept
    void Py_INCREF(PyObject* value) noexcept
    void Py_XDECREF(PyObject* value) noexcept
    unsigned int PyUnicode_READ(int kind, void* data, Py_ssize_t i) noexcept
    long long PyLong_AsLongLongAndOverflow(PyObject* number, int* overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(PyObject* number) noexcept
    PyObject* PyErr_Occurred() noexcept
    void PyErr_Clear() noexcept

cdef enum:
    LARGE = 1 << 17                # bytes of a text that isn't copied when it is finished
    GROWTH = 16                    # a part of its length that it may grow by
    MOST_KEPT = 1 << 21            # bytes of a large text whose memory is used again

cdef PyObject* spared = NULL       # a buffer, kept for the next text that isn't large

# The large texts made last, owned, and how long they could be. Once nobody else has one its memory
# is used again: to be given new memory by the system takes as long as writing the text.
cdef PyObject* latest[2]
cdef Py_ssize_t latest_room[2]
cdef int oldest = 0


cdef bint is_latest(PyObject* whole) noexcept:
    """Whether a reference to a text is held here."""
    return whole == latest[0] or whole == latest[1]


cdef void note_latest(PyObject* whole, Py_ssize_t room) noexcept:
    global oldest
    if room <= MOST_KEPT:
        Py_INCREF(whole)
        Py_XDECREF(latest[oldest])
        latest[oldest] = whole
        latest_room[oldest] = room
        oldest = 1 - oldest


cdef PyObject* unused(Py_ssize_t room) noexcept:
    """A buffer of so many characters or more that was a text, NULL if there is none."""
    global oldest
    cdef PyObject* found
    cdef int i
    for i in range(2):
        found = latest[i]
        if found != NULL and latest_room[i] >= room and lgcy_held_by(found, 1):
            latest[i] = NULL
            oldest = i
            Py_SET_SIZE(found, latest_room[i])
            return found
    return NULL


cdef char* begin(Text* text) except NULL:
    """Start a text. It is to be ended by `give_up`. Returns where it goes on."""
    global spared
    text.buffer = spared
    text.start = text.end = NULL
    text.inserted = text.count = 0
    if spared != NULL:
        text.start = PyBytes_AS_STRING(spared)
        text.end = text.start + Py_SIZE(spared)
        spared = NULL
    return room_for(text, text.start, 0)


cdef bytes finish(Text* text, char* end, Py_ssize_t* room):
    """The text. There may be no more of it.

    Args:
        text: what `begin` began.
        end: where it would go on.
        room: is set to how long the returned bytes could become in place.
    """
    cdef Py_ssize_t i, at = 0
    cdef Py_ssize_t length = length_of(text, end)
    cdef Insertion* insertion
    cdef PyObject* whole
    cdef char* to
    room[0] = length
    if text.count == 0 and length >= LARGE:
        room[0] = min(length + length // GROWTH, text.end - text.start)
        resize(text, length, room[0])
        whole = text.buffer
        text.buffer = NULL
        set_length(whole, length)
        note_latest(whole, room[0])
    else:
        whole = PyBytes_FromStringAndSize(NULL, length)
        to = PyBytes_AS_STRING(whole)
        for i in range(text.count):
            insertion = text.insertions + i
            memcpy(to, text.start + at, insertion.at - at)
            to += insertion.at - at
            at = insertion.at
            memcpy(to, insertion.chars, insertion.length)
            to += insertion.length
        memcpy(to, text.start + at, end - text.start - at)
    try:
        return <bytes>whole
    finally:
        Py_DECREF(whole)


cdef void give_up(Text* text) noexcept:
    """Free what the text took."""
    global spared
    if spared == NULL and text.buffer != NULL and Py_SIZE(text.buffer) <= LARGE:
        spared = text.buffer
    else:
        Py_XDECREF(text.buffer)


cdef void set_length(PyObject* data, Py_ssize_t length) noexcept:
    """Let bytes end elsewhere in their memory. Nobody else may have them."""
    Py_SET_SIZE(data, length)
    PyBytes_AS_STRING(data)[length] = 0
    forget_hash(data)


cdef char* resize(Text* text, Py_ssize_t used, Py_ssize_t room) except NULL:
    """Have a buffer of so many characters. Returns what is behind the used ones."""
    if text.buffer == NULL:
        text.buffer = PyBytes_FromStringAndSize(NULL, room)
    else:
        _PyBytes_Resize(&text.buffer, room)
    text.start = PyBytes_AS_STRING(text.buffer)
    text.end = text.start + room
    return text.start + used


cdef char* enlarge(Text* text, char* at, Py_ssize_t more) except NULL:
    cdef Py_ssize_t used = at - text.start
    return resize(text, used, max(2 * (text.end - text.start), used + more, 1024))


cdef char* reserve(Text* text, char* at, Py_ssize_t more) except NULL:
    """`room_for` about so many bytes."""
    cdef Py_ssize_t used = at - text.start
    cdef PyObject* buffer
    if text.end - at >= more + SPARE or used + more < LARGE:
        return room_for(text, at, more)
    buffer = unused(used + more - more // GROWTH + SPARE)
    if buffer == NULL:
        buffer = PyBytes_FromStringAndSize(NULL, used + more + SPARE)
    memcpy(PyBytes_AS_STRING(buffer), text.start, used)
    give_up(text)
    text.buffer = buffer
    text.start = PyBytes_AS_STRING(buffer)
    text.end = text.start + Py_SIZE(buffer)
    return text.start + used


cdef char* put_long(Text* text, char* at, const char* chars, Py_ssize_t length) except NULL:
    """`put` of chars that stay where they are: many of them are copied once, in the end."""
    if length < LONG or text.count == MOST_INSERTIONS:
        return put(text, at, chars, length)
    text.insertions[text.count].chars = chars
    text.insertions[text.count].length = length
    text.insertions[text.count].at = at - text.start
    text.inserted += length
    text.count += 1
    return at


cdef char* DIGITS = "0123456789abcdef"
# The second character of short escapes.
cdef char SHORT[128]
SHORT[8], SHORT[9], SHORT[10], SHORT[12], SHORT[13] = c"b", c"t", c"n", c"f", c"r"
SHORT[34], SHORT[92] = c'"', c"\\"


cdef inline char* put_escaped(char* at, unsigned char char) noexcept:
    """Six characters at most."""
    at[0] = c"\\"
    if SHORT[char]:
        at[1] = SHORT[char]
        return at + 2
    memcpy(at + 1, b"u00", 3)
    at[4] = DIGITS[char >> 4]
    at[5] = DIGITS[char & 15]
    return at + 6


cdef char* put_ascii(
    Text* text, char* at, const unsigned char* chars, Py_ssize_t length
) except NULL:
    cdef Py_ssize_t clean
    while True:
        at = room_for(text, at, length)
        clean = copy_clean(at, chars, length)
        at += clean
        if clean == length:
            return at
        at = put_escaped(at, chars[clean])
        chars += clean + 1
        length -= clean + 1


cdef char* put_encoded(Text* text, char* at, PyObject* value) except? NULL:
    """Add a string that isn't ASCII."""
    cdef Py_ssize_t i
    cdef int kind = PyUnicode_KIND(value)
    cdef void* data = PyUnicode_DATA(value)
    cdef unsigned int char
    for i in range(PyUnicode_GET_LENGTH(value)):
        char = PyUnicode_READ(kind, data, i)
        at = room_for(text, at, 6)
        if char < 0x20 or char == c'"' or char == c"\\":
            at = put_escaped(at, <unsigned char>char)
        elif 0xD800 <= char < 0xE000:
            return NULL
        else:
            at = put_utf8(at, char)
    return at


cdef char* put_string(Text* text, char* at, PyObject* value) except? NULL:
    """Add a str. UTF-8 has no surrogates."""
    cdef Py_ssize_t length
    if PyUnicode_IS_COMPACT_ASCII(value):
        length = PyUnicode_GET_LENGTH(value)
        at = room_for(text, at, length + 2)
        if copy_clean(at + 1, <const unsigned char*>PyUnicode_DATA(value), length) == length:
            at[0] = at[length + 1] = c'"'
            return at + length + 2
    return put_other(text, at, value)


cdef char* put_other(Text* text, char* at, PyObject* value) except? NULL:
    """`put_string` for those that aren't written as they are."""
    at[0] = c'"'
    if PyUnicode_IS_ASCII(value):
        at = put_ascii(
            text, at + 1, <const unsigned char*>PyUnicode_DATA(value),
            PyUnicode_GET_LENGTH(value))
    else:
        at = put_encoded(text, at + 1, value)
        if at == NULL:
            return NULL
    at[0] = c'"'
    return room_for(text, at + 1, 0)


cdef char* put_new_key(Text* text, char* at, PyObject* key) except? NULL:
    """Add a key, and know it as a word from now on if it is interned and not too long."""
    cdef size_t i, first = place_of(key)
    cdef Py_ssize_t length, start = at - text.start
    if not is_key(key):
        return NULL
    at[0] = c","
    at = put_string(text, at + 1, key)
    if at == NULL:
        return NULL
    at[0] = c":"
    at = room_for(text, at + 1, 0)
    length = at - text.start - start
    if length <= WORD and PyUnicode_CHECK_INTERNED(key):
        Py_XDECREF(words[first ^ (WAYS - 1)].string)
        for i in range(WAYS - 1, 0, -1):
            words[first ^ i] = words[first ^ (i - 1)]
        Py_INCREF(key)
        words[first].string = key
        words[first].length = <char>length
        memcpy(words[first].chars, text.start + start, length)
    return at


# "00" to "99"
cdef char PAIRS[200]
cdef int number
for number in range(100):
    PAIRS[2 * number] = DIGITS[number // 10]
    PAIRS[2 * number + 1] = DIGITS[number % 10]


cdef char* put_long_integer(Text* text, char* at, PyObject* value) except? NULL:
    """`put_integer` of one of more than a digit."""
    cdef int overflow = 0
    cdef long long number = small_number(value)
    cdef unsigned long long size = <unsigned long long>number
    if number < 0:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        size = <unsigned long long>number
        if overflow:
            size = PyLong_AsUnsignedLongLong(value)
            if PyErr_Occurred() != NULL:
                PyErr_Clear()
                return NULL
        elif number < 0:
            at[0] = c"-"
            at += 1
            size = 0 - size
    return room_for(text, put_digits(at, size), 0)


cdef inline char* put_digits(char* at, unsigned long long number) noexcept:
    cdef char digits[40]           # twenty at most, and what is copied with them
    cdef int i = 20
    if number < 1000:
        if number >= 100:
            at[0] = <char>(c"0" + number // 100)
            at += 1
        elif number < 10:
            at[0] = <char>(c"0" + number)
            return at + 1
        memcpy(at, PAIRS + 2 * (number % 100), 2)
        return at + 2
    while number >= 100:
        i -= 2
        memcpy(digits + i, PAIRS + 2 * (number % 100), 2)
        number //= 100
    i -= 2
    memcpy(digits + i, PAIRS + 2 * number, 2)
    i += number < 10
    memcpy(at, digits + i, 20)
    return at + 20 - i
