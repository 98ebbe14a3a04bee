from collections.abc import Callable, Iterable
from inspect import Signature
from typing import Any, ClassVar

from langgraph_cy.core.channels.single_value import SingleValue

class DeltaChannel(SingleValue):
    __slots__ = ("reducer", "snapshot_frequency", "value")
    __signature__: ClassVar[Signature]
    reducer: Callable[[Any, list[Any]], Any]
    snapshot_frequency: int
    def __init__(
        self,
        reducer: Callable[[Any, list[Any]], Any],
        typ: Any = None,
        *,
        snapshot_frequency: int = 100,
    ) -> None: ...
    def __eq__(self, other: object, /) -> bool: ...
    __hash__: ClassVar[None]  # type: ignore[assignment]  # unhashable, as upstream's
    def replay_writes(self, writes: Iterable[tuple[str, str, Any]]) -> None: ...
