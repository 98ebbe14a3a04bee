"""Processes that are cheap to start and to kill: forks of one that has imported everything.

Runs as a process of its own, with one thread, which is what a fork may be taken of. It takes one
order a line on standard input and answers each with one line on standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TESTS = Path(__file__).resolve().parent.parent
# How often a gate is looked for.
_GATE_SECONDS = 0.005
_MAIN = "import sys; sys.path.append(sys.argv[1]); from crash import zygote; zygote.main()"


class Zygote:
    """The client's side: starts the process, gives it orders, and ends it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, str(_TESTS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # not the root of the repository, whose uncompiled package would come first
            cwd=tempfile.gettempdir(),
            text=True,
        )

    def run(
        self, spec: dict[str, Any], delay: float | None = None, gate: Path | None = None
    ) -> dict[str, Any]:
        """Run a thread in a fork, and wait for its end.

        Args:
            spec: what to run, see `_run`.
            delay: seconds after which the fork is killed; None to let it finish.
            gate: the fork is killed when this file exists.

        Returns:
            `killed`: whether the kill came before the end; `code`: the exit code, negative for a
            signal; `seconds`: how long it lived; `ready`: after how many of them the saver was
            open, None where it never was.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {"spec": spec, "delay": delay, "gate": gate and str(gate)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the zygote ended with exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        """End the process."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _run(spec: dict[str, Any], ready: Callable[[], object]) -> None:
    """Work on a thread until it is finished.

    Args:
        ready: called when the saver is open.
        spec: `shape`, `asynchronous`, `durability`, `engine`, `thread`, `journal`, `attempt`, and
            what `databases.opened` takes.
    """
    import langgraph_cy

    from . import shapes
    from .databases import aopened, opened
    from .journal import Journal

    journal = Journal(spec["journal"], spec["attempt"])
    config = {"configurable": {"thread_id": spec["thread"]}, "recursion_limit": 100}
    shape, durability = spec["shape"], spec["durability"]
    if spec["engine"] == "compiled":
        langgraph_cy.install()

    async def run_async() -> None:
        async with aopened(spec) as saver:
            graph = shapes.compiled(shape, journal, saver, asynchronous=True)
            ready()
            await shapes.await_drive(graph, config, durability, journal)

    if spec["asynchronous"]:
        asyncio.run(run_async())
    else:
        with opened(spec) as saver:
            graph = shapes.compiled(shape, journal, saver, asynchronous=False)
            ready()
            shapes.drive(graph, config, durability, journal)
    stats = langgraph_cy.engine_stats()
    if spec["engine"] == "compiled" and stats.stock:
        raise AssertionError(f"runs went to stock's engine: {stats}")
    journal.close()


def _fork(spec: dict[str, Any]) -> tuple[int, int]:
    """Start a run in a fork.

    Returns:
        Its process id, and a pipe that gives a byte when its saver is open, and closes with its
        end.
    """
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        os.close(reading)
        # standard output carries the answers: nothing that a run prints may get there
        os.dup2(2, 1)
        _run(spec, lambda: os.write(writing, b"."))
        code = 0
    except BaseException:
        with open(spec["errors"], "a", encoding="utf-8") as errors:
            traceback.print_exc(file=errors)
    finally:
        os._exit(code)  # no clean-up of what belongs to the parent


def _order(spec: dict[str, Any], delay: float | None, gate: str | None) -> dict[str, Any]:
    start = time.monotonic()
    pid, reading = _fork(spec)
    ready = None
    while True:
        left = None if delay is None else start + delay - time.monotonic()
        if gate is not None:
            left = -1.0 if os.path.exists(gate) else _GATE_SECONDS
        if left is not None and left <= 0:
            os.kill(pid, signal.SIGKILL)
            break
        readable, _, _ = select.select([reading], [], [], left)
        if readable:
            if not os.read(reading, 1):
                break  # it has ended by itself
            ready = time.monotonic() - start
    _, status = os.waitpid(pid, 0)
    os.close(reading)
    code = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - start
    return {"killed": code == -signal.SIGKILL, "code": code, "ready": ready, "seconds": seconds}


def _warm() -> None:
    """Import and use what runs need, without starting a thread."""
    import importlib

    import langgraph_cy

    from . import shapes
    from .databases import saver_class
    from .journal import Journal

    for kind in ("sqlite", "postgres"):
        for savers in ("ours", "stock"):
            for asynchronous in (False, True):
                with contextlib.suppress(ImportError):  # an optional package
                    saver_class(kind, savers, asynchronous)
    importlib.import_module("concurrent.futures.thread")
    from langgraph.checkpoint.memory import InMemorySaver

    langgraph_cy.install()
    config = {"configurable": {"thread_id": "warm"}, "recursion_limit": 100}
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder, "journal"), 0)
        graph = shapes.compiled("loop", journal, InMemorySaver(), asynchronous=False)
        shapes.drive(graph, config, "async", journal)
        graph = shapes.compiled("loop", journal, InMemorySaver(), asynchronous=True)
        asyncio.run(shapes.await_drive(graph, config, "async", journal))
        journal.close()
    langgraph_cy.uninstall()
    langgraph_cy.reset_engine_stats()


def main() -> None:
    """Take orders until there are no more."""
    _warm()
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(_order(**order)), flush=True)
