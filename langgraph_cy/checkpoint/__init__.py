"""Savers and the serializer of checkpoints, each a subclass of upstream's of a like name.

A saver is imported when it is first asked for: the packages that those of SQLite and PostgreSQL
need are optional, and `InMemorySaver` needs the extension modules. Without these the others work
on, with LangGraph's encoding.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from langgraph_cy.checkpoint.errors import CheckpointDecodeError, UnsupportedCheckpointError
from langgraph_cy.checkpoint.serializer import OrjsonSerializer

if TYPE_CHECKING:
    from langgraph_cy.checkpoint.memory import InMemorySaver
    from langgraph_cy.checkpoint.postgres import PostgresSaver
    from langgraph_cy.checkpoint.postgres_aio import AsyncPostgresSaver
    from langgraph_cy.checkpoint.sqlite import SqliteSaver
    from langgraph_cy.checkpoint.sqlite_aio import AsyncSqliteSaver

__all__ = (
    "AsyncPostgresSaver",
    "AsyncSqliteSaver",
    "CheckpointDecodeError",
    "InMemorySaver",
    "OrjsonSerializer",
    "PostgresSaver",
    "SqliteSaver",
    "UnsupportedCheckpointError",
)

_MODULES = {
    "AsyncPostgresSaver": "postgres_aio",
    "AsyncSqliteSaver": "sqlite_aio",
    "InMemorySaver": "memory",
    "PostgresSaver": "postgres",
    "SqliteSaver": "sqlite",
}


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        found = getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(f"{__name__}."):
            raise  # a package that is optional
        # A subclass of upstream's saver would have this one's name and none of what it is for.
        raise ImportError(
            f"{__name__}.{name} is compiled, and its extension modules are missing ({error}). "
            "Reinstall langgraph-cy where a C compiler is available, or use "
            f"langgraph.checkpoint.{module}.{name}."
        ) from error
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
