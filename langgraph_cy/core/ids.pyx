# cython: language_level=3, embedsignature=True
"""What is stored to name things: ids of tasks and checkpoints, times, versions of channels."""

from cpython.unicode cimport PyUnicode_New
from libc.string cimport memcpy, memset

import dis
import random
import time
from binascii import unhexlify
from datetime import datetime, timezone
from types import FunctionType
from weakref import WeakKeyDictionary

import orjson
from langgraph.checkpoint.memory import InMemorySaver
from xxhash import xxh3_128_digest

from langgraph_cy import upstream as up

cdef extern from *:
    """
    static const char lgcy_digits[] = "0123456789abcdef";
    """
    const char *lgcy_digits
    unsigned char *PyUnicode_1BYTE_DATA(object text)

cdef object real_datetime = datetime
cdef object orjson_dumps = orjson.dumps
cdef object upstream_numbering = InMemorySaver.get_next_version
# function -> whether it does what that does
cdef object numberings = WeakKeyDictionary()
# 100 ns intervals from the start of the Gregorian calendar to the start of 1970
cdef long long GREGORIAN = 0x01B21DD213814000
# has the time of the last id, which upstream's follow too
cdef dict clock = vars(up.checkpoint_ids)


cdef str uuid_text(const unsigned char *raw):
    """16 bytes in the usual form of a UUID."""
    cdef str text = PyUnicode_New(36, 127)
    cdef unsigned char *out = PyUnicode_1BYTE_DATA(text)
    cdef int i, at = 0
    for i in range(16):
        if i == 4 or i == 6 or i == 8 or i == 10:
            out[at] = b"-"
            at += 1
        out[at] = lgcy_digits[raw[i] >> 4]
        out[at + 1] = lgcy_digits[raw[i] & 15]
        at += 2
    return text


cdef int hex_value(int digit) noexcept:
    if 48 <= digit <= 57:
        return digit - 48
    digit |= 32
    return digit - 87 if 97 <= digit <= 102 else -1


cdef bytes uuid_bytes(str text):
    """A UUID's 16 bytes."""
    cdef unsigned char raw[16]
    cdef int digit, i = 0
    cdef Py_UCS4 character
    for character in text:
        if <int>character == 45:  # -
            continue
        digit = hex_value(<int>character)
        if digit < 0 or i == 32:
            i = -1
            break
        raw[i >> 1] = digit if i & 1 == 0 else raw[i >> 1] << 4 | digit
        i += 1
    if i != 32:
        return unhexlify(text.replace("-", ""))  # no UUID, or none at all
    return raw[:16]


cpdef str hashed_id(str checkpoint, str text):
    """The id of a task (upstream: `_xxhash_str`).

    Args:
        checkpoint: id of the checkpoint that the task starts from.
        text: the parts that tell it from others, one after another.
    """
    cdef bytes digest = xxh3_128_digest(uuid_bytes(checkpoint) + text.encode())
    return uuid_text(<const unsigned char *><const char *>digest)


cpdef str checkpoint_id(long long step, node=None):
    """A new checkpoint's id, greater than all before it (upstream: `uuid6`).

    Args:
        step: number of the checkpoint's superstep.
        node: 48 bits that tell it from ids made elsewhere; random if None.
    """
    cdef unsigned char raw[16]
    cdef int i
    cdef long long stamp = <long long>time.time_ns() // 100 + GREGORIAN
    cdef object last = clock["_last_v6_timestamp"]
    cdef unsigned long long place, high
    if last is not None and stamp <= <long long>last:
        stamp = <long long>last + 1
    clock["_last_v6_timestamp"] = stamp
    place = random.getrandbits(48) if node is None else node
    high = (<unsigned long long>stamp >> 12) & 0xFFFFFFFFFFFF
    for i in range(6):
        raw[i] = (high >> (40 - 8 * i)) & 0xFF
        raw[10 + i] = (place >> (40 - 8 * i)) & 0xFF
    raw[6] = 0x60 | ((stamp >> 8) & 0x0F)
    raw[7] = stamp & 0xFF
    raw[8] = 0x80 | ((step >> 8) & 0x3F)
    raw[9] = step & 0xFF
    return uuid_text(raw)


