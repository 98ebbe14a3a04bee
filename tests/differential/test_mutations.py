"""The comparison of sessions can fail: engines that are wrong on purpose are found out."""

import asyncio
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from . import description, judge, session
from .acts import ACTS
from .description import Act, Branch, Graph, Key, Node, Settings, To
from .judge import Difference, check_session
from .play import Player
from .session import Fault, Op, Run, Saver, Session, Update, Workflow
from .tally import Tally

ALL = ("values", "updates", "messages", "custom", "tasks", "checkpoints", "debug")
START, END = "__start__", "__end__"
KEYS = (Key("a", "add"), Key("b", "messages"))


def row(*acts: Act, form: str = "function", **options: Any) -> Graph:
    """A graph with one node for each act, one after the other."""
    names = [f"n{place}" for place in range(len(acts))]
    nodes = tuple(Node(name, (act,), form) for name, act in zip(names, acts, strict=True))
    ends = (START, *names, END)
    return Graph(KEYS, nodes, tuple(pairwise(ends)), **options)


A1 = (("a", 1),)
ASKING = Session(
    row(Act("update", A1), Act("talk", A1), Act("ask", A1), Act("write", A1)),
    steps=(
        Run(A1, modes=ALL, durability="async", watched=True),
        Run("answers by id", modes=ALL, subgraphs=True, watched=True),
        Run(A1, modes="updates", fork=1),
        Update(A1, as_node="n1"),
        Run(None),
    ),
    saver=Saver("memory"),
    cache=True,
)
PLAIN = Session(ASKING.graph, ASKING.steps, Saver("plain"), asynchronous=True)
LEDGER = Session(ASKING.graph, ASKING.steps, Saver("ledger"), Settings(tags=True))
RACING = Session(
    Graph(
        KEYS,
        nodes=(*(Node(f"n{n}", (Act("ask" if n else "write", A1),)) for n in range(4)),),
        edges=tuple((START, f"n{n}") for n in range(4)),
    ),
    steps=(
        Run(A1, modes=ALL, watched=True),
        Run("first answer by id", modes=("updates", "values")),
        Run("answers by id"),
    ),
    saver=Saver("memory"),
    wide=True,
    racing=True,
)
FAILING = Session(
    row(Act("update", A1), Act("update", A1, times=1)),
    steps=(Run(A1, modes=("values", "tasks")), Run(None, modes="updates", print_mode="values")),
    saver=Saver("memory", Fault("put", 4)),
)
CANCELLED = Session(
    row(Act("update", A1), Act("wait", A1), form="coroutine"),
    steps=(Run(A1, modes="updates", cancel=True), Run(None, modes="updates", close_after=1)),
    saver=Saver("memory"),
    asynchronous=True,
)
SENDING = Session(
    Graph(
        KEYS,
        nodes=(Node("n0", (Act("update", A1),), "coroutine"),),
        edges=(("n0", END),),
        branches=(Branch(START, (tuple(To("n0", n) for n in range(3)),), as_list=True),),
    ),
    steps=(Run(A1, modes=("updates", "values")),),
    saver=Saver("memory"),
    asynchronous=True,
)
WORKFLOW = Session(
    Workflow((Op("task", 1), Op("ask"), Op("tasks", 3)), final=True, cached=True),
    steps=(Run(A1), Run("one answer"), Run(A1)),
    saver=Saver("memory"),
    wide=True,
    racing=True,
    cache=True,
)
CLOSED = Session(
    row(Act("update", A1), Act("update", A1)),
    steps=(Run(A1, modes=("values", "updates"), close_after=2), Run(None, modes="values")),
    saver=Saver("ledger"),
)
EVERY = {
    "asking": ASKING,
    "plain": PLAIN,
    "ledger": LEDGER,
    "racing": RACING,
    "failing": FAILING,
    "cancelled": CANCELLED,
    "sending": SENDING,
    "workflow": WORKFLOW,
    "closed": CLOSED,
}
Wrong = Callable[[Player], None]


def wrongly(wrong: Wrong) -> Any:
    """Stock's engine with something wrong, to be compared with stock's engine."""

    def play(session: Session, loop: Any) -> Any:
        player = Player(session, None, loop)
        wrong(player)
        return player.play()

    return play


