"""Whether anybody watches a run: callback handlers and tracers, configured or ambient."""

from __future__ import annotations

import os
from collections.abc import Callable
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


# Likewise for `tracing_is_enabled` of langsmith, which the first of these asks.
_KNOWN_TRACING = frozenset(
    {
        "_GLOBAL_TRACING_ENABLED", "_context", "get_current_run_tree", "get_env_var",
        "_internal", "get_tracing_context", "langsmith._internal._context",
        "langsmith.run_helpers",
    }
)
# Keys as `os.environ` keeps them: a variable that is not there takes one look.
_TRACING_KEY = os.environ.encodekey("LANGCHAIN_TRACING")
_HANDLER_KEY = os.environ.encodekey("LANGCHAIN_HANDLER")


class _Tracing:
    """Where tracers register themselves: modules that are imported when a run first needs them."""

    def __init__(self) -> None:
        self.module = import_module("langchain_core.tracers.context")
        utils: Any = import_module("langsmith.utils")
        context: Any = import_module("langsmith._internal._context")
        self.hooks = self.module._configure_hooks
        self.enabled: Callable[[], Any] = self.module._tracing_v2_is_enabled
        names = set(utils.tracing_is_enabled.__code__.co_names)
        if names <= _KNOWN_TRACING and hasattr(context, "_PARENT_RUN_TREE_REF"):
            self.enabled = self._asking(vars(context), vars(utils))

    def _asking(self, context: Any, utils: Any) -> Callable[[], Any]:
        """A function that says what `_tracing_v2_is_enabled` says, sooner where that is no."""
        ask = self.module._tracing_v2_is_enabled
        callback = self.module.tracing_v2_callback_var.get
        enabled = context["_TRACING_ENABLED"].get
        parent = context["_PARENT_RUN_TREE_REF"].get

        def tracing() -> Any:
            if (
                callback() is not None
                or enabled() is not None
                or parent() is not None
                or context["_GLOBAL_TRACING_ENABLED"] is not None
            ):
                return ask()
            variable = utils["get_env_var"]
            return variable("TRACING_V2", default=variable("TRACING", default="")) == "true"

        return tracing


@cache
def _tracing() -> _Tracing:
    return _Tracing()


def nobody() -> bool:
    """Whether a run without callbacks of its own is watched by nobody.

    Asks what `CallbackManager.configure` would ask before it adds a handler, without making
    a manager; and lets it answer where the answer is not a plain no.
    """
    tracing = _tracing()
    kept = os.environ._data  # type: ignore[attr-defined]
    if (
        _SOURCES_KNOWN
        and not up.callback_managers._get_debug()
        and not tracing.enabled()
        and not (_TRACING_KEY in kept and up.env_var_is_set("LANGCHAIN_TRACING"))
        and not (_HANDLER_KEY in kept and up.env_var_is_set("LANGCHAIN_HANDLER"))
    ):
        for variable, _, handler, env_var in tracing.hooks:
            if variable.get() is not None or (handler is not None and env_var is not None):
                break
        else:
            return True
    return not watches(up.callback_managers.CallbackManager.configure())
