"""The side effects of a run's tasks: one line for each start and each end, durable at once."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START, DONE, CALL, RETURN, FINISH = "start", "done", "call", "return", "finish"


@dataclasses.dataclass(frozen=True)
class Line:
    """One event of a thread.

    Attributes:
        attempt: which process it was, counted from 1.
        event: a task starts or is done; the graph is called or returns; the thread is finished.
        label: names the task, the same in every attempt; empty for other events.
        ns: the checkpoint namespace of the task.
        step: its superstep.
        task: its id.
    """

    attempt: int
    event: str
    label: str = ""
    ns: str = ""
    step: int = 0
    task: str = ""

    @property
    def superstep(self) -> tuple[str, int]:
        """Where the task ran."""
        return (self.ns, self.step)


class Journal:
    """What a run appends to.

    Args:
        path: the file.
        attempt: which process this is.
    """

    def __init__(self, path: str | Path, attempt: int) -> None:
        self.attempt = attempt
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, event: str, **facts: Any) -> None:
        """Append a line; it is on the disk when this returns."""
        line = json.dumps({"attempt": self.attempt, "event": event, **facts}) + "\n"
        # one write: lines of other threads, and the kill, come before or after it
        os.write(self._file, line.encode())
        os.fsync(self._file)

    @contextmanager
    def task(self, label: str, config: Any) -> Iterator[None]:
        """Note that a task starts, and that it is done.

        Args:
            config: the task's own, which says where it runs.
        """
        metadata = config["metadata"]
        ns, _, task = metadata["langgraph_checkpoint_ns"].rpartition("|")
        facts = {
            "label": label,
            "ns": ns,
            "step": metadata["langgraph_step"],
            "task": task.rpartition(":")[2],
        }
        self.note(START, **facts)
        yield
        self.note(DONE, **facts)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def read(path: Path) -> list[Line]:
    """All lines so far."""
    if not path.exists():
        return []
    return [Line(**json.loads(line)) for line in path.read_text("utf-8").splitlines()]
