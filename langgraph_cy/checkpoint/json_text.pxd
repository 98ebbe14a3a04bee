# cython: language_level=3
from cpython.object cimport PyObject
from libc.string cimport memcpy

cdef extern from *:
    """
    #include <stdint.h>
    #include <string.h>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <emmintrin.h>
    typedef __m128i lgcy_block;
    #define lgcy_load(from) _mm_loadu_si128((const __m128i *)(from))
    /* Whether any of 16 characters is one that JSON escapes. */
    static inline int lgcy_escapes(lgcy_block chars) {
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(chars, _mm_set1_epi8(0x1F)), chars);
        const __m128i quote = _mm_cmpeq_epi8(chars, _mm_set1_epi8('"'));
        const __m128i slash = _mm_cmpeq_epi8(chars, _mm_set1_epi8('\\\\'));
        return _mm_movemask_epi8(_mm_or_si128(low, _mm_or_si128(quote, slash)));
    }
    #else
    typedef struct { unsigned char chars[16]; } lgcy_block;
    static inline lgcy_block lgcy_load(const unsigned char *from) {
        lgcy_block block;
        memcpy(block.chars, from, 16);
        return block;
    }
    static inline int lgcy_escapes(lgcy_block block) {
        int i, found = 0;    /* compilers make vectors of this */
        for (i = 0; i < 16; i++)
            found |= (block.chars[i] < 0x20) | (block.chars[i] == '"') | (block.chars[i] == '\\\\');
        return found;
    }
    #endif

    /* Copies up to the first character that JSON escapes; returns how many these were.
       May write 15 more. */
    static inline Py_ssize_t lgcy_copy_clean(
            char *to, const unsigned char *from, Py_ssize_t length) {
        Py_ssize_t i = 0;
        if (length >= 16) {
            for (; length - i >= 16; i += 16) {
                const lgcy_block block = lgcy_load(from + i);
                if (lgcy_escapes(block)) goto found;
                memcpy(to + i, &block, 16);
            }
            if (i < length) {
                const lgcy_block block = lgcy_load(from + length - 16);
                if (lgcy_escapes(block)) goto found;
                memcpy(to + length - 16, &block, 16);
            }
            return length;
        }
        if (length >= 8) {       /* two halves, which overlap */
            unsigned char both[16];
            lgcy_block block;
            memcpy(both, from, 8);
            memcpy(both + 8, from + length - 8, 8);
            memcpy(&block, both, 16);
            if (lgcy_escapes(block)) goto found;
            memcpy(to, both, 8);
            memcpy(to + length - 8, both + 8, 8);
            return length;
        }
        if (length >= 4) {
            uint32_t first, last;
            unsigned char both[16];
            lgcy_block block;
            memcpy(&first, from, 4);
            memcpy(&last, from + length - 4, 4);
            memset(both, 'x', 16);
            memcpy(both, &first, 4);
            memcpy(both + 4, &last, 4);
            memcpy(&block, both, 16);
            if (lgcy_escapes(block)) goto found;
            memcpy(to, &first, 4);
            memcpy(to + length - 4, &last, 4);
            return length;
        }
    found:
        for (; i < length; i++) {
            if (from[i] < 0x20 || from[i] == '"' || from[i] == '\\\\') break;
            to[i] = (char)from[i];
        }
        return i;
    }
    """
    Py_ssize_t copy_clean "lgcy_copy_clean"(
        char* to, const unsigned char* chars, Py_ssize_t length) noexcept

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
    # JSON text that grows.
    char* start
    char* at              # where the text goes on
    char* end
    Py_ssize_t inserted   # chars of the insertions
    Py_ssize_t count
    Insertion insertions[MOST_INSERTIONS]

cdef enum:
    SPARE = 64            # bytes that there is room for beyond those asked for
    WORD = 31             # of what is known as a word: characters with the quotes
    WORDS = 512


cdef struct Word:
    # An interned string, as it is written.
    PyObject* string      # owned
    char length
    char chars[WORD]


cdef Word words[WORDS]    # by address, the one seen last


cdef int begin(Text* text) except -1
cdef bytes finish(Text* text)
cdef void give_up(Text* text) noexcept
cdef int enlarge(Text* text, Py_ssize_t more) except -1
cdef int put_long(Text* text, const char* chars, Py_ssize_t length) except -1
cdef int put_other(Text* text, PyObject* value) except -1
cdef int put_new_word(Text* text, PyObject* value, Word* word) except -1
cdef int put_integer(Text* text, PyObject* value) except -1


cdef inline int room_for(Text* text, Py_ssize_t more) except -1:
    if text.end - text.at < more + SPARE:
        enlarge(text, more + SPARE)
    return 0


cdef inline Py_ssize_t length_of(Text* text) noexcept:
    return text.at - text.start + text.inserted


cdef inline int put(Text* text, const char* chars, Py_ssize_t length) except -1:
    """Add what is JSON text already."""
    room_for(text, length)
    memcpy(text.at, chars, length)
    text.at += length
    return 0


cdef inline void put_char(Text* text, char char) noexcept:
    """Add a character. There has to be room for it."""
    text.at[0] = char
    text.at += 1


cdef inline int put_string(Text* text, PyObject* value) except -1:
    """Add a str. Returns whether JSON has it: UTF-8 has no surrogates."""
    cdef Py_ssize_t length
    cdef char* at
    if PyUnicode_IS_COMPACT_ASCII(value):
        length = PyUnicode_GET_LENGTH(value)
        room_for(text, length)
        at = text.at
        if copy_clean(at + 1, <const unsigned char*>PyUnicode_DATA(value), length) == length:
            at[0] = at[length + 1] = c'"'
            text.at = at + length + 2
            return True
    return put_other(text, value)


cdef inline int put_word(Text* text, PyObject* value) except -1:
    """`put_string` of one that is often the same object, as keys are."""
    cdef Word* word
    if not PyUnicode_CHECK_INTERNED(value):
        return put_string(text, value)
    word = words + ((<size_t>value >> 4 ^ <size_t>value >> 13) & (WORDS - 1))
    if word.string != value:
        return put_new_word(text, value, word)
    room_for(text, WORD)
    memcpy(text.at, word.chars, WORD)
    text.at += word.length
    return True
