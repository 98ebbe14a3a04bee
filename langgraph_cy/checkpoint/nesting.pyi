from collections.abc import Callable

def too_deep(
    data: bytes | bytearray | memoryview,
    goes_through: Callable[[str, str, str | None], bool] | None,
) -> bool: ...
