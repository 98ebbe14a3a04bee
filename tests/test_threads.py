"""One graph run from many threads, worker threads, interpreter exit and forks."""

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from operator import add
from typing import Annotated, Any

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

import langgraph_cy

from .engines import Engine, State, add_one, both, chain, environ, python
from .test_errors import fan_out

CALLER: ContextVar[int] = ContextVar("CALLER", default=-1)


class Numbers(TypedDict):
    count: int
    found: Annotated[list[int], add]


def mapping(one: Any) -> Any:
    """A graph that runs `one` for each number below `count`, and gathers what it returns."""
    builder = StateGraph(Numbers)
    builder.add_node("split", lambda state: None)
    builder.add_node("one", one)
    builder.add_node("join", lambda state: {"count": sum(state["found"])})
    builder.add_edge(START, "split")
    builder.add_conditional_edges(
        "split", lambda state: [Send("one", n) for n in range(state["count"])], ["one"]
    )
    builder.add_edge("one", "join")
    builder.add_edge("join", END)
    return builder.compile()


class Gauge:
    """How many are inside at once, and how many at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = 0
        self.most = 0

    def __enter__(self) -> None:
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *_: Any) -> None:
        with self.lock:
            self.inside -= 1


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_one_graph_from_sixteen_threads(engine: Engine, way: str) -> None:
    """Each run keeps to itself: its state, its order, its context variables."""
    barrier = threading.Barrier(16)

    def one(n: int) -> dict[str, list[int]]:
        return {"found": [n * 100 + CALLER.get()]}

    graph = mapping(one)

    def caller(number: int) -> list[Any]:
        CALLER.set(number)
        barrier.wait(30)
        results = []
        for _ in range(5):
            if way == "invoke":
                results.append(graph.invoke({"count": 8, "found": []}))
            else:
                *_, last = graph.stream({"count": 8, "found": []}, stream_mode="values")
                results.append(last)
        return results

    with ThreadPoolExecutor(16) as pool:
        for number, results in enumerate(pool.map(caller, range(16))):
            found = [n * 100 + number for n in range(8)]
            assert results == [{"count": sum(found), "found": found}] * 5
    engine.check()


def test_first_run_from_sixteen_threads() -> None:
    """Threads that run a graph for the first time, all at once, make one plan of it."""
    for _ in range(20):
        graph = langgraph_cy.accelerate(mapping(lambda n: {"found": [n]}))
        barrier = threading.Barrier(16)

        def caller(_: int, graph: Any = graph, barrier: threading.Barrier = barrier) -> Any:
            barrier.wait(30)
            return graph.invoke({"count": 2, "found": []})

        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(caller, range(16))) == [{"count": 1, "found": [0, 1]}] * 16


def test_counts_from_many_threads(compiled: Engine) -> None:
    graph = chain(add_one)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: graph.invoke({"n": n}), range(400)))
    assert langgraph_cy.engine_stats().compiled == 400
    compiled.check()


def test_failing_and_passing_runs_beside_each_other(compiled: Engine) -> None:
    def node(state: State) -> Any:
        return {"n": 10 // state["n"]}

    graph = fan_out(node, lambda state: None, schema=State)

    def caller(n: int) -> Any:
        try:
            return graph.invoke({"n": n})["n"]
        except ZeroDivisionError:
            return "failed"

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(caller, [0, 1, 2, 5] * 40))
    assert results == ["failed", 10, 5, 2] * 40
    compiled.check()


def test_a_stream_read_from_other_threads(engine: Engine) -> None:
    """Each chunk of a stream may be asked for by another thread."""
    graph = mapping(lambda n: {"found": [n]})
    chunks = graph.stream({"count": 3, "found": []}, stream_mode="values")
    seen: list[Any] = []
    for _ in range(4):
        reader = threading.Thread(target=lambda: seen.append(next(chunks, None)))
        reader.start()
        reader.join()
    found = [0, 1, 2]
    assert seen == [
        {"count": 3, "found": []},
        {"count": 3, "found": found},
        {"count": 3, "found": found},
        None,
    ]
    engine.check()


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_max_concurrency(engine: Engine, limit: int) -> None:
    gauge = Gauge()

    def one(n: int) -> dict[str, list[int]]:
        with gauge:
            time.sleep(0.005)
        return {"found": [n]}

    result = mapping(one).invoke({"count": 9, "found": []}, {"max_concurrency": limit})
    assert result["found"] == list(range(9))
    assert gauge.most == limit
    engine.check()


def test_default_concurrency(engine: Engine) -> None:
    """As many at once as Python's own thread pool runs by default."""
    expected = min(32, (os.cpu_count() or 1) + 4)
    if hasattr(os, "process_cpu_count"):
        expected = min(32, (os.process_cpu_count() or 1) + 4)
    gauge = Gauge()
    full = threading.Event()

    def one(n: int) -> dict[str, list[int]]:
        with gauge:
            if gauge.inside == expected:
                full.set()
            assert full.wait(10)
            time.sleep(0.005)
        return {"found": [n]}

    mapping(one).invoke({"count": 2 * expected, "found": []})
    assert gauge.most == expected
    engine.check()


