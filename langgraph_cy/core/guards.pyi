from collections.abc import Mapping
from typing import Any

def first_replaced(
    expected: list[tuple[Mapping[str, Any], str, Any]],
    allowed: dict[str, tuple[Any, ...]],
    namespace: Mapping[str, Any],
) -> str | None: ...
