"""Running a case on stock's engine and on the compiled one, and comparing all that shows.

Order. Where one task runs in a superstep, everything is compared in order. Where several
run, they run on threads, and the order of stock's own `updates` chunks and node calls is
the order in which the threads happened to finish: they are compared as a multiset per
superstep. The order of `values` chunks, and of the modes among each other, always counts.

A failing task among several stops the rest whenever the failure happens to be noticed, so
what the others of that superstep still did is not compared; all before it is. Where
several raise, stock's choice is chance: the compiled engine's has to be one of its choices.
"""

import logging
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import langgraph_cy

from ..engines import notes_of
from .build import Made, OtherError, TooLarge, UserError, listed, masked, plain, value_for
from .description import Call, Case, Graph, Machine, Settings

SAFE_LIMIT = 12
# How often stock is asked which of several exceptions it raises.
RUNS_FOR_ERROR = 40
# What the graphs inside a generated graph may be run on stock's engine for.
NESTED_REASONS = {"subgraph of a streamed run"}


class Listener(logging.Handler):
    """Keeps what LangGraph logs."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = record.exc_info and plain(record.exc_info[1])
        self.lines.append((record.name, record.levelname, masked(record.getMessage()), trace))


@dataclass
class Superstep:
    """Where a superstep of a run begins and how wide it is.

    Attributes:
        calls: how many node calls had been made before it.
        width: how many tasks it has, called ones not counted.
        updates: how many `updates` chunks its tasks send.
    """

    calls: int
    width: int = 0
    updates: int = 0


@dataclass
class Outcome:
    """All that one run shows to its caller and to its nodes."""

    result: Any = None
    chunks: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    calls: list[Any] = field(default_factory=list)
    raised: list[Any] = field(default_factory=list)
    said: Counter[Any] = field(default_factory=Counter)
    mode: str | None = None

    def tagged(self) -> list[Any]:
        """The chunks as (mode, chunk) pairs, whether or not they came so."""
        return [(self.mode, c) for c in self.chunks] if self.mode else self.chunks


def error_facts(error: BaseException | None) -> Any:
    """What a caller can tell of an exception; for the user's own also where it was raised."""
    if error is None:
        return None
    facts: tuple[Any, ...] = (
        type(error).__module__,
        type(error).__name__,
        masked(str(error)),
        [masked(note) for note in notes_of(error)],
        plain(error.__cause__),
        plain(error.args),
    )
    if isinstance(error, (UserError, OtherError)):
        last = traceback.extract_tb(error.__traceback__)[-1]
        facts += (last.filename, last.name, last.lineno)
    return facts


def input_of(case: Case, pairs: tuple[tuple[str, int], ...] | None) -> Any:
    if pairs is None:
        return None
    keys = case.graph.channels if isinstance(case.graph, Machine) else case.graph.keys
    kinds = {key.name: key.kind for key in keys}
    if isinstance(case.graph, Machine) and isinstance(case.graph.inputs, str):
        numbers = [number for name, number in pairs if name == case.graph.inputs]
        return value_for(kinds[case.graph.inputs], numbers[0]) if numbers else None
    return {name: value_for(kinds.get(name, "last"), number) for name, number in pairs}


def config_of(settings: Settings, limit: int | None) -> Any:
    config: dict[str, Any] = {}
    if limit is not None:
        config["recursion_limit"] = limit
    if settings.tags:
        config["tags"] = ["seen"]
    if settings.metadata:
        config["metadata"] = {"who": "me"}
    if settings.thread:
        config["configurable"] = {"thread_id": "t1", "extra": 1}
    if settings.run_name:
        config["run_name"] = "named"
    if settings.max_concurrency is not None:
        config["max_concurrency"] = settings.max_concurrency
    return config or None


