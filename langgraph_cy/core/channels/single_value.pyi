from typing import Any

from typing_extensions import disjoint_base

from langgraph_cy.core.channels.base import Channel

@disjoint_base
class SingleValue(Channel):
    value: Any

@disjoint_base
class GuardedValue(SingleValue):
    guard: bool
    def __init__(self, typ: Any, guard: bool = True) -> None: ...
