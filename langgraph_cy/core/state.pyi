from typing import Any

from typing_extensions import Self, disjoint_base

from langgraph_cy.core.plan import Plan

@disjoint_base
class RunState:
    def __new__(cls, plan: Plan | None) -> Self: ...
    @property
    def plan(self) -> Plan: ...
    def named(self) -> dict[str, Any]: ...
