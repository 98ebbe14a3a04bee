"""OpenTelemetry spans of runs, supersteps and nodes."""

import asyncio
import sys
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy, interrupt
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import langgraph_cy

from .profiles import State, counter, fan

THREAD: Any = {"configurable": {"thread_id": "1"}}


class Spans:
    """Where spans of a test go."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = provider.get_tracer("test")

    def profile(self) -> Any:
        return langgraph_cy.profile(tracer=self.tracer)

    @property
    def all(self) -> list[Any]:
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time)

    def lineage(self, span: Any) -> list[str]:
        """The names of a span and of those that it lies in."""
        by_id = {each.context.span_id: each for each in self.all}
        names = [span.name]
        while span.parent is not None:
            span = by_id[span.parent.span_id]
            names.append(span.name)
        return names

    def inner(self) -> list[list[str]]:
        """The lineages of the spans that nodes have made."""
        return [self.lineage(span) for span in self.all if span.name == "inner"]


@pytest.fixture
def spans() -> Spans:
    return Spans()


def test_run_supersteps_nodes(spans: Spans) -> None:
    with spans.profile():
        counter(2).invoke({"n": 0})
    names = [span.name for span in spans.all]
    assert sorted(names) == sorted(
        ["graph counter", *(f"superstep {n}" for n in range(3))]
        + ["node __start__", "node count", "node count"]
    )
    run = next(span for span in spans.all if span.name == "graph counter")
    assert dict(run.attributes) == {
        "langgraph.graph": "counter",
        "langgraph.engine": "compiled",
        "langgraph.outcome": "succeeded",
    }
    node = next(span for span in spans.all if span.name == "node count")
    assert spans.lineage(node) == ["node count", "superstep 1", "graph counter"]
    assert dict(node.attributes) == {
        "langgraph.graph": "counter",
        "langgraph.node": "count",
        "langgraph.step": 1,
        "langgraph.attempts": 1,
        "langgraph.outcome": "succeeded",
    }
    assert len({span.context.trace_id for span in spans.all}) == 1
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("mode", ["values", "custom"])
def test_spans_in_nodes(spans: Spans, width: int, mode: Any) -> None:
    """What a node makes is a child of its own, alone and on workers."""

    def worker(packet: int) -> Any:
        with spans.tracer.start_as_current_span("inner"):
            return {"found": [packet]}

    graph = fan(worker, width)
    with spans.profile(), spans.tracer.start_as_current_span("outside"):
        list(graph.stream({}, stream_mode=mode))
    line = ["inner", "node worker", "superstep 1", "graph fan", "outside"]
    assert spans.inner() == [line] * width
    parents = {span.parent.span_id for span in spans.all if span.name == "inner"}
    assert len(parents) == width


@pytest.mark.parametrize("width", [1, 3])
@pytest.mark.parametrize("mode", ["values", "custom"])
def test_spans_in_coroutines(spans: Spans, width: int, mode: Any) -> None:
    async def worker(packet: int) -> Any:
        await asyncio.sleep(0.001)
        with spans.tracer.start_as_current_span("inner"):
            await asyncio.sleep(0.001)
        return {"found": [packet]}

    graph = fan(worker, width)

    async def consume() -> None:
        with spans.tracer.start_as_current_span("outside") as outside:
            async for _ in graph.astream({}, stream_mode=mode):
                assert trace.get_current_span() is outside
            assert trace.get_current_span() is outside

    with spans.profile():
        asyncio.run(consume())
    line = ["inner", "node worker", "superstep 1", "graph fan", "outside"]
    assert spans.inner() == [line] * width


@pytest.mark.parametrize("asynchronous", [False, True])
def test_subgraphs(spans: Spans, asynchronous: bool) -> None:
    graph = StateGraph(State).add_node("below", counter(1, "inner graph")).add_edge(START, "below")
    outer = graph.compile(name="outer")
    with spans.profile():
        if asynchronous:
            asyncio.run(outer.ainvoke({"n": 0}))
        else:
            outer.invoke({"n": 0})
    below = next(span for span in spans.all if span.name == "graph inner graph")
    assert spans.lineage(below)[1:] == ["node below", "superstep 1", "graph outer"]


class Refused(Exception):
    """Raised by nodes of these tests."""


@pytest.mark.parametrize("width", [1, 2])
def test_errors(spans: Spans, width: int) -> None:
    def refuse(packet: int) -> Any:
        raise Refused("no")

    with spans.profile(), pytest.raises(Refused):
        fan(refuse, width).invoke({})
    failed = [span for span in spans.all if not span.status.is_ok and span.events]
    assert {span.name for span in failed} == {"node worker", "graph fan"}
    for span in failed:
        assert span.status.description.startswith("Refused: no")
        assert span.events[0].attributes["exception.type"].endswith("Refused")


def test_retries_and_interrupts(spans: Spans) -> None:
    attempts: list[int] = []

    def flaky(state: State) -> Any:
        attempts.append(0)
        if len(attempts) < 2:
            raise ConnectionError
        return {"n": interrupt("n?")}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    graph = StateGraph(State).add_node("flaky", flaky, retry_policy=policy)
    made = graph.add_edge(START, "flaky").compile(checkpointer=InMemorySaver())
    with spans.profile():
        made.invoke({"n": 0}, THREAD)
    node = next(span for span in spans.all if span.name == "node flaky")
    assert node.attributes["langgraph.attempts"] == 2
    assert node.attributes["langgraph.outcome"] == "interrupted"
    assert node.status.status_code is trace.StatusCode.UNSET
    assert spans.all[0].attributes["langgraph.outcome"] == "interrupted"


def test_stock_engine(spans: Spans) -> None:
    def worker(packet: int) -> Any:
        with spans.tracer.start_as_current_span("inner"):
            return {"found": [packet]}

    with spans.profile():
        list(fan(worker, 2).stream({}, {"recursion_limit": 1 << 62}))
    assert spans.inner() == [["inner", "graph fan"]] * 2
    run = next(span for span in spans.all if span.name == "graph fan")
    assert run.attributes["langgraph.engine"] == "stock"
    assert run.attributes["langgraph.stock_reason"] == "unusual recursion_limit"


def test_global_tracer() -> None:
    """Without a provider the spans go nowhere, and nothing else changes."""
    with langgraph_cy.profile(opentelemetry=True) as profile:
        assert counter(2).invoke({"n": 0}) == {"n": 2}
    assert len(profile.record.runs) == 1


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ImportError, match=r"pip install 'langgraph-cy\[otel\]'"):
        langgraph_cy.profile(opentelemetry=True)
    with langgraph_cy.profile():  # which needs nothing
        counter(1).invoke({"n": 0})
