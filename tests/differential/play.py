"""Playing a session on one engine, and the transcript of all that shows."""

import asyncio
import copy
import inspect
import io
import logging
import random
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from langgraph.cache.memory import InMemoryCache
from langgraph.channels import NamedBarrierValue, Topic
from langgraph.channels.named_barrier_value import NamedBarrierValueAfterFinish
from langgraph.runtime import RunControl
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command

import langgraph_cy

from ..engines import notes_of
from .build import Made, listed, value_for
from .compare import Listener, config_of
from .handlers import Watcher
from .normal import shape
from .savers import contents, saver_of
from .session import Run, Session, Update, Workflow
from .workflows import MadeWorkflow

LIMIT = 8  # supersteps, for sessions that set none
TURNS = 50  # of the event loop
PAUSES = 4  # between them, for functions that it runs on threads
PAUSE = 0.003  # seconds
Aspects = dict[str, list[str]]
ALIASING: Any = (Topic, NamedBarrierValue, NamedBarrierValueAfterFinish)
Engine = Callable[[Any], Any]


def error_facts(error: BaseException) -> Any:
    """What a caller can tell of an exception; of one raised here also where that was."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    own = "differential" in last.filename
    return (
        type(error).__module__,
        type(error).__name__,
        str(error),
        shape(error.args),
        notes_of(error),
        shape(error.__cause__),
        (last.name, last.lineno) if own else None,
    )


async def settled() -> None:
    """Wait until all else on the event loop has come as far as it can, threads included."""
    for _ in range(PAUSES):
        for _ in range(TURNS):
            await asyncio.sleep(0)
        await asyncio.sleep(PAUSE)


class Player:
    """One side of a session.

    Args:
        engine: makes a graph run on the engine of this side.
        loop: where asynchronous sessions run.
    """

    def __init__(self, session: Session, engine: Engine | None, loop: Any) -> None:
        self.session = session
        self.loop = loop
        self.saver = saver_of(session.saver) if session.saver else None
        self.cache: Any = InMemoryCache() if session.cache else None
        self.store = InMemoryStore()
        compiled_with = {
            "checkpointer": self.saver,
            "cache": self.cache,
            "store": self.store,
        }
        kind = MadeWorkflow if isinstance(session.graph, Workflow) else Made
        self.made: Any = kind(session.graph, engine, **compiled_with)
        self.graph = self.made.graph
        # A message without an id is given one in place: before or after it is saved, as it
        # happens, on threads and where coroutines take turns.
        in_turn = session.asynchronous and not session.racing
        self.made.anonymous = self.saver is None or in_turn
        if session.eager:
            self.graph.stream_eager = True

    # ---------------------------------------------------------------- the whole session

    def play(self) -> list[Aspects]:
        """The transcript: what showed in each step, and in the end."""
        state = random.getstate()
        random.seed(0)
        try:
            transcript = [self.step(step) for step in self.session.steps]
            transcript.append(self.ending())
        finally:
            random.setstate(state)
        return transcript

    def step(self, step: Run | Update) -> Aspects:
        aspects: Aspects = {}
        recorder = self.made.recorder
        recorder.calls, recorder.raised = [], []
        listener = Listener()
        logger = logging.getLogger("langgraph")
        before = logger.level, logger.propagate
        logger.addHandler(listener)
        logger.setLevel(logging.INFO)
        logger.propagate = False
        printed = io.StringIO()
        with warnings.catch_warnings(record=True) as caught, redirect_stdout(printed):
            warnings.simplefilter("always")
            try:
                if isinstance(step, Update):
                    self.update(step, aspects)
                else:
                    self.run(step, aspects)
            finally:
                logger.removeHandler(listener)
                logger.setLevel(before[0])
                logger.propagate = before[1]
        aspects["calls of nodes"] = [repr(call) for call in recorder.calls]
        said = [repr(line) for line in listener.lines]
        said += [repr((w.category.__name__, str(w.message))) for w in caught]
        aspects["logged"] = sorted(said)
        aspects["printed"] = printed.getvalue().splitlines()
        self.take_log(aspects)
        if self.saver is not None:
            self.attempt(aspects, "state", lambda: self.get_state(subgraphs=True))
            self.take_log(aspects, "state: ")
        return aspects

    def ending(self) -> Aspects:
        """What is left behind: history, the contents of saver, store and cache."""
        aspects: Aspects = {}
        if self.saver is not None:
            self.attempt(aspects, "history", self.history)
            self.take_log(aspects, "history: ")
            aspects["stored"] = contents(self.saver)
        aspects["store"] = [repr((i.namespace, i.key, i.value)) for i in self.store.search(())]
        if self.cache is not None:
            aspects["cache"] = [
                repr((ns, key, shape(self.cache.serde.loads_typed(entry[:2]))))
                for ns, entries in self.cache._cache.items()
                for key, entry in entries.items()
            ]
        return aspects

    def take_log(self, aspects: Aspects, prefix: str = "") -> None:
        log = getattr(self.saver, "log", None)
        if log is not None:
            for operation, lines in log.take().items():
                aspects[f"{prefix}saver {operation}"] = lines

    def attempt(self, aspects: Aspects, name: str, call: Callable[[], Any]) -> Any:
        """Call something and note its result, or what it raises."""
        try:
            result = call()
        except Exception as error:
            aspects[name] = [repr(("raises", error_facts(error)))]
            return None
        several = isinstance(result, list)
        aspects[name] = [repr(shape(each)) for each in (result if several else [result])]
        return result

    # -------------------------------------------------------------------- the state API

    def wait_for(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def config(self) -> dict[str, Any]:
        settings = self.session.settings
        config: dict[str, Any] = config_of(settings, settings.recursion_limit or LIMIT) or {}
        config.setdefault("configurable", {}).update(thread_id="t1")
        return config

    def get_state(self, *, subgraphs: bool = False) -> Any:
        config = {"configurable": {"thread_id": "t1"}}
        if self.session.asynchronous:
            return self.wait_for(self.graph.aget_state(config, subgraphs=subgraphs))
        return self.graph.get_state(config, subgraphs=subgraphs)

    def history(self) -> list[Any]:
        config = {"configurable": {"thread_id": "t1"}}
        if not self.session.asynchronous:
            return list(self.graph.get_state_history(config))

        async def collect() -> list[Any]:
            return [each async for each in self.graph.aget_state_history(config)]

        return self.wait_for(collect())

    def forked(self, config: dict[str, Any], fork: int | None) -> dict[str, Any]:
        """The config, pointing at an older checkpoint."""
        if fork is None or self.saver is None:
            return config
        found = self.history()
        if not found:
            return config
        older = found[fork % len(found)].config
        return {**config, "configurable": {**config["configurable"], **older["configurable"]}}

    def update(self, step: Update, aspects: Aspects) -> None:
        values = None if step.values is None else self.values_of(step.values)

        def call() -> Any:
            config = self.forked({"configurable": {"thread_id": "t1"}}, step.fork)
            if self.session.asynchronous:
                return self.wait_for(self.graph.aupdate_state(config, values, step.as_node))
            return self.graph.update_state(config, values, step.as_node)

        self.attempt(aspects, "updated", call)

    # --------------------------------------------------------------------------- a run

    def values_of(self, pairs: tuple[tuple[str, int], ...]) -> Any:
        if isinstance(self.session.graph, Workflow):
            return pairs[0][1] if pairs else 0
        kinds = self.made.kinds
        return {name: value_for(kinds.get(name, "last"), number) for name, number in pairs}

    def input_of(self, step: Run) -> Any:
        given = step.given
        goto = {"goto": step.goto} if step.goto is not None else {}
        if given is None:
            return Command(**goto) if goto else None
        if isinstance(given, tuple):
            values = self.values_of(given)
            return Command(update=values, **goto) if goto else values
        if self.saver is None:
            return Command(resume=3, **goto)
        asked = self.get_state().interrupts  # in the order of their tasks
        if given == "one answer":
            # of tasks beside each other that have not asked yet, the quickest would take it
            if self.session.racing and (step.fork is not None or not asked):
                return Command(**goto) if goto else None
            return Command(resume=3, **goto)
        if given == "first answer by id":
            asked = asked[:1]
        answers = {each.id: number for number, each in enumerate(asked, 4)}
        return Command(resume=answers, **goto) if answers else None

    def options_of(self, step: Run, config: Any) -> dict[str, Any]:
        options: dict[str, Any] = {"config": config}
        if step.modes:
            options["stream_mode"] = listed(step.modes)
        for name in ("version", "durability"):
            if getattr(step, name) is not None:
                options[name] = getattr(step, name)
        for name in ("output_keys", "print_mode", "interrupt_before", "interrupt_after"):
            if value := getattr(step, name):
                options[name] = listed(value)
        if step.subgraphs:
            options["subgraphs"] = True
        if step.control:
            options["control"] = self.made.control = RunControl()
        else:
            self.made.control = None
        if self.session.settings.context:
            options["context"] = {"user": "u"}
        return options

    def run(self, step: Run, aspects: Aspects) -> None:
        chunks: list[Any] = []
        watcher = Watcher()
        invoked = step.modes is None
        try:
            input = self.input_of(step)
            config = self.forked(self.config(), step.fork)
            if step.watched:
                config["callbacks"] = [watcher]
            options = self.options_of(step, config)
            before = repr((shape(input), sorted(config), shape(config["configurable"])))
            self.take_log(aspects, "before: ")
            if self.session.asynchronous:
                try:
                    result = self.wait_for(self.cancelled(step, input, options, chunks))
                finally:
                    aspects["left running"] = self.wait_for(self.left_running())
            elif invoked:
                result = self.graph.invoke(input, **options)
            else:
                result = self.consume(self.graph.stream(input, **options), step, chunks)
            aspects["result"] = [repr(shape(result))]
        except (Exception, asyncio.CancelledError) as error:
            aspects["error"] = [repr(error_facts(error))]
        else:
            after = repr((shape(input), sorted(config), shape(config["configurable"])))
            aspects["arguments"] = [before, after]
        aspects["chunks"] = [repr(shape(chunk)) for chunk in chunks]
        aspects["events"] = watcher.lines

    def consume(self, stream: Any, step: Run, chunks: list[Any]) -> Any:
        for chunk in stream:
            chunks.append(chunk)
            if len(chunks) == step.close_after:
                stream.close()
                return ("closed", len(list(stream)), inspect.getgeneratorstate(stream))
        return None

    async def aconsume(self, stream: Any, step: Run, chunks: list[Any]) -> Any:
        async for chunk in stream:
            chunks.append(chunk)
            if len(chunks) == step.close_after:
                await settled()
                await stream.aclose()
                return ("closed", [each async for each in stream])
        return None

    async def left_running(self) -> list[str]:
        """The asyncio tasks that a run has left behind, once they had time to end; ends them."""
        own = asyncio.current_task()
        for _ in range(TURNS):
            if not (left := [each for each in asyncio.all_tasks() if each is not own]):
                break
            await asyncio.sleep(0)
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return sorted(repr(each.get_coro()) for each in left)

    async def cancelled(
        self, step: Run, input: Any, options: dict[str, Any], chunks: list[Any]
    ) -> Any:
        """Run asynchronously, and cancel the run when a node waits, if the step says so."""
        waiting = asyncio.Event()

        async def wait() -> None:
            waiting.set()
            try:
                await asyncio.sleep(600)
            finally:
                self.made.recorder.call("stops waiting")

        self.made.wait = wait if step.cancel else None
        if step.modes is None:
            awaited = self.graph.ainvoke(input, **options)
        else:
            awaited = self.aconsume(self.graph.astream(input, **options), step, chunks)
        if not step.cancel:
            return await awaited
        task = asyncio.ensure_future(awaited)
        seen = asyncio.ensure_future(waiting.wait())
        await asyncio.wait((task, seen), return_when=asyncio.FIRST_COMPLETED)
        seen.cancel()
        await settled()
        task.cancel("the caller gives up")
        return await task


class Unplayable(Exception):
    """A session whose graph can't be built: there is nothing to compare."""


