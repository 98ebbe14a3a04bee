cdef extern from *:
    """
    /* A number that is another one whenever a dict has been changed; 0 from the version on that
       keeps none. */
    #if PY_VERSION_HEX < 0x030D0000
    #define lgcy_dict_version(d) (((PyDictObject *)(d))->ma_version_tag)
    #else
    #define lgcy_dict_version(d) ((void)(d), 0ULL)
    #endif
    """
    unsigned long long lgcy_dict_version(dict mapping)
