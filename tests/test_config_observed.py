"""What a node can see of its config, runtime and context: all of it is stock's.

The compiled engine makes a config only when something looks at it, so each way of looking
is tried as the first one, and the answer compared with what stock shows.
"""

import copy
import dataclasses
import json
import pickle
import re
import threading
import uuid
from collections import ChainMap
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any

import orjson
import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ensure_config, var_child_runnable_config
from langgraph.config import get_config, get_store, get_stream_writer
from langgraph.func import task
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime, get_runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import RetryPolicy, Send, StreamWriter

from .engines import COMPILED, STOCK, UUID, Engine, State, add_one, chain

HEX = re.compile(r"\b[0-9a-f]{32}\b")


@dataclasses.dataclass
class Wishes:
    """A run's context."""

    name: str = "nobody"


class Names:
    """Names for ids in the order in which they turn up, so that equal ids stay equal."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}

    def name(self, found: re.Match[str]) -> str:
        text = found.group()
        # no version of the uuid: a task id is a hash that may look like any of them
        kind = "id" if "-" in text else "hex"
        return self.seen.setdefault(text, f"<{kind}:{len(self.seen)}>")

    def mask(self, text: str) -> str:
        return HEX.sub(self.name, UUID.sub(self.name, text))


def shown(value: Any, names: Names | None = None) -> Any:
    """A value in a form in which two runs can be compared: ids named, objects by what they hold.

    Dicts become lists of pairs: the order of keys counts.
    """
    names = names or Names()
    if isinstance(value, str):
        return names.mask(value)
    if isinstance(value, float) and value > 1e9:
        return "<time>"
    if value is None or isinstance(value, (int, float, bool)):
        return value
    if isinstance(value, uuid.UUID):
        return names.mask(str(value))
    if isinstance(value, dict):
        return ["dict", *([shown(key, names), shown(each, names)] for key, each in value.items())]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [type(value).__name__, *(shown(each, names) for each in value)]
    if isinstance(value, BaseCallbackHandler):
        return type(value).__name__
    if type(value).__name__.endswith("CallbackManager"):
        return [
            type(value).__name__,
            shown(value.handlers, names),
            shown(value.tags, names),
            shown(value.metadata, names),
            value.parent_run_id is not None,
        ]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [
            type(value).__name__,
            *(
                [each.name, shown(getattr(value, each.name), names)]
                for each in dataclasses.fields(value)
            ),
        ]
    if callable(value):
        return "<callable>"
    return f"<{type(value).__name__}>"


def configs() -> dict[str, Any]:
    return {
        "none": None,
        "empty": {},
        "thread": {"configurable": {"thread_id": "7", "other": [1]}},
        "tags and metadata": {"tags": ["a", "b"], "metadata": {"k": {"deep": 1}, "n": 3}},
        "names": {"run_name": "mine", "recursion_limit": 9, "max_concurrency": 3},
        "run id": {"run_id": uuid.UUID("12345678-1234-4234-8234-123456789abc")},
    }


def seen_by(engine: Engine, look: Callable[[], Any], config: Any, *, width: int = 1) -> Any:
    """What `look` returns inside a node, comparable."""
    found: list[Any] = []
    lock = threading.Lock()

    def node(state: State) -> None:
        seen = shown(look())
        with lock:
            found.append(seen)

    builder = StateGraph(State)
    builder.add_node("before", add_one)
    builder.add_edge(START, "before")
    for place in range(width):
        builder.add_node(f"look{place}", node, metadata={"by": "node"})
        builder.add_edge("before", f"look{place}")
    with engine.running():
        builder.compile().invoke({"n": 1}, config)
        engine.check()
    return sorted(found, key=repr)


def same(look: Callable[[], Any], config: Any = None, *, width: int = 1) -> Any:
    """Check that a look shows the same on both engines, and return what."""
    expected = seen_by(STOCK, look, config, width=width)
    assert seen_by(COMPILED, look, config, width=width) == expected
    assert len(expected) == width
    return expected[0]


def ambient() -> Any:
    """The config that the context variable holds, as it is."""
    return var_child_runnable_config.get()


@pytest.mark.parametrize("config", configs().values(), ids=configs())
@pytest.mark.parametrize("width", [1, 3], ids=["alone", "among others"])
def test_get_config(config: Any, width: int) -> None:
    seen = same(get_config, config, width=width)
    assert seen[0] == "dict"
    assert len(seen) >= 4


EMPTY: dict[str, Any] = {}

LOOKS: dict[str, Callable[[Any], Any]] = {
    "dict()": lambda config: dict(config),
    "{**}": lambda config: {**config},
    "copy method": lambda config: config.copy(),
    "copy.copy": copy.copy,
    "kwargs": lambda config: (lambda **keys: keys)(**config),
    "list": list,
    "tuple": tuple,
    "sorted": sorted,
    "reversed": lambda config: list(reversed(config)),
    "set": lambda config: sorted(set(config)),
    "in": lambda config: ("configurable" in config, "nothing" in config),
    "len": len,
    "bool": bool,
    "keys": lambda config: list(config.keys()),
    "values": lambda config: list(config.values()),
    "items": lambda config: list(config.items()),
    "keys view": lambda config: config.keys() & {"tags", "metadata", "no"} == {"tags", "metadata"},
    "get": lambda config: (config.get("metadata"), config.get("nothing", 5)),
    "getitem": lambda config: config["metadata"],
    "next(iter)": lambda config: next(iter(config)),
    "or": lambda config: config | {"more": 1},
    "ror": lambda config: {"more": 1} | config,
    "equality": lambda config: (config == dict(config), config != dict(config), config == {}),
    "reflected equality": lambda config: (config == EMPTY, config != EMPTY, dict(config) == config),
    "update of a dict": lambda config: dict_updated(config),
    "dict of pairs": lambda config: dict(config.items()),
    "comprehension": lambda config: {key: config[key] for key in config},
    "isinstance": lambda config: isinstance(config, dict),
    "setdefault": lambda config: (config.setdefault("metadata", 3), config.setdefault("new", 3)),
    "pop": lambda config: (config.pop("tags", 3), config.pop("none", 3), list(config)),
    "popitem": lambda config: config.popitem(),
    "setitem": lambda config: setting(config),
    "delitem": lambda config: deleting(config),
    "update": lambda config: (config.update(tags=["x"]), list(config), config["tags"]),
    "ior": lambda config: inplace(config),
    "orjson": lambda config: orjson.loads(orjson.dumps(config, default=str))["metadata"],
    "json of metadata": lambda config: json.loads(json.dumps(config["metadata"])),
    "json keys": lambda config: list(json.loads(json.dumps(config, default=str))),
    "repr": lambda config: repr(config).startswith("{") and "'configurable': {" in repr(config),
    "str": lambda config: str(config).startswith("{"),
    "format": lambda config: f"{config}".startswith("{"),
    "pickle of harmless parts": lambda config: pickle.loads(
        pickle.dumps({key: config[key] for key in ("tags", "metadata")})
    ),
    "merged by langchain": lambda config: ensure_config(config),
    "ensured in the node": lambda config: ensure_config(),
    "match": lambda config: matching(config),
    "dict.get": lambda config: dict.get(config, "metadata"),
    "dict.items": lambda config: list(dict.items(config)),
    "dict.copy": lambda config: dict.copy(config),
    "dict.__or__": lambda config: dict.__or__(config, {}),
    "dict.__contains__": lambda config: dict.__contains__(config, "metadata"),
    "dict.__len__": lambda config: dict.__len__(config),
    "fromkeys": lambda config: dict.fromkeys(config),
    "unhashable": lambda config: raised(lambda: hash(config)),
    "missing key": lambda config: raised(lambda: config["nothing"]),
    "deepcopy": lambda config: raised(lambda: copy.deepcopy(config)),
    "pickle": lambda config: raised(lambda: pickle.dumps(config)),
    "json": lambda config: raised(lambda: json.dumps(config)),
    "type": lambda config: type(dict(config)).__name__,
    "ChainMap": lambda config: sorted(ChainMap({}, config)),
    "unpacking": lambda config: [*config],
    "starred call": lambda config: (lambda *keys: keys)(*config),
    "any": lambda config: any(config),
    "max": max,
    "map": lambda config: list(map(len, config)),
    "zip": lambda config: list(zip(config, range(3), strict=False)),
    "enumerate": lambda config: list(enumerate(config)),
    "isdisjoint": lambda config: config.keys().isdisjoint({"nothing"}),
}


def dict_updated(config: Any) -> Any:
    found: dict[str, Any] = {"first": 1}
    found.update(config)
    return found


def setting(config: Any) -> Any:
    config["more"] = 1
    return list(config), config["more"]


def deleting(config: Any) -> Any:
    del config["tags"]
    return list(config)


def inplace(config: Any) -> Any:
    before = config
    config |= {"more": 1}
    return before is config, list(config)


def matching(config: Any) -> Any:
    match config:
        case {"metadata": found}:
            return found
        case _:
            return "no metadata"


def raised(call: Callable[[], Any]) -> Any:
    try:
        call()
    except Exception as error:
        return type(error).__name__
    return "nothing"


# These read a dict's storage without asking the object. They see what `get_config` hands
# out; straight from the context variable, before anything looked, there is nothing yet.
BENEATH_PYTHON = {
    "dict.__contains__",
    "dict.__len__",
    "dict.__or__",
    "dict.copy",
    "dict.get",
    "dict.items",
    "json",
    "json keys",
    "orjson",
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("found", [get_config, ambient])
def test_first_look_at_the_config(look: str, found: Callable[[], Any]) -> None:
    """Every way of looking at the ambient config, as the first look anybody takes."""
    if look in BENEATH_PYTHON:
        found = get_config
    same(lambda: LOOKS[look](found()), {"tags": ["a"], "metadata": {"k": 1}})


@pytest.mark.parametrize("look", LOOKS)
def test_look_at_the_config_argument(look: str) -> None:
    """The same for a node that is handed its config."""
    seen = []

    def node(state: State, config: RunnableConfig) -> None:
        seen.append(shown(LOOKS[look](config)))

    graph = chain(add_one, node)
    for engine in (STOCK, COMPILED):
        with engine.running():
            graph.invoke({"n": 1}, {"tags": ["a"], "metadata": {"k": 1}})
            engine.check()
    assert seen[0] == seen[1]


def test_config_argument_is_a_dict_and_the_ambient_config(engine: Engine) -> None:
    def node(state: State, config: RunnableConfig) -> None:
        assert type(config) is dict
        assert config == get_config()

    chain(node).invoke({"n": 1})
    engine.check()


ARGUMENTS = {
    "config": lambda: same_by_argument(lambda state, config: config, RunnableConfig, "config"),
    "runtime": lambda: same_by_argument(lambda state, runtime: runtime, Runtime, "runtime"),
}


def same_by_argument(function: Callable[..., Any], kind: Any, name: str, **options: Any) -> Any:
    """What a node is given for one injected argument, the same on both engines."""
    seen = []

    def node(state: Any, **given: Any) -> None:
        seen.append(shown(function(state, **given)))

    source = {
        "config": lambda state, config: node(state, config=config),
        "runtime": lambda state, runtime: node(state, runtime=runtime),
        "store": lambda state, store: node(state, store=store),
        "writer": lambda state, writer: node(state, writer=writer),
        "previous": lambda state, previous: node(state, previous=previous),
    }[name]
    source.__annotations__ = {name: kind}
    builder = StateGraph(State, context_schema=Wishes)
    builder.add_node("look", source)
    builder.add_edge(START, "look")
    for engine in (STOCK, COMPILED):
        with engine.running():
            builder.compile(store=options.get("store")).invoke(
                {"n": 1}, options.get("config"), context=options.get("context")
            )
            engine.check()
    assert seen[0] == seen[1]
    return seen[0]


@pytest.mark.parametrize("config", configs().values(), ids=configs())
@pytest.mark.parametrize("name", ARGUMENTS)
def test_injected_argument(name: str, config: Any) -> None:
    kind = {"config": RunnableConfig, "runtime": Runtime}[name]
    seen = same_by_argument(
        lambda state, **given: given[name], kind, name, config=config, context=Wishes("me")
    )
    assert len(seen) >= 4


def test_injected_store_writer_and_context() -> None:
    store = InMemoryStore()
    assert same_by_argument(
        lambda state, store: type(store).__name__, BaseStore, "store", store=store
    )
    assert same_by_argument(lambda state, writer: writer("unheard") is None, StreamWriter, "writer")
    assert (
        same_by_argument(
            lambda state, runtime: runtime.context.name,
            Runtime[Wishes],
            "runtime",
            context={"name": "you"},
        )
        == "you"
    )


RUNTIME_LOOKS: dict[str, Callable[[], Any]] = {
    "get_runtime": lambda: get_runtime(Wishes),
    "execution_info": lambda: get_runtime().execution_info,
    "server_info": lambda: get_runtime().server_info,
    "stream_writer": lambda: get_stream_writer()("unheard"),
    "store": lambda: raised(get_store),
    "heartbeat": lambda: get_runtime().heartbeat() if hasattr(get_runtime(), "heartbeat") else 0,
    "runtime in config": lambda: get_config()["configurable"]["__pregel_runtime"],
    "same runtime": lambda: get_runtime() is get_config()["configurable"]["__pregel_runtime"],
    "scratchpad": lambda: sorted(
        name
        for name in dir(get_config()["configurable"]["__pregel_scratchpad"])
        if not name.startswith("_")
    ),
    "reader": lambda: get_config()["configurable"]["__pregel_read"]("n", False),
    "fresh reader": lambda: get_config()["configurable"]["__pregel_read"](["n"], True),
    "replaced": lambda: dataclasses.replace(get_runtime(), context=Wishes("other")),
    "override": lambda: get_runtime().override(context=Wishes("other")),
}


@pytest.mark.parametrize("config", configs().values(), ids=configs())
@pytest.mark.parametrize("look", RUNTIME_LOOKS)
def test_look_at_the_runtime(look: str, config: Any) -> None:
    same(RUNTIME_LOOKS[look], config)


def test_ids_agree(engine: Engine) -> None:
    """One task id, in the config, in its checkpoint namespace and in the runtime."""
    seen: list[tuple[str, str]] = []

    def node(state: State) -> None:
        conf = get_config()["configurable"]
        info = get_runtime().execution_info
        metadata = get_config()["metadata"]
        assert info is not None
        namespace = conf["checkpoint_ns"]
        name, _, task_id = namespace.partition(":")
        assert name == metadata["langgraph_node"]
        assert task_id == conf["__pregel_task_id"] == info.task_id
        assert namespace == info.checkpoint_ns == metadata["langgraph_checkpoint_ns"]
        assert conf["checkpoint_map"] == {"": info.checkpoint_id}
        assert uuid.UUID(info.checkpoint_id).version == 6
        assert str(uuid.UUID(task_id)) == task_id
        seen.append((task_id, info.checkpoint_id))

    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, node)
    builder.add_edge(START, "a")
    builder.add_edge(START, "b")
    builder.add_edge(["a", "b"], "c")
    graph = builder.compile()
    graph.invoke({"n": 1})
    graph.invoke({"n": 1})
    engine.check()
    assert len(seen) == 6
    assert len({task_id for task_id, _ in seen}) == 6
    checkpoints = [checkpoint for _, checkpoint in seen]
    assert checkpoints[0] == checkpoints[1] < checkpoints[2] < checkpoints[3] == checkpoints[4]


def test_task_ids_are_upstreams_hashes() -> None:
    """From the same checkpoint id, both engines derive the same task id."""
    from langgraph.pregel._algo import _uuid5_str, _xxhash_str

    def node(state: State) -> None:
        conf = get_config()["configurable"]
        metadata = get_config()["metadata"]
        checkpoint = bytes.fromhex(conf["checkpoint_map"][""].replace("-", ""))
        parts = (
            metadata["langgraph_node"],
            str(metadata["langgraph_step"]),
            metadata["langgraph_node"],
            "__pregel_pull",
            *metadata["langgraph_triggers"],
        )
        expected = {hashed(checkpoint, *parts) for hashed in (_uuid5_str, _xxhash_str)}
        assert conf["__pregel_task_id"] in expected

    graph = chain(node, node)
    for engine in (STOCK, COMPILED):
        with engine.running():
            graph.invoke({"n": 1})
            engine.check()


def test_every_look_gives_the_same_ids(engine: Engine) -> None:
    def node(state: State, config: RunnableConfig, runtime: Runtime) -> None:
        first, second = get_config(), get_config()
        assert first is second
        assert first["configurable"] == config["configurable"]
        assert get_runtime().execution_info == runtime.execution_info

    def late(state: State) -> None:
        assert get_config() is get_config()
        assert get_runtime() == get_runtime()
        assert dict(get_config())["configurable"] == ensure_config()["configurable"]

    chain(node, late).invoke({"n": 1})
    engine.check()


class Recorder(BaseCallbackHandler):
    """Takes down what it is told of the runs of Runnables."""

    def __init__(self) -> None:
        self.starts: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **given: Any) -> None:
        self.starts.append(
            shown(
                {
                    "name": given.get("name"),
                    "tags": given.get("tags"),
                    "metadata": given.get("metadata"),
                    "child": given.get("parent_run_id") is not None,
                    "inputs": inputs,
                }
            )
        )


@pytest.mark.parametrize("config", configs().values(), ids=configs())
@pytest.mark.parametrize(
    "runnable",
    [
        pytest.param(RunnableLambda(lambda n: n + 1).with_config(tags=["own"]), id="lambda"),
        pytest.param(RunnableLambda(lambda n: n) | (lambda n: n + 1), id="sequence"),
        pytest.param(RunnableParallel(a=lambda n: n, b=lambda n: n) | (lambda m: 2), id="parallel"),
    ],
)
def test_a_runnable_called_in_a_node_inherits(runnable: Any, config: Any) -> None:
    """Tags, metadata and the parent run, told to a handler that the inner call brings along."""

    def look() -> Any:
        recorder = Recorder()
        assert runnable.invoke(1, {"callbacks": [recorder]}) == 2
        return sorted(recorder.starts, key=repr)

    seen = same(look, config)
    assert len(seen) > 1


def test_a_runnable_as_node_inherits() -> None:
    seen = []

    def inner(state: State, config: RunnableConfig) -> Any:
        seen.append(shown(config))
        return {"n": 2}

    builder = StateGraph(State)
    builder.add_node("plain", RunnableLambda(inner).with_config(tags=["own"]))
    builder.add_node("sequence", RunnableLambda(add_one) | RunnableLambda(inner))
    builder.add_edge(START, "plain")
    builder.add_edge("plain", "sequence")
    graph = builder.compile()
    for engine in (STOCK, COMPILED):
        with engine.running():
            graph.invoke({"n": 1}, {"tags": ["outer"], "metadata": {"k": 1}})
            engine.check()
    assert seen[:2] == seen[2:]


def test_config_seen_from_other_places() -> None:
    """Conditional edges, Sends, functions called as tasks, retries and nested graphs."""
    seen: list[Any] = []

    def look(where: str) -> None:
        seen.append((where, shown(dict(get_config()))))

    def route(state: State) -> Any:
        look("edge")
        return [Send("sent", {"n": 5})]

    def sent(state: State) -> Any:
        look("sent")
        return {"n": child.invoke({"n": 1})["n"]}

    def nested(state: State) -> Any:
        look("nested")
        return {"n": 3}

    attempts: list[int] = []

    def flaky(state: State) -> Any:
        look("flaky")
        attempts.append(1)
        if len(attempts) % 2:
            raise ValueError("again")

    child = chain(nested)
    builder = StateGraph(State)
    builder.add_node("first", add_one)
    builder.add_node("sent", sent)
    builder.add_node(
        "flaky",
        flaky,
        retry_policy=RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ValueError),
    )
    builder.add_edge(START, "first")
    builder.add_conditional_edges("first", route, ["sent"])
    builder.add_edge("sent", "flaky")
    builder.add_edge("flaky", END)
    graph = builder.compile()
    for engine in (STOCK, COMPILED):
        with engine.running():
            graph.invoke({"n": 1}, {"tags": ["t"], "configurable": {"thread_id": "1"}})
            engine.check()
    half = len(seen) // 2
    assert [where for where, _ in seen[:half]] == ["edge", "sent", "nested", "flaky", "flaky"]
    for expected, found in zip(seen[:half], seen[half:], strict=True):
        assert found == expected


def test_config_seen_from_called_tasks() -> None:
    seen: list[Any] = []

    @task
    def inner(number: int) -> int:
        seen.append(shown(dict(get_config())))
        return number + 1

    def node(state: State) -> Any:
        return {"n": inner(state["n"]).result()}

    graph = chain(add_one, node)
    for engine in (STOCK, COMPILED):
        with engine.running():
            assert graph.invoke({"n": 1}, {"tags": ["t"]}) == {"n": 3}
            engine.check()
    assert seen[0] == seen[1]


def test_config_seen_late() -> None:
    """The first look is taken by a thread of the node's own, after the node has returned."""
    found = {}
    for engine in (STOCK, COMPILED):
        with engine.running():
            over, looked = threading.Event(), threading.Event()
            seen: list[Any] = []

            def look(
                config: Any,
                over: threading.Event = over,
                looked: threading.Event = looked,
                seen: list[Any] = seen,
            ) -> None:
                over.wait(10)
                try:
                    seen.append(shown(dict(config)))
                    seen.append(shown(dict(get_config())))
                except Exception as error:
                    seen.append(repr(error))
                looked.set()

            def node(state: State, look: Callable[..., Any] = look) -> dict[str, int]:
                context = copy_context()
                threading.Thread(target=context.run, args=(look, ambient()), daemon=True).start()
                return {"n": state["n"] + 1}

            # other nodes follow: what is seen late is still the config of the first
            graph = chain(node, add_one, add_one)
            assert graph.invoke({"n": 1}, {"metadata": {"k": 1}}) == {"n": 4}
            over.set()
            assert looked.wait(10)
            engine.check()
            found[engine.compiled] = seen
    assert len(found[False]) == 2
    assert found[True] == found[False]


