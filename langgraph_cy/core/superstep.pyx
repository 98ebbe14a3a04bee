# cython: language_level=3, embedsignature=True
"""The superstep state machine: no threads, no waiting, no I/O.

A driver asks for tasks with `tick`, runs them, reports each with `commit` or `fail`, and
closes the superstep with `after_tick`. Chunks for a stream pile up until the driver takes
them. Nothing is built for a mode that nobody asked for.
"""

from collections.abc import Sequence

from langgraph_cy import upstream as up
from langgraph_cy.core.debug cimport LGCY_DEBUG_BUILD, born, died
from langgraph_cy.core.planner cimport prepare_next_tasks
from langgraph_cy.core.state cimport RunState
from langgraph_cy.core.tasks cimport Head, Task
from langgraph_cy.core.writes cimport apply_input, apply_writes

cdef object EmptyInputError = up.EmptyInputError
cdef object GraphInterrupt = up.GraphInterrupt
cdef object GraphBubbleUp = up.GraphBubbleUp
cdef object logger = up.logger
cdef str ERROR = up.ERROR
cdef str INTERRUPT = up.INTERRUPT
cdef str NO_WRITES = up.NO_WRITES
cdef str RETURN = up.RETURN
cdef frozenset CONTROL_WRITES = up.CONTROL_WRITES
cdef object ensure_message_ids = up.ensure_message_ids


cdef list map_input(object keys, object value):
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


