"""Runs of the compiled engine, from the arguments of an entry point to a result or to chunks."""

from __future__ import annotations

import asyncio
import warnings
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from langgraph.config import get_config

from langgraph_cy import seam, watchers
from langgraph_cy import upstream as up
from langgraph_cy.core import history, node_calls, superstep
from langgraph_cy.core import plan as plans
from langgraph_cy.drivers import awaited, sync
from langgraph_cy.drivers.superstep_saving import saves_for
from langgraph_cy.presenting import Presenter
from langgraph_cy.profiling.recorder import active, clock
from langgraph_cy.profiling.run_trace import begin_run
from langgraph_cy.profiling.streaming import Measured
from langgraph_cy.run_context import NodeContext, RunContext
from langgraph_cy.stats import count_compiled

Mode = superstep.Mode
Shape = superstep.Shape
_PLAIN = frozenset(("values", "updates"))
_EAGER = ("messages", "custom")
_PRINTED = ["updates", "values"]


class Opened:
    """A run that its caller may begin.

    Attributes:
        graph, input: what runs, with what.
        context: what it was called with.
        run: its state machine; driver: what drives it. Both are there once it is made.
        presenter: what makes chunks fit for the caller, None where they are so already.
        called: when the run was called for, as `clock` had it; 0 where it is not measured.
    """

    __slots__ = (
        "_receiver",
        "_settings",
        "called",
        "context",
        "driver",
        "graph",
        "input",
        "presenter",
        "run",
    )

    def __init__(self, graph: Any, input: Any, context: RunContext) -> None:
        self.graph = graph
        self.input = input
        self.context = context
        self.run: Any = None
        self.driver: Any = None
        self.presenter: Any = None
        self.called = 0
        self._settings: dict[str, Any] = {}
        self._receiver: Any = None

    def put_off(self, receiver: Any, **settings: Any) -> None:
        """Note what the run is to be made with, once its handlers know that it starts."""
        self._receiver = receiver
        self._settings = settings

    def make(self, manager: Any) -> None:
        """Make the run and its driver, unless it has them.

        Args:
            manager: upstream's run manager, None where nobody watches.
        """
        if self.run is not None:
            return
        settings = self._settings
        context, graph, receiver = self.context, self.graph, self._receiver
        asynchronous = context.asynchronous
        modes, subgraphs = settings["modes"], settings["subgraphs"]
        if manager is not None:
            context.adopt_watchers(
                manager,
                up._coerce_context(graph.context_schema, settings["user_context"]),
                _stream_handlers(
                    modes, context.callable_config, settings["version"], receiver, subgraphs
                ),
            )
        saver, cache, durability = context.saver, context.cache, settings["durability"]
        above = context.callable_config[up.CONF].get(up.CONFIG_KEY_STREAM)
        waits = saver is not None and durability == "sync"
        saves: Any = None
        if saver is not None or cache is not None:
            saves = saves_for(saver, asynchronous=asynchronous, waits=waits)
        make: Any = superstep.Run
        options = settings["options"]
        if saver is not None or isinstance(self.input, up.Command):
            make = history.SavedRun
            options = {**options, "saver": saver, "saves": saves, "durability": durability}
        self.run = make(
            settings["plan"],
            context,
            settings["output_keys"],
            context.recursion_limit,
            modes=superstep.mode_bits(modes),
            above=above,
            **options,
        )
        receiver.run = weakref.ref(self.run)
        if subgraphs:
            stream = up.StreamProtocol(receiver, modes)
            # an asynchronous run's subgraphs stream to it alone, as upstream has it
            context.stream = (
                stream if above is None or asynchronous else up.DuplexStream(stream, above)
            )
        self.driver = _DRIVERS[asynchronous](
            self.run,
            settings["max_concurrency"],
            graph.stream_eager or subgraphs or any(name in modes for name in _EAGER),
            saves=saves,
            cache=cache,
            step_timeout=graph.step_timeout,
            sync_saves=waits,
        )
        if self.called:
            self.measure()

    def measure(self) -> None:
        """Have the run measured, since it was called for."""
        if trace := begin_run(self.graph, self.context.asynchronous, self.called):
            self.driver.measure(trace)
            self.presenter = Measured(self.presenter or iter, trace)


