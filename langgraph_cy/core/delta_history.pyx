# cython: language_level=3, embedsignature=True
"""What a run with history keeps in mind for its DeltaChannels.

Their checkpoints are the writes that led to them, with a snapshot now and then. A snapshot is
due by count, and wherever a reader could not tell whose the stored writes are.
"""

from langgraph_cy import upstream as up
from langgraph_cy.core.writes import path_string

cdef str NULL_TASK_ID = up.NULL_TASK_ID
cdef object UpstreamDeltaChannel = up.DeltaChannel


cdef class DeltaHistory:
    """Snapshots that are due, and writes that are kept only where the run ends.

    Args:
        specs: the graph's channels by name, at least one of them a DeltaChannel.
    """

    def __init__(self, dict specs not None):
        self.specs = specs
        self.names = [
            name for name, spec in specs.items() if isinstance(spec, UpstreamDeltaChannel)
        ]
        self.forced = set()
        self.stored = set()
        self.command_writes = []
        self.loaded = []

    cdef bint is_delta(self, object name) except -1:
        return isinstance(self.specs.get(name), UpstreamDeltaChannel)

    cdef list only(self, object writes):
        """Those of some (channel, value) writes that go to a DeltaChannel."""
        return [write for write in writes if self.is_delta(write[0])]

    cdef int force(self, object pending_writes) except -1:
        """Snapshot the channels of some (task id, channel, value) writes next time."""
        for write in pending_writes:
            if self.is_delta(write[1]):
                self.forced.add(write[1])
        return 0

    cdef int overwritten(self, object writes) except -1:
        """Snapshot the channels next time that are set anew: a replay has to start there."""
        for channel, value in writes:
            if self.is_delta(channel) and up._get_overwrite(value)[0]:
                self.forced.add(channel)
        return 0

    cdef int begin(self, list pending_writes, bint reapplies, bint late) except -1:
        """Take in what was stored with the checkpoint that the run starts from.

        Args:
            reapplies: the run hands stored writes back to the tasks that made them.
            late: the run keeps checkpoints only where it ends.
        """
        self.stored = {
            (write[0], write[1])
            for write in pending_writes
            if write[0] != NULL_TASK_ID and self.is_delta(write[1])
        }
        if late:
            self.exit_writes = []
        if reapplies:
            # which of them find their tasks shows at the end of the first superstep
            self.loaded = [write for write in pending_writes if write[0] != NULL_TASK_ID]
        else:
            self.force(pending_writes)
        return 0

    cdef int capture_command(self, object writes) except -1:
        if self.exit_writes is not None:
            self.command_writes.extend(self.only(writes))
        return 0

    cdef int capture_input(self, long step, object writes) except -1:
        if self.exit_writes is not None:
            for channel, value in self.only(writes):
                self.exit_writes.append((step, NULL_TASK_ID, "", channel, value))
        return 0

    cdef int close_step(self, list tasks, set reapplied) except -1:
        """Note what a superstep that ends has done to the channels.

        Args:
            reapplied: ids of the tasks that got stored writes back.
        """
        for task in tasks:
            self.overwritten(task.writes)
        if self.loaded:
            # a write that no task got back is of a task that this run drops or runs again
            self.force([write for write in self.loaded if write[0] not in reapplied])
            self.loaded = []
        return 0

    cdef int capture_step(self, long step, list pending_writes, list tasks) except -1:
        """Keep a superstep's writes for the end of the run."""
        cdef bint first
        cdef dict paths
        if self.exit_writes is None:
            return 0
        first = self.first_step is None
        if first:
            self.first_step = step
            for channel, value in self.command_writes:
                self.exit_writes.append((step, NULL_TASK_ID, "", channel, value))
        paths = {task.id: path_string(task.path) for task in tasks}
        for task_id, channel, value in pending_writes:
            if not self.is_delta(channel):
                continue
            if first and (task_id == NULL_TASK_ID or (task_id, channel) in self.stored):
                continue  # these are stored with the first checkpoint already
            self.exit_writes.append((step, task_id, paths.get(task_id, ""), channel, value))
        return 0

    cdef dict counted(self, object metadata, object updated):
        """Updates and supersteps since each channel's last snapshot, this superstep included."""
        cdef dict before = dict(metadata.get("counters_since_delta_snapshot") or {})
        cdef dict counters = {}
        for name in self.names:
            updates, supersteps = before.get(name, (0, 0))
            if name in updated:
                updates += 1
            counters[name] = (updates, supersteps + 1)
        return counters

    cdef set due(self, dict channels, dict counters, dict versions):
        """The channels that the next checkpoint snapshots."""
        return (
            up.delta_channels_to_snapshot(
                {name: channels[name] for name in self.names}, counters, versions
            )
            | self.forced
        )

    def late_writes(self, channels, metadata, versions):
        """The writes to store where the run ends, in groups.

        Args:
            channels: the run's channels by name.
            metadata: of the run's last checkpoint; versions: of its channels.

        Returns:
            (task id, task path) -> list of (channel, value), in the order to store them in.
        """
        cdef dict grouped = {}
        counters = dict(metadata.get("counters_since_delta_snapshot") or {})
        due = self.due(channels, counters, versions)
        for step, task_id, path, channel, value in self.exit_writes or ():
            if channel in due:
                continue
            # Synthetic ids: under its real one, a task whose run fails to save its last
            # checkpoint would look done to the next resume. Supersteps after the first sort
            # behind every real task, by path and by id.
            if task_id == NULL_TASK_ID:
                key = (up.exit_delta_task_id(step, task_id), "")
            elif step == self.first_step:
                key = (up.exit_delta_task_id(step, task_id), path)
            else:
                key = (up.exit_delta_late_task_id(step, task_id), f"~~{step:010d}{path}")
            grouped.setdefault(key, []).append((channel, value))
        return grouped

    @property
    def late(self):
        """Whether writes are waiting for the end of the run."""
        return bool(self.exit_writes)

    def force_late(self):
        """Snapshot the channels of waiting writes instead: others might read the writes."""
        self.forced.update([write[3] for write in self.exit_writes])
