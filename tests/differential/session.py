"""Sessions as plain data: a graph, a saver, and what is done with a thread one after the other."""

from dataclasses import dataclass

from .description import Described, Graph, Settings


@dataclass(frozen=True, repr=False)
class Fault(Described):
    """The `nth` call (from 1) of a saver's `operation` fails; the ones after it succeed.

    Only the calls of the graph itself count, or where `nested` is set only those of subgraphs:
    which of the two comes first is chance.
    """

    operation: str
    nth: int
    nested: bool = False


@dataclass(frozen=True, repr=False)
class Saver(Described):
    """A checkpointer; `kind` names one of `savers.KINDS`."""

    kind: str
    fault: Fault | None = None


@dataclass(frozen=True, repr=False)
class Op(Described):
    """What a workflow does next: `kind` is one that `workflows.perform` knows."""

    kind: str
    number: int = 1
    times: int = 0


@dataclass(frozen=True, repr=False)
class Workflow(Described):
    """A function for `entrypoint`: its operations, and what it returns and saves.

    Attributes:
        asynchronous: whether it and its tasks are coroutine functions.
        final: it returns one thing and saves another.
        attempts, cached: the policies of its tasks.
    """

    ops: tuple[Op, ...]
    asynchronous: bool = False
    final: bool = False
    attempts: int = 1
    cached: bool = False


@dataclass(frozen=True, repr=False)
class Run(Described):
    """A run of the graph.

    Attributes:
        given: the input as (key, number) pairs, None to go on, or how to answer questions:
            "one answer", "answers by id", "first answer by id".
        goto: for an answer, or with pairs, a `Command` that also goes to this node.
        modes: None for `invoke`, () for `stream` in the default mode.
        close_after: the consumer closes the stream after so many chunks.
        cancel: the caller's asyncio task is cancelled once a node waits.
        fork: start from an older checkpoint, counted from the newest; None for the newest.
    """

    given: tuple[tuple[str, int], ...] | str | None
    goto: str | None = None
    modes: tuple[str, ...] | str | None = None
    subgraphs: bool = False
    version: str | None = None
    output_keys: tuple[str, ...] | str | None = None
    print_mode: tuple[str, ...] | str = ()
    durability: str | None = None
    interrupt_before: tuple[str, ...] | str = ()
    interrupt_after: tuple[str, ...] | str = ()
    close_after: int | None = None
    cancel: bool = False
    fork: int | None = None
    watched: bool = False
    control: bool = False


@dataclass(frozen=True, repr=False)
class Update(Described):
    """`update_state`, at the newest checkpoint or an older one."""

    values: tuple[tuple[str, int], ...] | None
    as_node: str | None = None
    fork: int | None = None


ORDINARY = Settings()


@dataclass(frozen=True, repr=False)
class Session(Described):
    """Steps on one thread of one graph.

    Attributes:
        asynchronous: everything goes through the asynchronous methods.
        wide: several tasks may run in a superstep.
        racing: they run side by side on threads, so their order is chance.
        installed: the compiled engine is reached with `install`, not `accelerate`.
        eager: the graph has `stream_eager`.
    """

    graph: Graph | Workflow
    steps: tuple[Run | Update, ...]
    saver: Saver | None = None
    settings: Settings = ORDINARY
    asynchronous: bool = False
    wide: bool = False
    racing: bool = False
    installed: bool = False
    eager: bool = False
    cache: bool = False