def open_run(
    graph: Any,
    input: Any,
    config: Any,
    *,
    asynchronous: bool,
    mode: Any,
    latest_only: bool = False,
    context: Any,
    print_mode: Any,
    output_keys: Any,
    interrupt_before: Any,
    interrupt_after: Any,
    durability: Any,
    control: Any,
    version: str = "v1",
    subgraphs: bool = False,
    debug: bool | None = None,
    **ignored: Any,
) -> Opened | str:
    """A run, or the reason why stock's engine has to run it.

    Raises what upstream raises for arguments that it can't use.

    Args:
        mode: the stream mode or modes.
        latest_only: the caller wants the last values and the interrupts, and no chunks.
    """
    called = clock() if active else 0
    reason = seam.replaced()
    if reason is not None:
        return reason
    plan = plans.plan_of(graph)
    if plan.unsupported is not None:
        return plan.unsupported
    if debug or graph.debug:
        print_mode = _PRINTED
    if (
        config is None
        and plan.plain
        and durability is None
        and version == "v1"
        and not (print_mode or subgraphs or interrupt_before or interrupt_after)
        and not latest_only
        and (mode in _PLAIN if isinstance(mode, str) else _PLAIN.issuperset(mode))
        and type(input) is not up.Command
        and up.var_child_runnable_config.get() is None
        and watchers.nobody()
    ):
        opened = _open_plain(graph, plan, input, asynchronous, mode, context, output_keys, control)
        if called:
            opened.called = called
            opened.measure()
        return opened
    ensured = up.ensure_config(graph.config, config)
    if reason := seam.unsupported_config(ensured):
        return reason
    if latest_only and output_keys is graph.output_channels:
        checked_keys = None  # its own, which need no check
    else:
        checked_keys = output_keys
    if latest_only:
        mode = ["updates", "values"]
    modes, shown, before, after, saver, store, cache, durable = graph._defaults(
        ensured,
        stream_mode=mode,
        print_mode=print_mode,
        output_keys=checked_keys,
        interrupt_before=interrupt_before,
        interrupt_after=interrupt_after,
        durability=durability,
    )
    if output_keys is not None:
        shown = output_keys
    manager = _manager(ensured, asynchronous, modes, version)
    watched = "messages" in modes or "tools" in modes or watchers.watches(manager)
    if saver is None and durability is not None:
        warnings.warn("`durability` has no effect when no checkpointer is present.", stacklevel=2)
    run_context = RunContext(
        graph,
        input,
        ensured,
        manager,
        # a watched run fails under its handlers' eyes, where the context is no good
        None if watched else up._coerce_context(graph.context_schema, context),
        control,
        asynchronous=asynchronous,
        saver=saver,
        cache=cache,
        durability=None if durability is None else durable,
        watched=watched,
    )
    run_context.store = store
    opened = Opened(graph, input, run_context)
    opened.called = called
    receiver = _Receiver()
    if "custom" in modes:
        run_context.stream_writer = receiver.write
    shape = Shape.PAIRED if isinstance(mode, list) else Shape.PAYLOAD
    if subgraphs or print_mode or version != "v1":
        shape = Shape.FULL
        opened.presenter = Presenter(graph, mode, print_mode, subgraphs, version)
    opened.put_off(
        receiver,
        plan=plan,
        output_keys=shown if output_keys is None else output_keys,
        modes=modes,
        subgraphs=subgraphs,
        version=version,
        durability=durable,
        user_context=context,
        max_concurrency=ensured.get("max_concurrency"),
        options={
            "shape": shape,
            "latest_only": latest_only,
            "interrupt_before": before,
            "interrupt_after": after,
        },
    )
    return opened


def _open_plain(
    graph: Any,
    plan: Any,
    input: Any,
    asynchronous: bool,
    mode: Any,
    context: Any,
    output_keys: Any,
    control: Any,
) -> Opened:
    """A streamed run that was called without a config, and is watched and stored by nobody."""
    if output_keys is None:
        output_keys = graph.stream_channels_asis
    else:
        up.validate_keys(output_keys, graph.channels)
    if context is not None:
        context = up._coerce_context(graph.context_schema, context)
    run_context = RunContext.plain(graph, input, context, control, asynchronous)
    opened = Opened(graph, input, run_context)
    opened.run = superstep.Run(
        plan,
        run_context,
        output_keys,
        up.DEFAULT_RECURSION_LIMIT,
        modes=superstep.mode_bits(mode),
        shape=Shape.PAIRED if isinstance(mode, list) else Shape.PAYLOAD,
    )
    opened.driver = _DRIVERS[asynchronous](
        opened.run, None, graph.stream_eager, step_timeout=graph.step_timeout
    )
    return opened


