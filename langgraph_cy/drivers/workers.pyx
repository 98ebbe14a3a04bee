# cython: language_level=3, embedsignature=True
"""Worker threads that outlive the superstep and the run they were started for.

One pool serves the process. Each run borrows from it no more threads than its
`max_concurrency` allows, and each borrowed thread goes on taking jobs until none is left,
so that a thousand tasks cost a handful of hand-overs.
"""

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor

from langgraph_cy.locks import fork_safe

# Far more threads than any process starts: the bound that matters is each run's own. The
# pool must never make a nested run wait for the threads of the run it is part of.
cdef int UNBOUNDED = 1 << 20

cdef object pool = None
cdef object pool_lock = fork_safe(threading.Lock())


cdef object shared_pool():
    """The pool, made on first use. The interpreter joins its threads at exit."""
    global pool
    if pool is None:
        with pool_lock:
            if pool is None:
                pool = ThreadPoolExecutor(UNBOUNDED, thread_name_prefix="langgraph_cy")
    return pool


def forget_pool():
    """Start anew in a forked child, which has none of its parent's threads."""
    global pool
    pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=forget_pool)


def start_thread_job(function):
    """Run a function in a thread of the pool; its `concurrent.futures.Future`."""
    return shared_pool().submit(function)


def default_limit():
    """How many tasks run at once where `max_concurrency` is not set, as upstream has it."""
    count = getattr(os, "process_cpu_count", os.cpu_count)
    return min(32, (count() or 1) + 4)


cdef class Workers:
    """The share of the pool that one run uses.

    Args:
        max_concurrency: the most jobs that may run at once; None for the default.
    """

    def __init__(self, max_concurrency=None):
        self.limit = max_concurrency or default_limit()
        self.queue = deque()
        self.lock = threading.Lock()

    cdef int submit(self, list jobs) except -1:
        """Queue callables without arguments, which must not raise.

        Raises:
            RuntimeError: no thread can be had, as at interpreter exit. Jobs stay queued only
                while threads that run already will take them.
        """
        cdef long wanted = 0
        cdef bint left
        with self.lock:
            self.queue.extend(jobs)
            wanted = min(self.limit - self.active, len(self.queue))
            self.active += wanted
        while wanted > 0:
            try:
                shared_pool().submit(self.run)
            except BaseException as error:  # no more threads, or a KeyboardInterrupt
                with self.lock:
                    self.active -= wanted
                    left = self.active > 0
                    if not left:
                        self.queue.clear()
                if left and isinstance(error, RuntimeError):
                    return 0  # those that run will take the jobs
                if isinstance(error, RuntimeError):
                    # A pool of its own, such as upstream's runs have, says it in its own words.
                    ThreadPoolExecutor(1).submit(self.run)
                raise
            wanted -= 1
        return 0

    def discard(self):
        """Drop the jobs that no thread has taken yet, and return them."""
        with self.lock:
            dropped = list(self.queue)
            self.queue.clear()
        return dropped

    cpdef int run(self) except -1:
        """Take jobs until none is left: what a borrowed thread does."""
        while True:
            with self.lock:
                if not self.queue:
                    self.active = max(0, self.active - 1)
                    return 0
                job = self.queue.popleft()
            job()
            job = None  # let go of the last task while waiting for none
