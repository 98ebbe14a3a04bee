"""Graphs as plain data: what hypothesis generates, prints and shrinks.

Nothing in here runs. `build` makes a graph of a description, as often as one is needed.
"""

from dataclasses import dataclass, fields

GHOST = "ghost"  # a destination that is no node


class Described:
    """A part of a description; its `repr` leaves out what is as by default."""

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, repr=False)
class Key(Described):
    """A key of the state; `kind` names one of `build.KEY_KINDS`."""

    name: str
    kind: str


@dataclass(frozen=True, repr=False)
class To(Described):
    """A destination: by name, or a Send with its own input where `send` is set."""

    node: str
    send: int | None = None


@dataclass(frozen=True, repr=False)
class Act(Described):
    """What one call of a node does.

    `kind` names a branch of `build.perform` or an entry of `acts.ACTS`; `update` holds
    (key, number) pairs; `times` is how many calls with the same input fail before one succeeds.
    """

    kind: str
    update: tuple[tuple[str, int], ...] = ()
    goto: tuple[To, ...] = ()
    times: int = 0


@dataclass(frozen=True, repr=False)
class Retry(Described):
    """A RetryPolicy without waiting; `on` names one of `build.RETRY_ON`."""

    attempts: int
    on: str


@dataclass(frozen=True, repr=False)
class Node(Described):
    """A node of a StateGraph. The input decides which of its acts a call performs."""

    name: str
    acts: tuple[Act, ...]
    form: str = "function"
    inject: str = "nothing"
    input_keys: tuple[str, ...] | None = None
    retry: tuple[Retry, ...] = ()
    defer: bool = False
    metadata: bool = False
    sub: "Graph | None" = None
    cached: bool = False
    handler: Act | None = None


@dataclass(frozen=True, repr=False)
class Branch(Described):
    """A conditional edge. The state decides which of the answers its path gives."""

    source: str
    answers: tuple[tuple[To, ...], ...]
    mapped: bool = False
    as_list: bool = False
    schema: tuple[str, ...] | None = None
    inject: str = "nothing"
    fails: bool = False


@dataclass(frozen=True, repr=False)
class Graph(Described):
    """A StateGraph; `checkpointer` is what it is compiled with where it is a subgraph."""

    keys: tuple[Key, ...]
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str | tuple[str, ...], str], ...]
    branches: tuple[Branch, ...] = ()
    style: str = "typeddict"
    input_keys: tuple[str, ...] | None = None
    output_keys: tuple[str, ...] | None = None
    store: bool = False
    context: bool = False
    bound: bool = False
    accelerated: bool = True
    checkpointer: bool | None = None
    interrupt_before: tuple[str, ...] = ()
    interrupt_after: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Actor(Described):
    """A node of a hand-built Pregel graph.

    `writes` holds (channel, how) pairs, `how` being "output", "mapped", "constant" or
    "not none".
    """

    name: str
    subscribes: tuple[str, ...]
    reads: tuple[str, ...]
    single: bool
    writes: tuple[tuple[str, str], ...]
    silent: tuple[str, ...] = ()
    answers: tuple[int | None, ...] = (1,)
    fails: int = 0
    retry: tuple[Retry, ...] = ()
    meta: bool = False


@dataclass(frozen=True, repr=False)
class Machine(Described):
    """A hand-built Pregel graph; `channels` as `Key`s."""

    channels: tuple[Key, ...]
    actors: tuple[Actor, ...]
    inputs: str | tuple[str, ...]
    outputs: str | tuple[str, ...]
    stream_channels: str | tuple[str, ...] | None = None
    stream_mode: str = "values"
    retry: tuple[Retry, ...] = ()


@dataclass(frozen=True, repr=False)
class Call(Described):
    """One way to run a graph: `modes` None is `invoke`, () is `stream` in the default mode."""

    modes: tuple[str, ...] | str | None
    output_keys: str | tuple[str, ...] | None = None


@dataclass(frozen=True, repr=False)
class Settings(Described):
    """The config of a run; None leaves a field out, and all None runs without a config."""

    recursion_limit: int | None = None
    tags: bool = False
    metadata: bool = False
    thread: bool = False
    run_name: bool = False
    max_concurrency: int | None = None
    context: bool = False


@dataclass(frozen=True, repr=False)
class Case(Described):
    """A graph, with inputs as (key, number) pairs and the ways to run it on each."""

    graph: Graph | Machine
    inputs: tuple[tuple[tuple[str, int], ...] | None, ...]
    calls: tuple[Call, ...]
    settings: Settings
