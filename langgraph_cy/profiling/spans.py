"""OpenTelemetry spans of runs, supersteps and nodes.

The span of a node is current where the node runs, so spans that the node makes are its children.
"""

from __future__ import annotations

import time
from typing import Any

from langgraph_cy._version import __version__
from langgraph_cy.profiling.recorder import Outcome

CURE = "profile(opentelemetry=True) needs opentelemetry-api: pip install 'langgraph-cy[otel]'"


class Spans:
    """Makes the spans of a profile.

    Args:
        tracer: an OpenTelemetry `Tracer`, None for one of the global tracer provider.

    Raises:
        ImportError: `opentelemetry-api` is not installed.
    """

    def __init__(self, tracer: Any = None) -> None:
        try:
            from opentelemetry import context, trace
        except ImportError as error:
            raise ImportError(CURE) from error
        self.context = context
        self.trace = trace
        self.tracer = tracer or trace.get_tracer("langgraph_cy", __version__)

    def run(self, run: Any) -> RunSpans:
        """Begin the span of a run.

        Args:
            run: its `RunTrace`.
        """
        return RunSpans(self, run)


class RunSpans:
    """The spans of one run.

    Args:
        spans: those of the profile.
        run: the `RunTrace` of the run.
    """

    def __init__(self, spans: Spans, run: Any) -> None:
        self._spans = spans
        self._graph = run.scope.name
        self._kept = ()
        attributes = {
            "langgraph.graph": self._graph,
            "langgraph.engine": "compiled" if run.reason is None else "stock",
        }
        if run.reason is not None:
            attributes["langgraph.stock_reason"] = run.reason
        self._run = spans.tracer.start_span(f"graph {self._graph}", attributes=attributes)
        self._run_context = spans.trace.set_span_in_context(self._run)
        self._step: Any = None
        self._step_context: Any = None
        self._planned = time.time_ns()
        self._before: Any = None

    def begin_step(self, step: int) -> None:
        """Begin the span of a superstep, unless it has begun; it starts with the planning."""
        if self._step is None:
            self._step = self._spans.tracer.start_span(
                f"superstep {step}",
                context=self._run_context,
                attributes={"langgraph.graph": self._graph, "langgraph.step": step},
                start_time=self._planned,
            )
            self._step_context = self._spans.trace.set_span_in_context(self._step)

    def end_step(self) -> None:
        """End the span of the superstep under way, if there is one."""
        if self._step is not None:
            self._step.end()
            self._step = None
        self._planned = time.time_ns()

    def begin_node(self, name: str, step: int) -> Any:
        """Begin the span of a node, in the context that the node will see.

        Returns:
            What `end_node` takes.
        """
        span = self._spans.tracer.start_span(
            f"node {str.__str__(name)}",
            context=self._step_context or self._run_context,
            attributes={
                "langgraph.graph": self._graph,
                "langgraph.node": str.__str__(name),
                "langgraph.step": step,
            },
        )
        before = self._spans.context.get_current()
        own = self._spans.trace.set_span_in_context(span, before)
        self._spans.context.attach(own)
        return span, own, before

    def end_node(self, begun: Any, error: BaseException | None, outcome: int, failed: int) -> None:
        """End the span of a node.

        Args:
            begun: what `begin_node` has returned.
            error: what the node has raised, None if nothing.
            outcome: what that means, an `Outcome`.
            failed: how many attempts have failed before the last.
        """
        span, own, before = begun
        # not by a token: a coroutine that is closed may be so in another context
        if self._spans.context.get_current() is own:
            self._spans.context.attach(before)
        span.set_attribute("langgraph.attempts", failed + 1)
        self._close(span, error, outcome)

    def enter(self) -> None:
        """Make the run's own span current, for an engine whose nodes are not measured."""
        self._before = self._spans.context.get_current()
        self._run_context = self._spans.trace.set_span_in_context(self._run, self._before)
        self._spans.context.attach(self._run_context)

    def exit(self) -> None:
        """Make it current no more."""
        if self._spans.context.get_current() is self._run_context:
            self._spans.context.attach(self._before)

    def end(self, error: BaseException | None, outcome: int) -> None:
        """End the span of the run."""
        self.end_step()
        self._close(self._run, error, outcome)

    def _close(self, span: Any, error: BaseException | None, outcome: int) -> None:
        span.set_attribute("langgraph.outcome", Outcome(outcome).name.lower())
        if outcome == Outcome.FAILED and error is not None:
            span.record_exception(error)
            text = f"{type(error).__name__}: {error}"
            span.set_status(self._spans.trace.Status(self._spans.trace.StatusCode.ERROR, text))
        span.end()
