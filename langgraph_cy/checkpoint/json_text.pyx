# cython: language_level=3, embedsignature=True
"""JSON text as orjson writes it, made in place: strings and integers, the rest is short."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.object cimport PyObject
from libc.string cimport memcpy

cdef extern from "Python.h":
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
    MOST_SPARED = 1 << 20          # bytes that are kept for the next text

cdef char* spared = NULL
cdef Py_ssize_t spared_room = 0


cdef int begin(Text* text) except -1:
    """Start a text. It is to be ended by `give_up`."""
    global spared
    cdef Py_ssize_t room = spared_room
    text.start = text.at = text.end = spared
    text.inserted = text.count = 0
    spared = NULL
    if text.start == NULL:
        enlarge(text, SPARE)
    else:
        text.end += room
    return 0


cdef bytes finish(Text* text):
    """The text as it is by now."""
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, length_of(text))
    cdef char* to = PyBytes_AS_STRING(whole)
    cdef Py_ssize_t i, at = 0
    cdef Insertion* insertion
    for i in range(text.count):
        insertion = text.insertions + i
        memcpy(to, text.start + at, insertion.at - at)
        to += insertion.at - at
        at = insertion.at
        memcpy(to, insertion.chars, insertion.length)
        to += insertion.length
    memcpy(to, text.start + at, text.at - text.start - at)
    return whole


cdef void give_up(Text* text) noexcept:
    """Free what the text took."""
    global spared, spared_room
    if spared != NULL or text.end - text.start > MOST_SPARED:
        PyMem_RawFree(text.start)
        return
    spared = text.start
    spared_room = text.end - text.start


cdef int enlarge(Text* text, Py_ssize_t more) except -1:
    cdef Py_ssize_t used = text.at - text.start
    cdef Py_ssize_t room = max(2 * (text.end - text.start), used + more, 1024)
    cdef char* moved = <char*>PyMem_RawRealloc(text.start, room)
    if moved == NULL:
        raise MemoryError()
    text.start = moved
    text.at = moved + used
    text.end = moved + room
    return 0


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
    room_for(text, length)
    while True:
        clean = copy_clean(text.at, chars, length)
        text.at += clean
        if clean == length:
            return 0
        put_escaped(text, chars[clean])
        chars += clean + 1
        length -= clean + 1
        room_for(text, length)


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
    room_for(text, 1)
    put_char(text, c'"')
    if PyUnicode_IS_ASCII(value):
        put_ascii(
            text, <const unsigned char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
    elif not put_encoded(text, value):
        return False
    room_for(text, 1)
    put_char(text, c'"')
    return True


cdef int put_new_word(Text* text, PyObject* value, Word* word) except -1:
    """Add a word, and know it from now on unless it is too long."""
    cdef Py_ssize_t start = text.at - text.start
    cdef Py_ssize_t length
    if not put_string(text, value):
        return False
    length = text.at - text.start - start
    if length <= WORD:
        Py_INCREF(value)
        Py_XDECREF(word.string)
        word.string = value
        word.length = <char>length
        memcpy(word.chars, text.start + start, length)
    return True


cdef int put_integer(Text* text, PyObject* value) except -1:
    """Add an int. Returns whether it has 64 bits at most."""
    cdef int overflow = 0
    cdef long long number = PyLong_AsLongLongAndOverflow(value, &overflow)
    cdef unsigned long long size
    cdef char digits[20]
    cdef int i = 20
    if overflow:
        size = PyLong_AsUnsignedLongLong(value)
        if PyErr_Occurred() != NULL:
            PyErr_Clear()
            return False
    else:
        size = 0 - <unsigned long long>number if number < 0 else <unsigned long long>number
    room_for(text, 21)
    if number < 0 and not overflow:
        put_char(text, c"-")
    while True:
        i -= 1
        digits[i] = DIGITS[size % 10]
        size //= 10
        if size == 0:
            break
    memcpy(text.at, digits + i, 20 - i)
    text.at += 20 - i
    return True
