"""Graphs as plain data: what hypothesis generates, prints and shrinks.

Nothing in here runs. `build` makes a graph of a description, as often as one is needed.
"""

from dataclasses import dataclass

GHOST = "ghost"  # a destination that is no node


@dataclass(frozen=True)
class Key:
    """A key of the state; `kind` names one of `build.KEY_KINDS`."""

    name: str
    kind: str


@dataclass(frozen=True)
class To:
    """A destination: by name, or a Send with its own input where `send` is set."""

    node: str
    send: int | None = None


@dataclass(frozen=True)
class Act:
    """What one call of a node does.

    `kind` names a branch of `build.perform`; `update` holds (key, number) pairs; `times`
    is how many calls with the same input fail before one succeeds.
    """

    kind: str
    update: tuple[tuple[str, int], ...] = ()
    goto: tuple[To, ...] = ()
    times: int = 0


@dataclass(frozen=True)
class Retry:
    """A RetryPolicy without waiting; `on` names one of `build.RETRY_ON`."""

    attempts: int
    on: str


@dataclass(frozen=True)
class Node:
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


@dataclass(frozen=True)
class Branch:
    """A conditional edge. The state decides which of the answers its path gives."""

    source: str
    answers: tuple[tuple[To, ...], ...]
    mapped: bool = False
    as_list: bool = False
    schema: tuple[str, ...] | None = None
    inject: str = "nothing"
    fails: bool = False


@dataclass(frozen=True)
class Graph:
    """A StateGraph."""

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


@dataclass(frozen=True)
class Actor:
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


@dataclass(frozen=True)
class Machine:
    """A hand-built Pregel graph; `channels` as `Key`s."""

    channels: tuple[Key, ...]
    actors: tuple[Actor, ...]
    inputs: str | tuple[str, ...]
    outputs: str | tuple[str, ...]
    stream_channels: str | tuple[str, ...] | None = None
    stream_mode: str = "values"
    retry: tuple[Retry, ...] = ()


@dataclass(frozen=True)
class Call:
    """One way to run a graph: `modes` None is `invoke`, () is `stream` in the default mode."""

    modes: tuple[str, ...] | str | None
    output_keys: str | tuple[str, ...] | None = None


@dataclass(frozen=True)
class Settings:
    """The config of a run; None leaves a field out, and all None runs without a config."""

    recursion_limit: int | None = None
    tags: bool = False
    metadata: bool = False
    thread: bool = False
    run_name: bool = False
    max_concurrency: int | None = None
    context: bool = False


@dataclass(frozen=True)
class Case:
    """A graph, with inputs as (key, number) pairs and the ways to run it on each."""

    graph: Graph | Machine
    inputs: tuple[tuple[tuple[str, int], ...] | None, ...]
    calls: tuple[Call, ...]
    settings: Settings