@pytest.fixture(autouse=True)
def own_tally(monkeypatch: pytest.MonkeyPatch) -> Tally:
    """Counts that do not go into the summary of the test run; stock is asked again but once."""
    tally = Tally()
    monkeypatch.setattr(judge, "TALLY", tally)
    monkeypatch.setattr(judge, "RUNS_TO_TELL", 1)
    return tally


@pytest.mark.parametrize("name", EVERY)
def test_right(name: str, loop: Any, own_tally: Tally) -> None:
    """Stock's engine is not found to differ from itself, and no error is an accident."""
    assert check_session(EVERY[name], loop, wrongly(lambda player: None))
    assert not own_tally.left_to_chance
    expected = {"failing": {"UserError", "SaverError"}, "cancelled": {"CancelledError"}}
    assert set(own_tally.errors) <= expected.get(name, set()), own_tally.errors


# ------------------------------------------------------------------------------ streams


def chunks(change: Callable[[list[Any]], list[Any]]) -> Wrong:
    """Streams with other chunks."""

    def wrong(player: Player) -> None:
        sync, asynchronous = player.graph.stream, player.graph.astream

        def stream(*args: Any, **options: Any) -> Iterator[Any]:
            yield from change(list(sync(*args, **options)))

        async def astream(*args: Any, **options: Any) -> Any:
            for chunk in change([each async for each in asynchronous(*args, **options)]):
                yield chunk

        player.graph.stream, player.graph.astream = stream, astream

    return wrong


def deepened(chunk: Any) -> Any:
    """The chunk with the first number in it raised by one."""
    if isinstance(chunk, int) and not isinstance(chunk, bool):
        return chunk + 1
    if isinstance(chunk, dict):
        for key, value in chunk.items():
            if (other := deepened(value)) is not value:
                return {**chunk, key: other}
    if type(chunk) is tuple:
        for place, value in enumerate(chunk):
            if (other := deepened(value)) is not value:
                return (*chunk[:place], other, *chunk[place + 1 :])
    return chunk


def reversed_keys(chunk: Any) -> Any:
    if type(chunk) is tuple:
        return tuple(map(reversed_keys, chunk))
    return dict(reversed(chunk.items())) if isinstance(chunk, dict) else chunk


STREAMS = {
    "the last chunk is missing": lambda found: found[:-1],
    "the first chunk is missing": lambda found: found[1:],
    "a chunk comes twice": lambda found: found[:1] + found,
    "a number is wrong": lambda found: [deepened(chunk) for chunk in found],
    "two chunks are swapped": lambda found: [*found[1:2], *found[:1], *found[2:]],
    "keys are in another order": lambda found: [reversed_keys(chunk) for chunk in found],
}


SEEN_IN_ORDER = ("asking", "plain", "ledger", "sending")


