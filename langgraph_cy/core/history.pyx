# cython: language_level=3, embedsignature=True
"""A run with a history: it starts from a stored checkpoint, and stores its own.

Still no I/O. The driver loads what `address` names and hands it to `adopt`; what is to be
stored goes to `saves`, whose two methods take the arguments of a saver's.
"""

from collections import defaultdict, deque
from uuid import UUID, uuid5

from langgraph_cy import upstream as up
from langgraph_cy.core.checkpoints cimport copied, newer_versions, replayed
from langgraph_cy.core.delta_history cimport DeltaHistory
from langgraph_cy.core.ids cimport checkpoint_id as new_id, timestamp
from langgraph_cy.core.planner cimport prepare_next_tasks
from langgraph_cy.core.superstep cimport Mode, Run, Status, map_input
from langgraph_cy.core.tasks cimport Task, known_head
from langgraph_cy.core.writes cimport InputWrites, apply_writes
from langgraph_cy.profiling.recorder cimport Part
from langgraph_cy.core.ids import numbering
from langgraph_cy.core.writes import path_string

cdef object Command = up.Command
cdef object EmptyInputError = up.EmptyInputError
cdef object MISSING = up.MISSING
cdef object Send = up.Send
cdef object UntrackedValue = up.UntrackedValue
cdef object UnknownInterruptError = up.UnknownInterruptError
cdef object ensure_message_ids = up.ensure_message_ids
cdef object patch_configurable = up.patch_configurable
cdef str CONF = up.CONF
cdef str CHECKPOINT_ID = up.CONFIG_KEY_CHECKPOINT_ID
cdef str CHECKPOINT_MAP = up.CONFIG_KEY_CHECKPOINT_MAP
cdef str CHECKPOINT_NS = up.CONFIG_KEY_CHECKPOINT_NS
cdef str RESUMING = up.CONFIG_KEY_RESUMING
cdef str ERROR = up.ERROR
cdef str ERROR_SOURCE_NODE = up.ERROR_SOURCE_NODE
cdef str INPUT = up.INPUT
cdef str INTERRUPT = up.INTERRUPT
cdef str NULL_TASK_ID = up.NULL_TASK_ID
cdef str NS_END = up.NS_END
cdef str PREVIOUS = up.PREVIOUS
cdef str RESUME = up.RESUME
cdef str TASKS = up.TASKS
cdef dict SPECIAL_WRITES = up.WRITES_IDX_MAP
cdef int LATEST_VERSION = up.LATEST_VERSION


