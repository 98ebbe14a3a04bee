"""Graphs made of descriptions, and the record of what their nodes saw.

Which act a node performs and which answer a branch gives are functions of the input alone,
so that one description behaves the same on every engine and with any timing of threads.
"""

import functools
import inspect
import operator
import re
import threading
from collections import Counter
from dataclasses import field, fields, is_dataclass, make_dataclass
from typing import Annotated, Any
from zlib import crc32

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableLambda
from langgraph.channels import (
    AnyValue,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValue,
    Topic,
    UntrackedValue,
)
from langgraph.channels.base import BaseChannel
from langgraph.channels.delta import DeltaChannel
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.errors import EmptyChannelError, NodeError
from langgraph.func import task
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.pregel._write import ChannelWriteEntry
from langgraph.store.memory import InMemoryStore
from langgraph.types import (
    CachePolicy,
    Command,
    Interrupt,
    Overwrite,
    RetryPolicy,
    Send,
    interrupt,
)
from pydantic import BaseModel, create_model
from typing_extensions import TypedDict

from .acts import ACTS
from .description import Act, Actor, Branch, Graph, Key, Machine, Node, Retry, To

MAX_CALLS = 80
MAX_TEXT = 20_000  # of a call: lists that nodes give back grow with every superstep
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")
_ADDRESS = re.compile(r"0x[0-9a-f]+")
_HASH = re.compile(r"\b[0-9a-f]{32}\b")


class UserError(Exception):
    """What failing nodes raise."""


class OtherError(ValueError):
    """What failing nodes raise where most retry policies don't look."""


class TooLarge(BaseException):
    """The description runs away: it is thrown away, not compared."""


def masked(text: str) -> str:
    """A text without what differs from run to run."""
    return _ADDRESS.sub("<address>", _HASH.sub("<id>", _ID.sub("<id>", text)))


def plain(value: Any) -> Any:
    """A value as nested tuples that compare by content, type and order."""
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int):
        return value
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return (type(value).__name__, *((plain(k), plain(v)) for k, v in value.items()))
    if isinstance(value, Interrupt):
        return ("Interrupt", plain(value.value))
    if isinstance(value, BaseMessage):
        return (type(value).__name__, plain(value.content), plain(value.id))
    if isinstance(value, (list, tuple)):
        return (type(value).__name__, *map(plain, value))
    if isinstance(value, (set, frozenset)):
        return (type(value).__name__, *sorted(map(repr, value)))
    if isinstance(value, BaseException):
        return (type(value).__name__, masked(str(value)))
    if isinstance(value, BaseModel):
        return (type(value).__name__, *((k, plain(v)) for k, v in value.__dict__.items()))
    if is_dataclass(value) and not isinstance(value, type):
        return (
            type(value).__name__,
            *((f.name, plain(getattr(value, f.name))) for f in fields(value)),
        )
    return type(value).__name__


# ------------------------------------------------------------------- channels and state


class Newest(BaseChannel[int, int, int]):
    """A user's own channel: keeps the last of several values and counts empty updates."""

    __slots__ = ("idle", "value")

    def __init__(self, typ: Any = int, key: str = "") -> None:
        super().__init__(typ, key)
        self.value: int | None = None
        self.idle = 0

    @property
    def ValueType(self) -> Any:
        return self.typ

    @property
    def UpdateType(self) -> Any:
        return self.typ

    def from_checkpoint(self, checkpoint: Any) -> "Newest":
        made = type(self)(self.typ, self.key)
        if isinstance(checkpoint, tuple):
            made.value, made.idle = checkpoint
        return made

    def checkpoint(self) -> Any:
        return (self.value, self.idle)

    def get(self) -> int:
        if self.value is None:
            raise EmptyChannelError
        return self.value * 100 + self.idle

    def update(self, values: Any) -> bool:
        if values:
            self.value = values[-1]
            self.idle = 0
            return True
        self.idle += 1
        return self.idle == 1


class Clamped(LastValue[int]):
    """A subclass of an upstream channel: at most 2, and several writes are no error."""

    __slots__ = ()

    def update(self, values: Any) -> bool:
        return super().update([min(v, 2) for v in values[-1:]])


class Loud(BinaryOperatorAggregate[int]):
    """A subclass of an upstream reducer channel."""

    __slots__ = ()

    def get(self) -> int:
        return super().get() + 1000


def sorted_union(left: Any, right: Any) -> list[int]:
    """A user's reducer over lists."""
    return sorted({*(left or []), *(right or [])})


