cdef dict copied(dict checkpoint)
cdef dict newer_versions(dict versions, dict before)
cdef object replayed(object channel, object history)
