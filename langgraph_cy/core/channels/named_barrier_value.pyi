from collections.abc import Iterable
from inspect import Signature
from typing import Any, ClassVar

from typing_extensions import disjoint_base

from langgraph_cy.core.channels.base import Channel

@disjoint_base
class Barrier(Channel):
    names: set[Any]
    seen: set[Any]
    def __init__(self, typ: Any, names: set[Any]) -> None: ...
    def update(self, values: Iterable[Any]) -> bool: ...

class NamedBarrierValue(Barrier):
    __slots__ = ("names", "seen")
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's

class NamedBarrierValueAfterFinish(Barrier):
    __slots__ = ("finished", "names", "seen")
    __signature__: ClassVar[Signature]
    finished: bool
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
