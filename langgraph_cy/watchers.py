"""Whether anybody watches a run: callback handlers and tracers, configured or ambient."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from langgraph_cy import upstream as up

# The names that `langchain_core`'s `_configure` uses. As long as it uses no others, the
# sources of handlers that `nobody` asks are all there are.
_KNOWN = frozenset(
    {
        "ConsoleCallbackHandler", "Exception", "LangChainTracer", "RuntimeError",
        "StdOutCallbackHandler", "_configure_hooks", "_external_run_ids", "_get_debug",
        "_get_tracer_kwargs", "_tracing_v2_is_enabled", "add_handler", "add_metadata", "add_tags",
        "any", "cast", "copy", "copy_with_metadata_defaults", "dotted_order", "env_var_is_set",
        "get", "get_tracing_context", "handlers", "id", "inheritable_handlers",
        "inheritable_metadata", "inheritable_tags", "isinstance",
        "langchain_core.tracers.context", "langchain_core.tracers.langchain",
        "langchain_core.tracers.stdout", "langsmith.run_helpers", "list", "logger", "metadata",
        "order_map", "parent_run_id", "repr", "run_map", "setdefault", "str", "tags", "trace_id",
        "tracing_v2_callback_var", "warning",
    }
)
_SOURCES_KNOWN = set(up.callback_managers._configure.__code__.co_names) <= _KNOWN


def watches(manager: Any) -> bool:
    """Whether a callback manager has a handler that would see the run, or what runs inside it."""
    return bool(manager.handlers or manager.inheritable_handlers)


@cache
def _tracing() -> Any:
    """Where tracers register themselves: a module that is imported when a run first needs it."""
    return import_module("langchain_core.tracers.context")


def nobody() -> bool:
    """Whether a run without callbacks of its own is watched by nobody.

    Asks what `CallbackManager.configure` would ask before it adds a handler, without making
    a manager; and lets it answer where the answer is not a plain no.
    """
    tracing = _tracing()
    if (
        _SOURCES_KNOWN
        and not up.callback_managers._get_debug()
        and not tracing._tracing_v2_is_enabled()
        and not up.env_var_is_set("LANGCHAIN_TRACING")
        and not up.env_var_is_set("LANGCHAIN_HANDLER")
    ):
        for variable, _, handler, env_var in tracing._configure_hooks:
            if variable.get() is not None or (handler is not None and env_var is not None):
                break
        else:
            return True
    return not watches(up.callback_managers.CallbackManager.configure())
