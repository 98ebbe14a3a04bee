# cython: language_level=3, embedsignature=True
"""JSON text as values: strings and numbers, where orjson would have written them so.

What isn't JSON, and what JSON has but orjson doesn't write, such as spaces, raises `ValueError`.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcmp, memcpy

from orjson import loads

from langgraph_cy.checkpoint.json_text cimport (
    SPARE,
    Text,
    begin,
    copy_clean,
    give_up,
    put_utf8,
    room_for,
)

cdef extern from *:
    """
    #include <math.h>
    #if defined(__SSE2__) || defined(_M_X64)
    /* Which of 16 characters aren't ASCII, as bits. */
    #define lgcy_others(chars) ((unsigned)_mm_movemask_epi8(chars))
    #else
    static inline unsigned lgcy_others(lgcy_block block) {
        unsigned i, found = 0;
        for (i = 0; i < 16; i++) found |= (unsigned)(block.chars[i] >> 7) << i;
        return found;
    }
    #endif

    /* How many characters come before the first that JSON escapes, or that ends a string;
       *others isn't 0 if one of them isn't ASCII. */
    static inline Py_ssize_t lgcy_clean_length(
            const unsigned char *from, Py_ssize_t length, unsigned *others) {
        Py_ssize_t i;
        unsigned char c;
        for (i = 0; length - i >= 16; i += 16) {
            const lgcy_block block = lgcy_load(from + i);
            const unsigned escapes = lgcy_escapes(block);
            if (escapes) {
                const int clean = lgcy_lowest(escapes);
                *others |= lgcy_others(block) & ((1u << clean) - 1);
                return i + clean;
            }
            *others |= lgcy_others(block);
        }
        for (; i < length; i++) {
            c = from[i];
            if (c < 0x20 || c == '"' || c == '\\\\') break;
            *others |= c & 0x80;
        }
        return i;
    }

    /* number / (five * 2 ** places), rounded as it should be; five is not 0. */
    #if defined(__SIZEOF_INT128__) && !defined(_MSC_VER)
    #define LGCY_CAN_DIVIDE 1
    static inline double lgcy_divided(uint64_t number, uint64_t five, int places) {
        int up, down;
        unsigned __int128 dividend;
        uint64_t quotient;
        if (number == 0) return 0.0;
        up = __builtin_clzll(number);
        down = __builtin_clzll(five);
        dividend = (unsigned __int128)(number << up) << 63;
        five <<= down;
        quotient = (uint64_t)(dividend / five);    /* of 63 or 64 bits, a double has 53 */
        quotient |= dividend != (unsigned __int128)quotient * five;
        return ldexp((double)quotient, down - up - 63 - places);
    }
    #else
    #define LGCY_CAN_DIVIDE 0
    #define lgcy_divided(number, five, places) 0.0
    #endif
    """
    bint CAN_DIVIDE "LGCY_CAN_DIVIDE"
    double divided "lgcy_divided"(uint64_t number, uint64_t five, int places) noexcept
    Py_ssize_t clean_length "lgcy_clean_length"(
        const unsigned char* chars, Py_ssize_t length, unsigned* others) noexcept

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t length, Py_UCS4 largest)
    object PyUnicode_DecodeUTF8(const char* chars, Py_ssize_t length, const char* errors)
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    void* PyUnicode_DATA(PyObject* text) noexcept
    void Py_INCREF(object value) noexcept
    void Py_XDECREF(PyObject* value) noexcept
    object PyLong_FromLongLong(long long number)

cdef enum:
    KNOWN_WORDS = 2048
    LONGEST = 64          # characters of a word
    SAFE_DIGITS = 18      # of a number that has less than 64 bits, whatever they are


cdef int refuse() except -1:
    raise ValueError("not as orjson would have written it")


cdef int skip(Source* text, const char* chars, Py_ssize_t length) except -1:
    """Read what has to be there."""
    if text.end - text.at < length or memcmp(text.at, chars, length) != 0:
        refuse()
    text.at += length
    return 0


# ---- strings -----------------------------------------------------------------------------------

# What the second character of a short escape stands for.
cdef char UNESCAPED[256]
UNESCAPED[c'"'], UNESCAPED[c"\\"], UNESCAPED[c"/"] = c'"', c"\\", c"/"
UNESCAPED[c"b"], UNESCAPED[c"f"], UNESCAPED[c"n"] = 8, 12, 10
UNESCAPED[c"r"], UNESCAPED[c"t"] = 13, 9


cdef inline object text_of(const char* chars, Py_ssize_t length, unsigned others):
    if others:
        return PyUnicode_DecodeUTF8(chars, length, NULL)
    text = PyUnicode_New(length, 127)
    memcpy(PyUnicode_DATA(<PyObject*>text), chars, length)
    return text


cdef object read_string(Source* text):
    """A str, of a text that begins with a quotation mark."""
    cdef unsigned others = 0
    cdef const char* start = text.at + 1
    cdef Py_ssize_t length = clean_length(
        <const unsigned char*>start, text.end - start, &others)
    if start[length] == c"\\":
        return read_escaped(text)
    if start[length] != c'"':
        refuse()
    text.at = start + length + 1
    return text_of(start, length, others)


cdef object read_escaped(Source* text):
    """`read_string` of one in which characters are escaped."""
    cdef const char* at = text.at + 1
    cdef Py_ssize_t clean, most
    cdef Text made
    cdef char* to = begin(&made)
    try:
        while True:
            to = room_for(&made, to, SPARE)
            most = min(text.end - at, made.end - to - SPARE)
            clean = copy_clean(to, <const unsigned char*>at, most)
            to += clean
            at += clean
            if clean == most:          # there is no more room, or no more text
                if at == text.end:
                    refuse()
                continue
            if at[0] == c'"':
                text.at = at + 1
                return PyUnicode_DecodeUTF8(made.start, to - made.start, NULL)
            if at[0] != c"\\":
                refuse()
            to[0] = UNESCAPED[<unsigned char>at[1]]
            if to[0]:
                to += 1
                at += 2
                continue
            at = put_sixteen_bits(&to, at + 1, text.end)
            if at == NULL:
                refuse()
    finally:
        give_up(&made)


cdef const char* put_sixteen_bits(char** to, const char* at, const char* end) noexcept:
    """Add a character. Returns what is behind its escape, or two; NULL if that is none.

    Args:
        to: where the character goes; it is set to what is behind it.
        at: what is behind the backslash.
        end: of the text.
    """
    cdef long code, low
    if at[0] != c"u":
        return NULL
    code = hexadecimal(at + 1, end)
    at += 5
    if 0xD800 <= code < 0xDC00 and end - at >= 6 and at[0] == c"\\" and at[1] == c"u":
        low = hexadecimal(at + 2, end)
        if not 0xDC00 <= low < 0xE000:
            return NULL
        code = 0x10000 + (code - 0xD800 << 10) + (low - 0xDC00)
        at += 6
    if code < 0 or 0xD800 <= code < 0xE000:
        return NULL
    to[0] = put_utf8(to[0], <unsigned int>code)
    return at


cdef long hexadecimal(const char* at, const char* end) noexcept:
    """The number that four digits are, -1 if there aren't any."""
    cdef long number = 0
    cdef int i
    if end - at < 4:
        return -1
    for i in range(4):
        if c"0" <= at[i] <= c"9":
            number = number << 4 | at[i] - c"0"
        elif c"a" <= at[i] | 0x20 <= c"f":
            number = number << 4 | (at[i] | 0x20) - c"a" + 10
        else:
            return -1
    return number


