"""`Pregel` on the compiled engine.

The methods here have upstream's signatures. Each decides whether the compiled engine
covers the run; if not, upstream's own method runs it and the reason is counted.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic

from langgraph.pregel import Pregel as UpstreamPregel
from langgraph.typing import ContextT, InputT, OutputT, StateT

from langgraph_cy import seam, watchers
from langgraph_cy import upstream as up
from langgraph_cy._core import plan as plans
from langgraph_cy._core import superstep, sync
from langgraph_cy.run_context import RunContext
from langgraph_cy.stats import count_compiled, count_stock

STOCK_INVOKE = UpstreamPregel.invoke
STOCK_STREAM = UpstreamPregel.stream
STOCK_ASTREAM = UpstreamPregel.astream


def _open(
    graph: Any,
    input: Any,
    config: Any,
    *,
    mode: Any = None,
    latest_only: bool = False,
    context: Any,
    output_keys: Any,
    control: Any,
    **options: Any,
) -> Any:
    """A driver for the run, or the reason why stock's engine has to run it.

    Raises what upstream raises for a config or a context that it can't use.

    Args:
        mode: the stream mode or modes, resolved; None where `latest_only` is set.
        options: the other arguments of `stream`, by name.
    """
    reason = (
        seam.replaced()
        or seam.unsupported_mode(mode)
        or seam.unsupported_call(**options)
        or seam.unsupported_graph(graph)
    )
    if reason is not None:
        return reason
    if isinstance(input, up.Command):
        return "Command input"
    if graph.interrupt_before_nodes or graph.interrupt_after_nodes:
        return "static interrupt"
    plan = plans.plan_of(graph)
    if plan.unsupported is not None:
        return plan.unsupported
    manager = most = None
    if config is None and graph.config is None and up.var_child_runnable_config.get() is None:
        ensured = None
        limit: int = up.DEFAULT_RECURSION_LIMIT
        if not watchers.nobody():
            return "callback handler"
    else:
        ensured = up.ensure_config(graph.config, config)
        if reason := seam.unsupported_config(ensured[up.CONF]):
            return reason
        limit = ensured["recursion_limit"]
        most = ensured.get("max_concurrency")
        if not (isinstance(limit, int) and 0 < limit < 1 << 62):
            return "unusual recursion_limit"  # upstream raises for it, or lets it pass
        if not (most is None or (isinstance(most, int) and most > 0)):
            return "unusual max_concurrency"
        manager = up.get_callback_manager_for_config(ensured)
        if watchers.watches(manager):
            return "callback handler"
    if output_keys is None:
        output_keys = graph.stream_channels_asis
    elif output_keys is not graph.output_channels:
        up.validate_keys(output_keys, graph.channels)
    user_context = None if context is None else up._coerce_context(graph.context_schema, context)
    run_context = RunContext(graph, input, ensured, manager, user_context, control)
    run = superstep.Run(
        plan,
        run_context,
        output_keys,
        limit,
        values=not latest_only and "values" in mode,
        updates=not latest_only and "updates" in mode,
        paired=isinstance(mode, list),
        latest_only=latest_only,
    )
    count_compiled()
    return sync.SyncDriver(run, most, graph.stream_eager)


@wraps(STOCK_INVOKE)
def invoke(
    self: Any,
    input: Any,
    config: Any = None,
    *,
    context: Any = None,
    stream_mode: Any = "values",
    print_mode: Any = (),
    output_keys: Any = None,
    interrupt_before: Any = None,
    interrupt_after: Any = None,
    durability: Any = None,
    control: Any = None,
    version: Any = "v1",
    **kwargs: Any,
) -> Any:
    options = {
        "context": context,
        "print_mode": print_mode,
        "output_keys": output_keys,
        "interrupt_before": interrupt_before,
        "interrupt_after": interrupt_after,
        "durability": durability,
        "control": control,
        "version": version,
        **kwargs,
    }
    # somebody else's `stream`, on the class or on the graph, is to be called
    if stream_mode == "values" and type(self).stream is stream and "stream" not in vars(self):
        shown = {**options, "output_keys": self.output_channels} if output_keys is None else options
        driver = _open(self, input, config, latest_only=True, **shown)
        if not isinstance(driver, str):
            driver.start(input, self.input_channels)
            driver.complete()
            return _result(driver.run)
    # through upstream's own `invoke`, which comes back to `stream` below to be counted
    return seam.stock_method("invoke", STOCK_INVOKE)(
        self, input, config, stream_mode=stream_mode, **options
    )


def _result(run: Any) -> Any:
    """What `invoke` returns: the last values, with the interrupts of the run if it had any."""
    latest = run.latest()
    if not run.interrupts:
        return latest
    if isinstance(latest, dict):
        return {**latest, up.INTERRUPT: run.interrupts}
    return {up.INTERRUPT: run.interrupts}


@wraps(STOCK_STREAM)
def stream(
    self: Any,
    input: Any,
    config: Any = None,
    *,
    context: Any = None,
    stream_mode: Any = None,
    print_mode: Any = (),
    output_keys: Any = None,
    interrupt_before: Any = None,
    interrupt_after: Any = None,
    durability: Any = None,
    control: Any = None,
    subgraphs: bool = False,
    debug: bool | None = None,
    version: Any = "v1",
    **kwargs: Any,
) -> Iterator[Any]:
    if (checkpoint_during := kwargs.pop("checkpoint_during", None)) is not None:
        # here and not in upstream's method, so that the warning points at the caller
        durability = _durability(checkpoint_during, durability)
    if stream_mode is None:
        nested = config is not None and up.CONFIG_KEY_TASK_ID in config.get(up.CONF, {})
        mode = "values" if nested else self.stream_mode
    else:
        mode = stream_mode
    options = {
        "context": context,
        "print_mode": print_mode,
        "output_keys": output_keys,
        "interrupt_before": interrupt_before,
        "interrupt_after": interrupt_after,
        "durability": durability,
        "control": control,
        "subgraphs": subgraphs,
        "debug": debug,
        "version": version,
        **kwargs,
    }
    driver = _open(self, input, config, mode=mode, **options)
    if isinstance(driver, str):
        count_stock(driver)
        method = seam.stock_method("stream", STOCK_STREAM)
        yield from method(self, input, config, stream_mode=stream_mode, **options)
    else:
        yield from _chunks(driver, input, self.input_channels)


def _durability(checkpoint_during: bool, durability: Any) -> str:
    """The durability that upstream's deprecated `checkpoint_during` stands for."""
    warnings.warn(
        "`checkpoint_during` is deprecated and will be removed. "
        "Please use `durability` instead.",
        category=up.LangGraphDeprecatedSinceV10,
        stacklevel=3,
    )
    if durability is not None:
        raise ValueError(
            "Cannot use both `checkpoint_during` and `durability` parameters. "
            "Please use `durability` instead."
        )
    return "async" if checkpoint_during else "exit"


