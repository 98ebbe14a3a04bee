"""Writes of tasks that a cache keeps (upstream: `match_cached_writes`)."""

from __future__ import annotations

from collections import deque
from typing import Any

from langgraph_cy import upstream as up


def wanted(tasks: Any) -> dict[Any, Any]:
    """The tasks that might find their writes in the cache, by (namespace, key)."""
    return {
        (key.ns, key.key): task for task in tasks if not task.writes and (key := task.cache_key)
    }


def fill(tasks: dict[Any, Any], found: Any) -> list[Any]:
    """Give tasks the writes that the cache has for them; those that got some.

    A cache may have read each of them as a list, and so they are stored.
    """
    matched = []
    for key, writes in found.items():
        tasks[key].writes.extend(writes)
        matched.append(tasks[key])
    return matched


def entry(task: Any) -> dict[Any, Any] | None:
    """What to store for a task that has ended, None where it is not to be cached.

    A task that has failed or was interrupted is not: a hit skips the node, and would skip the
    error with it.
    """
    key = task.cache_key
    if key is None or any(channel in (up.INTERRUPT, up.ERROR) for channel, _ in task.writes):
        return None
    return {(key.ns, key.key): (deque(task.writes), key.ttl)}