cdef class SavedRun(Run):
    """One run of a graph with the checkpoints of its thread (upstream: `PregelLoop`).

    Args:
        plan, context, output_keys, recursion_limit: as for `Run`.
        saver: the `BaseCheckpointSaver` that numbers versions, None to keep nothing.
        saves: takes what is to be stored: `put(config, checkpoint, metadata, new_versions)` and
            `put_writes(config, writes, task_id, task_path, delta=, handled=)`, which return at
            once.
        durability: "sync", "async" or "exit".
        options: further arguments of `Run`.
    """

    def __init__(
        self, plan, context, output_keys, recursion_limit, *, saver, saves, durability, **options
    ):
        Run.__init__(self, plan, context, output_keys, 1, **options)
        self.stop = recursion_limit  # until the checkpoint to start from is known
        self.saver = saver
        self.numbering = numbering(saver)
        self.saves = saves
        self.durability = durability
        self.exits_late = durability == "exit"
        self.checkpoint_config = context.checkpoint_config()
        conf = context.config[CONF]
        self.addressed = bool(
            self.checkpoint_config[CONF].get(CHECKPOINT_ID)
            or conf.get(up.CONFIG_KEY_REPLAY_STATE)
        )
        if self.plan.has_delta:
            self.delta = DeltaHistory(context.specs)
        self.written_ids = set()
        self.reapplied_ids = set()
        self.carried = []
        self.unsettled = True

    @property
    def replay_state(self):
        """What the run above replays from, where it does."""
        return self.context.config[CONF].get(up.CONFIG_KEY_REPLAY_STATE)

    def to_replay(self, checkpoint):
        """Names of the channels that are to be rebuilt from stored writes."""
        if not self.plan.rebuilds:
            return []
        return up._delta_channels_to_replay(
            {name: self.context.specs[name] for name in self.plan.channel_names}, checkpoint
        )

    def address(self, saved, *, bint latest, bint superseded):
        """Take over the checkpoint that the run starts from; before `adopt`.

        Args:
            saved: the saver's `CheckpointTuple`, None where it has none.
            latest: it was asked for the thread's latest.
            superseded: the thread has moved past it.

        Returns:
            The checkpoint.
        """
        self.loaded_latest = latest
        self.superseded = superseded
        self.has_parent = saved is not None
        if saved is None:
            saved = up.CheckpointTuple(
                self.checkpoint_config, up.empty_checkpoint(), {"step": -2}, None, []
            )
        else:
            self.context.graph._migrate_checkpoint(saved.checkpoint)
        self.checkpoint_config = {
            **self.checkpoint_config,
            **saved.config,
            CONF: {
                CHECKPOINT_NS: "",
                **self.checkpoint_config.get(CONF, {}),
                **saved.config.get(CONF, {}),
            },
        }
        self.first_config = self.checkpoint_config
        self.parent_config = saved.parent_config
        self.first_id = saved.checkpoint["id"]
        self.metadata = saved.metadata
        if saved.pending_writes is not None:
            self.pending_writes = [
                (str(task_id), channel, value) for task_id, channel, value in saved.pending_writes
            ]
        self.checkpoint = saved.checkpoint
        return saved.checkpoint

    def adopt(self, histories):
        """Fill the channels from the checkpoint.

        Args:
            histories: name -> the saver's `DeltaChannelHistory`, for the names `to_replay` gives.
        """
        cdef Py_ssize_t index
        cdef dict values = self.checkpoint["channel_values"]
        for index in range(len(self.plan.channel_names)):
            name = self.plan.channel_names[index]
            if name in histories or name in values:
                spec = self.state.channels[index]
                if self.plan.traits[index] is None:
                    spec = self.context.specs[name]  # a user's own class
                if name in histories:
                    channel = replayed(spec, histories[name])
                else:
                    channel = spec.from_checkpoint(values[name])
                self.state.replace(index, channel)
        limit = self.stop
        self.step = self.metadata["step"] + 1
        self.stop = self.step + limit + 1
        self.stored_versions = self.checkpoint["channel_versions"].copy()
        self.renew(self.checkpoint)

    cdef int renew(self, dict checkpoint) except -1:
        """Make a checkpoint the one that the run goes on from."""
        cdef object version = checkpoint["v"]
        self.checkpoint = checkpoint
        self.head = known_head(
            checkpoint["id"], checkpoint["channel_values"].get(PREVIOUS), version <= 1
        )
        self.state.keep_history(
            checkpoint["channel_versions"],
            checkpoint["versions_seen"],
            self.numbering,
        )
        return 0

    cdef str checkpoint_id(self):
        return self.checkpoint["id"]

    cpdef dict checkpoint_like(self):
        return self.checkpoint

    cdef bint any_new(self) except -1:
        cdef object null = None
        cdef dict seen = self.checkpoint["versions_seen"].get(INTERRUPT, {})
        for version in self.state.stored_versions.values():
            null = type(version)()
            break
        for name, version in self.state.stored_versions.items():
            if version > seen.get(name, null):
                return True
        return False

    cdef bint any_written(self) except -1:
        return len(self.pending_writes) > 0

    def keeps_errors(self, task):
        return True

    # the start: what the input means to a thread that has a past

    cpdef int start(self, object input, object input_keys) except -1:
        """Resume the thread, or apply an input to it (upstream: `PregelLoop._first`).

        Raises:
            EmptyInputError: there is nothing to apply and nothing to resume.
            UnknownInterruptError, RuntimeError: a command resumes what is not waiting.
        """
        cdef bint commanded = isinstance(input, Command)
        cdef bint resuming, travelling, reapplies, forks
        cdef list writes
        conf = self.context.config[CONF]
        nested = self.context.nested
        resuming = bool(self.checkpoint["channel_versions"]) and bool(
            conf[RESUMING]
            if RESUMING in conf
            else input is None
            or commanded
            or (
                not nested
                and self.context.config.get("metadata", {}).get("run_id")
                == self.metadata.get("run_id", MISSING)
            )
        )
        # A caller that names a checkpoint without an answer for it replays from there: the
        # answers stored with it are dropped, so that its interrupts are raised again.
        travelling = self.addressed and (
            (nested and conf.get(CHECKPOINT_NS, "") in conf.get(CHECKPOINT_MAP, {}))
            or not ((commanded and input.resume is not None) or conf.get(RESUMING, False))
        )
        self.replaying = travelling or self.superseded
        if travelling:
            self.pending_writes = [w for w in self.pending_writes if w[1] != RESUME]
        settled = self.metadata.get("source") in ("update", "fork")
        # a replay begins a branch of its own, unless an update has made one for it
        forks = resuming and travelling and (not settled or self.superseded)
        reapplies = resuming and not self.replaying
        if self.delta is not None:
            self.delta.begin(
                self.pending_writes, reapplies, self.exits_late and self.saver is not None
            )
        if commanded:
            self.command_writes(input, forks)
        names = self.checkpoint.get("updated_channels") or None
        null = self.null_writes()
        if null:
            apply_writes(self.state, [InputWrites(null)])
            if names is not None:
                names = [*names, *self.state.updated_names()]
        self.state.set_updated(names or ())
        bound = None
        if resuming:
            if forks and settled and self.parent_config:
                bound = self.parent_config
            self.resume(forks)
            self.unsettled = names is None
        else:
            writes = map_input(input_keys, input)
            if writes:
                self.apply_input(writes)
            elif RESUMING not in conf:
                raise EmptyInputError(f"Received no input for {input_keys}")
        if not nested:
            self.context.resuming = resuming
            self.context.replay_state = self.bounded(bound) if travelling else None
        self.context.first_step = self.step
        self.status = Status.PENDING
        if resuming and self.context.lifecycle is not None:
            self.context.lifecycle.resumed(self)
        return 0

    def bounded(self, bound):
        """The `ReplayState` that graphs below find their checkpoints by.

        Args:
            bound: config of the checkpoint that a fork has been made from, or None.
        """
        replay_id = self.checkpoint["id"]
        if bound is None and self.metadata.get("source") in ("update", "fork"):
            bound = self.parent_config
        if bound:
            replay_id = bound[CONF].get(CHECKPOINT_ID, replay_id)
        return up.ReplayState(replay_id)

    cdef object null_writes(self):
        """Writes that belong to no task: those of commands, stored or new."""
        return [
            write[1:] for write in (*self.pending_writes, *self.carried)
            if write[0] == NULL_TASK_ID
        ]

    def pending_interrupts(self):
        """Ids of the interrupts that wait for an answer."""
        return {
            interrupt.id
            for status in up.read_task_statuses(self.pending_writes).values()
            for interrupt in status.pending_interrupts
        }

    def check_resume(self, resume):
        """Whether a command answers interrupts by their ids.

        Raises:
            UnknownInterruptError, RuntimeError: it can't be told which interrupts it answers.
        """
        if self.saver is None:
            raise RuntimeError("Cannot use Command(resume=...) without checkpointer")
        strict = (
            self.context.config[CONF].get(up.CONFIG_KEY_STRICT_RESUME, False)
            and not self.context.nested
            and not self.superseded
        )
        by_id = isinstance(resume, dict) and all(
            [up.is_xxh3_128_hexdigest(key) for key in resume]
        )
        if not by_id:
            pending = self.pending_interrupts()
            if len(pending) > 1:
                message = (
                    "When there are multiple pending interrupts, you must specify the interrupt "
                    "id when resuming. Docs: https://docs.langchain.com/oss/python/langgraph/"
                    "interrupts#handling-multiple-interrupts."
                )
                if strict:
                    raise UnknownInterruptError(
                        message, reason="ambiguous", pending_ids=sorted(pending)
                    )
                raise RuntimeError(message)
        elif strict:
            pending = self.pending_interrupts()
            if not resume:
                raise UnknownInterruptError(
                    "The resume map names no interrupt",
                    reason="empty_map",
                    pending_ids=sorted(pending),
                )
            unknown = sorted(resume.keys() - pending)
            if unknown:
                raise UnknownInterruptError(
                    f"Unknown or already-consumed interrupt: {unknown[0]}",
                    reason="not_pending",
                    interrupt_ids=unknown,
                    pending_ids=sorted(pending),
                )
        return by_id

    cdef int command_writes(self, object command, bint forks) except -1:
        """Turn a command into writes of the thread."""
        cdef bint by_id = False
        if command.resume is not None:
            by_id = self.check_resume(command.resume)
            if by_id:
                self.context.resume_map = command.resume
        writes = defaultdict(list)
        for task_id, channel, value in up.map_command(cmd=command):
            if not (by_id and channel == RESUME):
                writes[task_id].append((channel, value))
        if not writes and not by_id:
            raise EmptyInputError("Received empty Command input")
        for task_id, made in writes.items():
            if forks:
                ensure_message_ids(self.context.specs, made)
                self.carried.extend([(task_id, channel, value) for channel, value in made])
            else:
                self.store_writes(task_id, made, "")
                if self.delta is not None and task_id == NULL_TASK_ID:
                    self.delta.capture_command(made)
        if self.delta is not None:
            self.delta.force(self.carried)
        return 0

    cdef int resume(self, bint forks) except -1:
        """Go on past the checkpoint, on a branch of its own if the run replays."""
        seen = self.checkpoint["versions_seen"].setdefault(INTERRUPT, {})
        versions = self.checkpoint["channel_versions"]
        for name in self.plan.channel_names:
            if name in versions:
                seen[name] = versions[name]
        if forks:
            # a fork's tasks have other ids, to which stored interrupts would say nothing
            self.pending_writes = [w for w in self.pending_writes if w[1] != INTERRUPT]
            self.save("fork")
        if self.wants(Mode.VALUES):
            self.emit(Mode.VALUES, self.state.read_keys(self.output))
        return 0

    cdef int apply_input(self, list writes) except -1:
        """Apply an input, which discards what the thread's last superstep has left undone."""
        cdef list discarded
        ensure_message_ids(self.context.specs, writes)
        self.state.set_updated(())  # any node may have been left
        discarded = prepare_next_tasks(
            self.state, self.context, self.head, self.step, self.stop, self.pending_writes
        )
        if self.delta is not None:
            self.delta.overwritten(writes)
        apply_writes(self.state, [*discarded, InputWrites(writes)])
        self.unsettled = False
        if self.delta is not None:
            self.delta.capture_input(self.step, writes)
            if not self.exits_late:
                # Readers find an input with the checkpoint that it was applied to, unless there
                # is none, or one with other children.
                delta_writes = self.delta.only(writes)
                if delta_writes and self.has_parent and self.loaded_latest:
                    self.store_writes(
                        str(uuid5(UUID(self.checkpoint["id"]), INPUT)), delta_writes, ""
                    )
                else:
                    self.delta.forced.update([channel for channel, _ in delta_writes])
        return self.save("input")

    # supersteps

    cdef int prepare(self) except -1:
        Run.prepare(self)
        if self.pending_writes:
            for task in self.tasks:
                (<Task>task).scratchpad  # before another task takes the answer it might find
        if self.saver is not None and self.wants(Mode.CHECKPOINTS | Mode.DEBUG):
            self.emit_checkpoint()
        return 0

    cdef int emit_checkpoint(self) except -1:
        """Stream the checkpoint that the next superstep starts from."""
        config = {
            **self.checkpoint_config,
            CONF: {**self.checkpoint_config[CONF], CHECKPOINT_ID: self.checkpoint["id"]},
        }
        for payload in up.map_debug_checkpoint(
            config,
            self.channels,
            self.context.stream_keys,
            self.metadata,
            self.tasks,
            self.pending_writes,
            self.parent_config,
            self.output.keys,
        ):
            self.emit(Mode.CHECKPOINTS, payload)
            self.emit_debug("checkpoint", payload, self.step - 1)
        return 0

    cdef int restore(self, object tasks) except -1:
        cdef dict by_id
        if self.replaying or not self.pending_writes:
            return 0
        by_id = {task.id: task for task in tasks}
        statuses = up.read_task_statuses([w for w in self.pending_writes if w[0] in by_id])
        for task_id, status in statuses.items():
            by_id[task_id].writes.extend(status.output)
            self.reapplied_ids.add(task_id)
            self.restored = True
        return 0

    cdef int restore_step(self) except -1:
        if not self.replaying and self.pending_writes:
            self.restore(self.tasks)
            self.restore_handlers()
        return 0

    cdef int restore_handlers(self) except -1:
        """Let error handlers go on for tasks that had failed before the run was interrupted."""
        cdef dict failed = {}
        for task_id, channel, _ in self.pending_writes:
            if channel == ERROR_SOURCE_NODE:
                for other_id, other, error in self.pending_writes:
                    if other_id == task_id and other == ERROR:
                        if error is not None:
                            failed[task_id] = error
                        break
        for task_id, error in failed.items():
            for task in self.tasks:
                if task.id == task_id and type(task) is Task:
                    if self.context.graph.nodes[task.name].error_handler_node:
                        task.writes.append((ERROR, error))  # so that it is not run again
                        self.restored = True
                        handler = self.context.handler_task(self, task, error)
                        if handler is not None:
                            self.tasks.append(handler)
                    break
        return 0

    cpdef int put_writes(self, object task, object writes, bint cached) except -1:
        if not writes:
            return 0
        writes = self.store_writes(task.id, writes, path_string(task.path))
        return self.output_writes(task, writes, cached)

    def store_writes(self, str task_id, object writes, str path):
        """Keep a task's writes until the next checkpoint, and store them.

        Args:
            path: the task's, as a string.

        Returns:
            The writes as they are kept.
        """
        cdef bint special = True
        cdef bint handled = False
        self.written_ids.add(task_id)
        for write in writes:
            if write[0] not in SPECIAL_WRITES:
                special = False
                break
        if special:  # of each kind only the last counts
            writes = list({write[0]: write for write in writes}.values())
        if self.delta is not None:
            ensure_message_ids(self.context.specs, writes)
        if task_id == NULL_TASK_ID:
            # Writes of commands add up. Savers file a write under its place in the list, and the
            # special ones dropped here will not be there next time, so they go last.
            self.pending_writes = [
                w for w in self.pending_writes
                if w[0] != task_id or w[1] not in SPECIAL_WRITES
            ]
            writes = sorted(writes, key=lambda w: w[0] in SPECIAL_WRITES)
            stored = [w[1:] for w in self.pending_writes if w[0] == task_id] + list(writes)
        else:
            if self.pending_writes:
                self.pending_writes = [w for w in self.pending_writes if w[0] != task_id]
            else:
                self.pending_writes = []
            stored = writes if special else deque(writes)  # as upstream hands them over
        if self.plan.has_untracked:
            stored = self.sanitized(stored)
        for write in writes:
            self.pending_writes.append((task_id, write[0], write[1]))
            if write[0] == ERROR_SOURCE_NODE:
                handled = True
        if not self.exits_late and self.saver is not None:
            self.saves.put_writes(
                self.writes_config(),
                stored,
                task_id,
                path,
                delta=self.delta is not None and bool(self.delta.only(stored)),
                handled=handled,
            )
        return writes

    cdef object writes_config(self):
        """The config that names the current checkpoint to a saver's `put_writes`."""
        conf = {
            **self.checkpoint_config[CONF],
            CHECKPOINT_NS: self.context.checkpoint_ns,
            CHECKPOINT_ID: self.checkpoint["id"],
        }
        return {**self.checkpoint_config, CONF: conf}

    cdef list sanitized(self, object writes):
        """Writes without what untracked channels hold, which is never stored."""
        cdef list kept = []
        specs = self.context.specs
        for channel, value in writes:
            if not isinstance(specs.get(channel), UntrackedValue):
                if channel == TASKS and isinstance(value, Send):
                    value = up.sanitize_untracked_values_in_send(value, specs)
                kept.append((channel, value))
        return kept

    cpdef int after_tick(self) except -1:
        if self.delta is not None:
            self.delta.close_step(self.tasks, self.reapplied_ids)
        Run.after_tick(self)
        return 0

    cdef int apply(self) except -1:
        cdef object before
        if not self.exits_late:
            self.unsettled = False
            return Run.apply(self)
        before = self.updated_names()
        try:
            Run.apply(self)
        except BaseException:
            self.state.set_updated(before or ())  # the last checkpoint is yet to be stored
            raise
        self.unsettled = False
        return 0

    cdef int save(self, str source) except -1:
        if source == "loop":
            if self.delta is not None:
                self.delta.capture_step(self.step, self.pending_writes, self.tasks)
            # the list may be in the hands of tasks, to which it is empty from here on
            self.pending_writes.clear()
            self.replaying = False
        return self.put_checkpoint({"source": source}, False)

    cdef object updated_names(self):
        """The channels updated in the last superstep, None where that is not known."""
        if self.unsettled:
            return None
        return self.state.updated_names()

    cdef int put_checkpoint(self, dict metadata, bint exiting) except -1:
        """Make the next checkpoint and store it (upstream: `PregelLoop._put_checkpoint`).

        Args:
            exiting: the run ends: the last checkpoint is stored after all.
        """
        cdef bint full = self.saver is not None and (exiting or not self.exits_late)
        cdef dict counters = None
        cdef set snapshots = None
        cdef object updated = self.updated_names()
        if self.measured:
            self.trace.mark(Part.CHECKPOINT)
        if exiting and self.checkpoint["id"] == self.first_id:
            return 0
        if not exiting:
            if self.delta is not None:
                counters = self.delta.counted(self.metadata, updated or ())
            metadata["step"] = self.step
            metadata["parents"] = self.context.config[CONF].get(CHECKPOINT_MAP, {})
            self.metadata = metadata
        elif self.delta is not None:
            counters = dict(self.metadata.get("counters_since_delta_snapshot") or {})
        if self.delta is not None and full:
            snapshots = self.delta.due(
                self.state.named(), counters, self.checkpoint["channel_versions"]
            )
        id = self.checkpoint["id"] if exiting else None
        self.renew(self.made_checkpoint(full, id, updated, snapshots))
        if self.delta is not None:
            for name in snapshots or ():
                counters[name] = (0, 0)
            if full:
                self.delta.forced.difference_update(snapshots)
            counters = {name: count for name, count in counters.items() if count != (0, 0)}
            if counters:
                self.metadata["counters_since_delta_snapshot"] = counters
            elif "counters_since_delta_snapshot" in self.metadata:
                del self.metadata["counters_since_delta_snapshot"]
        if self.plan.has_untracked and TASKS in self.checkpoint["channel_values"]:
            self.checkpoint["channel_values"][TASKS] = [
                up.sanitize_untracked_values_in_send(value, self.context.specs)
                if isinstance(value, Send) else value
                for value in self.checkpoint["channel_values"][TASKS]
            ]
        if full:
            self.hand_over()
        if not exiting:
            self.step += 1
        return 0

    cdef dict made_checkpoint(self, bint full, str id, object updated, set snapshots):
        """The checkpoint after the current one (upstream: `create_checkpoint`).

        Args:
            full: with the values of the channels; else those of the last one stored.
            id: None for a new one.
            updated: names of the channels updated, or None.
            snapshots: DeltaChannels whose value is stored, not only their writes.
        """
        cdef dict values, versions
        cdef Py_ssize_t index
        if snapshots:
            return up.create_checkpoint(
                self.checkpoint,
                self.state.named(),
                self.step,
                id=id,
                updated_channels=updated,
                get_next_version=self.state.numbering,
                channels_to_snapshot=snapshots,
                stored_versions=self.stored_versions,
                trigger_to_nodes=self.context.graph.trigger_to_nodes,
            )
        values = self.checkpoint["channel_values"]
        versions = self.checkpoint["channel_versions"]
        if full:
            values = {}
            versions = dict(versions)
            for index in range(len(self.plan.channel_names)):
                name = self.plan.channel_names[index]
                if name in versions:
                    value = self.state.channels[index].checkpoint()
                    if value is not MISSING:
                        values[name] = value
        return {
            "v": LATEST_VERSION,
            "ts": timestamp(),
            "id": id or new_id(self.step),
            "channel_values": values,
            "channel_versions": versions,
            "versions_seen": self.checkpoint["versions_seen"],
            "updated_channels": None if updated is None else sorted(updated),
        }

    def hand_over(self):
        """Give the current checkpoint to be stored, and name it as the parent of the next."""
        conf = self.checkpoint_config[CONF]
        self.parent_config = self.checkpoint_config if conf.get(CHECKPOINT_ID) else None
        versions = self.checkpoint["channel_versions"].copy()
        new_versions = newer_versions(versions, self.stored_versions)
        self.stored_versions = versions
        conf = {**conf, CHECKPOINT_NS: self.context.checkpoint_ns}
        self.saves.put(
            {**self.checkpoint_config, CONF: conf},
            copied(self.checkpoint),
            self.metadata,
            new_versions,
        )
        self.checkpoint_config = {
            **self.checkpoint_config, CONF: {**conf, CHECKPOINT_ID: self.checkpoint["id"]}
        }

    # the end

    cdef int at_exit(self, object error) except -1:
        """Store what has been kept back for the end of the run."""
        if self.exits_late and (
            not self.context.nested
            or error is not None
            or all([NS_END not in part for part in self.namespace])
        ):
            self.put_exit_delta_writes()
            self.put_checkpoint(self.metadata, True)
            self.put_pending_writes()
        return 0

    cdef int put_pending_writes(self) except -1:
        """Store writes of tasks that have run in a superstep which did not end."""
        cdef dict by_task = {}
        if self.saver is None or not self.pending_writes:
            return 0
        config = self.writes_config()
        for task_id, channel, value in self.pending_writes:
            if task_id in self.written_ids:  # others are stored already
                by_task.setdefault(task_id, []).append((channel, value))
        paths = {task.id: path_string(task.path) for task in self.tasks or ()}
        for task_id, writes in by_task.items():
            self.saves.put_writes(
                config, writes, task_id, paths.get(task_id, ""), delta=False, handled=False
            )
        return 0

    cdef int put_exit_delta_writes(self) except -1:
        """Store the writes to DeltaChannels that the last checkpoint will be rebuilt from."""
        cdef dict grouped
        if self.delta is None or not self.delta.late or self.saver is None:
            return 0
        if self.has_parent and not self.loaded_latest:
            self.delta.force_late()
        grouped = self.delta.late_writes(
            self.state.named(), self.metadata, self.checkpoint["channel_versions"]
        )
        if not grouped:
            return 0
        if self.has_parent:
            anchor = self.first_config
        else:
            # the thread's first checkpoint: an empty one to store the writes with
            stub = up.empty_checkpoint()
            stub["id"] = self.first_id
            stub["ts"] = timestamp()
            anchor = patch_configurable(self.first_config, {CHECKPOINT_ID: stub["id"]})
            self.saves.put(
                patch_configurable(self.first_config, {CHECKPOINT_ID: None}),
                stub,
                {"step": -2},
                {},
            )
            self.checkpoint_config = anchor
        config = patch_configurable(
            anchor,
            {
                CHECKPOINT_NS: self.context.checkpoint_ns,
                CHECKPOINT_ID: anchor[CONF][CHECKPOINT_ID],
            },
        )
        for (task_id, path), writes in grouped.items():
            self.saves.put_writes(config, writes, task_id, path, delta=True, handled=False)
        return 0
