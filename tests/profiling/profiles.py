"""What the tests of profiles share."""

import importlib.util
import operator
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from langgraph.graph import END, START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

from langgraph_cy.profiling.record import PARTS, Record, Run

DEMO = Path(__file__).parents[2] / "tools" / "demo_graphs.py"


class State(TypedDict):
    n: int


class Found(TypedDict):
    found: Annotated[list[Any], operator.add]


def counter(limit: int, name: str = "counter", **options: Any) -> Any:
    """A graph whose one node counts up to a limit."""
    graph = StateGraph(State).add_node("count", lambda state: {"n": state["n"] + 1})
    graph.add_edge(START, "count")
    graph.add_conditional_edges("count", lambda state: "count" if state["n"] < limit else END)
    return graph.compile(name=name, **options)


def fan(worker: Any, width: int, **options: Any) -> Any:
    """A graph that sends so many packets to one node."""
    graph = StateGraph(Found).add_node("worker", worker)
    graph.add_conditional_edges(START, lambda _: [Send("worker", i) for i in range(width)])
    return graph.compile(name="fan", **options)


def demo_graphs() -> ModuleType:
    """The module with the demo's graphs."""
    spec = importlib.util.spec_from_file_location("demo_graphs", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts_of(run: Run) -> dict[str, int]:
    """Nanoseconds of a run's parts by name."""
    return {PARTS[part]: spent for part, spent in run.parts.items()}


def check(record: Record) -> None:
    """What holds of every profile: all that was measured is there, and adds up."""
    numbers = {run.number: run for run in record.runs}
    for run in record.runs:
        assert sum(run.parts.values()) == run.spent, run
        if run.above:
            above = numbers[run.above]
            assert above.began <= run.began
            assert run.spent <= above.spent
        if not record.left_out:
            assert sum(event.spent for event in run.segments) == run.spent, run
            for before, after in zip(run.segments, run.segments[1:], strict=False):
                assert before.end == after.start
        for step in run.steps:
            assert sum(spent for _, spent in step.critical) == step.spent, step
            assert sum(step.parts.values()) == step.spent
    if not record.runs_left_out:
        assert record.measured == sum(run.spent for run in record.runs if not run.above)
