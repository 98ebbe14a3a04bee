from collections.abc import Iterable
from typing import Any

from typing_extensions import disjoint_base

@disjoint_base
class Guards:
    def __init__(self, allowed: Iterable[tuple[Any, str, tuple[Any, ...]]]) -> None: ...
    def replaced(self) -> str | None: ...
