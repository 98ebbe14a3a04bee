cpdef object compiled_channel(object spec)
