from langgraph_cy.core.delta_history cimport DeltaHistory
from langgraph_cy.core.superstep cimport Run


cdef class SavedRun(Run):
    cdef readonly object saver               # None: checkpoints are made, but not kept
    cdef object numbering                    # makes the versions of channels
    cdef readonly object saves               # where checkpoints and writes go; see `saving`
    cdef readonly object durability
    cdef readonly bint addressed             # the caller names the checkpoint to start from
    cdef readonly dict checkpoint            # upstream's Checkpoint
    cdef readonly object metadata            # ... and its CheckpointMetadata
    cdef readonly object checkpoint_config   # names the checkpoint to the saver
    cdef readonly object parent_config       # ... and the one before it, or None
    cdef object first_config                 # names the checkpoint the run has started from
    cdef str first_id                        # its id
    cdef dict stored_versions                # channel versions of the last checkpoint kept
    cdef set written_ids                     # tasks that have written during this run
    cdef set reapplied_ids                   # tasks that have got stored writes back
    cdef bint unsettled                      # which channels were updated last is not known
    cdef list carried                        # writes of a command that a fork carries itself
    cdef readonly bint has_parent            # the run has started from a stored checkpoint
    cdef readonly bint loaded_latest         # ... the thread's latest
    cdef readonly bint superseded            # ... one that the thread has moved past
    cdef bint replaying                      # finished tasks of the first superstep run again
    cdef bint exits_late                     # checkpoints are kept only where the run ends
    cdef DeltaHistory delta                  # None in a graph without a DeltaChannel
    cdef int renew(self, dict checkpoint) except -1
    cdef int put_checkpoint(self, dict metadata, bint exiting) except -1
    cdef dict made_checkpoint(self, bint full, str id, object updated, set snapshots)
    cdef object updated_names(self)
    cdef object writes_config(self)
    cdef list sanitized(self, object writes)
    cdef int command_writes(self, object command, bint forks) except -1
    cdef int apply_input(self, list writes) except -1
    cdef int resume(self, bint forks) except -1
    cdef int restore_handlers(self) except -1
    cdef int emit_checkpoint(self) except -1
    cdef object null_writes(self)
    cdef int put_pending_writes(self) except -1
    cdef int put_exit_delta_writes(self) except -1
