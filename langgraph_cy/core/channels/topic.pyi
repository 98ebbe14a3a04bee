from collections.abc import Iterable
from inspect import Signature
from typing import Any, ClassVar

from langgraph_cy.core.channels.base import Channel

class Topic(Channel):
    __slots__ = ("accumulate", "values")
    __signature__: ClassVar[Signature]
    values: list[Any]
    accumulate: bool
    def __init__(self, typ: Any, accumulate: bool = False) -> None: ...
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
    def update(self, values: Iterable[Any]) -> bool: ...
