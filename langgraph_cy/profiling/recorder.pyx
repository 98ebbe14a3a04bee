# cython: language_level=3, embedsignature=True
"""Measured intervals in C arrays: while something is measured, no Python object is made for it.

A recorder keeps so many events and no more. Totals go on where there is no room for events.
"""

cimport cython
from cpython.pythread cimport PyThread_get_thread_ident
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memset

import threading

from langgraph_cy.locks import fork_safe

cdef extern from *:
    """
    #if defined(_WIN32)
    #ifndef WIN32_LEAN_AND_MEAN
    #define WIN32_LEAN_AND_MEAN
    #endif
    #include <windows.h>
    static long long lgcy_clock(void) {
        LARGE_INTEGER ticks, a_second;
        QueryPerformanceFrequency(&a_second);
        QueryPerformanceCounter(&ticks);
        return ticks.QuadPart / a_second.QuadPart * 1000000000LL
            + ticks.QuadPart % a_second.QuadPart * 1000000000LL / a_second.QuadPart;
    }
    #else
    #include <time.h>
    static long long lgcy_clock(void) {
        struct timespec moment;
        clock_gettime(CLOCK_MONOTONIC, &moment);
        return (long long)moment.tv_sec * 1000000000LL + moment.tv_nsec;
    }
    #endif
    """
    long long lgcy_clock() noexcept nogil

cdef enum:
    BLOCK = 4096                     # events

# The recorders at work, the oldest first. A run asks this list whether it is measured at all.
active = []
cdef Catalog shared = None
cdef object lock = fork_safe(threading.Lock())


cdef long long now() noexcept nogil:
    return lgcy_clock()


def clock():
    """The moment, in nanoseconds of a clock that never goes back."""
    return lgcy_clock()


cdef class Scope:
    """A graph at a place: by itself, or in a node of another."""


cdef class Catalog:
    """What numbers in events stand for. Recorders that overlap in time share one."""

    def __cinit__(self):
        self.labels = []
        self.scopes = []
        self.threads = []
        self.known_scopes = {}
        self.paths = {}
        self.known_threads = {}

    cdef int next_run(self) noexcept:
        with cython.critical_section(self):
            self.runs += 1
            return self.runs

    cdef int next_task(self) noexcept:
        with cython.critical_section(self):
            self.tasks += 1
            return self.tasks

    cdef int thread_number(self) except -1:
        """The number of the thread that asks."""
        ident = <long long>PyThread_get_thread_ident()
        number = self.known_threads.get(ident)
        if number is None:
            name = threading.current_thread().name
            with lock:
                number = self.known_threads.setdefault(ident, len(self.threads))
                if <long>number == len(self.threads):
                    self.threads.append(name)
        return number

    cdef int label_of(self, Scope scope, object name) except -1:
        """The number of a graph's node."""
        number = scope.labels.get(name)
        if number is None:
            with lock:
                number = scope.labels.setdefault(name, len(self.labels))
                if <long>number == len(self.labels):
                    self.labels.append((scope.number, str.__str__(name)))
        return number

    cdef Scope scope_of(self, Scope above, object node, object graph):
        """The scope of a graph that runs.

        Args:
            above: of the run that it is a part of, or None.
            node: name of the node there.
        """
        cdef Scope scope
        name = graph.get_name()
        # graphs without a name are all called alike, and told apart by their nodes
        key = (None if above is None else above.number, node, name, frozenset(graph.nodes))
        found = self.known_scopes.get(key)
        if found is not None:
            return found
        scope = Scope.__new__(Scope)
        scope.graph = graph
        scope.name = name
        scope.labels = {}
        scope.above = -1
        scope.path = name
        if above is not None:
            scope.above = above.number
            scope.node = node
            inner = [] if node is None else [str.__str__(node)]
            if node is None or name not in ("LangGraph", node):
                inner.append(name)
            scope.path = " > ".join([above.path, *inner])
        with lock:
            if key not in self.known_scopes:
                same = self.paths.get(scope.path, 0) + 1
                self.paths[scope.path] = same
                if same > 1:
                    scope.path = f"{scope.path} ({same})"
                scope.number = len(self.scopes)
                self.scopes.append(scope)
                self.known_scopes[key] = scope
            return self.known_scopes[key]


