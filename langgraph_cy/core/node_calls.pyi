from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from typing_extensions import disjoint_base

from langgraph_cy.core.tasks import Task

_T = TypeVar("_T")

@disjoint_base
class AsyncCall:
    def __await__(self) -> Generator[Any, Any, Any]: ...
    def throw(self, error: BaseException) -> bool: ...

def set_below(
    fits: Callable[[Any, str], bool],
    run: Callable[[Any, Task, Any], Any],
    awaited: Callable[[Any, Task, Any], Awaitable[Any]],
) -> None: ...
async def awaiting(awaitable: Awaitable[_T]) -> _T: ...
async def step_awaited(task: Task, argument: Any) -> Any: ...
