cpdef str hashed_id(str checkpoint, str text)
cpdef str checkpoint_id(long long step, node=*)
cpdef str timestamp()
