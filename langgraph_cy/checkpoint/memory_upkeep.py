"""Whole threads of an `InMemorySaver`: copying, pruning and measuring them."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from langgraph.checkpoint.serde.types import _DeltaSnapshot

from langgraph_cy.checkpoint.kept import unpacked
from langgraph_cy.checkpoint.records import Namespace, Record
from langgraph_cy.checkpoint.store import Store

STRATEGIES = ("keep_latest", "delete")

_DELTA_MARKS = ("counters_since_delta_snapshot", "delta_writes_versioned")


def _has_delta(serde: Any, namespaces: Iterable[Namespace]) -> bool:
    """Whether a run with a `DeltaChannel` has stored a checkpoint in one of a thread's namespaces.

    It leaves counters in the metadata, or a value of a kind of its own.
    """
    for namespace in namespaces:
        for record in namespace.all():
            if not record.metadata(serde).keys().isdisjoint(_DELTA_MARKS):
                return True
        for key in namespace.stored_keys():
            tag, data = unpacked(namespace.kept(*key))
            plain = tag in ("json", "null", "empty", "bytes", "bytearray")
            if not plain and isinstance(serde.loads_typed((tag, data)), _DeltaSnapshot):
                return True
    return False


def _replace(
    store: Store,
    serde: Any,
    thread_id: Any,
    checkpoint_ns: str,
    records: Sequence[Record],
    parents: Sequence[Any],
) -> None:
    """Have just these records in a namespace."""
    source = store.threads[thread_id].pop(checkpoint_ns)
    if records:
        store.take(serde, thread_id, checkpoint_ns, source, records, parents)


def delete_for_runs(store: Store, serde: Any, run_ids: Sequence[str]) -> None:
    """Delete the checkpoints that have one of these run ids in their metadata, and their writes."""
    if isinstance(run_ids, str):
        raise TypeError("`run_ids` has to be a sequence of run ids, not one string")
    runs = {str(run_id) for run_id in run_ids}
    with store.lock:
        changed = []
        refused = set()
        for thread_id, namespaces in store.threads.items():
            for checkpoint_ns, namespace in namespaces.items():
                records = namespace.all()
                gone = {
                    record.id for record in records if record.metadata(serde).get("run_id") in runs
                }
                if not gone:
                    continue
                kept = [record for record in records if record.id not in gone]
                if any(record.parent in gone for record in kept) and _has_delta(
                    serde, namespaces.values()
                ):
                    refused.add(thread_id)
                changed.append((thread_id, checkpoint_ns, kept))
        if refused:
            raise NotImplementedError(
                "Checkpoints can't be deleted that later ones of a thread with a DeltaChannel are"
                f" made from: {_listed(refused)}. Delete the later runs, too."
            )
        for thread_id, checkpoint_ns, kept in changed:
            parents = [record.parent for record in kept]
            _replace(store, serde, thread_id, checkpoint_ns, kept, parents)


def copy_thread(store: Store, serde: Any, source: Any, target: Any) -> None:
    """Copy all checkpoints and writes of a thread to another."""
    if source == target:
        return
    with store.lock:
        for checkpoint_ns, namespace in list(store.threads.get(source, {}).items()):
            records = namespace.all()
            parents = [record.parent for record in records]
            store.take(serde, target, checkpoint_ns, namespace, records, parents)
        store.copy_early(source, target)


def prune(store: Store, serde: Any, thread_ids: Any, strategy: str) -> None:
    """Delete all of some threads, or all but the latest checkpoints."""
    if isinstance(thread_ids, str):
        raise TypeError("`thread_ids` has to be a sequence of thread ids, not one string")
    if strategy not in STRATEGIES:
        raise ValueError(f"Unknown strategy {strategy!r}: it can be one of {STRATEGIES}")
    threads = list(thread_ids)
    with store.lock:
        if strategy == "delete":
            for thread_id in threads:
                store.forget(thread_id)
            return
        delta = [
            thread_id
            for thread_id in threads
            if _has_delta(serde, store.threads.get(thread_id, {}).values())
        ]
        if delta:
            raise NotImplementedError(
                "'keep_latest' can't prune a thread with a DeltaChannel, whose value is made from"
                f" older checkpoints: {_listed(delta)}. Leave such threads out, or use 'delete'."
            )
        for thread_id in threads:
            _keep_latest(store, serde, thread_id)


def _keep_latest(store: Store, serde: Any, thread_id: Any) -> None:
    namespaces = store.threads.get(thread_id, {})
    root = namespaces[""].latest() if "" in namespaces else None
    older_roots = {record.id for record in namespaces[""].all()} if root else set()
    older_roots.discard(root.id if root else None)
    for checkpoint_ns, namespace in list(namespaces.items()):
        latest = namespace.latest()
        if latest is None:
            continue
        if ":" in checkpoint_ns:
            parents = latest.metadata(serde).get("parents") or {}
            if parents.get("") in older_roots:  # else it may be stored before the root's is
                _replace(store, serde, thread_id, checkpoint_ns, [], [])
                continue
        _replace(store, serde, thread_id, checkpoint_ns, [latest], [None])


def size(store: Store, thread_id: Any) -> int:
    """The bytes of memory that a thread takes."""
    with store.lock:
        held = [
            each
            for namespace in store.threads.get(thread_id, {}).values()
            for each in namespace.held()
        ]
        held += store.held_early(thread_id)
    return sum(sys.getsizeof(each) for each in {id(each): each for each in held}.values())


def _listed(thread_ids: Collection[Any]) -> str:
    return ", ".join(sorted(map(str, thread_ids)))
