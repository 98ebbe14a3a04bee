from collections.abc import Sequence
from enum import IntEnum
from typing import Any

from langgraph.types import Interrupt
from typing_extensions import disjoint_base

from langgraph_cy.core.plan import Plan
from langgraph_cy.core.tasks import Head
from langgraph_cy.run_context import RunContext

class Status(IntEnum):
    PENDING = 0
    DONE = 1
    OUT_OF_STEPS = 2
    DRAINING = 3

@disjoint_base
class Run:
    def __init__(
        self,
        plan: Plan,
        context: RunContext,
        output_keys: str | Sequence[str],
        recursion_limit: int,
        *,
        values: bool = False,
        updates: bool = False,
        paired: bool = False,
        latest_only: bool = False,
    ) -> None: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def context(self) -> RunContext: ...
    @property
    def head(self) -> Head: ...
    @property
    def step(self) -> int: ...
    @property
    def stop(self) -> int: ...
    @property
    def status(self) -> Status: ...
    @property
    def tasks(self) -> list[Any]: ...
    @property
    def values(self) -> bool: ...
    @property
    def updates(self) -> bool: ...
    @property
    def paired(self) -> bool: ...
    @property
    def latest_only(self) -> bool: ...
    @property
    def interrupts(self) -> list[Interrupt] | None: ...
    @property
    def channels(self) -> dict[str, Any]: ...
    def take_chunks(self) -> list[Any]: ...
    def close(self) -> int: ...
    def suppress(self, error: BaseException) -> bool: ...
    def latest(self) -> Any: ...
