"""What the engine knows of a saver beyond `BaseCheckpointSaver`, from its class."""

from __future__ import annotations

from typing import Any, TypeVar

from langgraph.checkpoint.memory import InMemorySaver

SaverClass = TypeVar("SaverClass", bound=type[Any])

_STORING = ("put", "put_writes", "aput", "aput_writes")
_SUPERSTEP = (*_STORING, "dumped_writes", "dumped_superstep", "put_dumped", "aput_dumped")

# class -> its methods, as it was made with them: one that a subclass, a test or a tracing
# product has replaced is to be called
_at_once: dict[type[Any], dict[str, Any]] = {}
_supersteps: dict[type[Any], dict[str, Any]] = {}


def at_once(saver_class: SaverClass) -> SaverClass:
    """Mark a saver's class, not its subclasses: its methods never wait for anything."""
    _at_once[saver_class] = {name: getattr(saver_class, name) for name in _STORING}
    return saver_class


def takes_supersteps(saver_class: SaverClass) -> SaverClass:
    """Mark a saver's class: it stores a superstep as a whole, by these methods.

    * `dumped_writes(config, writes, task_id, task_path)` encodes a task's writes;
    * `dumped_superstep(dumped_writes, config, checkpoint, metadata, new_versions)` encodes a
      checkpoint, and adds some of the writes that lead to it;
    * `put_dumped(supersteps)` or `aput_dumped(supersteps)` stores such supersteps in order, each
      in one transaction or all in one.
    """
    _supersteps[saver_class] = {
        name: getattr(saver_class, name) for name in _SUPERSTEP if hasattr(saver_class, name)
    }
    return saver_class


def _unchanged(saver: Any, methods: dict[str, Any]) -> bool:
    own = vars(saver)
    return all(
        getattr(type(saver), name) is method and name not in own for name, method in methods.items()
    )


def stores_at_once(saver: Any) -> bool:
    """Whether storing never waits, so that nothing is gained by doing it beside the run."""
    methods = _at_once.get(type(saver))
    return methods is not None and _unchanged(saver, methods)


def stores_supersteps(saver: Any, asynchronous: bool) -> bool:
    """Whether the saver takes a superstep's last writes together with its checkpoint."""
    for base in type(saver).__mro__:
        if (methods := _supersteps.get(base)) is not None:
            name = "aput_dumped" if asynchronous else "put_dumped"
            return name in methods and _unchanged(saver, methods)
    return False


at_once(InMemorySaver)
