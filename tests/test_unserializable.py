"""An error of a saver says which channel holds what it can't store, and where in it."""

import threading
from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.unserializable import culprit, explained

LOCK: Any = threading.Lock()


class Serde(JsonPlusSerializer):
    """Refuses locks wherever they are, as every serializer does, and nothing else."""

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        seen: set[int] = set()

        def look(value: Any) -> None:
            if id(value) in seen:
                return
            seen.add(id(value))
            if isinstance(value, type(LOCK)):
                raise TypeError("a lock")
            if isinstance(value, dict):
                for part in value.values():
                    look(part)
            elif isinstance(value, (list, tuple, set, frozenset)):
                for part in value:
                    look(part)
            elif hasattr(value, "__dict__") and not isinstance(value, type):
                look(vars(value))

        look(obj)
        return ("test", b"")


class Saver:
    serde = Serde()


@dataclass
class Held:
    name: str
    what: Any


def looped() -> Any:
    """A value that holds itself, and a lock behind that."""
    value: dict[str, Any] = {"before": 1}
    value["itself"] = value
    value["lock"] = LOCK
    return value


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (LOCK, "state"),
        ({"a": 1, "b": LOCK}, "state['b']"),
        ([0, [1, LOCK]], "state[1][1]"),
        ((LOCK,), "state[0]"),
        ({1: {"deep": [{"er": LOCK}]}}, "state[1]['deep'][0]['er']"),
        ({LOCK}, "state{...}"),
        (frozenset([LOCK]), "state{...}"),
        (Held("a", LOCK), "state.what"),
        ([Held("a", {"b": LOCK})], "state[0].what['b']"),
        ([LOCK, LOCK], "state[0]"),
        (looped(), "state['lock']"),
    ],
    ids=lambda value: value if isinstance(value, str) else "value",
)
def test_the_innermost_part_that_is_refused(value: Any, path: str) -> None:
    assert culprit(Serde(), value, "state") == (path, LOCK)


def test_a_whole_is_to_blame_where_its_parts_are_not() -> None:
    class Picky(Serde):
        def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
            if isinstance(obj, list) and len(obj) > 1:
                raise ValueError("too long")
            return ("test", b"")

    value = {"a": [1, 2]}
    assert culprit(Picky(), [value, 0], "state") == ("state", [value, 0])


def text(error: BaseException) -> str:
    """An error with its notes, which before Python 3.11 are a part of its text."""
    return "\n".join([str(error), *getattr(error, "__notes__", ())])

CONFIG: Any = {"configurable": {"thread_id": "a", "checkpoint_ns": ""}}


def checkpoint(**values: Any) -> Any:
    return {**empty_checkpoint(), "channel_values": values}


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("put", ({}, checkpoint(fine=1, state={"a": [LOCK]}), {}, {})),
        ("aput", ({}, checkpoint(fine=1, state={"a": [LOCK]}), {}, {})),
        ("put_writes", ({}, [("fine", 1), ("state", {"a": [LOCK]})], "task")),
        ("aput_writes", ({}, [("fine", 1), ("state", {"a": [LOCK]})], "task", "path")),
    ],
)
def test_every_method_of_a_saver(method: str, arguments: Any) -> None:
    error = TypeError("can't")
    assert explained(error, Saver(), method, arguments) is error
    assert text(error) == (
        "can't\nThe value in channel 'state' can't be stored: state['a'][0] is of type _thread.lock"
        ". Keep it out of the state, in an UntrackedValue channel, or in a form that the "
        "serializer stores"
    )


def test_only_the_first_of_several_channels_is_named() -> None:
    error = explained(TypeError(), Saver(), "put", ({}, checkpoint(one=LOCK, two=LOCK), {}, {}))
    assert "'one'" in text(error)
    assert "two" not in text(error)


@pytest.mark.parametrize(
    ("saver", "method", "arguments"),
    [
        (Saver(), "put", ({}, checkpoint(state=1), {}, {})),
        (Saver(), "get_tuple", ({},)),
        (object(), "put", ({}, checkpoint(state=LOCK), {}, {})),
    ],
    ids=["nothing is to blame", "stores nothing", "saver without a serializer"],
)
def test_no_note_where_there_is_nothing_to_say(saver: Any, method: str, arguments: Any) -> None:
    error = explained(OSError("disk full"), saver, method, arguments)
    assert text(error) == "disk full"


@pytest.mark.parametrize(
    ("method", "arguments", "place"),
    [
        ("put", (CONFIG, checkpoint(n=1), {"step": 3}, {}), "the checkpoint of step 3"),
        ("aput_writes", (CONFIG, [("n", 1)], "task", "path"), "writes of task 'task'"),
    ],
)
def test_the_thread_is_named(method: str, arguments: Any, place: str) -> None:
    error = explained(OSError("disk full"), Saver(), method, arguments)
    error = explained(error, Saver(), method, arguments)  # once is enough
    note = f"Raised while storing {place} of thread 'a'"
    # before Python 3.11 the text of a saver's own error stays as it is
    assert text(error) == (f"disk full\n{note}" if hasattr(error, "add_note") else "disk full")
