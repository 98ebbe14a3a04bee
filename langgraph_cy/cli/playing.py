"""One run of a graph on one engine, and all that its caller can see of it."""

from __future__ import annotations

import asyncio
import copy
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore

import langgraph_cy
from langgraph_cy.cli.shapes import Unordered, shape_of
from langgraph_cy.cli.timing import Counts
from langgraph_cy.pregel import stock_only

MODES = ("values", "updates", "custom", "messages", "checkpoints", "tasks", "debug")
_NEEDED = ("values", "tasks")  # they tell where supersteps end, and how wide they are


@dataclass(frozen=True)
class Chunk:
    """One chunk of a stream.

    Attributes:
        namespace: shape of the place of the graph that sent it; empty for the outermost one.
        mode: the stream mode.
        payload: shape of what was sent.
    """

    namespace: Any
    mode: str
    payload: Any

    @property
    def outermost(self) -> bool:
        """Whether the graph itself sent it, and not one below."""
        return not self.namespace.parts


@dataclass
class Transcript:
    """What a run showed.

    Attributes:
        chunks: in the order in which they came.
        error: shape of the exception that ended the run, or None.
        checkpoints: by namespace, shapes of the checkpoints, the oldest first.
        counts: which engine took the run, and those nested in it.
    """

    chunks: list[Chunk] = field(default_factory=list)
    error: Any = None
    checkpoints: dict[str, list[Any]] = field(default_factory=dict)
    counts: Counts = field(default_factory=lambda: Counts(0, 0, {}))


class Player:
    """Runs a graph on one of the engines.

    Args:
        graph: the graph.
        compiled: on the compiled engine, else on stock's.
        asynchronous: by `astream`, else by `stream`.
        modes: the stream modes to take down.
    """

    def __init__(
        self, graph: Any, *, compiled: bool, asynchronous: bool, modes: tuple[str, ...]
    ) -> None:
        self._compiled = compiled
        self._asynchronous = asynchronous
        self._modes = [mode for mode in MODES if mode in modes or mode in _NEEDED]
        self._graph = copy.copy(graph)
        self.saver: Any = graph.checkpointer
        self.own_saver = isinstance(self.saver, BaseCheckpointSaver)
        if self.saver is None:
            self.saver = self._graph.checkpointer = InMemorySaver()
        elif not self.own_saver:  # False or True, which have other meanings
            self.saver = None
        if graph.cache is not None:
            self._graph.cache = InMemoryCache()  # or the second run would find what the first left
        self.shared_store: Any = graph.store
        if type(graph.store) is InMemoryStore:
            self._graph.store = copied_store(graph.store)
            self.shared_store = None
        self._threads: list[str] = []

    def play(
        self, input: Any, config: dict[str, Any] | None, context: Any, thread: str | None
    ) -> Transcript:
        """Run the graph once, and take down what shows.

        Args:
            thread: id of the thread to run on; None for a new one.
        """
        config = copy.deepcopy(config or {})
        if self.saver is not None:
            thread = thread or str(uuid4())
            config.setdefault("configurable", {})["thread_id"] = thread
            self._threads.append(thread)
        transcript = Transcript()
        with self._engine():
            before = Counts.now()
            if self._asynchronous:
                asyncio.run(self._await(transcript, input, config, context))
            else:
                self._run(transcript, input, config, context)
            transcript.counts = Counts.now().since(before)
        return transcript

    def forget(self) -> None:
        """Delete the threads that were made, from a saver that is the graph's own."""
        if not self.own_saver:
            return
        for thread in dict.fromkeys(self._threads):
            if self._asynchronous:
                asyncio.run(self.saver.adelete_thread(thread))
            else:
                self.saver.delete_thread(thread)

    def _engine(self) -> AbstractContextManager[None]:
        return langgraph_cy.installed() if self._compiled else stock_only("run by verify")

    def _options(self, context: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"stream_mode": self._modes, "subgraphs": True}
        return options if context is None else {**options, "context": context}

    def _run(self, transcript: Transcript, input: Any, config: Any, context: Any) -> None:
        try:
            for chunk in self._graph.stream(input, config, **self._options(context)):
                transcript.chunks.append(_chunk(chunk))
        except Exception as error:
            transcript.error = shape_of(error)
        if self.saver is not None:
            _take(transcript, self._listed(config))

    async def _await(self, transcript: Transcript, input: Any, config: Any, context: Any) -> None:
        try:
            async for chunk in self._graph.astream(input, config, **self._options(context)):
                transcript.chunks.append(_chunk(chunk))
        except Exception as error:
            transcript.error = shape_of(error)
        if self.saver is not None:
            _take(transcript, [each async for each in self._alisted(config)])

    def _listed(self, config: Any) -> Iterator[Any]:
        yield from self.saver.list(_of_thread(config))

    async def _alisted(self, config: Any) -> AsyncIterator[Any]:
        async for each in self.saver.alist(_of_thread(config)):
            yield each


def copied_store(store: InMemoryStore) -> InMemoryStore:
    """A store with the same items, which changes by itself."""
    copied = InMemoryStore(index=store.index_config)
    for item in store.search((), limit=sys.maxsize):
        copied.put(item.namespace, item.key, item.value)
    return copied


def _of_thread(config: Any) -> dict[str, Any]:
    return {"configurable": {"thread_id": config["configurable"]["thread_id"]}}


def _chunk(chunk: Any) -> Chunk:
    namespace, mode, payload = chunk
    return Chunk(shape_of(namespace), mode, shape_of(payload))


def _take(transcript: Transcript, newest_first: Any) -> None:
    """Take down checkpoints by namespace, the oldest first."""
    for saved in reversed(list(newest_first)):
        namespace = saved.config["configurable"].get("checkpoint_ns", "")
        found = {
            "id": saved.config["configurable"]["checkpoint_id"],
            "parent": saved.parent_config and saved.parent_config["configurable"],
            "metadata": saved.metadata,
            "checkpoint": saved.checkpoint,
            # writes of several tasks are stored in the order in which these end
            "pending_writes": Unordered(saved.pending_writes or ()),
        }
        transcript.checkpoints.setdefault(namespace, []).append(shape_of(found))