def play(session: Session, engine: Engine | None, loop: Any) -> list[Aspects]:
    """The transcript of a session on an engine; None is stock's."""
    return Player(session, engine, loop).play()


def copying(method: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A channel's `checkpoint` that does not give the channel's own container away."""

    def checkpoint(channel: Any) -> Any:
        value = method(channel)
        return (*map(copy.copy, value),) if isinstance(value, tuple) else copy.copy(value)

    return checkpoint


@contextmanager
def repaired() -> Iterator[None]:
    """Stock without a fault of its own, which compiled runs do not share.

    Its `Topic` and `NamedBarrierValue` put the live container into the checkpoint, so that an
    asynchronous run may store what the channel has become since.
    """
    originals = [(each, each.checkpoint) for each in ALIASING]
    for each, method in originals:
        each.checkpoint = copying(method)
    try:
        yield
    finally:
        for each, method in originals:
            each.checkpoint = method


def play_stock(session: Session, loop: Any) -> list[Aspects]:
    """The transcript of a session on stock.

    Raises:
        Unplayable: stock refuses the graph when it is built.
    """
    with repaired():
        try:
            player = Player(session, None, loop)
        except Exception as error:
            raise Unplayable from error
        return player.play()


def play_compiled(session: Session, loop: Any) -> list[Aspects]:
    """The transcript of a session on the compiled engine."""
    if not session.installed:
        return play(session, langgraph_cy.accelerate, loop)
    langgraph_cy.install()
    try:
        return play(session, None, loop)
    finally:
        langgraph_cy.uninstall()
