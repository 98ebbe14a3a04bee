from collections.abc import Callable
from inspect import Signature
from typing import Any, ClassVar

from langgraph_cy.core.channels.single_value import SingleValue

class BinaryOperatorAggregate(SingleValue):
    __slots__ = ("operator", "value")
    __signature__: ClassVar[Signature]
    operator: Callable[[Any, Any], Any]
    def __init__(self, typ: Any, operator: Callable[[Any, Any], Any]) -> None: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