cdef class Recorder:
    """Keeps events from `start` to `stop`.

    Args:
        limit: how many events, and how many runs, are kept.
        spans: makes OpenTelemetry spans, or None.
    """

    def __init__(self, long limit, spans=None):
        self.limit = limit
        self.spans = spans
        self.runs = []
        self.blocks = <Event**>calloc(limit // BLOCK + 1, sizeof(Event*))
        if not self.blocks:
            raise MemoryError()
        self.blocks[0] = <Event*>malloc(BLOCK * sizeof(Event))

    def __dealloc__(self):
        cdef long i
        if self.blocks:
            for i in range(self.limit // BLOCK + 1):
                free(self.blocks[i])
        free(self.blocks)
        free(self.totals)

    def start(self):
        """Measure the runs that begin from now on."""
        global shared
        with lock:
            if shared is None:
                shared = Catalog()
            self.catalog = shared
            self.began = lgcy_clock()
            active.append(self)

    def stop(self):
        """Keep what there is: nothing that happens from now on."""
        global shared
        with lock:
            active.remove(self)
            if not active:
                shared = None
        self.states = [run.cut(self) for run in list(self.runs)]
        self.ended = lgcy_clock()

    def add_run(self, run):
        """Keep a run.

        Returns:
            Whether there was room for it.
        """
        if len(self.runs) >= self.limit:
            self.runs_left_out += 1
            return False
        self.runs.append(run)
        return True

    cdef Event* place(self) noexcept:
        """Where the next event goes, NULL where there is no room."""
        cdef Event* block
        if self.count - self.left_out >= self.limit:
            return NULL
        block = self.blocks[self.count // BLOCK]
        if not block:
            block = <Event*>malloc(BLOCK * sizeof(Event))
            self.blocks[self.count // BLOCK] = block
            if not block:
                self.limit = self.count  # all there is
                return NULL
        return block + self.count % BLOCK

    cdef int append(self, const Event* event) noexcept:
        """Take in an event."""
        cdef Event* place
        if self.ended:
            return 0
        with cython.critical_section(self):
            place = self.place()
            if place:
                place[0] = event[0]
            else:
                self.left_out += 1
            self.count += 1
            if event.label >= 0:
                self.add_up(event)
        return 0

    cdef int add_up(self, const Event* event) noexcept:
        """Add an event to the totals of its node."""
        cdef Total* total
        cdef long long ran = event.end - event.start
        cdef long size
        if event.label >= self.size_of_totals:
            size = 2 * event.label + 16
            total = <Total*>realloc(self.totals, size * sizeof(Total))
            if not total:
                return 0
            memset(total + self.size_of_totals, 0, (size - self.size_of_totals) * sizeof(Total))
            self.totals = total
            self.size_of_totals = size
        total = self.totals + event.label
        if event.kind == Part.TASK:
            total.queued += event.start - event.queued
            total.committed += event.closed - event.end
            total.tasks += 1
        elif event.kind == Part.TASK_RETRY:
            total.run -= ran
            return 0
        elif event.kind == Part.TASK_CACHED:
            total.cached += 1
            return 0
        elif event.kind == Part.RUN:
            if event.closed:             # its last stretch
                total.tasks += 1
                total.alone += 1
        else:
            return 0
        total.run += ran
        if ran > total.longest:
            total.longest = ran
        total.failed += event.failed
        if event.outcome == Outcome.FAILED:
            total.errors += 1
        return 0

    def run_states(self):
        """What has become of the runs, see `RunTrace.state`."""
        return [run.state() for run in list(self.runs)] if self.states is None else self.states

    def part_totals(self):
        """Nanoseconds by `Part`, of all runs that were no part of another."""
        cdef int part
        return [self.parts[part] for part in range(Part.PARTS)]

    def events(self):
        """Tuples of the fields of all events that were kept, in the order in which they ended."""
        cdef long i, kept = self.count - self.left_out
        cdef Event* event
        cdef list made = []
        for i in range(kept):
            event = self.blocks[i // BLOCK] + i % BLOCK
            made.append((
                event.kind, event.run, event.step, event.label, event.task, event.thread,
                event.queued, event.start, event.end, event.closed, event.outcome, event.failed,
            ))
        return made

    def node_totals(self):
        """What became of the tasks of each node: label -> the fields of `Total` by name."""
        cdef long i
        cdef Total* total
        cdef dict made = {}
        for i in range(min(self.size_of_totals, len(self.catalog.labels))):
            total = self.totals + i
            if total.tasks or total.cached:
                made[i] = {
                    "tasks": total.tasks, "alone": total.alone, "errors": total.errors,
                    "failed": total.failed, "cached": total.cached, "queued": total.queued,
                    "run": total.run, "longest": total.longest, "committed": total.committed,
                }
        return made
