# Registered as upstream's class, which to a type checker is a class derived from it.
from inspect import Signature
from typing import ClassVar

from langgraph.channels.base import Value
from langgraph.channels.binop import BinaryOperatorAggregate as UpstreamBinaryOperatorAggregate

class BinaryOperatorAggregate(UpstreamBinaryOperatorAggregate[Value]):
    __signature__: ClassVar[Signature]
    def __eq__(self, value: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