def _chunks(driver: Any, input: Any, input_keys: Any) -> Iterator[Any]:
    """Drive a run and yield its chunks at the moments at which upstream does."""
    run = driver.run
    driver.start(input, input_keys)
    try:
        while driver.tick():
            yield from run.take_chunks()
            running = driver.begin()
            if driver.failed:
                yield from run.take_chunks()
            while running:
                running = driver.wait()
                yield from run.take_chunks()
            driver.close_step()
        run.close()
    except up.GraphInterrupt as interrupt:
        driver.join()
        if not driver.suppress(interrupt):
            raise
    finally:
        driver.join()
    yield from run.take_chunks()
    driver.finish()


@wraps(STOCK_ASTREAM)
async def astream(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    count_stock("asynchronous run")
    generator: Any = STOCK_ASTREAM(self, *args, **kwargs)
    async with aclosing(generator) as chunks:
        async for chunk in chunks:
            yield chunk


seam.stands_in(invoke=invoke, stream=stream, astream=astream)


class Pregel(
    UpstreamPregel[StateT, ContextT, InputT, OutputT],
    Generic[StateT, ContextT, InputT, OutputT],
):
    """Upstream's `Pregel` on the compiled engine, with the same arguments and results."""

    if not TYPE_CHECKING:  # which knows upstream's overloads
        invoke = invoke
        stream = stream
        astream = astream