@pytest.mark.parametrize(
    ("wrong", "session"),
    [
        *((wrong, session) for wrong in STREAMS for session in SEEN_IN_ORDER),
        *((wrong, "racing") for wrong in STREAMS if wrong != "two chunks are swapped"),
    ],
)
def test_wrong_stream(wrong: str, session: str, loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(EVERY[session], loop, wrongly(chunks(STREAMS[wrong])))


def test_milestones_of_racing_tasks_are_in_order(loop: Any) -> None:
    """Where tasks race, the loop's own chunks still come in order."""

    def swapped(found: list[Any]) -> list[Any]:
        places = [n for n, chunk in enumerate(found) if chunk[0] == "values"]
        first, second = places[:2]
        found[first], found[second] = found[second], found[first]
        return found

    with pytest.raises(Difference):
        check_session(RACING, loop, wrongly(chunks_of_first_run(swapped)))


def chunks_of_first_run(change: Callable[[list[Any]], list[Any]]) -> Wrong:
    """Only the first stream of a session has other chunks."""

    def wrong(player: Player) -> None:
        left = [change]
        chunks(lambda found: left.pop()(found) if left else found)(player)

    return wrong


def test_unclosed_stream(loop: Any) -> None:
    """A stream that goes on after it was closed."""

    def wrong(player: Player) -> None:
        real = player.graph.stream

        class Unclosed:
            def __init__(self, *args: Any, **options: Any) -> None:
                self.stream = real(*args, **options)

            def __iter__(self) -> Any:
                return self.stream

            def close(self) -> None:
                pass

        player.graph.stream = Unclosed

    with pytest.raises((Difference, TypeError)):
        check_session(CLOSED, loop, wrongly(wrong))


# --------------------------------------------------------------- errors and cancellation


def raising(change: Callable[[BaseException], None]) -> Wrong:
    """Runs whose exceptions are changed."""

    def wrong(player: Player) -> None:
        real = player.graph.stream

        def stream(*args: Any, **options: Any) -> Iterator[Any]:
            try:
                yield from real(*args, **options)
            except Exception as error:
                change(error)

        player.graph.stream = stream

    return wrong


def without_notes(error: BaseException) -> None:
    error.__notes__ = []
    raise error


def without_text(error: BaseException) -> None:
    error.args = ()
    raise error


def as_another(error: BaseException) -> None:
    raise RuntimeError(*error.args)


def with_a_cause(error: BaseException) -> None:
    raise error from ValueError("why")


def never(error: BaseException) -> None:
    pass


@pytest.mark.parametrize("change", [without_notes, without_text, as_another, with_a_cause, never])
def test_wrong_error(change: Callable[[BaseException], None], loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(FAILING, loop, wrongly(raising(change)))


def test_swallowed_cancellation(loop: Any) -> None:
    def wrong(player: Player) -> None:
        real = player.cancelled

        async def cancelled(*args: Any) -> Any:
            try:
                return await real(*args)
            except BaseException:
                return None

        player.cancelled = cancelled  # type: ignore[method-assign]

    with pytest.raises(Difference):
        check_session(CANCELLED, loop, wrongly(wrong))


def test_task_left_running(loop: Any) -> None:
    """A run that leaves an asyncio task behind."""

    def wrong(player: Player) -> None:
        real = player.cancelled

        async def cancelled(*args: Any) -> Any:
            player.left = asyncio.ensure_future(asyncio.sleep(600))  # type: ignore[attr-defined]
            return await real(*args)

        player.cancelled = cancelled  # type: ignore[method-assign]

    with pytest.raises(Difference):
        check_session(SENDING, loop, wrongly(wrong))


# ------------------------------------------------------------------------ nodes and talk


def test_node_called_twice(loop: Any) -> None:
    def wrong(player: Player) -> None:
        real = player.made.recorder.call
        player.made.recorder.call = lambda *facts: (real(*facts), real(*facts))

    for each in (ASKING, RACING, WORKFLOW):
        with pytest.raises(Difference):
            check_session(each, loop, wrongly(wrong))


def test_warning(loop: Any) -> None:
    def change(found: list[Any]) -> list[Any]:
        warnings.warn("look", stacklevel=1)
        return found

    with pytest.raises(Difference):
        check_session(LEDGER, loop, wrongly(chunks(change)))


def test_printed(loop: Any) -> None:
    def change(found: list[Any]) -> list[Any]:
        sys.stdout.write("look")
        return found

    with pytest.raises(Difference):
        check_session(LEDGER, loop, wrongly(chunks(change)))


def events(change: Callable[[Any], Any]) -> Wrong:
    """Handlers that are told other things."""

    def note_changed(note: Any, event: str, *facts: Any) -> None:
        note(event, *map(change, facts))

    def wrong(player: Player) -> None:
        real = player.graph.stream

        def stream(input: Any, config: Any, **options: Any) -> Any:
            for handler in config.get("callbacks", ()):
                handler.note = partial(note_changed, handler.note)
            return real(input, config, **options)

        player.graph.stream = stream

    return wrong


def without(name: str) -> Callable[[Any], Any]:
    def change(fact: Any) -> Any:
        return (name, None) if isinstance(fact, tuple) and fact[:1] == (name,) else fact

    return change


@pytest.mark.parametrize("name", ["parent_run_id", "tags", "metadata", "name"])
@pytest.mark.parametrize("session", ["asking", "racing"])
def test_wrong_event(session: str, name: str, loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(EVERY[session], loop, wrongly(events(without(name))))


def test_event_of_another_run(loop: Any) -> None:
    """Ids are compared by where else they stand, not by what they look like."""

    def change(fact: Any) -> Any:
        is_id = isinstance(fact, tuple) and fact[0] == "run_id"
        return ("run_id", ("UUID", str(uuid4()))) if is_id else fact

    with pytest.raises(Difference):
        check_session(ASKING, loop, wrongly(events(change)))


# ------------------------------------------------------------------------------- savers


def saves(change: Callable[..., tuple[Any, ...]]) -> Wrong:
    """A saver that is given other things to save."""

    def wrong(player: Player) -> None:
        real = player.saver.put
        player.saver.put = lambda *args: real(*change(*args))

    return wrong


def bumped(version: Any) -> Any:
    if isinstance(version, int):
        return version + 1
    number, fraction = version.split(".", 1)
    return f"{int(number) + 1:032}.{fraction}"


def another_version(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    versions = {k: bumped(v) for k, v in checkpoint["channel_versions"].items()}
    return config, {**checkpoint, "channel_versions": versions}, metadata, new


def fewer_seen(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    seen = dict(list(checkpoint["versions_seen"].items())[1:])
    return config, {**checkpoint, "versions_seen": seen}, metadata, new


def one_fraction(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    """Versions of different steps with the same random digits."""
    versions = {k: v.split(".")[0] + ".5" for k, v in checkpoint["channel_versions"].items()}
    return config, {**checkpoint, "channel_versions": versions}, metadata, {}


def no_new_versions(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    return config, checkpoint, metadata, {}


def another_step(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    return config, checkpoint, {**metadata, "step": metadata["step"] + 1}, new


def other_source(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    return config, checkpoint, {**metadata, "source": "update"}, new


def no_parent(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    conf = {k: v for k, v in config["configurable"].items() if k != "checkpoint_id"}
    return {**config, "configurable": conf}, checkpoint, metadata, new


def without_a_channel(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
    values = dict(list(checkpoint["channel_values"].items())[1:])
    return config, {**checkpoint, "channel_values": values}, metadata, new


SAVES = (
    another_version,
    fewer_seen,
    no_new_versions,
    another_step,
    other_source,
    no_parent,
    without_a_channel,
)


@pytest.mark.parametrize(
    ("change", "session"),
    [
        *((change, session) for change in SAVES for session in ("asking", "plain", "ledger")),
        (one_fraction, "asking"),
        (another_step, "racing"),
        (another_version, "racing"),
    ],
)  # fmt: skip
def test_wrong_save(change: Any, session: str, loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(EVERY[session], loop, wrongly(saves(change)))


def swapped_metadata(player: Player) -> None:
    """Each checkpoint is saved with the metadata of the one before."""
    real = player.saver.put
    kept: list[Any] = [None]

    def put(config: Any, checkpoint: Any, metadata: Any, new: Any) -> Any:
        kept.append(metadata)
        return real(config, checkpoint, kept[-2] or metadata, new)

    player.saver.put = put


def saved_twice(player: Player) -> None:
    real = player.saver.put

    def put(*args: Any) -> Any:
        real(*args)
        return real(*args)

    player.saver.put = put


def read_twice(player: Player) -> None:
    real = player.saver.get_tuple
    player.saver.get_tuple = lambda config: (real(config), real(config))[0]


def version_asked_twice(player: Player) -> None:
    real = player.saver.get_next_version
    player.saver.get_next_version = lambda *args: (real(*args), real(*args))[0]


def writes_lost(player: Player) -> None:
    player.saver.put_writes = lambda config, writes, task_id, task_path="": None


def writes_reversed(player: Player) -> None:
    real = player.saver.put_writes
    player.saver.put_writes = lambda config, writes, task_id, task_path="": real(
        config, list(writes)[::-1], task_id, task_path
    )


def writes_of_another_task(player: Player) -> None:
    real = player.saver.put_writes
    player.saver.put_writes = lambda config, writes, task_id, task_path="": real(
        config, writes, str(uuid4()), task_path
    )


def writes_of_one_task(player: Player) -> None:
    real = player.saver.put_writes
    one = str(uuid4())
    player.saver.put_writes = lambda config, writes, task_id, task_path="": real(
        config, writes, one, task_path
    )


def writes_without_path(player: Player) -> None:
    real = player.saver.put_writes
    player.saver.put_writes = lambda config, writes, task_id, task_path="": real(
        config, writes, task_id, ""
    )


def writes_as_lists(player: Player) -> None:
    real = player.saver.put_writes
    player.saver.put_writes = lambda config, writes, task_id, task_path="": real(
        config, [list(write) for write in writes], task_id, task_path
    )


@pytest.mark.parametrize(
    ("wrong", "session"),
    [
        *((wrong, session)
          for session in ("asking", "ledger", "racing")
          for wrong in (swapped_metadata, saved_twice, read_twice, version_asked_twice,
                        writes_lost, writes_of_another_task, writes_of_one_task,
                        writes_without_path, writes_as_lists)),
        (writes_reversed, "asking"),
        (writes_reversed, "ledger"),
        (swapped_metadata, "plain"),
        (writes_lost, "plain"),
        (writes_of_one_task, "plain"),
        (writes_without_path, "plain"),
        (writes_lost, "workflow"),
        (swapped_metadata, "failing"),
    ],
)  # fmt: skip
def test_wrong_saver_calls(wrong: Wrong, session: str, loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(EVERY[session], loop, wrongly(wrong))


# ---------------------------------------------------------------- what is left and chance


def state_without_next(player: Player) -> None:
    real = player.graph.get_state
    player.graph.get_state = lambda *args, **options: real(*args, **options)._replace(next=())


def history_reversed(player: Player) -> None:
    real = player.graph.get_state_history
    player.graph.get_state_history = lambda config: list(real(config))[::-1]


def nothing_cached(player: Player) -> None:
    player.cache.set = lambda keys: None


def store_written(player: Player) -> None:
    player.store.put(("x",), "y", {"z": 1})


@pytest.mark.parametrize("wrong", [state_without_next, history_reversed, store_written])
def test_wrong_state(wrong: Wrong, loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(LEDGER, loop, wrongly(wrong))


def test_wrong_cache(loop: Any) -> None:
    with pytest.raises(Difference):
        check_session(WORKFLOW, loop, wrongly(nothing_cached))


def test_arguments_changed(loop: Any) -> None:
    """A config or an input that the engine writes into."""

    def wrong(player: Player) -> None:
        real = player.graph.stream

        def stream(input: Any, config: Any, **options: Any) -> Any:
            config["configurable"]["left"] = 1
            return real(input, config, **options)

        player.graph.stream = stream

    with pytest.raises(Difference):
        check_session(LEDGER, loop, wrongly(wrong))


def test_a_difference_is_told_with_its_session(loop: Any) -> None:
    """The message holds the session as an expression that makes it again."""
    with pytest.raises(Difference) as caught:
        check_session(LEDGER, loop, wrongly(writes_lost))
    text = str(caught.value).rsplit("  session: ", 1)[1]
    names = {**vars(description), **vars(session)}
    assert eval(text, names) == LEDGER


def test_chance_is_no_difference(
    loop: Any, monkeypatch: pytest.MonkeyPatch, own_tally: Tally
) -> None:
    """Where stock differs from itself, the engines may differ, and it is counted."""

    def random(update: Any, put: Any, made: Any) -> Any:
        return {**update, "b": [("user", os.urandom(4).hex())]}

    monkeypatch.setitem(ACTS, "say", random)
    session = Session(row(Act("say")), (Run(A1, modes="updates"),), Saver("memory"))
    assert check_session(session, loop, wrongly(lambda player: None))
    assert [session for session, _ in own_tally.left_to_chance] == [session]


def test_graph_that_upstream_refuses(loop: Any, own_tally: Tally) -> None:
    graph = Graph(KEYS, (Node("n0", (Act("update"),)),), edges=((START, "nowhere"),))
    assert not check_session(Session(graph, (Run(A1),)), loop)
    assert not own_tally.sessions
