"""The in-memory saver."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
)
from langgraph.checkpoint.memory import InMemorySaver as StockInMemorySaver
from langgraph.checkpoint.serde.base import SerializerProtocol

from langgraph_cy.checkpoint import memory_upkeep as upkeep
from langgraph_cy.checkpoint.kept import unpacked
from langgraph_cy.checkpoint.memory_views import View, blobs_of, storage_of, writes_of
from langgraph_cy.checkpoint.records import Namespace, Record
from langgraph_cy.checkpoint.serializer import OrjsonSerializer
from langgraph_cy.checkpoint.store import Store
from langgraph_cy.checkpoint.task_writes import write_items
from langgraph_cy.drivers.savers import at_once

__all__ = ("InMemorySaver",)


def _address(thread_id: Any, checkpoint_ns: str, checkpoint_id: str) -> RunnableConfig:
    return {
        "configurable": {
            "thread_id": thread_id,
            "checkpoint_ns": checkpoint_ns,
            "checkpoint_id": checkpoint_id,
        }
    }


@at_once
class InMemorySaver(StockInMemorySaver):
    """Stands in for upstream's `InMemorySaver`.

    A checkpoint is kept as what changed against the one before, a list of messages as what came
    to it. `storage`, `writes` and `blobs` show what upstream's would hold; changing them by hand
    makes the saver keep everything as upstream's does from then on.

    Any number of threads may use a saver at once. What `put` and `put_writes` are given is encoded
    before they return, and nothing is kept where that fails.

    Args:
        serde: serializer of checkpoints and writes. None: an `OrjsonSerializer`.
        factory: as upstream's: another one than `defaultdict`, such as `PersistentDict`, makes
            `storage`, `writes` and `blobs`, in which all is kept as upstream keeps it.
    """

    serde: SerializerProtocol = OrjsonSerializer()
    storage: Any = View(storage_of)
    writes: Any = View(writes_of)
    blobs: Any = View(blobs_of)

    def __init__(
        self,
        *,
        serde: SerializerProtocol | None = None,
        factory: type[defaultdict[Any, Any]] = defaultdict,
    ) -> None:
        self._store: Store | None = None
        if factory is not defaultdict:
            super().__init__(serde=serde, factory=factory)
            return
        BaseCheckpointSaver.__init__(self, serde=serde)
        self.stack = ExitStack()
        self._store = Store()

    def unpack(self) -> None:
        """Keep everything as upstream's saver does from now on, in dictionaries to be changed."""
        if self._store is None:
            return
        storage: Any = defaultdict(lambda: defaultdict(dict))
        for thread_id, namespaces in self.storage.items():
            for checkpoint_ns, checkpoints in namespaces.items():
                storage[thread_id][checkpoint_ns].update(checkpoints)
        writes: Any = defaultdict(dict)
        for key, stored in self.writes.items():
            writes[key].update(stored)
        blobs = defaultdict(None, self.blobs)
        self.storage, self.writes, self.blobs = storage, writes, blobs
        self._store = None

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint, as upstream's `put` does."""
        if self._store is None:
            return super().put(config, checkpoint, metadata, new_versions)
        stored: RunnableConfig = self._store.put(
            self.serde, config, checkpoint, metadata, new_versions
        )
        return stored

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Keep the writes of a task, as upstream's `put_writes` does."""
        if self._store is None:
            super().put_writes(config, writes, task_id, task_path)
        else:
            self._store.put_writes(self.serde, config, writes, task_id, task_path)

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Find a checkpoint, as upstream's `get_tuple` does."""
        if self._store is None:
            return super().get_tuple(config)
        conf = config["configurable"]
        thread_id, checkpoint_ns = conf["thread_id"], conf.get("checkpoint_ns", "")
        namespace = self._store.namespace(thread_id, checkpoint_ns)
        if checkpoint_id := get_checkpoint_id(config):
            record = namespace.find(checkpoint_id)
        else:
            record = namespace.latest()
        if record is None:
            return None
        address = config if checkpoint_id else _address(thread_id, checkpoint_ns, record.id)
        metadata = record.metadata(self.serde)
        return self._loaded(thread_id, checkpoint_ns, namespace, record, metadata, address)

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Find checkpoints, as upstream's `list` does: in each namespace the newest first."""
        if self._store is None:
            yield from super().list(config, filter=filter, before=before, limit=limit)
            return
        conf = config["configurable"] if config else {}
        only_ns = conf.get("checkpoint_ns")
        only_id = get_checkpoint_id(config) if config else None
        end = get_checkpoint_id(before) if before else None
        if config:
            self._store.thread(conf["thread_id"])
        for thread_id in [conf["thread_id"]] if config else [*self._store.threads]:
            for checkpoint_ns, namespace in [*self._store.threads.get(thread_id, {}).items()]:
                if only_ns is not None and checkpoint_ns != only_ns:
                    continue
                for record in namespace.newest_first():
                    if (only_id and record.id != only_id) or (end and record.id >= end):
                        continue
                    metadata = record.metadata(self.serde)
                    if filter and any(value != metadata.get(key) for key, value in filter.items()):
                        continue
                    if limit is not None and limit <= 0:
                        return
                    if limit is not None:
                        limit -= 1
                    address = _address(thread_id, checkpoint_ns, record.id)
                    yield self._loaded(
                        thread_id, checkpoint_ns, namespace, record, metadata, address
                    )

    def _loaded(
        self,
        thread_id: Any,
        checkpoint_ns: str,
        namespace: Namespace,
        record: Record,
        metadata: Any,
        address: RunnableConfig,
    ) -> CheckpointTuple:
        checkpoint = record.checkpoint(self.serde)
        values = namespace.values(self.serde, checkpoint["channel_versions"])
        return CheckpointTuple(
            config=address,
            checkpoint={**checkpoint, "channel_values": values},  # type: ignore[typeddict-item]
            metadata=metadata,
            parent_config=(
                _address(thread_id, checkpoint_ns, record.parent) if record.parent else None
            ),
            pending_writes=[
                (task_id, channel, self.serde.loads_typed(unpacked(value)))
                for _, task_id, _, channel, value in self._sorted_writes(
                    thread_id, checkpoint_ns, record.id
                )
            ],
        )

    def _sorted_writes(
        self, thread_id: Any, checkpoint_ns: str, checkpoint_id: str
    ) -> Sequence[tuple[Any, ...]]:
        """Path, task id, index, channel and value as it is kept, in the order of upstream's."""
        assert self._store is not None
        found = write_items(self._store.writes(thread_id, checkpoint_ns, checkpoint_id) or ())
        if len(found) > 1:
            found.sort(key=lambda write: write[:3])
        return found

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Find what channels are made from, as upstream's `get_delta_channel_history` does."""
        if self._store is None:
            return super().get_delta_channel_history(config=config, channels=channels)
        if not channels:
            return {}
        conf = config["configurable"]
        thread_id, checkpoint_ns = conf["thread_id"], conf.get("checkpoint_ns", "")
        histories: dict[str, DeltaChannelHistory] = {name: {"writes": []} for name in channels}
        namespace = self._store.threads.get(thread_id, {}).get(checkpoint_ns)
        if namespace is None:
            return histories
        checkpoint_id = get_checkpoint_id(config)
        record = namespace.find(checkpoint_id) if checkpoint_id else namespace.latest()
        remaining = set(channels)
        while remaining and record is not None and record.parent is not None:
            record = namespace.find(record.parent)
            if record is None:
                break
            found = write_items(self._store.writes(thread_id, checkpoint_ns, record.id) or ())
            found = [write for write in found if write[3] in remaining]
            found.sort(key=lambda write: write[:3], reverse=True)
            for _, task_id, _, channel, value in found:
                value = self.serde.loads_typed(unpacked(value))
                histories[channel]["writes"].append((task_id, channel, value))
            versions = (record.checkpoint(self.serde) or {}).get("channel_versions", {})
            wanted = {name: versions[name] for name in remaining if versions.get(name) is not None}
            for name, value in namespace.values(self.serde, wanted).items():
                histories[name]["seed"] = value
                remaining.discard(name)
        for history in histories.values():
            history["writes"].reverse()
        return histories

    def delete_thread(self, thread_id: str) -> None:
        """Delete all checkpoints and writes of a thread."""
        if self._store is None:
            super().delete_thread(thread_id)
        else:
            self._store.forget(thread_id)

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of some runs, and their writes.

        Args:
            run_ids: values of `run_id` in the metadata of checkpoints.

        Raises:
            TypeError: `run_ids` is one string.
            NotImplementedError: a checkpoint that would stay follows one that would go, in a
                thread with a `DeltaChannel`, whose value is made from both. Nothing is deleted.
        """
        if self._store is None:
            super().delete_for_runs(run_ids)
        else:
            upkeep.delete_for_runs(self._store, self.serde, run_ids)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy all checkpoints and writes of a thread to another.

        Args:
            source_thread_id: what to copy.
            target_thread_id: where to; checkpoints that it has with the same ids are replaced.
        """
        if self._store is None:
            super().copy_thread(source_thread_id, target_thread_id)
        else:
            upkeep.copy_thread(self._store, self.serde, source_thread_id, target_thread_id)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete what some threads no longer need.

        Args:
            thread_ids: the threads.
            strategy: `"keep_latest"` keeps the latest checkpoint of each namespace with its
                pending writes, without a parent; the namespace of a subgraph call goes with the
                checkpoint of the root graph that it started from. `"delete"` keeps nothing.

        Raises:
            TypeError: `thread_ids` is one string.
            ValueError: there is no such strategy.
            NotImplementedError: a thread has a `DeltaChannel`, whose latest value is made from
                older checkpoints too, and the strategy is `"keep_latest"`. Nothing is pruned.
        """
        if self._store is None:
            super().prune(thread_ids, strategy=strategy)
        else:
            upkeep.prune(self._store, self.serde, thread_ids, strategy)

    def size(self, thread_id: str) -> int:
        """The bytes of memory that a thread's checkpoints, values and writes take.

        What several of the thread's share counts once, and counts for every thread that has it.

        Raises:
            NotImplementedError: the saver keeps them in what a `factory` of its own made.
        """
        if self._store is None:
            raise NotImplementedError(
                f"Can't measure thread {thread_id!r}: its checkpoints are in what `factory` made. "
                "Make the saver without `factory`, or measure them there."
            )
        return upkeep.size(self._store, thread_id)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """`list`, for a running event loop."""
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """`put`, for a running event loop."""
        return self.put(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """`put_writes`, for a running event loop."""
        self.put_writes(config, writes, task_id, task_path)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """`delete_for_runs`, for a running event loop."""
        self.delete_for_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """`copy_thread`, for a running event loop."""
        self.copy_thread(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """`prune`, for a running event loop."""
        self.prune(thread_ids, strategy=strategy)

    async def asize(self, thread_id: str) -> int:
        """`size`, for a running event loop."""
        return self.size(thread_id)
