"""Savers, and the serializer of checkpoints."""

import asyncio

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

config: RunnableConfig = {"configurable": {"thread_id": "1", "checkpoint_ns": ""}}
serde = JsonPlusSerializer(pickle_fallback=True)
reveal_type(serde.dumps_typed({"a": 1}))
reveal_type(serde.loads_typed(("json", b"{}")))
protocol: SerializerProtocol = serde


def latest(saver: BaseCheckpointSaver[str]) -> str | None:
    found = saver.get_tuple(config)
    return None if found is None else found.checkpoint["id"]


memory = InMemorySaver(serde=serde)
reveal_type(memory)
reveal_type(memory.get_tuple(config))
reveal_type(memory.put(config, empty_checkpoint(), {"source": "input", "step": -1}, {}))
for found in memory.list(config, limit=3):
    reveal_type(found)
latest(memory)
with memory as entered:
    reveal_type(entered)

with SqliteSaver.from_conn_string(":memory:") as sqlite:
    reveal_type(sqlite)
    reveal_type(sqlite.setup())
    reveal_type(sqlite.get_next_version("1", None))
    latest(sqlite)

with PostgresSaver.from_conn_string("postgresql://", pipeline=False) as postgres:
    reveal_type(postgres)
    reveal_type(postgres.delete_thread("1"))
    latest(postgres)


async def use() -> None:
    async with AsyncSqliteSaver.from_conn_string(":memory:") as sqlite:
        reveal_type(sqlite)
        reveal_type(await sqlite.aget_tuple(config))
    async with AsyncPostgresSaver.from_conn_string("postgresql://") as postgres:
        reveal_type(postgres)
        async for found in postgres.alist(config):
            reveal_type(found)


asyncio.run(use())

# What a checker has to find.
JsonPlusSerializer(pickle=True)
InMemorySaver("memory")
memory.put(config)
memory.get_tuple("1")
SqliteSaver(":memory:")
SqliteSaver.from_conn_string(3)
PostgresSaver.from_conn_string()
