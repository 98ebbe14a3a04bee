"""What an `InMemorySaver` keeps, as upstream's would hold it, made when it is read.

Whoever changes it needs upstream's own dictionaries: the saver turns to these for good.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any

from langgraph_cy.checkpoint.kept import unpacked
from langgraph_cy.checkpoint.records import Namespace
from langgraph_cy.checkpoint.store import Store
from langgraph_cy.checkpoint.task_writes import write_items

Dictionaries = Callable[[], MutableMapping[Any, Any]]


class Seen(MutableMapping[Any, Any]):
    """A mapping of what is there when it is looked at.

    Args:
        keys: makes the keys.
        find: from a key to its value; raises KeyError where there is none.
        changed: gives the dictionary that stands for this one from now on.
        missing: makes what a subscript of a missing key gives, from the key, as a `defaultdict`
            would; None where that raises KeyError. Nothing is added.
    """

    def __init__(
        self,
        keys: Callable[[], Iterable[Any]],
        find: Callable[[Any], Any],
        changed: Dictionaries,
        missing: Callable[[Any], Any] | None = None,
    ) -> None:
        self._keys = keys
        self._find = find
        self._changed = changed
        self._missing = missing

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._find(key)
        except KeyError:
            if self._missing is None:
                raise
            return self._missing(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._changed()[key] = value

    def __delitem__(self, key: Any) -> None:
        del self._changed()[key]

    def __contains__(self, key: object) -> bool:
        try:
            self._find(key)
        except KeyError:
            return False
        return True

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self._find(key)
        except KeyError:
            return default

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._keys()))

    def __len__(self) -> int:
        return len(list(self._keys()))

    def __repr__(self) -> str:
        return repr(dict(self))


class View:
    """A saver's attribute, where the saver has none of its own by that name.

    Args:
        make: from a store, its saver's serializer and what turns the saver to upstream's
            dictionaries and gives this one, to a view.
    """

    def __init__(self, make: Callable[[Store, Any, Dictionaries], Seen]) -> None:
        self._make = make

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    def __get__(self, saver: Any, owner: type[Any]) -> Any:
        if saver is None:
            return self

        def changed() -> Any:
            saver.unpack()
            return getattr(saver, self._name)

        return self._make(saver._store, saver.serde, changed)


def _triple(key: Hashable, count: int) -> tuple[Any, ...]:
    if not isinstance(key, tuple) or len(key) != count:
        raise KeyError(key)
    return key


def storage_of(store: Store, serde: Any, changed: Dictionaries) -> Seen:
    """Thread id -> namespace -> checkpoint id -> (checkpoint, metadata, id of the parent)."""

    def checkpoints(thread_id: Any, checkpoint_ns: Any, namespace: Namespace | None) -> Seen:
        def find(checkpoint_id: Any) -> Any:
            record = None if namespace is None else namespace.find(checkpoint_id)
            if record is None:
                raise KeyError(checkpoint_id)
            return record.dumped_checkpoint(serde), record.dumped_metadata(serde), record.parent

        return Seen(
            lambda: [] if namespace is None else [record.id for record in namespace.all()],
            find,
            lambda: changed()[thread_id][checkpoint_ns],
        )

    def namespaces(thread_id: Any, found: Mapping[Any, Any]) -> Seen:
        return Seen(
            lambda: list(found),
            lambda checkpoint_ns: checkpoints(thread_id, checkpoint_ns, found[checkpoint_ns]),
            lambda: changed()[thread_id],
            lambda checkpoint_ns: checkpoints(thread_id, checkpoint_ns, None),
        )

    return Seen(
        lambda: list(store.threads),
        lambda thread_id: namespaces(thread_id, store.threads[thread_id]),
        changed,
        lambda thread_id: namespaces(thread_id, {}),
    )


def writes_of(store: Store, serde: Any, changed: Dictionaries) -> Seen:
    """(thread id, namespace, checkpoint id) -> (task id, index) -> the write with its path."""

    def find(key: Any) -> Any:
        found = store.writes(*_triple(key, 3))
        if found is None:
            raise KeyError(key)
        stored = {
            (task_id, index): (task_id, channel, unpacked(value), path)
            for path, task_id, index, channel, value in write_items(found)
        }
        return writes_at(key, stored)

    def writes_at(key: Any, stored: Mapping[Any, Any]) -> Seen:
        return Seen(lambda: stored, stored.__getitem__, lambda: changed()[key])

    return Seen(store.write_keys, find, changed, lambda key: writes_at(key, {}))


def blobs_of(store: Store, serde: Any, changed: Dictionaries) -> Seen:
    """(thread id, namespace, channel, version) -> value."""

    def keys() -> Iterator[Any]:
        for thread_id, namespaces in list(store.threads.items()):
            for checkpoint_ns, namespace in list(namespaces.items()):
                for stored in namespace.stored_keys():
                    yield thread_id, checkpoint_ns, *stored

    def find(key: Any) -> Any:
        thread_id, checkpoint_ns, name, version = _triple(key, 4)
        return unpacked(store.threads[thread_id][checkpoint_ns].kept(name, version))

    return Seen(keys, find, changed)
