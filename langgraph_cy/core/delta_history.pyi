from collections.abc import Mapping
from typing import Any

from langgraph.channels.base import BaseChannel
from typing_extensions import disjoint_base

@disjoint_base
class DeltaHistory:
    def __init__(self, specs: dict[str, BaseChannel[Any, Any, Any]]) -> None: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def forced(self) -> set[str]: ...
    @property
    def late(self) -> bool: ...
    def late_writes(
        self,
        channels: Mapping[str, BaseChannel[Any, Any, Any]],
        metadata: Mapping[str, Any],
        versions: Mapping[str, Any],
    ) -> dict[tuple[str, str], list[tuple[str, Any]]]: ...
    def force_late(self) -> None: ...