def run(made: Made, call: Call, input: Any, options: dict[str, Any]) -> Outcome:
    """Run a graph once and note what shows."""
    outcome = Outcome()
    listener = Listener()
    logger = logging.getLogger("langgraph")
    before = logger.level, logger.propagate
    made.recorder.reset()
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # or pytest would keep every line for its report
    if call.output_keys is not None:
        options = {**options, "output_keys": listed(call.output_keys)}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if call.modes is None:
                outcome.result = plain(made.graph.invoke(input, **options))
            else:
                if not isinstance(call.modes, tuple) or not call.modes:
                    outcome.mode = call.modes or made.graph.stream_mode
                if call.modes:
                    options = {**options, "stream_mode": listed(call.modes)}
                for chunk in made.graph.stream(input, **options):
                    outcome.chunks.append(chunk)
        except Exception as error:
            outcome.error = error
        finally:
            logger.removeHandler(listener)
            logger.setLevel(before[0])
            logger.propagate = before[1]
    outcome.calls = made.recorder.calls
    outcome.raised = made.recorder.raised
    outcome.said = Counter(listener.lines)
    outcome.said.update((w.category.__name__, masked(str(w.message))) for w in caught)
    return outcome


def outline(made: Made, input: Any, options: dict[str, Any]) -> tuple[list[Superstep], Outcome]:
    """The supersteps of a run on stock's engine, told from its `tasks` chunks."""
    supersteps = [Superstep(0)]
    nodes = set(made.graph.nodes)
    outcome = Outcome()
    made.recorder.reset()
    ended = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            for mode, chunk in made.graph.stream(
                input, **options, stream_mode=["tasks", "updates"]
            ):
                if mode == "updates":
                    supersteps[-1].updates += 1
                    ended = True
                elif "input" not in chunk or chunk["name"] not in nodes:
                    ended = True
                    if isinstance(chunk.get("error"), BaseException):
                        outcome.raised.append(error_facts(chunk["error"]))
                else:
                    if ended:
                        supersteps.append(Superstep(len(made.recorder.calls)))
                    ended = False
                    supersteps[-1].width += 1
        except Exception as error:
            outcome.error = error
        finally:
            logging.disable(logging.NOTSET)
    outcome.calls = made.recorder.calls
    return supersteps, outcome


def failures(made: Made, input: Any, options: dict[str, Any]) -> Outcome:
    """A run on stock's engine, with what each of its tasks raised as `raised`."""
    return outline(made, input, options)[1]


def ordered(items: list[Any], strict: bool) -> Any:
    return items if strict else Counter(map(repr, items))


def cut(items: list[Any], sizes: list[int]) -> list[list[Any]]:
    """A list cut into pieces of the given sizes, and what is left over."""
    pieces, place = [], 0
    for size in sizes:
        pieces.append(items[place : place + size])
        place += size
    return [*pieces, items[place:]]


class Comparison:
    """Two outcomes of the same call, and what they may differ in.

    Args:
        supersteps: the outline of the run.
        stock, compiled: the outcomes.
        again: runs the graph on stock's engine once more; see `failures`.
        nested: whether nodes run graphs, whose calls are among those of their superstep.
    """

    def __init__(
        self,
        supersteps: list[Superstep],
        stock: Outcome,
        compiled: Outcome,
        again: Callable[[], Outcome],
        *,
        nested: bool,
    ) -> None:
        self.supersteps = supersteps
        self.stock = stock
        self.compiled = compiled
        self.wide = any(step.width > 1 for step in supersteps)
        self.nested = nested
        self.again = again
        # A failure, or a command for a parent, among several tasks. Interrupts stop no other
        # task, and end a run without an exception.
        self.torn = supersteps[-1].width > 1 and (stock.error or compiled.error) is not None

    def same(self, what: str, stock: Any, compiled: Any) -> None:
        assert compiled == stock, f"{what} differ\n  stock:    {stock!r}\n  compiled: {compiled!r}"

    def check(self) -> None:
        self.check_error()
        self.check_calls()
        self.check_result()
        self.check_chunks()
        if not self.torn:
            self.same("logged lines", self.stock.said, self.compiled.said)

    def check_error(self) -> None:
        ours, theirs = error_facts(self.compiled.error), error_facts(self.stock.error)
        if ours != theirs and self.torn and self.compiled.error is not None:
            # Several tasks may have raised: stock's choice among them is the order of a set of
            # futures, so of their addresses. What each task raised shows in `tasks` chunks,
            # except for commands to a parent, which only the choice itself shows.
            for _ in range(RUNS_FOR_ERROR):
                outcome = self.again()
                if ours in (error_facts(outcome.error), *outcome.raised):
                    return
        self.same("exceptions", theirs, ours)

    def check_calls(self) -> None:
        starts = [step.calls for step in self.supersteps]
        sizes = [after - before for before, after in pairwise(starts)]
        pairs = zip(cut(self.stock.calls, sizes), cut(self.compiled.calls, sizes), strict=True)
        for place, (stock, compiled) in enumerate(pairs):
            step = self.supersteps[place]
            if step is self.supersteps[-1] and self.torn:
                continue
            strict = step.width <= 1 and not self.nested
            self.same(
                f"calls of superstep {place}", ordered(stock, strict), ordered(compiled, strict)
            )

    def check_result(self) -> None:
        stock, compiled = self.stock.result, self.compiled.result
        if self.wide:  # interrupts come in the order of the threads
            stock, compiled = unordered_interrupts(stock), unordered_interrupts(compiled)
        self.same("results", stock, compiled)

    def check_chunks(self) -> None:
        sizes = [step.updates for step in self.supersteps]
        if self.torn:
            sizes = sizes[:-1]
        streams = [self.stock.tagged(), self.compiled.tagged()]
        if not self.torn:
            self.same("modes of chunks", *[[mode for mode, _ in stream] for stream in streams])
        values = [[plain(chunk) for mode, chunk in s if mode == "values"] for s in streams]
        if self.wide:
            values = [[unordered_interrupts(chunk) for chunk in each] for each in values]
            if self.torn:
                values = [[c for c in each if "__interrupt__" not in repr(c)] for each in values]
        self.same("values chunks", *values)
        cuts = [cut([plain(c) for mode, c in s if mode == "updates"], sizes) for s in streams]
        for place, (ours, theirs) in enumerate(zip(*cuts, strict=True)):
            if place < len(sizes):
                strict = self.supersteps[place].width <= 1
            elif self.torn:
                continue
            else:
                strict = True
            self.same(
                f"updates chunks of superstep {place}",
                ordered(ours, strict),
                ordered(theirs, strict),
            )