cdef class Run:
    """One run of a graph (upstream: `PregelLoop`).

    Args:
        plan: the graph's plan.
        context: the run's `RunContext`.
        output_keys: channel name or names that chunks and the result show.
        recursion_limit: how many supersteps may run.
        values, updates: the stream modes asked for.
        paired: chunks are (mode, payload) pairs.
        latest_only: keep the last `values` payload and the interrupts instead of chunks.
    """

    def __cinit__(self, *args, **kwargs):
        if LGCY_DEBUG_BUILD:
            born("Run")

    def __dealloc__(self):
        if LGCY_DEBUG_BUILD:
            died("Run")

    def __init__(
        self, Plan plan not None, context, output_keys, long recursion_limit, *,
        bint values=False, bint updates=False, bint paired=False, bint latest_only=False,
    ):
        self.plan = plan
        self.context = context
        self.output = plan.key_set(output_keys)
        self.values = values
        self.updates = updates
        self.paired = paired
        self.latest_only = latest_only
        self.state = RunState.__new__(RunState, plan)
        self.head = Head.__new__(Head)
        self.step = -1
        self.stop = self.step + recursion_limit + 1
        self.tasks = []
        self._chunks = []

    @property
    def channels(self):
        """The run's channels by name."""
        return self.state.named()

    cdef int start(self, object input, object input_keys) except -1:
        """Apply the run's input.

        Raises:
            EmptyInputError: the input holds nothing for the graph's input channels.
        """
        cdef list writes = map_input(input_keys, input)
        if writes:
            if self.plan.has_delta:
                ensure_message_ids(self.context.specs, writes)
            apply_input(self.state, writes)
            self.next_checkpoint()
        elif not self.context.resumable:
            raise EmptyInputError(f"Received no input for {input_keys}")
        self.context.first_step = self.step
        self.status = Status.PENDING
        return 0

    cdef int next_checkpoint(self) except -1:
        self.head = Head.__new__(Head)
        self.step += 1
        return 0

    cdef bint tick(self) except -1:
        """Prepare the next superstep. False when the run is over; `status` says why."""
        self.tasks = prepare_next_tasks(
            self.state, self.context, self.head, self.step, self.stop
        )
        if self.step > self.stop:
            self.status = Status.OUT_OF_STEPS
            return False
        if not self.tasks:
            self.status = Status.DONE
            return False
        if self.context.control is not None and self.context.control.drain_requested:
            self.status = Status.DRAINING
            return False
        return True

    cdef int commit(self, object task) except -1:
        """Take over the writes of a task that has finished."""
        cdef object writes = task.writes
        cdef bint control = True
        self.pending = True
        for channel, _ in writes:
            if channel not in CONTROL_WRITES:
                control = False
                break
        if control:
            writes.append((NO_WRITES, None))
        if self.plan.has_delta:
            ensure_message_ids(self.context.specs, writes)
        if self.updates and not self.latest_only:
            self.emit_updates(task, writes)
        return 0

    cdef int fail(self, object task, object error) except -1:
        """Note that a task has raised: an interrupt, a command for a parent, or a failure."""
        if isinstance(error, GraphInterrupt):
            if error.args[0]:
                self.pending = True
                self.emit_interrupt(task, error.args[0])
        elif not isinstance(error, GraphBubbleUp):
            # Upstream also records the error among the task's writes, for a saver. Here
            # nothing would read it, and it would keep the failed run's frames alive.
            self.pending = True
            if self.updates and not self.latest_only and task.writes:
                self.emit_updates(task, task.writes)
        return 0

    cdef bint hidden(self, object task) except -1:
        """Whether streams leave the task out: its node or the whole run is tagged so."""
        if type(task) is Task:
            return (<Task>task).node.hidden or self.context.hidden
        return task.hidden

    cdef int put(self, str mode, object payload) except -1:
        self._chunks.append((mode, payload) if self.paired else payload)
        return 0

    cpdef list take_chunks(self):
        """The chunks since the last call, oldest first."""
        cdef list chunks = self._chunks
        if chunks:
            self._chunks = []
        return chunks

    cdef int emit_updates(self, object task, object writes) except -1:
        """Stream what one task wrote (upstream: `map_output_updates`)."""
        cdef list found = []
        cdef dict update = {}
        cdef bint repeated = False
        cdef object payload
        if self.hidden(task) or writes[0][0] == ERROR or writes[0][0] == INTERRUPT:
            return 0
        for channel, value in writes:
            if channel == RETURN:
                self.put("updates", {task.name: value})
                return 0
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
        self.put("updates", {task.name: payload})
        return 0

    cdef int emit_interrupt(self, object task, object interrupts) except -1:
        """Stream an interrupt that a task raised."""
        cdef object current, payload
        if type(task) is not Task or self.hidden(task):
            return 0  # the caller of a called task raises it on, and streams it
        payload = tuple(interrupts) if isinstance(interrupts, Sequence) else (interrupts,)
        if self.latest_only:
            self.interrupts = (self.interrupts or []) + list(payload)
        elif self.updates:
            self.put("updates", {INTERRUPT: payload})
        if self.values or self.latest_only:
            current = self.state.read_keys(self.output)
            if isinstance(current, dict):
                current[INTERRUPT] = payload
            else:
                current = {INTERRUPT: payload}
            if self.latest_only:
                self.unread = False
                self._latest = current
            else:
                self.put("values", current)
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
            for channel, _ in task.writes:
                if channel in self.output.names:
                    shown = True
                    break
            if shown:
                break
        if not shown:
            return 0
        if not self.latest_only:
            self.put("values", self.state.read_keys(self.output))
        elif self.output.stable:
            self.unread = True
        else:
            self._latest = self.state.read_keys(self.output)
        return 0

    cpdef object latest(self):
        """The last `values` payload, None if there was none."""
        if self.unread:
            self.unread = False
            self._latest = self.state.read_keys(self.output)
        return self._latest

    cdef int after_tick(self) except -1:
        """Close the superstep: apply its writes and move on to the next checkpoint."""
        apply_writes(self.state, self.tasks)
        if self.values or self.latest_only:
            self.emit_values(self.tasks)
        self.pending = False
        self.next_checkpoint()
        return 0

    cpdef int close(self) except -1:
        """Read the output keys once more, as upstream does where its loop ends.

        Only where that shows: for a key that is no channel, and channels of a user's own.
        """
        if not self.output.stable:
            self.state.read_keys(self.output)
        return 0

    cpdef bint suppress(self, object error) except -1:
        """End the run on an exception: True where it is swallowed, as interrupts are at the root.

        Writes of tasks that finished beside the interrupted one show in a last chunk.
        """
        cdef bint wrote = False
        if not isinstance(error, GraphInterrupt) or self.context.nested:
            return False
        for task in self.tasks:
            if task.writes:
                wrote = True
                break
        if wrote and self.pending:
            apply_writes(self.state, self.tasks)
            if self.values or self.latest_only:
                self.emit_values(self.tasks)
        if not error.args or not error.args[0]:
            payload = error.args[0] if error.args else ()
            if self.latest_only:
                self.interrupts = (self.interrupts or []) + list(payload)
            elif self.updates:
                self.put("updates", {INTERRUPT: payload})
        self.close()
        return True