def open_latest(
    graph: Any, input: Any, asynchronous: bool, context: Any, output_keys: Any, control: Any
) -> Any:
    """The driver of a run that was called with nothing but these, whose last values are wanted.

    Returns:
        None where the run needs more than that.
    """
    called = clock() if active else 0
    if seam.replaced() is not None:
        return None
    plan = plans.plan_of(graph)
    if (
        plan.unsupported is not None
        or not plan.plain
        or type(input) is up.Command
        or up.var_child_runnable_config.get() is not None
        or not watchers.nobody()
    ):
        return None
    if output_keys is None:
        output_keys = graph.output_channels
    else:
        up.validate_keys(output_keys, graph.channels)
    if context is not None:
        context = up._coerce_context(graph.context_schema, context)
    run = superstep.Run.for_latest(
        plan,
        RunContext.plain(graph, input, context, control, asynchronous),
        output_keys,
        up.DEFAULT_RECURSION_LIMIT,
    )
    count_compiled(graph)
    driver = _DRIVERS[asynchronous](run, None, graph.stream_eager, step_timeout=graph.step_timeout)
    if called and (trace := begin_run(graph, asynchronous, called)):
        driver.measure(trace)
    return driver


_DRIVERS: dict[bool, Any] = {False: sync.SyncDriver, True: awaited.AsyncDriver}


def _manager(config: Any, asynchronous: bool, modes: Any, version: str) -> Any:
    """The run's callback manager, without the stream handlers of runs above that it is not of."""
    manager: Any
    if asynchronous:
        manager = up.get_async_callback_manager_for_config(config)
    else:
        manager = up.get_callback_manager_for_config(config)
    if not (manager.handlers or manager.inheritable_handlers):
        return manager
    unwanted: list[Callable[[Any], bool]] = []
    if "messages" in modes and version != "v2":
        unwanted.append(lambda handler: isinstance(handler, up.StreamMessagesHandlerV2))
    if up.CONFIG_KEY_TASK_ID not in config[up.CONF]:
        unwanted.append(up._streams_only_its_graph)
    for is_unwanted in unwanted:
        for name in ("handlers", "inheritable_handlers"):
            handlers = getattr(manager, name)
            setattr(manager, name, [each for each in handlers if not is_unwanted(each)])
    return manager


def _stream_handlers(
    modes: Any, config: Any, version: str, receiver: Any, subgraphs: bool
) -> list[Any]:
    """The callback handlers that make the chunks of the `messages` and `tools` modes."""
    handlers: list[Any] = []
    if "messages" in modes:
        blocks = version == "v2" and config[up.CONF].get(up.CONFIG_KEY_STREAM_MESSAGES_V2)
        kind = up.StreamMessagesHandlerV2 if blocks else up.StreamMessagesHandler
        handlers.append(kind(receiver, subgraphs))
    if "tools" in modes:
        handlers.append(up.StreamToolCallHandler(receiver, subgraphs))
    return handlers


class _Receiver:
    """Takes chunks for a run from nodes, handlers and graphs below, without keeping it alive."""

    def __init__(self) -> None:
        self.run: Any = None

    def __call__(self, chunk: Any) -> None:
        run = self.run()
        if run is not None:
            run.receive(chunk)

    def write(self, value: Any) -> None:
        """The stream writer of the `custom` mode."""
        namespace = get_config()["configurable"][up.CONFIG_KEY_CHECKPOINT_NS]
        self((tuple(namespace.split(up.NS_SEP)[:-1]), "custom", value))


def is_nested(config: Any) -> bool:
    """Whether a run that is called with this config runs inside a task of another."""
    return up.CONFIG_KEY_TASK_ID in config.get(up.CONF, {})


# ---- graphs that are nodes -------------------------------------------------------------------

# This package's entry points, by name: a graph whose class has another is left to that.
own_methods: dict[str, Any] = {}
_ENTRIES = {"invoke": ("invoke", "stream"), "ainvoke": ("ainvoke", "astream")}


def _fits_below(graph: Any, method: str) -> bool:
    """Whether a graph, called by `method` as a node, needs nothing that only a config can give."""
    return (
        all(
            getattr(type(graph), name) is own_methods[name] and name not in graph.__dict__
            for name in _ENTRIES[method]
        )
        and (plan := plans.plan_of(graph)).plain
        and plan.unsupported is None
    )


def _below(graph: Any, task: Any, input: Any, drive: Any) -> Any:
    """The driver of a graph's run as a node."""
    called = clock() if active else 0
    context = NodeContext(graph, task, input)
    run = superstep.Run.for_latest(
        plans.plan_of(graph), context, graph.output_channels, context.recursion_limit
    )
    count_compiled(graph)
    limit = task.context.driver_limit()
    driver = drive(run, limit, graph.stream_eager, step_timeout=graph.step_timeout)
    if called and (trace := begin_run(graph, context.asynchronous, called)):
        driver.measure(trace)
    return driver


