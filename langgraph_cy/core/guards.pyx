# cython: language_level=3, embedsignature=True
"""Checks made at the start of every run, kept short: is upstream still what it was?"""


def first_replaced(list expected not None, dict allowed not None, namespace not None):
    """The name of the first attribute that is not what it was, None where all are.

    Args:
        expected: (namespace, name, value) triples; a namespace is a module's or class's `vars`.
        allowed: name -> the values that may stand under it in `namespace`.
    """
    cdef tuple entry
    for item in expected:
        entry = <tuple>item
        try:
            if entry[0][entry[1]] is not entry[2]:
                return entry[1]
        except KeyError:
            return entry[1]
    for name, values in allowed.items():
        if namespace[name] not in <tuple>values:
            return name
    return None
