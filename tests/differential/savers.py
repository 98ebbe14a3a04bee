"""Checkpointers for sessions: the usual one, and some that log every call with its arguments."""

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from operator import itemgetter
from typing import Any

from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.memory import InMemorySaver

from .normal import blank, public, shape
from .session import Fault, Saver


class SaverError(Exception):
    """What failing savers raise."""


class Log:
    """The calls of a saver by operation, and the one that fails."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.fault: Fault | None = None
        self.count = 0
        self.lines: dict[str, list[tuple[Any, str]]] = {}

    def call(self, operation: str, *facts: Any, ns: str = "", place: Any = 0) -> None:
        """Note a call; raise if it is the one to fail.

        Args:
            ns: the namespace it is for.
            place: what the line is sorted by. Stock saves on several threads, which
                overtake each other.
        """
        with self.lock:
            self.lines.setdefault(operation, []).append((place, repr((operation, *facts))))
            fault = self.fault
            counts = fault is not None and (operation, ns != "") == (fault.operation, fault.nested)
            self.count += counts
            if counts and self.count == fault.nth:
                raise SaverError(f"{operation} number {self.count} fails")

    def take(self) -> dict[str, list[str]]:
        """The lines since the last time."""
        with self.lock:
            lines, self.lines = self.lines, {}
        return {
            operation: [line for _, line in sorted(each, key=itemgetter(0))]
            for operation, each in lines.items()
        }


class Namespaces:
    """Namespaces in the order in which a saver first sees them: they contain task ids."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def place(self, ns: str, checkpoint_id: str) -> str:
        """What the saves of a namespace are sorted by: in its own order, which they keep."""
        return self.seen.setdefault(ns, checkpoint_id)


def namespace(config: Any) -> str:
    """The namespace that a config points at."""
    return config["configurable"].get("checkpoint_ns", "")


def place_of_writes(config: Any, writes: Any, task_path: str) -> Any:
    """What a call of `put_writes` is sorted by: its checkpoint, whose ids are in order of time."""
    return (config["configurable"]["checkpoint_id"], task_path, [channel for channel, _ in writes])


