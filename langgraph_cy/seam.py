"""The seam between the engines: which runs the compiled engine takes, and why not the rest.

Each check answers with a reason in a few words, or with None where it finds nothing. The
reasons are what `engine_stats` counts by.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from langgraph_cy import entry_points
from langgraph_cy import upstream as up
from langgraph_cy.core.guards import Guards

# What the compiled engine does in upstream's place. Tracing products and tests replace
# some of these; a replaced one must be called, so then stock's engine runs the graph.
_BYPASSED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (
        up.PregelLoop,
        (
            "_emit",
            "_first",
            "_prepare_tasks_and_emit_checkpoint",
            "_put_checkpoint",
            "_put_exit_delta_writes",
            "_put_pending_writes",
            "_suppress_interrupt",
            "accept_push",
            "after_tick",
            "output_writes",
            "put_writes",
            "tick",
        ),
    ),
    (
        up.SyncPregelLoop,
        (
            "__enter__",
            "__exit__",
            "__init__",
            "_checkpointer_put_after_previous",
            "accept_push",
            "match_cached_writes",
            "put_writes",
            "schedule_error_handler",
        ),
    ),
    (
        up.AsyncPregelLoop,
        (
            "__aenter__",
            "__aexit__",
            "__init__",
            "_checkpointer_put_after_previous",
            "aaccept_push",
            "amatch_cached_writes",
            "aschedule_error_handler",
            "put_writes",
        ),
    ),
    (up.PregelRunner, ("__init__", "atick", "commit", "tick")),
    (up.AsyncQueue, ("wait",)),
    (up.SyncQueue, ("wait",)),
    (up.RunnableSeq, ("ainvoke", "astream", "invoke")),
    (up.RunnableCallable, ("ainvoke", "invoke")),
    (up.ChannelWrite, ("_awrite", "_write", "do_write")),
    (up.ChannelRead, ("do_read",)),
    (up.BranchSpec, ("_aroute", "_finish", "_route")),
    (
        up.pregel_main,
        ("AsyncPregelLoop", "AsyncQueue", "PregelRunner", "SyncPregelLoop", "SyncQueue", "_output"),
    ),
    (
        up.pregel_loop,
        (
            "achannels_from_checkpoint",
            "apply_writes",
            "channels_from_checkpoint",
            "create_checkpoint",
            "increment",
            "map_command",
            "map_input",
            "map_output_updates",
            "map_output_values",
            "prepare_next_tasks",
            "read_channels",
            "should_interrupt",
        ),
    ),
    (up.pregel_algo, ("_proc_input", "_triggers", "local_read", "prepare_single_task")),
    (up.pregel_runner, ("arun_with_retry", "run_with_retry")),
    *((channel, ("get", "update")) for channel in up.CHANNELS),
)


_FOREIGN = tuple(
    name
    for owner, names in _BYPASSED
    for name in names
    if entry_points.foreign(getattr(owner, name))
)
_FOUND = tuple((owner, name, vars(owner)[name]) for owner, names in _BYPASSED for name in names)
_GUARDS = Guards((owner, name, (value,)) for owner, name, value in _FOUND)


@cache
def _entry_points() -> Guards:
    """The guards of the entry points; made by the first run, when all are declared."""
    return Guards((up.Pregel, name, values) for name, values in entry_points.genuine.items())


def replaced() -> str | None:
    """Why no run may bypass upstream's engine now, None where all runs may."""
    if _FOREIGN:
        return f"upstream's {_FOREIGN[0]} has been replaced"
    name = _GUARDS.replaced() or _entry_points().replaced()
    return None if name is None else f"upstream's {name} has been replaced"


def replacements() -> list[tuple[str, Any]]:
    """Everything that stands in the place of a function of upstream's engine now.

    Returns:
        (dotted name, what stands there) pairs; empty exactly where `replaced` finds nothing.
    """
    found = [
        (f"{owner.__name__}.{name}", getattr(owner, name, None))
        for owner, name, value in _FOUND
        if vars(owner).get(name) is not value or entry_points.foreign(getattr(owner, name))
    ]
    return found + [
        (f"{up.Pregel.__name__}.{name}", entry_points.METHODS[name])
        for name in entry_points.genuine
        if not entry_points.is_genuine(name)
    ]


def unsupported_config(config: Any) -> str | None:
    """What about a run's config only stock's engine covers."""
    if up.CONFIG_KEY_RUNNER_SUBMIT in config[up.CONF]:
        return "custom runner"
    limit = config["recursion_limit"]
    if not isinstance(limit, int) or limit >= 1 << 62:
        return "unusual recursion_limit"  # upstream raises for it, or lets it pass
    most = config.get("max_concurrency")
    if not (most is None or (isinstance(most, int) and most > 0)):
        return "unusual max_concurrency"
    return None
