# cython: language_level=3, embedsignature=True
"""A checkpoint's metadata, as upstream's savers collect and write it."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from collections import ChainMap

from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS
from orjson import JSONEncodeError, dumps

cdef enum:
    MAX_DEPTH = 50

cdef object excluded = EXCLUDED_METADATA_KEYS


def collected(config, metadata):
    """What is stored as a checkpoint's metadata (upstream: `get_checkpoint_metadata`).

    Args:
        config: its metadata and configurable add what `metadata` hasn't got.
        metadata: as for `put`.
    """
    cdef dict found = {}
    for key, value in metadata.items():
        found[key] = value.replace("\0", "") if isinstance(value, str) else value
    for name in ("metadata", "configurable"):
        given = config.get(name)
        if type(given) is ChainMap and len(given.maps) == 1:
            given = given.maps[0]
        for key, value in (given or {}).items():
            if key in found or key in excluded or key.startswith("__"):
                continue
            if isinstance(value, str):
                found[key] = value.replace("\0", "")
            elif isinstance(value, (int, float)):  # bool is an int
                found[key] = value
    return found


cdef bint is_plain(object value, int depth) except -1:
    """Whether orjson writes a value as `json.dumps` does, but for spaces."""
    if value is None or type(value) is str or type(value) is int or type(value) is bool:
        return True
    if depth == MAX_DEPTH:
        return False
    if type(value) is dict:
        for key, item in (<dict>value).items():
            if type(key) is not str or not is_plain(item, depth + 1):
                return False
        return True
    if type(value) is list or type(value) is tuple:
        for item in value:
            if not is_plain(item, depth + 1):
                return False
        return True
    return False


cdef bytes spaced(bytes compact):
    """JSON with a space after each comma and colon that is not in a string."""
    cdef const char* read = PyBytes_AS_STRING(compact)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(compact), i = 0, length = 0
    cdef bytes made = PyBytes_FromStringAndSize(NULL, 2 * size)
    cdef char* out = PyBytes_AS_STRING(made)
    cdef bint quoted = False
    while i < size:
        out[length] = read[i]
        length += 1
        if read[i] == c'"':
            quoted = not quoted
        elif quoted and read[i] == c"\\":
            i += 1
            out[length] = read[i]
            length += 1
        elif not quoted and (read[i] == c"," or read[i] == c":"):
            out[length] = c" "
            length += 1
        i += 1
    return made[:length]


def text(metadata):
    """What `json.dumps(metadata, ensure_ascii=False)` gives, as UTF-8.

    Returns:
        None where the text would be another, or there would be an error.
    """
    if not is_plain(metadata, 0):
        return None
    try:
        return spaced(dumps(metadata))
    except JSONEncodeError:  # too long integers, and surrogates
        return None
