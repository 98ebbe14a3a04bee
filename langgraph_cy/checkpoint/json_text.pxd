# cython: language_level=3
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    typedef __m128i lgcy_block;
    #define lgcy_load(from) _mm_loadu_si128((const __m128i *)(from))
    #define lgcy_pair(first, second) _mm_set_epi64x((int64_t)(second), (int64_t)(first))
    /* Which of 16 characters JSON escapes, as bits. */
    static inline unsigned lgcy_escapes(lgcy_block chars) {
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(chars, _mm_set1_epi8(0x1F)), chars);
        const __m128i quote = _mm_cmpeq_epi8(chars, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(chars, _mm_set1_epi8('\\\\'));
        return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
    }
    #else
    typedef struct { unsigned char chars[16]; } lgcy_block;
    static inline lgcy_block lgcy_load(const unsigned char *from) {
        lgcy_block block;
        memcpy(block.chars, from, 16);
        return block;
    }
    static inline lgcy_block lgcy_pair(uint64_t first, uint64_t second) {
        lgcy_block block;
        memcpy(block.chars, &first, 8);
        memcpy(block.chars + 8, &second, 8);
        return block;
    }
    static inline unsigned lgcy_escapes(lgcy_block block) {
        unsigned i, found = 0;    /* compilers make vectors of this */
        for (i = 0; i < 16; i++) {
            const unsigned char c = block.chars[i];
            found |= (unsigned)((c < 0x20) | (c == '"') | (c == '\\\\')) << i;
        }
        return found;
    }
    #endif
    #if defined(__GNUC__)
    #define lgcy_lowest(bits) __builtin_ctz(bits)
    #else
    static inline int lgcy_lowest(unsigned bits) {
        int i = 0;
        while (!(bits >> i & 1)) i++;
        return i;
    }
    #endif

    #define LGCY_TWICE 0x100000001ULL    /* times four characters, makes eight of them */

    /* Copies up to the first character that JSON escapes; returns how many these were.
       May write 15 more. */
    static inline Py_ssize_t lgcy_copy_clean(
            char *to, const unsigned char *from, Py_ssize_t length) {
        unsigned escapes;
        lgcy_block block;
        Py_ssize_t i;
        if (length >= 16) {
            for (i = 0; length - i >= 16; i += 16) {
                block = lgcy_load(from + i);
                memcpy(to + i, &block, 16);
                escapes = lgcy_escapes(block);
                if (escapes) return i + lgcy_lowest(escapes);
            }
            if (i == length) return length;
            block = lgcy_load(from + length - 16);
            memcpy(to + length - 16, &block, 16);
            escapes = lgcy_escapes(block);
            return escapes ? length - 16 + lgcy_lowest(escapes) : length;
        }
        if (length >= 8) {       /* two halves, which overlap */
            uint64_t first, last;
            memcpy(&first, from, 8);
            memcpy(&last, from + length - 8, 8);
            memcpy(to, &first, 8);
            memcpy(to + length - 8, &last, 8);
            escapes = lgcy_escapes(lgcy_pair(first, last));
            if (!escapes) return length;
            return escapes & 0xFF ? lgcy_lowest(escapes) : length - 16 + lgcy_lowest(escapes);
        }
        if (length >= 4) {       /* in registers: what was just stored can't be loaded as one */
            uint32_t first, last;
            memcpy(&first, from, 4);
            memcpy(&last, from + length - 4, 4);
            memcpy(to, &first, 4);
            memcpy(to + length - 4, &last, 4);
            escapes = lgcy_escapes(lgcy_pair(first * LGCY_TWICE, last * LGCY_TWICE));
            if (!escapes) return length;
            return escapes & 0xF ? lgcy_lowest(escapes) : length - 12 + lgcy_lowest(escapes);
        }
        for (i = 0; i < length; i++) {
            if (from[i] < 0x20 || from[i] == '"' || from[i] == '\\\\') break;
            to[i] = (char)from[i];
        }
        return i;
    }

    /* The value of a small int that isn't negative, -1 of any other. */
    static inline long lgcy_small_number(PyObject *number) {
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)number))
            return (long)PyUnstable_Long_CompactValue((PyLongObject *)number);
    #else
        if (Py_SIZE(number) == 1) return (long)((PyLongObject *)number)->ob_digit[0];
        if (Py_SIZE(number) == 0) return 0;
    #endif
        return -1;
    }
    """
    Py_ssize_t copy_clean "lgcy_copy_clean"(
        char* to, const unsigned char* chars, Py_ssize_t length) noexcept
    long small_number "lgcy_small_number"(PyObject* number) noexcept

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(PyObject* text) noexcept
    bint PyUnicode_CHECK_INTERNED(PyObject* text) noexcept
    Py_ssize_t PyUnicode_GET_LENGTH(PyObject* text) noexcept
    void* PyUnicode_DATA(PyObject* text) noexcept


cdef struct Insertion:
    const char* chars     # not owned: they have to be there until the text is finished
    Py_ssize_t length
    Py_ssize_t at         # how much of the text's own chars comes before

cdef enum:
    MOST_INSERTIONS = 16
    LONG = 4096           # chars that are worth an insertion


cdef struct Text:
    # JSON text that grows. Where it goes on, `at`, is handed from one function to the next.
    PyObject* buffer      # bytes, owned, of which `start` to `end` are the characters
    char* start
    char* end
    Py_ssize_t inserted   # chars of the insertions
    Py_ssize_t count
    Insertion insertions[MOST_INSERTIONS]

cdef enum:
    # Bytes that there is room for wherever a value may end. What comes before a value, a comma or a
    # key, takes less than half of them and asks for no more; a value asks for what it takes.
    SPARE = 128
    FEW = 32
    WORD = 39             # of what is known as a word: characters with `,"` and `":`
    WORDS = 1024
    WAYS = 4


cdef struct Word:
    # An interned string, as it is written for a key that others come before.
    PyObject* string      # owned
    char length
    char chars[WORD]


cdef Word words[WORDS]    # by address, in one of some places


cdef char* begin(Text* text) except NULL
cdef bytes finish(Text* text, char* at, Py_ssize_t* room)
cdef void give_up(Text* text) noexcept
cdef void set_length(PyObject* data, Py_ssize_t length) noexcept
cdef bint is_latest(PyObject* whole) noexcept
cdef char* reserve(Text* text, char* at, Py_ssize_t more) except NULL
cdef char* enlarge(Text* text, char* at, Py_ssize_t more) except NULL
cdef char* put_long(Text* text, char* at, const char* chars, Py_ssize_t length) except NULL
cdef char* put_string(Text* text, char* at, PyObject* value) except? NULL
cdef char* put_new_key(Text* text, char* at, PyObject* key) except? NULL
cdef char* put_long_integer(Text* text, char* at, PyObject* value) except? NULL


cdef inline char* room_for(Text* text, char* at, Py_ssize_t more) except NULL:
    """Have room for so many bytes and the SPARE ones. Returns where `at` is now."""
    if text.end - at < more + SPARE:
        return enlarge(text, at, more + SPARE)
    return at


cdef inline Py_ssize_t length_of(Text* text, char* at) noexcept:
    return at - text.start + text.inserted


# Each of these adds something at `at` and returns what is behind it. NULL without an error: JSON
# doesn't have it.

cdef inline char* put(Text* text, char* at, const char* chars, Py_ssize_t length) except NULL:
    """Add what is JSON text already."""
    at = room_for(text, at, length)
    memcpy(at, chars, length)
    return at + length


cdef inline char* put_lead(char* at, const char* chars, Py_ssize_t length) noexcept:
    """Add what comes before a value, FEW characters at most. There are as many at `chars`."""
    memcpy(at, chars, FEW)
    return at + length


cdef inline char* put_utf8(char* at, unsigned int char) noexcept:
    """Write a character that isn't a surrogate, in four bytes at most. Returns what is behind."""
    if char < 0x80:
        at[0] = <char>char
        return at + 1
    if char < 0x800:
        at[0] = <char>(0xC0 | char >> 6)
        at[1] = <char>(0x80 | char & 0x3F)
        return at + 2
    if char < 0x10000:
        at[0] = <char>(0xE0 | char >> 12)
        at[1] = <char>(0x80 | char >> 6 & 0x3F)
        at[2] = <char>(0x80 | char & 0x3F)
        return at + 3
    at[0] = <char>(0xF0 | char >> 18)
    at[1] = <char>(0x80 | char >> 12 & 0x3F)
    at[2] = <char>(0x80 | char >> 6 & 0x3F)
    at[3] = <char>(0x80 | char & 0x3F)
    return at + 4


cdef inline size_t place_of(PyObject* string) noexcept:
    """The first place where a word is looked for."""
    return <size_t>(<uint64_t>string * 0x9E3779B97F4A7C15ULL >> 54) % WORDS


cdef inline Word* word_of(PyObject* string) noexcept:
    """NULL if a str isn't known as a word."""
    cdef size_t i, first = place_of(string)
    for i in range(WAYS):
        if words[first ^ i].string == string:
            return words + (first ^ i)
    return NULL


cdef inline char* put_key(Text* text, char* at, PyObject* key) except? NULL:
    """Add a comma, a key and a colon. JSON has string keys, and `lc` isn't among them."""
    cdef Word* word = word_of(key)
    if word == NULL:
        return put_new_key(text, at, key)
    memcpy(at, word.chars, WORD)
    return at + word.length


cdef inline char* put_integer(Text* text, char* at, PyObject* value) except? NULL:
    """Add an int, of 64 bits at most."""
    cdef long number = small_number(value)
    if not 0 <= number < 10:
        return put_long_integer(text, at, value)
    at[0] = <char>(c"0" + number)
    return room_for(text, at + 1, 0)
