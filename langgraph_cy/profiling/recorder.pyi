from enum import IntEnum
from typing import Any

from typing_extensions import disjoint_base

from langgraph_cy.profiling.run_trace import RunTrace

active: list[Recorder]

class Part(IntEnum):
    OPEN = 0
    LOAD = 1
    INPUT = 2
    PLAN = 3
    CACHE = 4
    RUN = 5
    RETRY = 6
    DISPATCH = 7
    WAIT = 8
    COMMIT = 9
    APPLY = 10
    STREAM = 11
    CHECKPOINT = 12
    SERIALISE = 13
    SAVE = 14
    SAVE_WAIT = 15
    CONSUMER = 16
    FINISH = 17
    STOCK = 18
    OTHER = 19
    PARTS = 20
    TASK = 32
    TASK_RETRY = 33
    TASK_SAVE = 34
    TASK_CACHED = 35

class Outcome(IntEnum):
    SUCCEEDED = 0
    FAILED = 1
    INTERRUPTED = 2
    CANCELLED = 3
    CLOSED = 4
    OUT_OF_STEPS = 5
    DRAINED = 6
    UNDER_WAY = 7

def clock() -> int: ...

@disjoint_base
class Scope:
    @property
    def number(self) -> int: ...
    @property
    def graph(self) -> Any: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def above(self) -> int: ...
    @property
    def node(self) -> str | None: ...

@disjoint_base
class Catalog:
    @property
    def labels(self) -> list[tuple[int, str]]: ...
    @property
    def scopes(self) -> list[Scope]: ...
    @property
    def threads(self) -> list[str]: ...

@disjoint_base
class Recorder:
    def __init__(self, limit: int, spans: Any = None) -> None: ...
    @property
    def catalog(self) -> Catalog | None: ...
    @property
    def runs(self) -> list[RunTrace]: ...
    @property
    def limit(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def left_out(self) -> int: ...
    @property
    def runs_left_out(self) -> int: ...
    @property
    def began(self) -> int: ...
    @property
    def ended(self) -> int: ...
    @property
    def spans(self) -> Any: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def add_run(self, run: RunTrace) -> bool: ...
    def run_states(self) -> list[dict[str, Any]]: ...
    def part_totals(self) -> list[int]: ...
    def events(self) -> list[tuple[int, ...]]: ...
    def node_totals(self) -> dict[int, dict[str, int]]: ...
