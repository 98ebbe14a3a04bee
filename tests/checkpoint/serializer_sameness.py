"""Whether two values are the same to the last detail, as `==` would not say."""

import math
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel


def differs(one: Any, other: Any, path: str = "value") -> str | None:
    """Where two values differ first, None if nowhere.

    Types are compared exactly, dictionaries in order, floats with the sign of zero and NaN as
    equal to itself, pydantic models with all that pydantic keeps of them.
    """
    if type(one) is not type(other):
        return f"{path}: {type(one)} and {type(other)}"
    if isinstance(one, BaseModel):
        return differs(_parts(one), _parts(other), path)
    if isinstance(one, float):
        same = (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
        return None if same else f"{path}: {one!r} and {other!r}"
    if isinstance(one, Mapping):
        if found := differs(list(one), list(other), f"{path}.keys"):
            return found
        return _first(differs(one[key], other[key], f"{path}[{key!r}]") for key in one)
    if isinstance(one, (list, tuple)) or type(one).__name__ == "deque":
        if len(one) != len(other):
            return f"{path}: {len(one)} and {len(other)} items"
        pairs = enumerate(zip(one, other, strict=True))
        return _first(differs(a, b, f"{path}[{i}]") for i, (a, b) in pairs)
    if isinstance(one, (set, frozenset)):
        key = repr
        return differs(sorted(one, key=key), sorted(other, key=key), f"{path}.members")
    if type(one).__module__ == "numpy":
        import numpy as np

        if isinstance(one, np.ndarray):
            about = [(each.dtype.str, each.shape, each.tobytes()) for each in (one, other)]
            return None if about[0] == about[1] else f"{path}: {about[0]} and {about[1]}"
    if hasattr(one, "__dataclass_fields__"):
        names = one.__dataclass_fields__
        return _first(
            differs(getattr(one, name), getattr(other, name), f"{path}.{name}") for name in names
        )
    return None if one == other else f"{path}: {one!r} and {other!r}"


def assert_same(one: Any, other: Any) -> None:
    """Raises: AssertionError: the values differ; it says where."""
    found = differs(one, other)
    assert found is None, found


def _parts(model: BaseModel) -> dict[str, Any]:
    return {
        "fields": model.__dict__,
        "set": model.__pydantic_fields_set__,
        "extra": model.__pydantic_extra__,
        "private": model.__pydantic_private__,
    }


def _first(found: Any) -> str | None:
    return next(filter(None, found), None)