def _run_below(graph: Any, task: Any, input: Any) -> Any:
    driver = _below(graph, task, input, sync.SyncDriver)
    try:
        driver.start(input, graph.input_channels)
        driver.complete()
    finally:
        if not driver.run.context.observed:
            task.graph_ran()
    return driver.run.final()


async def _await_below(graph: Any, task: Any, input: Any) -> Any:
    driver = _below(graph, task, input, awaited.AsyncDriver)
    try:
        driver.begin_plain(input, graph.input_channels)
        await driver.complete()
    finally:
        if not driver.run.context.observed:
            task.graph_ran()
    return driver.run.final()


node_calls.set_below(_fits_below, _run_below, _await_below)


# ---- synchronous -----------------------------------------------------------------------------


def run_to_end(opened: Opened) -> Any:
    """Run to the end; the result."""
    count_compiled(opened.graph)
    if not opened.context.watched:
        opened.make(None)
        opened.driver.start(opened.input, opened.graph.input_channels)
        opened.driver.complete()
        return opened.run.final()
    manager = opened.context.begin_watched()
    try:
        opened.make(manager)
        opened.driver.start(opened.input, opened.graph.input_channels)
        opened.driver.complete()
        manager.on_chain_end(opened.run.result)
    except BaseException as error:
        manager.on_chain_error(error)
        raise
    return opened.run.final()


def chunks(opened: Opened) -> Iterator[Any]:
    """Run, and yield the run's chunks at the moments at which upstream does."""
    count_compiled(opened.graph)
    manager = opened.context.begin_watched() if opened.context.watched else None
    try:
        opened.make(manager)
        run, driver = opened.run, opened.driver
        present: Any = opened.presenter or iter
        driver.start(opened.input, opened.graph.input_channels)
        try:
            while driver.tick():
                yield from present(run.take_chunks())
                running = driver.begin()
                if driver.failed:
                    yield from present(run.take_chunks())
                while running:
                    running = driver.wait()
                    yield from present(run.take_chunks())
                driver.close_step()
        except BaseException as error:
            if not driver.leave(error):
                raise
        else:
            driver.leave(None)
        yield from present(run.take_chunks())
        driver.finish()
        if manager is not None:
            manager.on_chain_end(run.result)
    except BaseException as error:
        if manager is not None:
            manager.on_chain_error(error)
        raise


# ---- asynchronous ----------------------------------------------------------------------------


async def await_to_end(opened: Opened) -> Any:
    """Run to the end; the result."""
    count_compiled(opened.graph)
    if not opened.context.watched:
        opened.make(None)
        driver = opened.driver
        await driver.start(opened.input, opened.graph.input_channels)
        await driver.complete()
        return opened.run.final()
    manager = await opened.context.await_begin_watched()
    try:
        opened.make(manager)
        await opened.driver.start(opened.input, opened.graph.input_channels)
        await opened.driver.complete()
        await manager.on_chain_end(opened.run.result)
    except BaseException as error:
        await asyncio.shield(manager.on_chain_error(error))
        raise
    return opened.run.final()


async def await_chunks(opened: Opened) -> AsyncIterator[Any]:
    """Run, and yield the run's chunks at the moments at which upstream does."""
    count_compiled(opened.graph)
    manager = await opened.context.await_begin_watched() if opened.context.watched else None
    try:
        opened.make(manager)
        run, driver = opened.run, opened.driver
        present: Any = opened.presenter or iter
        await driver.start(opened.input, opened.graph.input_channels)
        try:
            while driver.tick():
                for chunk in present(run.take_chunks()):
                    yield chunk
                ended = driver.begin() or await driver.resume()
                if driver.failed:
                    for chunk in present(run.take_chunks()):
                        yield chunk
                while not ended:
                    ended = not await driver.wait()
                    for chunk in present(run.take_chunks()):
                        yield chunk
                if not driver.close_step():
                    await driver.store_step()
        except BaseException as error:
            if not await driver.leave(error):
                raise
        else:
            await driver.leave(None)
        for chunk in present(run.take_chunks()):
            yield chunk
        driver.finish()
        if manager is not None:
            await manager.on_chain_end(run.result)
    except BaseException as error:
        if manager is not None:
            await asyncio.shield(manager.on_chain_error(error))
        raise