@pytest.mark.parametrize("limit", [0, -1])
@pytest.mark.parametrize("width", [1, 2])
def test_impossible_concurrency(limit: int, width: int) -> None:
    graph = fan_out(*[lambda state: {"total": 1}] * width)
    assert (
        both(
            lambda chunks: graph.invoke({"total": 0}, {"max_concurrency": limit}), covered=False
        ).kind
        is ValueError
    )


def test_nested_runs_do_not_starve(engine: Engine) -> None:
    """Runs inside tasks of runs get threads, however narrow the outer run is."""
    inner = mapping(lambda n: {"found": [n]})
    middle = mapping(lambda n: {"found": [inner.invoke({"count": 3, "found": []})["count"]]})
    outer = mapping(lambda n: {"found": [middle.invoke({"count": 3, "found": []})["count"]]})
    result = outer.invoke({"count": 4, "found": []}, {"max_concurrency": 2})
    assert result == {"count": 36, "found": [9] * 4}
    engine.check()


def test_threads_are_used_again(compiled: Engine) -> None:
    """Worker threads outlive the run; their number does not grow with the runs."""
    graph = mapping(lambda n: {"found": [n]})
    for _ in range(10):
        graph.invoke({"count": 8, "found": []})
    before = threading.active_count()
    for _ in range(100):
        graph.invoke({"count": 8, "found": []})
    assert threading.active_count() <= before
    compiled.check()


def test_the_first_failure_drops_what_has_not_started() -> None:
    def call(chunks: list[Any]) -> Any:
        started: list[int] = []

        def one(n: int) -> Any:
            started.append(n)
            if n == 0:
                time.sleep(0.02)
                raise ValueError("first")
            time.sleep(0.2)

        try:
            return mapping(one).invoke({"count": 50, "found": []}, {"max_concurrency": 2})
        finally:
            chunks.append(len(started) < 10)

    assert both(call).chunks == [True]


def test_a_run_returns_after_all_it_started(engine: Engine) -> None:
    """After a failure, too, no task of the run is left running."""
    gauge = Gauge()
    entered = threading.Event()

    def one(n: int) -> Any:
        if n == 0:
            assert entered.wait(10)
            raise ValueError("no")
        with gauge:
            entered.set()
            time.sleep(0.05)

    with pytest.raises(ValueError, match="no"):
        mapping(one).invoke({"count": 3, "found": []})
    assert gauge.most > 0
    assert gauge.inside == 0
    engine.check()


# Other interpreters: each script is run on both engines.

PREAMBLE = """
import os, signal, sys, threading, time
from operator import add
from typing import Annotated, TypedDict
from langgraph.graph import END, START, StateGraph
import langgraph_cy

class State(TypedDict):
    total: Annotated[int, add]

def fan_out(*functions):
    builder = StateGraph(State)
    for place, function in enumerate(functions):
        builder.add_node(str(place), function)
        builder.add_edge(START, str(place))
    return builder.compile()

def one(state):
    return {"total": 1}

if sys.argv[1] == "compiled":
    langgraph_cy.install()

def used():
    stats = langgraph_cy.engine_stats()
    assert stats.stock == 0 and (stats.compiled > 0) == (sys.argv[1] == "compiled"), stats
"""


def script(body: str) -> str:
    return PREAMBLE + textwrap.dedent(body)


ENGINES = pytest.mark.parametrize("name", ["stock", "compiled"])


def test_exit_after_a_fan_out() -> None:
    done = python(
        "-c",
        script(
            """
            assert fan_out(one, one, one).invoke({"total": 0}) == {"total": 3}
            used()
            """
        ),
        "compiled",
    )
    assert (done.code, done.out, done.err) == (0, "", "")


@ENGINES
def test_exit_amid_a_run_in_a_daemon_thread(name: str) -> None:
    """A run of one task at a time, in a daemon thread, holds nobody up."""
    done = python(
        "-c",
        script(
            """
            started = threading.Event()

            def long(state):
                started.set()
                time.sleep(60)

            graph = fan_out(long)
            threading.Thread(target=graph.invoke, args=({"total": 0},), daemon=True).start()
            assert started.wait(20)
            used()
            print("leaving", flush=True)
            """
        ),
        name,
        limit=40,
    )
    assert (done.code, done.out, done.err) == (0, "leaving\n", "")
    assert done.seconds < 20


