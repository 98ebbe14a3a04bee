from typing import Any, final

@final
class Typed:
    tag: Any
    data: Any

@final
class Log: ...

@final
class Slice: ...

@final
class Recent: ...

def unpacked(kept: Any) -> tuple[str, bytes]: ...
