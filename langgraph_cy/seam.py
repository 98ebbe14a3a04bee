"""The seam between the engines: which runs the compiled engine takes, and why not the rest.

Each check answers with a reason in a few words, or with None where it finds nothing. The
reasons are what `engine_stats` counts by.
"""

from __future__ import annotations

import os
import warnings
from importlib.metadata import version
from typing import Any

from langgraph_cy import upstream as up
from langgraph_cy._core import COMPILED, first_replaced

UPSTREAM_VERSION = "1.2.22"
ANY_UPSTREAM = "LANGGRAPH_CY_ANY_UPSTREAM"

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
            "_suppress_interrupt",
            "after_tick",
            "output_writes",
            "put_writes",
            "tick",
        ),
    ),
    (
        up.SyncPregelLoop,
        ("__enter__", "__exit__", "__init__", "accept_push", "match_cached_writes", "put_writes"),
    ),
    (up.PregelRunner, ("__init__", "commit", "tick")),
    (up.RunnableSeq, ("invoke",)),
    (up.RunnableCallable, ("invoke",)),
    (up.ChannelWrite, ("_write", "do_write")),
    (up.ChannelRead, ("do_read",)),
    (up.BranchSpec, ("_finish", "_route")),
    (up.pregel_main, ("PregelRunner", "SyncPregelLoop", "SyncQueue", "_output")),
    (
        up.pregel_loop,
        (
            "apply_writes",
            "channels_from_checkpoint",
            "create_checkpoint",
            "increment",
            "map_input",
            "map_output_updates",
            "map_output_values",
            "prepare_next_tasks",
            "read_channels",
        ),
    ),
    (up.pregel_algo, ("_proc_input", "_triggers", "local_read", "prepare_single_task")),
    (up.pregel_runner, ("run_with_retry",)),
    *((channel, ("get", "update")) for channel in up.CHANNELS),
)


def _foreign(value: Any) -> bool:
    """Whether a function is not upstream's own, as its place of definition tells."""
    return hasattr(value, "__wrapped__") or not value.__module__.startswith("langgraph.")


_FOREIGN = tuple(
    name for owner, names in _BYPASSED for name in names if _foreign(getattr(owner, name))
)
_EXPECTED = [
    (vars(owner), name, vars(owner)[name]) for owner, names in _BYPASSED for name in names
]
_ENTRY_POINTS = vars(up.Pregel)
# by name, everything that may stand for an entry point: upstream's own method, then ours
_genuine: dict[str, tuple[Any, ...]] = {}
# what `install` has replaced, by name
installed: dict[str, Any] = {}


def genuine_entry_point(name: str) -> bool:
    """Whether upstream's `Pregel` has its own method there, or this package's, and no other's."""
    value = _ENTRY_POINTS[name]
    return value in _genuine.get(name, ()) or not _foreign(value)


def stands_in(**methods: Any) -> None:
    """Declare this package's methods, by the names of the entry points they replace."""
    for name, method in methods.items():
        own = () if _foreign(_ENTRY_POINTS[name]) else (_ENTRY_POINTS[name],)
        _genuine[name] = (*own, method)


def _check_upstream() -> str | None:
    found = version("langgraph")
    if found == UPSTREAM_VERSION or os.environ.get(ANY_UPSTREAM, "") not in ("", "0"):
        return None
    warnings.warn(
        f"langgraph_cy stands in for the engine of langgraph {UPSTREAM_VERSION}, but {found} "
        f"is installed: graphs run on LangGraph's own engine. Install langgraph "
        f"{UPSTREAM_VERSION}, or set {ANY_UPSTREAM}=1 to try anyway.",
        RuntimeWarning,
        stacklevel=2,
    )
    return "other upstream version"


_NEVER: str | None = (
    "compiled core not loaded"
    if not COMPILED
    else _check_upstream()
    or (f"upstream's {_FOREIGN[0]} has been replaced" if _FOREIGN else None)
)


def stock_method(name: str, own: Any) -> Any:
    """The method that runs a graph on upstream's engine.

    Args:
        own: upstream's own method of that name.

    Returns:
        The wrapper that another tool has put around it, so that an accelerated graph calls it
        too; but not one put around this package's method, which would call it again.
    """
    value = _ENTRY_POINTS[name]
    return own if name in installed or value in _genuine[name] else value


def replaced() -> str | None:
    """Why no run may bypass upstream's engine now, None where all runs may."""
    if _NEVER is not None:
        return _NEVER
    name = first_replaced(_EXPECTED, _genuine, _ENTRY_POINTS)
    return None if name is None else f"upstream's {name} has been replaced"


def unsupported_graph(graph: Any) -> str | None:
    """What about a graph itself only stock's engine covers."""
    if graph.checkpointer:
        return "checkpointer"
    if graph.cache is not None:
        return "cache"
    if graph.debug:
        return "debug"
    return None


def unsupported_mode(mode: Any) -> str | None:
    """Which stream mode only stock's engine covers; None for no mode at all."""
    if not (mode is None or isinstance(mode, (str, list))):
        return "stream modes not in a list"
    for name in (mode,) if isinstance(mode, str) else mode or ():
        if name not in ("values", "updates"):
            return f"stream mode {name}"
    return None


def unsupported_call(
    *,
    print_mode: Any,
    interrupt_before: Any,
    interrupt_after: Any,
    durability: Any,
    version: str,
    subgraphs: bool = False,
    debug: bool | None = None,
    **deprecated: Any,
) -> str | None:
    """What about the other arguments of `stream` only stock's engine covers."""
    if deprecated:
        return "deprecated argument"
    if version != "v1":
        return f"stream version {version}"
    if print_mode or debug:
        return "print_mode"
    if interrupt_before or interrupt_after:
        return "static interrupt"
    if durability is not None:
        return "durability"
    if subgraphs:
        return "subgraphs=True"
    return None


def unsupported_config(conf: Any) -> str | None:
    """What in a run's `configurable` only stock's engine covers."""
    if conf.get(up.CONFIG_KEY_CHECKPOINTER):
        return "checkpointer"
    if up.CONFIG_KEY_STREAM in conf:
        return "subgraph of a streamed run"
    if up.CONFIG_KEY_RUNNER_SUBMIT in conf or up.CONFIG_KEY_NODE_FINISHED in conf:
        return "custom runner"
    if conf.get(up.CONFIG_KEY_CACHE) is not None:
        return "cache"
    return None