@ENGINES
def test_exit_amid_a_fan_out_in_a_daemon_thread(name: str) -> None:
    """Tasks that are running are waited for, as by any pool of Python's; then it ends."""
    done = python(
        "-c",
        script(
            """
            started = threading.Barrier(3)

            def long(state):
                started.wait(20)
                time.sleep(1)

            graph = fan_out(long, long)
            threading.Thread(target=graph.invoke, args=({"total": 0},), daemon=True).start()
            started.wait(20)
            print("leaving", flush=True)
            """
        ),
        name,
        limit=40,
    )
    assert (done.code, done.out) == (0, "leaving\n")
    assert done.err == ""


def test_exit_amid_an_abandoned_stream() -> None:
    done = python(
        "-c",
        script(
            """
            chunks = fan_out(one, one).stream({"total": 0})
            next(chunks)
            used()
            kept = [chunks]
            """
        ),
        "compiled",
    )
    assert (done.code, done.out, done.err) == (0, "", "")


def test_a_run_at_exit() -> None:
    """In an atexit function, where Python may refuse new threads: the same as stock."""
    code = script(
        """
        import atexit

        def late():
            try:
                print(graph.invoke({"total": 0}))
            except RuntimeError as error:
                print("RuntimeError", error)

        graph = fan_out(one, one)
        atexit.register(late)
        graph.invoke({"total": 0})
        """
    )
    expected, found = (python("-c", code, name) for name in ("stock", "compiled"))
    assert (found.code, found.out) == (expected.code, expected.out)
    assert found.out


@ENGINES
def test_keyboard_interrupt_while_tasks_run(name: str) -> None:
    """Control-C ends the run once its tasks have ended, and then the interpreter."""
    code = script(
        """
        import signal

        # Children of a background job ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        started = threading.Barrier(3)

        def tell():
            started.wait(20)
            print("running", flush=True)

        def long(state):
            started.wait(20)
            time.sleep(0.5)
            return {"total": 1}

        threading.Thread(target=tell, daemon=True).start()
        graph = fan_out(long, long)
        try:
            graph.invoke({"total": 0})
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        assert fan_out(one, one).invoke({"total": 0}) == {"total": 2}
        used()
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, name],
        cwd=tempfile.gettempdir(),
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "running\n"
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == (0, "interrupted\n", "")


def test_fork_after_use() -> None:
    """A child has none of its parent's worker threads, and starts its own."""
    done = python(
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        script(
            """
            graph = fan_out(one, one, one)
            assert graph.invoke({"total": 0}) == {"total": 3}
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                for _ in range(3):
                    assert graph.invoke({"total": 0}) == {"total": 3}
                used()
                sys.exit(7)
            _, status = os.waitpid(child, 0)
            assert os.waitstatus_to_exitcode(status) == 7, status
            assert graph.invoke({"total": 0}) == {"total": 3}
            used()
            """
        ),
        "compiled",
        limit=40,
    )
    assert (done.code, done.out, done.err) == (0, "", "")


def test_fork_while_others_run() -> None:
    """Children forked at any moment of other threads' runs can run graphs."""
    done = python(
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        script(
            """
            import faulthandler

            graph = fan_out(one, one)
            graph.invoke({"total": 0})  # whose late imports a fork must not come amid
            over = threading.Event()

            def busy():
                while not over.is_set():
                    graph.invoke({"total": 0})

            threads = [threading.Thread(target=busy) for _ in range(3)]
            for each in threads:
                each.start()
            try:
                for _ in range(15):
                    child = os.fork()
                    if child == 0:
                        faulthandler.dump_traceback_later(10, exit=True)
                        ok = fan_out(one, one).invoke({"total": 0}) == {"total": 2}
                        os._exit(0 if ok else 1)
                    assert os.waitpid(child, 0)[1] == 0
            finally:
                over.set()
            """
        ),
        "compiled",
        limit=60,
    )
    assert (done.code, done.out, done.err) == (0, "", "")


def test_multiprocessing() -> None:
    done = python(
        "-W",
        "ignore::DeprecationWarning",
        "-c",
        script(
            """
            import multiprocessing

            graph = fan_out(one, one)

            def work(n):
                return graph.invoke({"total": n})["total"]

            assert work(0) == 2
            if __name__ == "__main__" and "fork" in multiprocessing.get_all_start_methods():
                with multiprocessing.get_context("fork").Pool(2) as pool:
                    assert pool.map(work, range(6)) == [2, 3, 4, 5, 6, 7]
            """
        ),
        "compiled",
        limit=40,
    )
    assert (done.code, done.out, done.err) == (0, "", "")


def test_signal_handler_that_runs_a_graph(compiled: Engine) -> None:
    """A run started between two instructions of another leaves it as it was."""
    graph = chain(add_one, add_one)
    runs: list[Any] = []

    def handler(*_: Any) -> None:
        runs.append(graph.invoke({"n": 10}))

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        deadline = time.monotonic() + 20
        while len(runs) < 20 and time.monotonic() < deadline:
            assert graph.invoke({"n": 1}) == {"n": 3}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(runs) >= 20
    assert set(map(str, runs)) == {"{'n': 12}"}
    compiled.check()
