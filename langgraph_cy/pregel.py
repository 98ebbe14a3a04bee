"""`Pregel` on the compiled engine.

The methods here have upstream's signatures. Each decides whether the compiled engine
covers the run; if not, upstream's own method runs it and the reason is counted.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic

from langgraph.pregel import Pregel as UpstreamPregel
from langgraph.typing import ContextT, InputT, OutputT, StateT
from langgraph.warnings import LangGraphDeprecatedSinceV10

from langgraph_cy import entry_points, profiling
from langgraph_cy._core import NEVER, runs
from langgraph_cy.stats import count_stock

STOCK_INVOKE = UpstreamPregel.invoke
STOCK_AINVOKE = UpstreamPregel.ainvoke
STOCK_STREAM = UpstreamPregel.stream
STOCK_ASTREAM = UpstreamPregel.astream


@contextmanager
def stock_only(reason: str) -> Iterator[None]:
    """Every run of the process on upstream's engine for the length of a block, however it is made.

    Args:
        reason: under which the runs are counted.
    """
    global NEVER
    before = NEVER
    NEVER = reason
    try:
        yield
    finally:
        NEVER = before


def _open(graph: Any, input: Any, config: Any, **options: Any) -> Any:
    """A run of the compiled engine, or the reason why stock's has to run it."""
    return NEVER or runs.open_run(graph, input, config, **options)


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
    # somebody else's `stream`, on the class or on the graph, is to be called
    if (
        stream_mode == "values"
        and version == "v1"
        and not (print_mode or self.debug or kwargs)
        and type(self).stream is stream
        and "stream" not in self.__dict__
        and NEVER is None
    ):
        if (
            config is None
            and durability is None
            and not (interrupt_before or interrupt_after)
            and (driver := runs.open_latest(self, input, False, context, output_keys, control))
        ):
            driver.start(input, self.input_channels)
            driver.complete()
            return driver.run.final()
        opened = runs.open_run(
            self,
            input,
            config,
            asynchronous=False,
            mode=None,
            latest_only=True,
            context=context,
            print_mode=(),
            output_keys=self.output_channels if output_keys is None else output_keys,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            durability=durability,
            control=control,
        )
        if not isinstance(opened, str):
            return runs.run_to_end(opened)
    # through upstream's own `invoke`, which comes back to `stream` below to be counted
    return entry_points.stock_method("invoke", STOCK_INVOKE)(
        self,
        input,
        config,
        context=context,
        stream_mode=stream_mode,
        print_mode=print_mode,
        output_keys=output_keys,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        durability=durability,
        control=control,
        version=version,
        **kwargs,
    )


@wraps(STOCK_AINVOKE)
async def ainvoke(
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
    # somebody else's `astream`, on the class or on the graph, is to be called
    if (
        stream_mode == "values"
        and version == "v1"
        and not (print_mode or self.debug or kwargs)
        and type(self).astream is astream
        and "astream" not in self.__dict__
        and NEVER is None
    ):
        if (
            config is None
            and durability is None
            and not (interrupt_before or interrupt_after)
            and (driver := runs.open_latest(self, input, True, context, output_keys, control))
        ):
            driver.begin_plain(input, self.input_channels)
            await driver.complete()
            return driver.run.final()
        opened = runs.open_run(
            self,
            input,
            config,
            asynchronous=True,
            mode=None,
            latest_only=True,
            context=context,
            print_mode=(),
            output_keys=self.output_channels if output_keys is None else output_keys,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            durability=durability,
            control=control,
        )
        if not isinstance(opened, str):
            return await runs.await_to_end(opened)
    # through upstream's own `ainvoke`, which comes back to `astream` below to be counted
    return await entry_points.stock_method("ainvoke", STOCK_AINVOKE)(
        self,
        input,
        config,
        context=context,
        stream_mode=stream_mode,
        print_mode=print_mode,
        output_keys=output_keys,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        durability=durability,
        control=control,
        version=version,
        **kwargs,
    )


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
    mode = _mode(self, config, stream_mode)
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
    opened = _open(self, input, config, asynchronous=False, mode=mode, **options)
    if isinstance(opened, str):
        count_stock(opened, self)
        method = entry_points.stock_method("stream", STOCK_STREAM)
        chunks = method(self, input, config, stream_mode=stream_mode, **options)
        yield from profiling.measured_stock(chunks, self, opened)
    else:
        yield from runs.chunks(opened)


def _mode(graph: Any, config: Any, stream_mode: Any) -> Any:
    """The stream mode of a run: as a node in another graph, `values` where none is given."""
    if stream_mode is not None:
        return stream_mode
    if config is not None and runs is not None and runs.is_nested(config):
        return "values"
    return graph.stream_mode


def _durability(checkpoint_during: bool, durability: Any) -> str:
    """The durability that upstream's deprecated `checkpoint_during` stands for."""
    warnings.warn(
        "`checkpoint_during` is deprecated and will be removed. Please use `durability` instead.",
        category=LangGraphDeprecatedSinceV10,
        stacklevel=3,
    )
    if durability is not None:
        raise ValueError(
            "Cannot use both `checkpoint_during` and `durability` parameters. "
            "Please use `durability` instead."
        )
    return "async" if checkpoint_during else "exit"


@wraps(STOCK_ASTREAM)
async def astream(
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
) -> AsyncIterator[Any]:
    if (checkpoint_during := kwargs.pop("checkpoint_during", None)) is not None:
        durability = _durability(checkpoint_during, durability)
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
    mode = _mode(self, config, stream_mode)
    opened = _open(self, input, config, asynchronous=True, mode=mode, **options)
    if isinstance(opened, str):
        count_stock(opened, self)
        method: Any = entry_points.stock_method("astream", STOCK_ASTREAM)
        chunks = method(self, input, config, stream_mode=stream_mode, **options)
        generator = profiling.awaited_measured_stock(chunks, self, opened)
    else:
        generator = runs.await_chunks(opened)
    async with aclosing(generator) as chunks:
        async for chunk in chunks:
            yield chunk


_OWN = {"invoke": invoke, "ainvoke": ainvoke, "stream": stream, "astream": astream}
entry_points.stands_in(**_OWN)
if runs is not None:
    runs.own_methods.update(_OWN)


class Pregel(
    UpstreamPregel[StateT, ContextT, InputT, OutputT],
    Generic[StateT, ContextT, InputT, OutputT],
):
    """Upstream's `Pregel` on the compiled engine, with the same arguments and results."""

    if not TYPE_CHECKING:  # which knows upstream's overloads
        invoke = invoke
        ainvoke = ainvoke
        stream = stream
        astream = astream
