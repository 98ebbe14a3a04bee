"""A saver that says it has stored what it has not: the tests must find that out."""

from __future__ import annotations

import queue
import threading
import time
from typing import Any

from langgraph.checkpoint import sqlite

DELAY_SECONDS = 0.02


class SqliteSaver(sqlite.SqliteSaver):
    """Upstream's, but what it is given is stored a little later."""

    def __init__(self, conn: Any, **options: Any) -> None:
        super().__init__(conn, **options)
        self._given: queue.SimpleQueue[tuple[float, Any, Any]] = queue.SimpleQueue()
        threading.Thread(target=self._store, daemon=True).start()

    def _store(self) -> None:
        while True:
            when, method, arguments = self._given.get()
            time.sleep(max(0, when - time.monotonic()))
            method(*arguments)

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        arguments = (config, checkpoint, metadata, new_versions)
        self._given.put((time.monotonic() + DELAY_SECONDS, super().put, arguments))
        names = {"checkpoint_ns": "", **config["configurable"], "checkpoint_id": checkpoint["id"]}
        return {"configurable": names}

    def put_writes(self, *arguments: Any) -> None:
        self._given.put((time.monotonic() + DELAY_SECONDS, super().put_writes, arguments))
