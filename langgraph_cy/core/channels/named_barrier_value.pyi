# Registered as upstream's class, which to a type checker is a class derived from it.
from collections.abc import Iterable
from inspect import Signature
from typing import Any, ClassVar

from langgraph.channels.base import Value
from langgraph.channels.named_barrier_value import NamedBarrierValue as UpstreamNamedBarrierValue
from langgraph.channels.named_barrier_value import (
    NamedBarrierValueAfterFinish as UpstreamNamedBarrierValueAfterFinish,
)
from typing_extensions import disjoint_base

from langgraph_cy.core.channels.base import Channel

@disjoint_base
class Barrier(Channel):
    names: set[Any]
    seen: set[Any]
    def __init__(self, typ: Any, names: set[Any]) -> None: ...
    def update(self, values: Iterable[Any]) -> bool: ...

class NamedBarrierValue(UpstreamNamedBarrierValue[Value]):
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's

class NamedBarrierValueAfterFinish(UpstreamNamedBarrierValueAfterFinish[Value]):
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
