"""Upstream's conformance suite for checkpointers, in full, on every saver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import Capability

from langgraph_cy.checkpoint import (
    AsyncPostgresSaver,
    AsyncSqliteSaver,
    InMemorySaver,
    PostgresSaver,
    SqliteSaver,
)


@contextlib.asynccontextmanager
async def memory(database: str) -> AsyncIterator[BaseCheckpointSaver]:
    yield InMemorySaver()


@contextlib.asynccontextmanager
async def sqlite(database: str) -> AsyncIterator[BaseCheckpointSaver]:
    with SqliteSaver.from_conn_string(":memory:") as saver:
        yield saver


@contextlib.asynccontextmanager
async def async_sqlite(database: str) -> AsyncIterator[BaseCheckpointSaver]:
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        yield saver


@contextlib.asynccontextmanager
async def postgres(database: str) -> AsyncIterator[BaseCheckpointSaver]:
    with PostgresSaver.from_conn_string(database) as saver:
        saver.setup()
        yield saver


@contextlib.asynccontextmanager
async def async_postgres(database: str) -> AsyncIterator[BaseCheckpointSaver]:
    async with AsyncPostgresSaver.from_conn_string(database) as saver:
        await saver.setup()
        yield saver


SYNC = [memory, sqlite, async_sqlite, postgres, async_postgres]
ASYNC = [memory, async_sqlite, async_postgres]
CASES = [(made, False) for made in SYNC] + [(made, True) for made in ASYNC]
IDS = [f"{made.__name__}-{'async' if awaited else 'sync'}" for made, awaited in CASES]


def on_threads(saver: BaseCheckpointSaver) -> BaseCheckpointSaver:
    """A saver whose asynchronous methods, all that the suite calls, are a saver's synchronous ones.

    Each call is on another thread than the event loop's: an asynchronous saver needs that. What
    the saver does not offer, this does not offer either.
    """

    def awaited(method: Callable[..., Any]) -> Callable[..., Any]:
        async def call(self: Any, *args: Any, **options: Any) -> Any:
            return await asyncio.to_thread(method, *args, **options)

        return call

    async def alist(self: Any, *args: Any, **options: Any) -> AsyncIterator[Any]:
        for found in await asyncio.to_thread(lambda: list(saver.list(*args, **options))):
            yield found

    methods: dict[str, Any] = {"alist": alist}
    for capability in set(Capability) - {Capability.LIST}:
        name = capability.value
        if getattr(type(saver), name) is not getattr(BaseCheckpointSaver, name):
            methods[f"a{name}"] = awaited(getattr(saver, name))
    return type(f"{type(saver).__name__}OnThreads", (BaseCheckpointSaver,), methods)()


@pytest.mark.parametrize("capability", [capability.value for capability in Capability])
@pytest.mark.parametrize(("made", "awaited"), CASES, ids=IDS)
async def test_saver(
    made: Callable[[str], Any], awaited: bool, capability: str, request: pytest.FixtureRequest
) -> None:
    database = ""
    if made in (postgres, async_postgres):
        database = request.getfixturevalue("postgres_database")

    @checkpointer_test(name=made.__name__)
    async def checkpointer() -> AsyncIterator[BaseCheckpointSaver]:
        async with made(database) as saver:
            yield saver if awaited else on_threads(saver)

    report = await validate(checkpointer, capabilities={capability})
    result = report.results[capability]
    assert result.detected
    assert result.failures == []
    assert result.tests_passed > 0