def unordered_interrupts(value: Any) -> Any:
    """A plain dict with its interrupts sorted."""
    if not isinstance(value, tuple):
        return value
    return tuple(
        (item[0], sorted(map(repr, item[1])))
        if isinstance(item, tuple) and item and item[0] == "__interrupt__"
        else item
        for item in value
    )


def check_engine(stats: Any, *, nested: bool) -> None:
    """The compiled engine ran the graph: stock was not compared with itself."""
    assert stats.compiled >= 1, f"nothing ran compiled: {stats}"
    allowed = NESTED_REASONS if nested else set()
    assert set(stats.reasons) <= allowed, f"ran on stock's engine: {stats.reasons}"


def calls_graphs(graph: Graph | Machine) -> bool:
    return isinstance(graph, Graph) and any(
        node.sub is not None or any(act.kind == "graph" for act in node.acts)
        for node in graph.nodes
    )


def check_case(case: Case) -> bool:
    """Compare both engines on a case. False for a case that can't be run at all.

    Raises:
        AssertionError: the engines differ.
    """
    try:
        stock = Made(case.graph)
        compiled = Made(case.graph, langgraph_cy.accelerate)
    except Exception:  # upstream refuses the graph when it is built: nothing to compare
        return False
    nested = calls_graphs(case.graph)
    for pairs in case.inputs:
        input = input_of(case, pairs)
        options: dict[str, Any] = {}
        if case.settings.context and getattr(case.graph, "context", False):
            options["context"] = {"user": "u"}
        try:
            limit = case.settings.recursion_limit
            options["config"] = config_of(case.settings, limit or SAFE_LIMIT)
            supersteps, outcome = outline(stock, input, options)
            if type(outcome.error).__name__ == "GraphRecursionError":
                limit = limit or SAFE_LIMIT
            options["config"] = config_of(case.settings, limit)
            for call in case.calls:
                expected = run(stock, call, input, options)
                langgraph_cy.reset_engine_stats()
                found = run(compiled, call, input, options)
                stats = langgraph_cy.engine_stats()
                try:
                    if found.error is None or found.calls:
                        check_engine(stats, nested=nested)
                    again = partial(failures, stock, input, options)
                    Comparison(supersteps, expected, found, again, nested=nested).check()
                except AssertionError as error:
                    raise AssertionError(
                        f"{error}\n  call: {call}\n  input: {input!r}\n  options: {options}"
                    ) from None
        except TooLarge:
            return False
    return True
