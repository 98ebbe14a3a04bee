# cython: language_level=3, embedsignature=True
"""The superstep state machine: no threads, no waiting, no I/O.

A driver asks for tasks with `tick`, runs those in `runnable`, reports each with `commit` or
`fail`, and closes the superstep with `after_tick`. Chunks for a stream pile up until the
driver takes them. Nothing is built for a mode that nobody asked for.
"""

from collections.abc import Sequence
from datetime import datetime, timezone

from langgraph_cy import upstream as up
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.planner cimport prepare_next_tasks
from langgraph_cy.core.settings cimport RunSettings
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Task, drawn_head
from langgraph_cy.core.writes cimport InputWrites, apply_writes
from langgraph_cy.profiling.recorder cimport Part

cdef object EmptyInputError = up.EmptyInputError
cdef object GraphInterrupt = up.GraphInterrupt
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object logger = up.logger
cdef str ERROR = up.ERROR
cdef str ERROR_SOURCE_NODE = up.ERROR_SOURCE_NODE
cdef str INTERRUPT = up.INTERRUPT
cdef str NO_WRITES = up.NO_WRITES
cdef str PUSH = up.PUSH
cdef str RESUME = up.RESUME
cdef str RETURN = up.RETURN
cdef str TAG_HIDDEN = up.TAG_HIDDEN
cdef frozenset CONTROL_WRITES = up.CONTROL_WRITES
cdef object ensure_message_ids = up.ensure_message_ids
cdef object CancelledError = up.CancelledError

cdef dict MODE_NAMES = {
    Mode.VALUES: "values", Mode.UPDATES: "updates", Mode.TASKS: "tasks",
    Mode.CHECKPOINTS: "checkpoints", Mode.DEBUG: "debug", Mode.CUSTOM: "custom",
    Mode.MESSAGES: "messages", Mode.TOOLS: "tools",
}
cdef dict MODE_BITS = {name: bit for bit, name in MODE_NAMES.items()}


def mode_bits(modes):
    """Stream modes by name as one number; names that are no mode count for nothing."""
    cdef int bits = 0
    for name in (modes,) if isinstance(modes, str) else modes:
        bits |= <int>MODE_BITS.get(name, 0)
    return bits


cpdef list map_input(object keys, object value):
    """A run's input as writes (upstream: `map_input`)."""
    cdef list writes = []
    if value is None:
        return writes
    if isinstance(keys, str):
        writes.append((keys, value))
        return writes
    if not isinstance(value, dict):
        raise TypeError(f"Expected chunk to be a dict, got {type(value).__name__}")
    for key in value:
        if key in keys:
            writes.append((key, value[key]))
        else:
            logger.warning(f"Input channel {key} not found in {keys}")
    return writes


cdef object control_of(RunSettings settings):
    """The `RunControl` that a run goes by, its own or that of a run above; None without one."""
    while settings.control is None and settings.above is not None:
        settings = settings.above
    return settings.control


