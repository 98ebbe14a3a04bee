from asyncio import Semaphore
from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

from typing_extensions import disjoint_base

from langgraph_cy.core.tasks import Task

_T = TypeVar("_T")

async def execute(
    task: Task, rest: Awaitable[None] | None = None, failed: BaseException | None = None
) -> None: ...
async def gated(gate: Semaphore, coroutine: Coroutine[Any, Any, _T]) -> _T: ...

@disjoint_base
class Started:
    def __await__(self) -> Generator[Any, Any, Any]: ...