cdef int put_digits(unsigned char *out, long long number, int width) noexcept:
    """Write a number in decimal, with leading zeros."""
    cdef int i
    for i in range(width - 1, -1, -1):
        out[i] = <unsigned char>(48 + number % 10)
        number //= 10
    return 0


cpdef str timestamp():
    """The time now in UTC, as `datetime.isoformat` has it."""
    if datetime is not real_datetime:  # a test's own clock
        return datetime.now(timezone.utc).isoformat()
    return time_text(time.time_ns())


cdef str time_text(long long nanoseconds):
    """A time in UTC, given in nanoseconds since 1970, as `datetime.isoformat` has it."""
    cdef long long seconds, micros, days, era, of_era, year_of_era, of_year, month
    cdef str text
    cdef unsigned char *out
    micros = nanoseconds // 1000 % 1000000
    seconds = nanoseconds // 1000000000
    if micros == 0 or nanoseconds < 0:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    # the civil date, in years that begin on 1 March
    days = seconds // 86400 + 719468
    seconds %= 86400
    era = days // 146097
    of_era = days - era * 146097
    year_of_era = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month = (5 * of_year + 2) // 153
    text = PyUnicode_New(32, 127)
    out = PyUnicode_1BYTE_DATA(text)
    put_digits(out, year_of_era + era * 400 + (month >= 10), 4)
    out[4] = b"-"
    put_digits(out + 5, month + 3 if month < 10 else month - 9, 2)
    out[7] = b"-"
    put_digits(out + 8, of_year - (153 * month + 2) // 5 + 1, 2)
    out[10] = b"T"
    put_digits(out + 11, seconds // 3600, 2)
    out[13] = b":"
    put_digits(out + 14, seconds // 60 % 60, 2)
    out[16] = b":"
    put_digits(out + 17, seconds % 60, 2)
    out[19] = b"."
    put_digits(out + 20, micros, 6)
    out[26] = b"+"
    out[29] = b":"
    put_digits(out + 27, 0, 2)
    put_digits(out + 30, 0, 2)
    return text


cdef long long number_of(object version) except? -1:
    """The number in front of a version's dot."""
    cdef const unsigned char *read
    cdef long long number = 0
    cdef int i
    if type(version) is str and len(<str>version) > 32 and (<str>version).isascii():
        read = PyUnicode_1BYTE_DATA(version)
        for i in range(32):
            if not 48 <= read[i] <= 57 or number > 1 << 58:
                break
            number = number * 10 + read[i] - 48
        else:
            if read[32] == 46:  # .
                return number
    return version if isinstance(version, int) else int(version.split(".")[0])


def next_version(current, channel):
    """The version after `current` (upstream: `InMemorySaver.get_next_version`).

    Args:
        current: a version, None before the first.
        channel: not used; there for older callers.
    """
    cdef long long number = 0
    cdef double fraction
    cdef bytes digits
    cdef str text
    cdef unsigned char *out
    cdef Py_ssize_t size
    if current is not None:
        number = number_of(current)
    drawn = random.random()
    fraction = drawn
    if not 0.0001 <= fraction < 1 or number < 0:
        return f"{number + 1:032}.{drawn:016}"
    digits = orjson_dumps(drawn)  # the shortest that reads back as the same number, as repr's
    size = len(digits)
    text = PyUnicode_New(33 + max(size, 16), 127)
    out = PyUnicode_1BYTE_DATA(text)
    put_digits(out, number + 1, 32)
    out[32] = b"."
    out += 33
    if size < 16:
        memset(out, 48, 16 - size)
        out += 16 - size
    memcpy(out, <const char *>digits, size)
    return text


cdef list instructions(object function):
    return [(each.opname, each.argval) for each in dis.get_instructions(function)]


cdef bint is_upstream_numbering(object function) except -1:
    """Whether a function is upstream's, or one of its other savers', which do the same."""
    cdef object known = numberings.get(function)
    if known is None:
        known = numberings[function] = (
            function.__globals__.get("random") is random
            and instructions(function) == instructions(upstream_numbering)
        )
    return known


def numbering(saver):
    """What counts a saver's versions: its `get_next_version`, or what stands in for it."""
    if saver is None:
        return up.increment
    counted = getattr(type(saver), "get_next_version", None)
    if (
        type(counted) is FunctionType
        and "get_next_version" not in getattr(saver, "__dict__", ())
        and is_upstream_numbering(counted)
    ):
        return next_version
    return saver.get_next_version