cdef class Run:
    """One run of a graph (upstream: `PregelLoop`), without a history of checkpoints.

    Args:
        plan: the graph's plan.
        context: the run's `RunContext`.
        output_keys: channel name or names that chunks and the result show.
        recursion_limit: how many supersteps may run.
        modes: stream modes asked for, as `mode_bits`.
        above: the `StreamProtocol` of a run above that streams this one's chunks too, or None.
        shape: what chunks look like.
        latest_only: keep the last `values` payload and the interrupts instead of chunks.
        interrupt_before, interrupt_after: names of nodes to stop at, or "*".
    """

    def __cinit__(self):
        if LGCY_DEBUG_BUILD:
            born("Run")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("Run")

    def __init__(
        self, Plan plan not None, context, output_keys, long recursion_limit, *,
        int modes=0, above=None, Shape shape=Shape.PAYLOAD, bint latest_only=False,
        interrupt_before=(), interrupt_after=(),
    ):
        self.set_up(plan, context, output_keys, recursion_limit)
        self.modes = Mode.VALUES if latest_only else modes
        self.shape = shape
        self.latest_only = latest_only
        if above is not None:
            self.above = above
            self.modes_above = mode_bits(above.modes)
        self.interrupt_before = interrupt_before
        self.interrupt_after = interrupt_after

    cdef int set_up(
        self, Plan plan, RunSettings context, object output_keys, long recursion_limit
    ) except -1:
        self.plan = plan
        self.context = context
        self.output = plan.key_set(output_keys)
        self.namespace = context.namespace
        self.state = RunState.__new__(RunState, plan)
        self.step = -1
        self.stop = self.step + recursion_limit + 1
        self.pending_writes = []
        self._chunks = []
        return 0

    @classmethod
    def for_latest(
        cls, Plan plan not None, RunSettings context not None, output_keys, long recursion_limit
    ):
        """A run whose last values are wanted, and nothing else."""
        cdef Run run = Run.__new__(Run)
        run.set_up(plan, context, output_keys, recursion_limit)
        run.modes = Mode.VALUES
        run.latest_only = True
        return run

    @property
    def channels(self):
        """The run's channels by name."""
        return self.state.named()

    @property
    def output_keys(self):
        """Channel name or names that chunks and the result show."""
        return self.output.keys

    cpdef int start(self, object input, object input_keys) except -1:
        """Apply the run's input.

        Raises:
            EmptyInputError: the input holds nothing for the graph's input channels.
        """
        cdef list writes = map_input(input_keys, input)
        self.head = drawn_head()
        if writes:
            if self.plan.has_delta:
                ensure_message_ids(self.context.specs, writes)
            apply_writes(self.state, [InputWrites(writes)])
            self.save("input")
        elif not self.context.resumable:
            raise EmptyInputError(f"Received no input for {input_keys}")
        self.context.first_step = self.step
        self.status = Status.PENDING
        return 0

    cdef int save(self, str source) except -1:
        """Move on to the next checkpoint, which a run without history only numbers."""
        self.head = drawn_head()
        self.step += 1
        return 0

    cdef str checkpoint_id(self):
        """Id of the checkpoint that the superstep under way starts from."""
        return self.head.id(self.step - 1)

    cpdef dict checkpoint_like(self):
        """What upstream's task functions need to know of the current checkpoint."""
        return {**up.empty_checkpoint(), "id": self.checkpoint_id()}

    cdef int prepare(self) except -1:
        """Settle the tasks of the next superstep."""
        self.tasks = prepare_next_tasks(
            self.state, self.context, self.head, self.step, self.stop, self.pending_writes
        )
        if self.plan.caches:
            for task in self.tasks:
                (<Task>task).cache_key  # a policy's own function is called, cache or not
        return 0

    cdef int restore(self, object tasks) except -1:
        """Give tasks back what they wrote before the run was interrupted."""
        return 0

    cdef int restore_step(self) except -1:
        """The same for all tasks of a superstep."""
        return 0

    cpdef bint tick(self) except -1:
        """Prepare the next superstep. False when the run is over; `status` says why.

        Raises:
            GraphInterrupt: the run is to stop before a task's node.
        """
        if self.measured:
            self.trace.begin_step(self.step)
        self.prepare()
        if self.step > self.stop:
            self.status = Status.OUT_OF_STEPS
            return False
        if not self.tasks:
            self.status = Status.DONE
            return False
        self.restore_step()
        if self.interrupt_before and self.due_interrupt(self.interrupt_before):
            self.status = Status.INTERRUPT_BEFORE
            raise GraphInterrupt()
        # after the breakpoints: a resume passes them, so draining here would skip one
        control = control_of(self.context)
        if control is not None and control.drain_requested:
            self.status = Status.DRAINING
            return False
        if (self.modes | self.modes_above) & (Mode.TASKS | Mode.DEBUG):
            self.emit_tasks(self.tasks)
        if self.restored:
            self.restored = False
            for task in self.tasks:
                if task.writes:
                    self.output_writes(task, task.writes, True)
        return True

    cpdef list runnable(self):
        """The tasks of the superstep that have not written anything yet."""
        cdef list tasks = []
        for task in self.tasks:
            if not task.writes:
                tasks.append(task)
        return tasks

    def accept_call(self, caller, long index, call):
        """Take in a task that a running one calls (upstream: `accept_push`).

        Args:
            caller: the calling task, a `Task` or upstream's own where a called task calls another.
            index: how many tasks it has called before.
            call: upstream's `Call`.

        Returns:
            Upstream's executable task; with writes, if it has run before the run was interrupted.
        """
        pushed = self.context.called_task(self, caller, index, call)
        if pushed is not None:
            if (self.modes | self.modes_above) & (Mode.TASKS | Mode.DEBUG):
                self.emit_tasks([pushed])
            self.tasks.append(pushed)
            self.restore([pushed])
        return pushed

    def accept_handler(self, Task failed, error):
        """Take in the task that handles another's failure (upstream: `schedule_error_handler`).

        Returns:
            Upstream's executable task, None where the handling node has nothing to run.
        """
        handler = self.context.handler_task(self, failed, error)
        if handler is not None:
            self.tasks.append(handler)
            self.restore([handler])
        return handler

    cdef bint any_new(self) except -1:
        """Whether any channel has changed since the run last stopped at a breakpoint."""
        return self.state.has_versions()

    cdef bint due_interrupt(self, object nodes) except -1:
        """Whether one of the tasks' nodes is a breakpoint (upstream: `should_interrupt`)."""
        if not self.any_new():
            return False
        for task in self.tasks:
            if not self.hidden(task) if nodes == "*" else task.name in nodes:
                return True
        return False

    cpdef int commit(self, object task) except -1:
        """Take over the writes of a task that has finished."""
        cdef object writes = (<Task>task).writes if type(task) is Task else task.writes
        cdef bint control = True
        if self.context.node_finished is not None and not self.hidden(task):
            self.context.node_finished(task.name)
        for write in writes:
            if write[0] not in CONTROL_WRITES:
                control = False
                break
        if control:
            writes.append((NO_WRITES, None))
        return self.put_writes(task, writes, False)

    cpdef int fail(self, object task, object error) except -1:
        """Note that a task has raised: an interrupt, a command for a parent, or a failure."""
        cdef list writes
        if isinstance(error, GraphInterrupt):
            if error.args[0]:
                writes = [(INTERRUPT, error.args[0])]
                for write in task.writes:
                    if write[0] == RESUME:
                        writes.append(write)
                self.put_writes(task, writes, False)
        elif not isinstance(error, GraphBubbleUp):
            if not self.keeps_errors(task):
                # Nothing would read the error among the task's writes, and it would keep the
                # failed run's frames alive.
                if task.writes:
                    self.put_writes(task, task.writes, False)
                return 0
            task.writes.append((ERROR, error))
            if (
                type(task) is Task
                and (<Task>task).node.error_handler is not None
                and not isinstance(error, CancelledError)
            ):
                task.writes.append((ERROR_SOURCE_NODE, task.name))
            self.put_writes(task, task.writes, False)
        return 0

    def keeps_errors(self, task):
        """Whether anything reads the error that a task has failed with."""
        return (
            (self.modes | self.modes_above) & (Mode.TASKS | Mode.DEBUG) != 0
            or type(task) is not Task
            or (<Task>task).node.error_handler is not None
        )

    cpdef int put_writes(self, object task, object writes, bint cached) except -1:
        """Take over writes of a task of the superstep.

        Args:
            cached: they come from a cache or a checkpoint, and the task has not run.
        """
        if not writes:
            return 0
        self.written = True
        if self.plan.has_delta:
            ensure_message_ids(self.context.specs, writes)
        return self.output_writes(task, writes, cached)

    cdef bint any_written(self) except -1:
        """Whether anything has been written since the last checkpoint."""
        return self.written

    cdef bint hidden(self, object task) except -1:
        """Whether streams leave the task out: its node or the whole run is tagged so."""
        if type(task) is Task:
            return (<Task>task).node.hidden or self.context.hidden
        return task.config is not None and TAG_HIDDEN in task.config.get("tags", ())

    # what streams show

    cdef bint unobserved(self) except -1:
        """Whether nobody takes chunks of any mode while the run is on."""
        return self.modes_above == 0 and (self.latest_only or self.modes == 0)

    cpdef bint wants(self, int mode):
        """Whether anybody takes chunks of a mode."""
        return (self.modes | self.modes_above) & mode != 0

    cdef int emit(self, int mode, object payload) except -1:
        if self.latest_only:
            if mode == Mode.VALUES:
                self.unread = False
                self._latest = payload
            elif mode == Mode.UPDATES and INTERRUPT in payload:
                self.interrupts = (self.interrupts or []) + list(payload[INTERRUPT])
        elif self.modes & mode:
            name = MODE_NAMES[mode]
            if self.shape == Shape.PAYLOAD:
                self._chunks.append(payload)
            elif self.shape == Shape.PAIRED:
                self._chunks.append((name, payload))
            else:
                self._chunks.append((self.namespace, name, payload))
        if self.modes_above & mode:
            self.above((self.namespace, MODE_NAMES[mode], payload))
        return 0

    def receive(self, chunk):
        """Take a chunk from outside of the loop: a writer, a handler, a graph below.

        Args:
            chunk: (namespace, mode, payload).
        """
        if self.shape == Shape.PAYLOAD:
            self._chunks.append(chunk[2])
        elif self.shape == Shape.PAIRED:
            self._chunks.append((chunk[1], chunk[2]))
        else:
            self._chunks.append(chunk)
        if self.on_chunk is not None:
            self.on_chunk()

    cpdef list take_chunks(self):
        """The chunks since the last call, oldest first."""
        cdef list chunks = self._chunks
        if chunks:
            self._chunks = []
        return chunks

    cdef int output_writes(self, object task, object writes, bint cached) except -1:
        """Stream what became of a task."""
        if not (self.modes | self.modes_above) & (
            Mode.UPDATES | Mode.TASKS | Mode.DEBUG
        ) and writes[0][0] != INTERRUPT:
            return 0
        if self.hidden(task):
            return 0
        if writes[0][0] == INTERRUPT:
            # the caller of a called task raises its interrupt on, and streams it
            if type(task) is not Task and task.path[0] == PUSH and task.path[-1] is True:
                return 0
            self.emit_interrupt(task, writes)
        elif writes[0][0] != ERROR and self.wants(Mode.UPDATES):
            self.emit_updates(task, writes, cached)
        if not cached and (self.modes | self.modes_above) & (Mode.TASKS | Mode.DEBUG):
            self.emit_results(task, writes)
        return 0

    cdef int emit_tasks(self, object tasks) except -1:
        """Stream tasks that are about to run."""
        for payload in up.map_debug_tasks(tasks):
            self.emit(Mode.TASKS, payload)
            self.emit_debug("task_result" if "result" in payload else "task", payload, self.step)
        return 0

    cdef int emit_results(self, object task, object writes) except -1:
        """Stream what a task has ended with."""
        for payload in up.map_debug_task_results((task, writes), self.context.stream_keys):
            self.emit(Mode.TASKS, payload)
            self.emit_debug("task_result", payload, self.step)
        return 0

    cdef int emit_debug(self, str kind, object payload, long step) except -1:
        """Stream a task or a checkpoint once more, in the wrapper of the `debug` mode."""
        if self.wants(Mode.DEBUG):
            self.emit(Mode.DEBUG, {
                "step": step,
                "timestamp": datetime.now(timezone.utc).isoformat(),
                "type": kind,
                "payload": payload,
            })
        return 0

    cdef int emit_updates(self, object task, object writes, bint cached) except -1:
        """Stream what one task wrote (upstream: `map_output_updates`)."""
        cdef list found = []
        cdef dict update = {}, shown
        cdef bint repeated = False
        cdef object payload = None
        for channel, value in writes:
            if channel == RETURN:
                payload = value
                break
        else:
            if self.output.single:
                for channel, value in writes:
                    if channel == self.output.keys:
                        found.append(value)
                payload = None if not found else found[0] if len(found) == 1 else found
            else:
                for channel, value in writes:
                    if channel in self.output.names:
                        repeated = repeated or channel in update
                        update[channel] = value
                        found.append((channel, value))
                if repeated:
                    payload = [{channel: value} for channel, value in found]
                else:
                    payload = update if update else None
        shown = {task.name: payload}
        if cached:
            shown["__metadata__"] = {"cached": True}
        self.emit(Mode.UPDATES, shown)
        return 0

    cdef int emit_interrupt(self, object task, object writes) except -1:
        """Stream an interrupt that a task raised."""
        cdef object current
        cdef list raised = []
        for channel, value in writes:
            if channel == INTERRUPT:
                raised.extend(value if isinstance(value, Sequence) else (value,))
        payload = {INTERRUPT: tuple(raised)}
        if self.latest_only or self.wants(Mode.UPDATES):
            self.emit(Mode.UPDATES, payload)
        if self.wants(Mode.VALUES):
            current = self.state.read_keys(self.output)
            if isinstance(current, dict):
                current[INTERRUPT] = payload[INTERRUPT]
            else:
                current = payload
            self.emit(Mode.VALUES, current)
        return 0

    cdef int emit_values(self, list tasks) except -1:
        """Stream the state after a superstep that changed output keys."""
        cdef bint shown = False
        for position in self.output.indices:
            if <Py_ssize_t>position >= 0 and self.state.updated_mask[<Py_ssize_t>position]:
                shown = True
                break
        if not shown:
            return 0
        shown = False
        for task in tasks:
            for write in (<Task>task).writes if type(task) is Task else task.writes:
                if write[0] in self.output.names:
                    shown = True
                    break
            if shown:
                break
        if not shown:
            return 0
        if self.latest_only and self.output.stable and not self.modes_above & Mode.VALUES:
            self.unread = True
        else:
            if self.measured:
                self.trace.mark(Part.STREAM)
            self.emit(Mode.VALUES, self.state.read_keys(self.output))
        return 0

    cpdef object latest(self):
        """The last `values` payload, None if there was none."""
        if self.unread:
            self.unread = False
            self._latest = self.state.read_keys(self.output)
        return self._latest

    cpdef object final(self):
        """What `invoke` returns: the last values, with the run's interrupts if it had any."""
        latest = self.latest()
        if self.measured:
            self.trace.mark(Part.FINISH)
        if not self.interrupts:
            return latest
        if isinstance(latest, dict):
            return {**latest, INTERRUPT: self.interrupts}
        return {INTERRUPT: self.interrupts}

    # the end of a superstep, and of the run

    cpdef int after_tick(self) except -1:
        """Close the superstep: apply its writes and move on to the next checkpoint.

        Raises:
            GraphInterrupt: the run is to stop after a task's node.
        """
        if self.measured:
            self.trace.mark(Part.APPLY)
        self.apply()
        if (self.modes | self.modes_above) & Mode.VALUES:
            self.emit_values(self.tasks)
        self.written = False
        self.save("loop")
        if self.interrupt_after and self.due_interrupt(self.interrupt_after):
            self.status = Status.INTERRUPT_AFTER
            self.prepare()  # the next tick, which streams this checkpoint, never comes
            raise GraphInterrupt()
        return 0

    cdef int apply(self) except -1:
        """Apply what the superstep's tasks have written."""
        return apply_writes(self.state, self.tasks)

    cdef int at_exit(self, object error) except -1:
        """Save what a run with history saves only where it ends."""
        return 0

    cpdef bint leave(self, object error) except -1:
        """End the run: True where it swallows an exception, as the root does interrupts.

        Writes of tasks that finished beside the interrupted one show in a last chunk.

        Args:
            error: what has ended the run, None if nothing has been raised.
        """
        cdef bint wrote = False
        cdef bint interrupted = isinstance(error, GraphInterrupt) and not self.context.nested
        self.at_exit(error)
        if not interrupted and error is not None:
            return False
        if interrupted:
            if self.context.lifecycle is not None:
                self.context.lifecycle.interrupted(self, error)
            for task in self.tasks or ():
                if task.writes:
                    wrote = True
                    break
            if wrote and self.any_written():
                apply_writes(self.state, self.tasks)
                if (self.modes | self.modes_above) & Mode.VALUES:
                    self.emit_values(self.tasks)
            if not error.args or not error.args[0]:
                payload = error.args[0] if error.args else ()
                if self.latest_only or self.wants(Mode.UPDATES):
                    self.emit(Mode.UPDATES, {INTERRUPT: payload})
        # read once more where that shows: to watchers, for a key that is no channel, and in
        # channels of a user's own
        if self.context.watched or not self.output.stable:
            self.result = self.state.read_keys(self.output)
        return interrupted
