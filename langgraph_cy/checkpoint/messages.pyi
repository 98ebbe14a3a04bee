from typing import Any

from typing_extensions import disjoint_base

from langgraph_cy.checkpoint.message_schemas import Model

@disjoint_base
class Shape:
    def __init__(self, entries: tuple[Any, ...], open: bool) -> None: ...

@disjoint_base
class Layout(Shape):
    def __init__(self, model: Model) -> None: ...

def known_classes() -> list[type]: ...
