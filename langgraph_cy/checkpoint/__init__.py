"""Savers and the serializer of checkpoints, each a subclass of upstream's of a like name.

A saver of SQLite or PostgreSQL is imported when it is first asked for: its package is optional.
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
    found = getattr(import_module(f"{__name__}.{module}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
