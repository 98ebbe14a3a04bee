from inspect import Signature
from typing import ClassVar

from langgraph_cy.core.channels.single_value import SingleValue

class AnyValue(SingleValue):
    __slots__ = ("typ", "value")
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