# ---- words: strings of which there are many like each other ------------------------------------

cdef PyObject* known_words[KNOWN_WORDS]    # owned, each where its characters say


cdef inline size_t word_place(const char* chars, Py_ssize_t length) noexcept:
    """Where in the table a word goes; so many characters or eight may be read."""
    cdef uint64_t first, last = 0
    memcpy(&first, chars, 8)
    if length >= 8:
        memcpy(&last, chars + length - 8, 8)
    else:
        first &= (<uint64_t>1 << 8 * length) - 1
    first = (first ^ <uint64_t>length) * 0x9E3779B97F4A7C15ULL
    last = (last ^ first >> 32) * 0x9E3779B97F4A7C15ULL
    return <size_t>((first ^ last) >> 53) % KNOWN_WORDS


cdef object read_word(Source* text):
    """A str, if one comes next; the same object as the last time, if it comes often."""
    cdef unsigned others = 0
    cdef const char* start = text.at + 1
    cdef Py_ssize_t length
    cdef PyObject* known
    cdef size_t i
    if text.at[0] != c'"':
        refuse()
    length = clean_length(<const unsigned char*>start, text.end - start, &others)
    if others or length > LONGEST or text.end - start < 8 or start[length] != c'"':
        return read_string(text)
    i = word_place(start, length)
    known = known_words[i]
    text.at = start + length + 1
    if known != NULL and PyUnicode_GET_LENGTH(known) == length:
        if memcmp(PyUnicode_DATA(known), start, length) == 0:
            return <object>known
    word = text_of(start, length, 0)
    Py_INCREF(word)
    known_words[i] = <PyObject*>word
    Py_XDECREF(known)
    return word


# ---- numbers -----------------------------------------------------------------------------------

cdef uint64_t FIVES[SAFE_DIGITS + 1]   # five to the power of the index
cdef int exponent
FIVES[0] = 1
for exponent in range(SAFE_DIGITS):
    FIVES[exponent + 1] = 5 * FIVES[exponent]


cdef inline const char* digits_end(const char* at, uint64_t* number) noexcept:
    """What is behind digits, with which a number goes on. SAFE_DIGITS at most are read."""
    cdef const char* start = at
    while c"0" <= at[0] <= c"9" and at - start < SAFE_DIGITS:
        number[0] = 10 * number[0] + <uint64_t>(at[0] - c"0")
        at += 1
    return at


cdef object read_number(Source* text):
    """An int of 64 bits, or a finite float."""
    cdef bint negative = text.at[0] == c"-"
    cdef const char* start = text.at + negative
    cdef uint64_t number = 0
    cdef const char* point = digits_end(start, &number)
    cdef const char* at = point
    cdef double quotient
    if at == start or (start[0] == c"0" and at - start > 1):
        refuse()
    if at[0] == c"." and CAN_DIVIDE:
        at = digits_end(at + 1, &number)
        if at == point + 1:
            refuse()
    if at - start > SAFE_DIGITS + 1 or c"0" <= at[0] <= c"9" or at[0] in (c".", c"e", c"E"):
        return read_long_number(text)
    text.at = at
    if at == point:
        return PyLong_FromLongLong(-<long long>number if negative else <long long>number)
    quotient = divided(number, FIVES[at - point - 1], <int>(at - point - 1))
    return -quotient if negative else quotient


cdef object read_long_number(Source* text):
    """`read_number` of one that may have more digits, or isn't whole. orjson refuses infinity."""
    cdef const char* at = text.at
    cdef bint whole = True
    while c"0" <= at[0] <= c"9" or at[0] in (c"-", c"+", c".", c"e", c"E"):
        whole = whole and at[0] not in (c".", c"e", c"E")
        at += 1
    number = loads(PyBytes_FromStringAndSize(text.at, at - text.at))
    if whole and type(number) is float:
        refuse()                       # it has more than 64 bits
    text.at = at
    return number
