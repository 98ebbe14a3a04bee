# cython: language_level=3, embedsignature=True
"""JSON text as orjson writes it, made in place: strings and integers, the rest is short."""

from cpython.object cimport PyObject
from libc.string cimport memcpy

from langgraph_cy.checkpoint.json_survey cimport is_key

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

cdef PyObject* spared = NULL       # a buffer, kept for the next text that isn't large


cdef int begin(Text* text) except -1:
    """Start a text. It is to be ended by `give_up`."""
    global spared
    text.buffer = spared
    text.start = text.at = text.end = NULL
    text.inserted = text.count = 0
    if spared != NULL:
        text.start = text.at = PyBytes_AS_STRING(spared)
        text.end = text.start + Py_SIZE(spared)
        spared = NULL
    return room_for(text, 0)


cdef bytes finish(Text* text, Py_ssize_t* room):
    """The text. There may be no more of it.

    Args:
        text: what `begin` began.
        room: is set to how long the returned bytes could become in place.
    """
    cdef Py_ssize_t i, at = 0
    cdef Py_ssize_t length = length_of(text)
    cdef Insertion* insertion
    cdef PyObject* whole
    cdef char* to
    room[0] = length
    if text.count == 0 and length >= LARGE:
        room[0] += length // GROWTH
        resize(text, room[0])
        whole = text.buffer
        text.buffer = NULL
        set_length(whole, length)
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
        memcpy(to, text.start + at, text.at - text.start - at)
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


cdef int resize(Text* text, Py_ssize_t room) except -1:
    """Have a buffer of so many characters, of which there may be less than are used."""
    cdef Py_ssize_t used = text.at - text.start
    if text.buffer == NULL:
        text.buffer = PyBytes_FromStringAndSize(NULL, room)
    else:
        _PyBytes_Resize(&text.buffer, room)
    text.start = PyBytes_AS_STRING(text.buffer)
    text.at = text.start + used
    text.end = text.start + room
    return 0


cdef int enlarge(Text* text, Py_ssize_t more) except -1:
    return resize(text, max(2 * (text.end - text.start), text.at - text.start + more, 1024))


cdef int put_long(Text* text, const char* chars, Py_ssize_t length) except -1:
    """`put` of chars that stay where they are: many of them are copied once, in the end."""
    if length < LONG or text.count == MOST_INSERTIONS:
        return put(text, chars, length)
    text.insertions[text.count].chars = chars
    text.insertions[text.count].length = length
    text.insertions[text.count].at = text.at - text.start
    text.inserted += length
    text.count += 1
    return 0


cdef char* DIGITS = "0123456789abcdef"
# The second character of short escapes.
cdef char SHORT[128]
SHORT[8], SHORT[9], SHORT[10], SHORT[12], SHORT[13] = c"b", c"t", c"n", c"f", c"r"
SHORT[34], SHORT[92] = c'"', c"\\"


cdef inline void put_escaped(Text* text, unsigned char char) noexcept:
    """There has to be room for six characters."""
    cdef char* at = text.at
    at[0] = c"\\"
    if SHORT[char]:
        at[1] = SHORT[char]
        text.at += 2
    else:
        memcpy(at + 1, b"u00", 3)
        at[4] = DIGITS[char >> 4]
        at[5] = DIGITS[char & 15]
        text.at += 6


cdef int put_ascii(Text* text, const unsigned char* chars, Py_ssize_t length) except -1:
    cdef Py_ssize_t clean
    while True:
        room_for(text, length)
        clean = copy_clean(text.at, chars, length)
        text.at += clean
        if clean == length:
            return 0
        put_escaped(text, chars[clean])
        chars += clean + 1
        length -= clean + 1


cdef int put_encoded(Text* text, PyObject* value) except -1:
    """Add a string that isn't ASCII. Returns whether it has no surrogates."""
    cdef Py_ssize_t i
    cdef int kind = PyUnicode_KIND(value)
    cdef void* data = PyUnicode_DATA(value)
    cdef unsigned int char
    cdef char* at
    for i in range(PyUnicode_GET_LENGTH(value)):
        char = PyUnicode_READ(kind, data, i)
        room_for(text, 6)
        if char < 0x20 or char == c'"' or char == c"\\":
            put_escaped(text, <unsigned char>char)
            continue
        at = text.at
        if char < 0x80:
            at[0] = <char>char
            text.at += 1
        elif char < 0x800:
            at[0] = <char>(0xC0 | char >> 6)
            at[1] = <char>(0x80 | char & 0x3F)
            text.at += 2
        elif char < 0x10000:
            if 0xD800 <= char < 0xE000:
                return False
            at[0] = <char>(0xE0 | char >> 12)
            at[1] = <char>(0x80 | char >> 6 & 0x3F)
            at[2] = <char>(0x80 | char & 0x3F)
            text.at += 3
        else:
            at[0] = <char>(0xF0 | char >> 18)
            at[1] = <char>(0x80 | char >> 12 & 0x3F)
            at[2] = <char>(0x80 | char >> 6 & 0x3F)
            at[3] = <char>(0x80 | char & 0x3F)
            text.at += 4
    return True


cdef int put_other(Text* text, PyObject* value) except -1:
    """`put_string` for those that aren't written as they are."""
    put_char(text, c'"')
    if PyUnicode_IS_ASCII(value):
        put_ascii(
            text, <const unsigned char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
    elif not put_encoded(text, value):
        return False
    put_char(text, c'"')
    return True


cdef int put_new_key(Text* text, PyObject* key) except -1:
    """Add a key, and know it as a word from now on if it is interned and not too long."""
    cdef size_t i, first = place_of(key)
    cdef Py_ssize_t start = text.at - text.start
    cdef Py_ssize_t length
    if not is_key(key):
        return False
    put_char(text, c",")
    if not put_string(text, key):
        return False
    put_char(text, c":")
    length = text.at - text.start - start
    if length <= WORD and PyUnicode_CHECK_INTERNED(key):
        Py_XDECREF(words[first ^ (WAYS - 1)].string)
        for i in range(WAYS - 1, 0, -1):
            words[first ^ i] = words[first ^ (i - 1)]
        Py_INCREF(key)
        words[first].string = key
        words[first].length = <char>length
        memcpy(words[first].chars, text.start + start, length)
    return True


# "00" to "99"
cdef char PAIRS[200]
cdef int number
for number in range(100):
    PAIRS[2 * number] = DIGITS[number // 10]
    PAIRS[2 * number + 1] = DIGITS[number % 10]


cdef int put_long_integer(Text* text, PyObject* value) except -1:
    """`put_integer` of one of more than a digit."""
    cdef int overflow = 0
    cdef long long number = small_number(value)
    cdef unsigned long long size = <unsigned long long>number
    cdef char digits[20]
    cdef int i = 20
    if number < 0:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        size = <unsigned long long>number
        if overflow:
            size = PyLong_AsUnsignedLongLong(value)
            if PyErr_Occurred() != NULL:
                PyErr_Clear()
                return False
        elif number < 0:
            put_char(text, c"-")
            size = 0 - size
    while size >= 100:
        i -= 2
        memcpy(digits + i, PAIRS + 2 * (size % 100), 2)
        size //= 100
    if size >= 10:
        memcpy(text.at, PAIRS + 2 * size, 2)
        text.at += 2
    else:
        text.at[0] = DIGITS[size]
        text.at += 1
    memcpy(text.at, digits + i, 20 - i)
    text.at += 20 - i
    room_for(text, 0)
    return True