class Memory(InMemorySaver):
    """Upstream's saver, with a log: its versions are strings with random digits."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.namespaces = Namespaces()

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        facts = map(shape, (checkpoint, metadata, new_versions))
        ns = namespace(config)
        place = self.namespaces.place(ns, checkpoint["id"])
        self.log.call("put", public(config), *facts, ns=ns, place=place)
        return super().put(config, checkpoint, metadata, new_versions)

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = place_of_writes(config, writes, task_path)
        facts = (public(config), shape(writes), task_id, task_path)
        self.log.call("put_writes", *facts, ns=namespace(config), place=place)
        super().put_writes(config, writes, task_id, task_path)

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        self.log.call("get_tuple", public(config), ns=namespace(config))
        return super().get_tuple(config)

    def list(self, config: Any, **options: Any) -> Iterator[CheckpointTuple]:
        self.log.call("list", public(config), shape(options))
        return super().list(config, **options)

    def get_next_version(self, current: Any, channel: None) -> str:
        self.log.call("get_next_version", shape(current), shape(channel))
        return super().get_next_version(current, channel)


def _order(noted: Any) -> Any:
    return noted[1][0]


class Ledger(BaseCheckpointSaver[int]):
    """A saver of a user's own: whole checkpoints, versions that are integers."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.namespaces = Namespaces()
        self.saved: dict[tuple[str, str], dict[str, tuple[Any, Any, str | None]]] = {}
        self.noted: dict[tuple[str, str, str], dict[tuple[str, int], tuple[Any, str, Any]]] = {}

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        facts = map(shape, (checkpoint, metadata, new_versions))
        ns = namespace(config)
        place = self.namespaces.place(ns, checkpoint["id"])
        self.log.call("put", public(config), *facts, ns=ns, place=place)
        conf = config["configurable"]
        thread, ns = conf["thread_id"], conf["checkpoint_ns"]
        self.saved.setdefault((thread, ns), {})[checkpoint["id"]] = (
            self.serde.dumps_typed(checkpoint),
            self.serde.dumps_typed(get_checkpoint_metadata(config, metadata)),
            conf.get("checkpoint_id"),
        )
        names = {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint["id"]}
        return {"configurable": names}

    def note(
        self, config: Any, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        conf = config["configurable"]
        place = (conf["thread_id"], conf["checkpoint_ns"], conf["checkpoint_id"])
        with self.log.lock:
            noted = self.noted.setdefault(place, {})
            arrived = next((n for n, key in enumerate(noted) if key[0] == task_id), len(noted))
            for number, (channel, value) in enumerate(writes):
                key = (task_id, WRITES_IDX_MAP.get(channel, number))
                if key[1] < 0 or key not in noted:
                    order = (task_path, arrived, key[1])
                    noted[key] = (order, channel, self.serde.dumps_typed(value))

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        place = place_of_writes(config, writes, task_path)
        facts = (public(config), shape(writes), task_id, task_path)
        self.log.call("put_writes", *facts, ns=namespace(config), place=place)
        self.note(config, writes, task_id, task_path)

    def found(self, thread: str, ns: str, id: str) -> CheckpointTuple:
        checkpoint, metadata, parent = self.saved[thread, ns][id]
        noted = self.noted.get((thread, ns, id), {})

        def config(id: str) -> Any:
            names = {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": id}
            return {"configurable": names}

        return CheckpointTuple(
            config(id),
            self.serde.loads_typed(checkpoint),
            self.serde.loads_typed(metadata),
            config(parent) if parent else None,
            [
                (task_id, channel, self.serde.loads_typed(value))
                for (task_id, _), (_, channel, value) in sorted(noted.items(), key=_order)
            ],
        )

    def get_tuple(self, config: Any) -> CheckpointTuple | None:
        self.log.call("get_tuple", public(config), ns=namespace(config))
        conf = config["configurable"]
        thread, ns = conf["thread_id"], conf.get("checkpoint_ns", "")
        saved = self.saved.get((thread, ns), {})
        id = get_checkpoint_id(config) or max(saved, default=None)
        return self.found(thread, ns, id) if id in saved else None

    def list(self, config: Any, **options: Any) -> Iterator[CheckpointTuple]:
        self.log.call("list", public(config), shape(options))
        conf = config["configurable"]
        ns = conf.get("checkpoint_ns")
        only, limit = conf.get("checkpoint_id"), options.get("limit")
        before = (options.get("before") or {}).get("configurable", {}).get("checkpoint_id")
        left = limit if limit is not None else 1 << 30
        for thread, found_ns in list(self.saved):
            if thread != conf["thread_id"] or ns not in (None, found_ns):
                continue
            for id in sorted(self.saved[thread, found_ns], reverse=True):
                if left > 0 and (not only or id == only) and (not before or id < before):
                    left -= 1
                    yield self.found(thread, found_ns, id)

    def get_next_version(self, current: int | None, channel: None) -> int:
        self.log.call("get_next_version", current, channel)
        return super().get_next_version(current, channel)

    async def aput(self, *args: Any, **options: Any) -> Any:
        await asyncio.sleep(0)
        return self.put(*args, **options)

    async def aput_writes(
        self, config: Any, writes: Any, task_id: str, task_path: str = ""
    ) -> None:
        await asyncio.sleep(0)
        self.put_writes(config, writes, task_id, task_path)

    async def aget_tuple(self, config: Any) -> CheckpointTuple | None:
        await asyncio.sleep(0)
        return self.get_tuple(config)

    async def alist(self, config: Any, **options: Any) -> AsyncIterator[CheckpointTuple]:
        for found in self.list(config, **options):
            yield found


class Pathless(Ledger):
    """A saver written before `put_writes` was given `task_path`."""

    def put_writes(self, config: Any, writes: Any, task_id: str) -> None:
        place = place_of_writes(config, writes, "")
        facts = (public(config), shape(writes), task_id)
        self.log.call("put_writes", *facts, ns=namespace(config), place=place)
        self.note(config, writes, task_id, "")

    async def aput_writes(self, config: Any, writes: Any, task_id: str) -> None:
        await asyncio.sleep(0)
        self.put_writes(config, writes, task_id)


class Counting(Memory):
    """Upstream's saver with versions that are integers."""

    def get_next_version(self, current: Any, channel: None) -> Any:
        self.log.call("get_next_version", shape(current), shape(channel))
        return (current or 0) + 1


KINDS: dict[str, type[BaseCheckpointSaver]] = {
    "plain": InMemorySaver,
    "memory": Memory,
    "ledger": Ledger,
    "pathless": Pathless,
    "counting": Counting,
}
assert "task_path" not in inspect.signature(Pathless.aput_writes).parameters


def saver_of(description: Saver) -> Any:
    made = KINDS[description.kind]()
    if description.fault is not None:
        made.log.fault = description.fault
    return made


def contents(saver: Any) -> list[str]:
    """All that a saver holds, one line for each checkpoint, write and stored value."""
    if isinstance(saver, Ledger):
        found = [saver.found(*place, id) for place, ids in saver.saved.items() for id in ids]
    else:
        found = list(InMemorySaver.list(saver, None))
    found.sort(key=lambda each: each.checkpoint["id"])
    lines = [line for each in found for line in _lines(each)]
    if isinstance(saver, Ledger):
        return lines
    writes = [
        (place[2], path, number, place, task_id, channel)
        for place, written in saver.writes.items()
        for (task_id, number), (_, channel, _, path) in written.items()
    ]
    lines += map(repr, sorted(writes, key=itemgetter(0, 1, 2)))
    values = [(place, kind) for place, (kind, _) in saver.blobs.items()]
    values.sort(key=lambda value: (str(value[0][3]), value[0][2], blank(value[0][1])))
    return lines + [repr((shape(place), kind)) for place, kind in values]


def _lines(found: CheckpointTuple) -> Iterator[str]:
    yield repr(shape(found._replace(pending_writes=None)))
    # savers order the writes of tasks without a path by their ids, which is chance
    pending = [repr(("pending", shape(found.config), shape(w))) for w in found.pending_writes or ()]
    yield from sorted(pending, key=blank)