def strict_sum(left: int, right: int) -> int:
    """A user's reducer that refuses some values."""
    if left + right > 9:
        raise UserError(f"sum of {left} and {right} is too large")
    return left + right


def folded(current: Any, writes: Any) -> list[int]:
    """A batch reducer, as delta channels take."""
    return [*(current or []), *(item for write in writes for item in write)]


KEY_KINDS: dict[str, Any] = {
    "last": int,
    "add": Annotated[int, operator.add],
    "cat": Annotated[list[int], operator.add],
    "union": Annotated[list[int], sorted_union],
    "strict": Annotated[int, strict_sum],
    "topic": Annotated[list[int], Topic(int)],
    "pile": Annotated[list[int], Topic(int, accumulate=True)],
    "ephemeral": Annotated[int, EphemeralValue(int)],
    "unguarded": Annotated[int, EphemeralValue(int, guard=False)],
    "untracked": Annotated[int, UntrackedValue(int)],
    "any": Annotated[int, AnyValue(int)],
    "delta": Annotated[list[int], DeltaChannel(folded)],
    "newest": Annotated[int, Newest(int)],
    "clamped": Annotated[int, Clamped(int)],
    "loud": Annotated[int, Loud(int, operator.add)],
    "is_last": IsLastStep,
    "remaining": RemainingSteps,
    "messages": Annotated[list, add_messages],
}
MANAGED = ("is_last", "remaining")
LISTS = ("cat", "union", "delta")


def value_for(kind: str, number: int) -> Any:
    """The value written to a key of a kind."""
    if kind in LISTS:
        return [number]
    if kind == "topic" and number % 2:
        return [number, number + 1]
    if kind == "messages":
        message = {"role": "ai", "content": str(number)}
        return [{**message, "id": f"m{number}"} if number % 2 else message]
    return number


def schema_of(graph: Graph, names: tuple[str, ...] | None, title: str) -> Any:
    """The state class of a graph, or of some of its keys."""
    kinds = {
        key.name: KEY_KINDS[key.kind] for key in graph.keys if names is None or key.name in names
    }
    if graph.style == "typeddict" or names is not None:
        return TypedDict(title, kinds)
    empty = {
        key.name: list
        if key.kind in (*LISTS, "topic", "pile", "messages")
        else functools.partial(int)
        for key in graph.keys
    }
    if graph.style == "dataclass":
        return make_dataclass(
            title, [(n, t, field(default_factory=empty[n])) for n, t in kinds.items()]
        )
    return create_model(title, **{n: (t, empty[n]()) for n, t in kinds.items()})


# ------------------------------------------------------------------------ what nodes see


def config_facts(config: Any) -> Any:
    """What a node can tell of its config, ids excepted."""
    conf = config["configurable"]
    return (
        sorted(config),
        sorted((k, plain(v)) for k, v in config.get("metadata", {}).items()),
        plain(config.get("tags")),
        config.get("recursion_limit"),
        plain(config.get("run_name")),
        config.get("max_concurrency"),
        type(config.get("callbacks")).__name__,
        sorted(conf),
        plain(conf.get("thread_id")),
        plain(conf.get("checkpoint_ns")),
    )


def runtime_facts(runtime: Any) -> Any:
    """What a node can tell of its runtime, ids and times excepted."""
    info = runtime.execution_info
    return (
        plain(runtime.context),
        type(runtime.store).__name__,
        plain(runtime.previous),
        callable(runtime.stream_writer),
        plain(info.checkpoint_ns),
        plain(info.checkpoint_id),
        plain(info.task_id),
        plain(info.thread_id),
        plain(info.run_id),
        info.node_attempt,
        type(info.node_first_attempt_time).__name__,
        type(runtime.control).__name__,
        type(runtime.server_info).__name__,
    )


