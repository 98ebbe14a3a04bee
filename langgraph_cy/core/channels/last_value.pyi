from inspect import Signature
from typing import ClassVar

from langgraph_cy.core.channels.single_value import SingleValue

class LastValue(SingleValue):
    __slots__ = ("value",)
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's

class LastValueAfterFinish(SingleValue):
    __slots__ = ("finished", "value")
    __signature__: ClassVar[Signature]
    finished: bool
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