def test_looks_from_several_threads_at_once(compiled: Engine) -> None:
    """A config is completed once, whoever comes first."""
    errors: list[Any] = []

    def node(state: State) -> None:
        config = ambient()
        barrier = threading.Barrier(4)
        seen: list[Any] = []

        def look() -> None:
            barrier.wait(10)
            seen.append((dict(config)["configurable"]["__pregel_task_id"], list(config)))

        threads = [threading.Thread(target=look) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if len({repr(each) for each in seen}) != 1 or len(seen) != 4:
            errors.append(seen)

    graph = chain(node)
    for _ in range(50):
        graph.invoke({"n": 1})
    compiled.check()
    assert errors == []


MINE: ContextVar[str] = ContextVar("MINE", default="default")


def test_context_variables(engine: Engine) -> None:
    """A node sees the caller's variables, in one thread or many, and changes only its own."""
    seen = []

    def node(state: Any) -> None:
        seen.append(MINE.get())
        MINE.set("changed")

    builder = StateGraph(State)
    for name in ("a", "b", "c"):
        builder.add_node(name, node)
    builder.add_edge(START, "a")
    builder.add_edge("a", "b")
    builder.add_edge("a", "c")
    graph = builder.compile()

    def run() -> None:
        MINE.set("caller")
        graph.invoke({"n": 1})
        assert MINE.get() == "caller"
        for _ in graph.stream({"n": 1}):
            assert MINE.get() == "caller"

    copy_context().run(run)
    engine.check()
    assert seen == ["caller"] * 6


def test_config_is_not_left_behind(engine: Engine) -> None:
    """After a run, and between the chunks of a stream, no config is set."""
    graph = chain(add_one, add_one)
    assert ambient() is None
    graph.invoke({"n": 1})
    assert ambient() is None
    for _ in graph.stream({"n": 1}):
        assert ambient() is None
    with pytest.raises(RuntimeError):
        get_config()
    engine.check()


def test_how_far_a_change_to_the_config_reaches() -> None:
    """The next node, the next run and the caller see of it just what they see on stock."""
    found = []
    for engine in (STOCK, COMPILED):
        given: Any = {"tags": ["a"], "metadata": {"k": 1}, "configurable": {"x": 1}}
        seen: list[Any] = []

        def spoil(state: State, seen: list[Any] = seen) -> None:
            config = get_config()
            seen.append(
                shown([config["tags"], config["metadata"], config["configurable"].get("x")])
            )
            config["tags"].append("spoilt")
            config["metadata"]["spoilt"] = True
            config["configurable"]["x"] = "spoilt"
            config["recursion_limit"] = 1

        graph = chain(spoil, spoil)
        with engine.running():
            graph.invoke({"n": 1}, given)
            graph.invoke({"n": 1}, given)
            graph.invoke({"n": 1}, {"tags": ["z"]})
            engine.check()
        found.append((seen, given))
    assert len(found[0][0]) == 6
    assert found[0] == found[1]


def test_a_config_passed_on_by_hand() -> None:
    """A node that hands its config to a graph or a Runnable, whole or in part."""
    seen: list[Any] = []
    names = Names()

    def inner(state: State) -> Any:
        seen.append(shown(dict(get_config()), names))
        return {"n": 2}

    child = chain(inner)

    def whole(state: State, config: RunnableConfig) -> Any:
        return child.invoke(state, config)

    def ambiently(state: State) -> Any:
        return child.invoke(state, get_config())

    def part(state: State) -> Any:
        return child.invoke(state, {"tags": get_config()["tags"]})

    def run_runnable(state: State) -> Any:
        return RunnableLambda(inner).invoke(state, get_config())

    graph = chain(whole, ambiently, part, run_runnable)
    found = []
    for engine in (STOCK, COMPILED):
        names = Names()
        seen.clear()
        with engine.running():
            graph.invoke({"n": 1}, {"tags": ["t"]})
            engine.check()
        found.append(list(seen))
    assert len(found[0]) == 4
    assert found[0] == found[1]
