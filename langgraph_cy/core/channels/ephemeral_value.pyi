from inspect import Signature
from typing import ClassVar

from langgraph_cy.core.channels.single_value import GuardedValue

class EphemeralValue(GuardedValue):
    __slots__ = ("guard", "value")
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