class Recorder:
    """What the nodes of one graph saw in one run."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.calls: list[Any] = []
        self.raised: list[Any] = []
        self.attempts: Counter[Any] = Counter()

    def call(self, *facts: Any) -> None:
        with self.lock:
            self.calls.append(facts)
            if len(self.calls) > MAX_CALLS or len(repr(facts)) > MAX_TEXT:
                raise TooLarge

    def attempt(self, key: Any) -> int:
        with self.lock:
            self.attempts[key] += 1
            return self.attempts[key]

    def fail(self, error: Exception) -> Exception:
        with self.lock:
            self.raised.append(plain(error))
        return error


def digest(value: Any, hidden: frozenset[str] = frozenset()) -> int:
    """A number that depends on a value's content.

    Args:
        hidden: keys that do not count: managed values, which depend on the recursion limit.
    """
    if isinstance(value, dict):
        value = {k: v for k, v in value.items() if k not in hidden}
    elif not isinstance(value, (int, list, str)) and value is not None:
        value = {k: v for k, v in vars(value).items() if k not in hidden}
    text = repr(plain(value))
    return crc32(re.sub(r"'<id>'", "", text).encode())


def destination(to: To, sender: str, state: Any) -> Any:
    if to.send is None:
        return to.node
    # distinct for every sender, so that equal inputs never run side by side
    trail = state.get("trail", "") if isinstance(state, dict) else ""
    return Send(to.node, {"trail": f"{trail}/{sender}{to.send}", "a": to.send})


# -------------------------------------------------------------------------------- nodes


@task
def doubled(value: int) -> int:
    """A task that nodes call."""
    return value * 2


@task(name="broken")
def broken(value: int) -> int:
    """A task that fails."""
    raise UserError(f"task given {value}")


def perform(act: Act, name: str, state: Any, kinds: dict[str, str], made: "Made") -> Any:
    """What a node does and returns."""
    record = made.recorder
    if act.times and record.attempt((name, digest(state, made.managed))) <= act.times:
        if act.kind == "other error":
            raise record.fail(OtherError(f"{name} does not like this"))
        raise record.fail(UserError(f"{name} fails"))
    update = {key: value_for(kinds.get(key, "last"), number) for key, number in act.update}
    deep = isinstance(state, dict) and state.get("trail", "").count("/") > 1
    goto = [destination(to, name, state) for to in act.goto if not (deep and to.send is not None)]
    if act.kind in ("update", "other error"):
        return update
    if act.kind == "nothing":
        return None
    if act.kind == "number":
        return 42
    if act.kind == "list of updates":
        return [update, update]
    if act.kind == "sends":
        return [to for to in goto if isinstance(to, Send)]
    if act.kind == "unknown key":
        return {**update, "nowhere": 1}
    if act.kind == "overwrite":
        return {key: Overwrite(value) for key, value in update.items()}
    if act.kind == "command":
        return Command(update=update or None, goto=goto)
    if act.kind == "pairs":
        return Command(update=list(update.items()), goto=goto[0] if goto else ())
    if act.kind == "commands":
        return [Command(update=update), Command(goto=goto), update]
    if act.kind == "parent":
        return Command(graph=Command.PARENT, update=update, goto=goto)
    if act.kind == "interrupt":
        return {**update, "a": interrupt(f"{name} asks")}
    if act.kind == "task":
        return {**update, "a": value_for(kinds["a"], doubled(2).result())}
    if act.kind == "broken task":
        return {**update, "a": broken(2).result()}
    if act.kind == "mutate":
        if isinstance(state, dict):
            state["a"] = 99
        return update
    if act.kind == "echo":
        return state
    if act.kind == "graph":
        return {**update, "a": value_for(kinds["a"], len(made.inner.invoke({"a": 1})))}
    return ACTS[act.kind](update, functools.partial(value_for, kinds["a"]), made)


def make_function(name: str, inject: str, act: Any, recorder: Recorder) -> Any:
    """The function of a node or branch, with the arguments it has injected."""

    def plain_node(state):
        recorder.call(name, plain(state))
        return act(state)

    def config_node(state, config):
        recorder.call(name, plain(state), config_facts(config))
        return act(state)

    def runtime_node(state, runtime):
        recorder.call(name, plain(state), runtime_facts(runtime))
        return act(state)

    def writer_node(state, writer):
        recorder.call(name, plain(state), writer({"from": name}))
        return act(state)

    def store_node(state, *, store):
        store.put(("x",), name, {"n": 1})
        recorder.call(name, plain(state), type(store).__name__)
        return act(state)

    def previous_node(state, previous):
        recorder.call(name, plain(state), plain(previous))
        return act(state)

    def everything_node(state, config, *, runtime, writer, previous):
        recorder.call(
            name, plain(state), config_facts(config), runtime_facts(runtime), plain(previous)
        )
        writer(1)
        return act(state)

    def ambient_node(state):
        config = get_config()
        recorder.call(name, plain(state), config_facts(config), type(get_store()).__name__)
        get_stream_writer()(2)
        return act(state)

    functions = {
        "nothing": plain_node,
        "config": config_node,
        "runtime": runtime_node,
        "writer": writer_node,
        "store": store_node,
        "previous": previous_node,
        "everything": everything_node,
        "ambient": ambient_node,
    }
    return functions[inject]


INJECTIONS = (
    "nothing", "config", "runtime", "writer", "store", "previous", "everything", "ambient",
)  # fmt: skip


def shaped(function: Any, form: str) -> Any:
    """The same function as another kind of callable."""
    if form == "function":
        return function
    if form == "lambda":
        return RunnableLambda(lambda state: function(state))
    if form == "sequence":
        return RunnableLambda(lambda state: state) | (lambda state: function(state))
    if form == "partial":
        return functools.partial(function)
    if form == "object":

        class Callable:
            def __call__(self, state):
                return function(state)

        return Callable()
    if form == "method":

        class Owner:
            def node(self, state):
                return function(state)

        return Owner().node
    assert form == "coroutine", form

    async def node(state):
        answer = function(state)
        return await answer if inspect.isawaitable(answer) else answer

    return node


FORMS = ("function", "lambda", "sequence", "partial", "object", "method", "coroutine")

RETRY_ON: dict[str, Any] = {
    "user": UserError,
    "value": (ValueError, KeyError),
    "callable": lambda error: "fails" in str(error),
}


def policies(retries: tuple[Retry, ...]) -> list[RetryPolicy]:
    return [
        RetryPolicy(
            initial_interval=0.0,
            max_attempts=retry.attempts,
            jitter=False,
            retry_on=RETRY_ON[retry.on],
        )
        for retry in retries
    ]


class Made:
    """A graph made of a description, with the record of what its nodes see."""

    def __init__(
        self, description: Graph | Machine, engine: Any = None, **compiled_with: Any
    ) -> None:
        self.recorder = Recorder()
        self.engine = engine or (lambda graph: graph)
        self.inner: Any = None
        self.asking: Any = None
        self.managed: frozenset[str] = frozenset()
        self.kinds: dict[str, str] = {}
        # what the acts of sessions need, see `acts`
        self.wait: Any = None
        self.control: Any = None
        self.anonymous = True
        if isinstance(description, Machine):
            self.graph = self.engine(self.machine(description))
        else:
            self.kinds = {k.name: k.kind for k in description.keys}
            self.managed = frozenset(k.name for k in description.keys if k.kind in MANAGED)
            self.inner = self.engine(self.inner_graph())
            self.asking = self.engine(self.asking_graph(description.checkpointer))
            self.graph = self.engine(self.state_graph(description, **compiled_with))

    def inner_graph(self) -> Any:
        """What nodes with the act "graph" call."""
        inner = StateGraph(TypedDict("Inner", {"a": int}))
        inner.add_node("inner", make_function("inner", "nothing", dict, self.recorder))
        inner.add_edge(START, "inner")
        return inner.compile()

    def asking_graph(self, checkpointer: bool | None) -> Any:
        """A graph for nodes to call which interrupts."""

        def ask(state: Any) -> Any:
            self.recorder.call("inner asks", plain(state))
            answer = interrupt("inner asks")
            return {"a": answer if isinstance(answer, int) else 1}

        inner = StateGraph(TypedDict("Asking", {"a": Annotated[int, operator.add]}))
        inner.add_node("ask", ask).add_edge(START, "ask")
        return inner.compile(checkpointer=checkpointer)

    def state_graph(self, graph: Graph, **compiled_with: Any) -> Any:
        """The compiled graph.

        Args:
            compiled_with: further arguments of `compile`.
        """

        def part(names: tuple[str, ...] | None, title: str) -> Any:
            return None if names is None else schema_of(graph, names, title)

        class Context(TypedDict):
            user: str

        builder = StateGraph(
            schema_of(graph, None, "State"),
            context_schema=Context if graph.context else None,
            input_schema=part(graph.input_keys, "Input"),
            output_schema=part(graph.output_keys, "Output"),
        )
        for node in graph.nodes:
            if node.sub is not None:
                inner = self.state_graph(node.sub, checkpointer=node.sub.checkpointer)
                action = self.engine(inner) if node.sub.accelerated else inner
            else:
                action = self.node(node, graph.keys)
            builder.add_node(
                node.name,
                action,
                defer=node.defer,
                metadata={"made": node.name} if node.metadata else None,
                input_schema=part(node.input_keys, "NodeInput"),
                retry_policy=policies(node.retry) or None,
                cache_policy=CachePolicy() if node.cached else None,
                error_handler=self.handler(node, graph.keys) if node.handler else None,
            )
        for source, target in graph.edges:
            builder.add_edge(list(source) if isinstance(source, tuple) else source, target)
        for number, branch in enumerate(graph.branches):
            self.branch(builder, branch, f"path{number}", part)
        made = builder.compile(
            **{
                "store": InMemoryStore() if graph.store else None,
                "interrupt_before": list(graph.interrupt_before) or None,
                "interrupt_after": list(graph.interrupt_after) or None,
                **compiled_with,
            }
        )
        if graph.bound:
            made = made.with_config(tags=["bound"], metadata={"bound": 1})
        return made

    def node(self, node: Node, keys: tuple[Key, ...]) -> Any:
        kinds = {key.name: key.kind for key in keys}

        def act(state: Any) -> Any:
            chosen = node.acts[digest(state, self.managed) % len(node.acts)]
            return perform(chosen, node.name, state, kinds, self)

        return shaped(make_function(node.name, node.inject, act, self.recorder), node.form)

    def handler(self, node: Node, keys: tuple[Key, ...]) -> Any:
        kinds = {key.name: key.kind for key in keys}

        def handle(state: Any, error: NodeError) -> Any:
            self.recorder.call(f"{node.name} failed", plain(state), error.node, plain(error.error))
            return perform(node.handler, f"{node.name} handler", state, kinds, self)

        return handle

    def branch(self, builder: Any, branch: Branch, name: str, part: Any) -> None:
        def answer(state: Any) -> Any:
            if branch.fails:
                raise self.recorder.fail(UserError(f"{name} fails"))
            chosen = branch.answers[digest(state, self.managed) % len(branch.answers)]
            found = [
                f"to {to.node}"
                if branch.mapped and to.send is None
                else destination(to, f"{branch.source}?", state)
                for to in chosen
            ]
            return found if branch.as_list or len(found) != 1 else found[0]

        path = make_function(name, branch.inject, answer, self.recorder)
        path.__name__ = name
        if branch.schema is not None:
            path.__annotations__ = {"state": part(branch.schema, "BranchInput")}
        ends = None
        if branch.mapped:
            names = {to.node for chosen in branch.answers for to in chosen if to.send is None}
            ends = {f"to {node}": node for node in sorted(names) if node != "ghost"}
        builder.add_conditional_edges(branch.source, path, ends)

    def machine(self, machine: Machine) -> Any:
        kinds = {key.name: key.kind for key in machine.channels}
        channels = {}
        for key in machine.channels:
            annotation = KEY_KINDS[key.kind]
            if key.kind == "last":
                channels[key.name] = LastValue(int)
            elif isinstance(annotation.__metadata__[0], BaseChannel):
                channels[key.name] = annotation.__metadata__[0].copy()
            else:
                channels[key.name] = BinaryOperatorAggregate(
                    annotation.__origin__, annotation.__metadata__[0]
                )
        options: dict[str, Any] = {}
        if machine.stream_channels is not None:
            options["stream_channels"] = listed(machine.stream_channels)
        return Pregel(
            nodes={actor.name: self.actor(actor, kinds) for actor in machine.actors},
            channels=channels,
            input_channels=listed(machine.inputs),
            output_channels=listed(machine.outputs),
            stream_mode=machine.stream_mode,
            retry_policy=policies(machine.retry),
            **options,
        )

    def actor(self, actor: Actor, kinds: dict[str, str]) -> NodeBuilder:
        def act(state: Any) -> Any:
            if self.recorder.attempt((actor.name, digest(state))) <= actor.fails:
                raise self.recorder.fail(UserError(f"{actor.name} fails"))
            return actor.answers[digest(state) % len(actor.answers)]

        def given(kind: str) -> Any:
            return lambda answer: None if answer is None else value_for(kind, answer)

        builder = NodeBuilder()
        if actor.single:
            builder.subscribe_only(actor.subscribes[0])
        else:
            builder.subscribe_to(*actor.subscribes)
            if actor.silent:
                builder.subscribe_to(*actor.silent, read=False)
            if actor.reads:
                builder.read_from(*actor.reads)
        builder.do(make_function(actor.name, "nothing", act, self.recorder))
        for channel, how in actor.writes:
            kind = kinds.get(channel, "last")
            if how == "output":
                builder.write_to(channel)
            elif how == "mapped":
                builder.write_to(**{channel: given(kind)})
            elif how == "constant":
                builder.write_to(**{channel: value_for(kind, 3)})
            else:
                builder.write_to(ChannelWriteEntry(channel, skip_none=True, mapper=given(kind)))
        if actor.meta:
            builder.meta("actor", made=actor.name)
        if actor.retry:
            builder.add_retry_policies(*policies(actor.retry))
        return builder


def listed(keys: str | tuple[str, ...]) -> Any:
    return list(keys) if isinstance(keys, tuple) else keys
