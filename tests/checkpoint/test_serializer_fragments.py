"""Texts of messages that are kept: used again while a message is unchanged, and never after."""

import copy
import gc
import random
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, HumanMessageChunk, ToolMessage
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from langgraph_cy.checkpoint import OrjsonSerializer, fragments

from .serializer_sameness import assert_same
from .serializer_settings import PROPERTY, REPEATED
from .serializer_values import leaves, mappings, message_lists, plain, texts

pytestmark = REPEATED
STOCK = JsonPlusSerializer()
OURS = OrjsonSerializer()


@pytest.fixture(autouse=True)
def bounds() -> Iterator[None]:
    before = fragments.set_bounds(1000, 10_000_000)
    fragments.clear()
    yield
    fragments.clear()
    fragments.set_bounds(*before)


def check(messages: list[Any]) -> None:
    """What is written now is what a serializer without any fragments would write."""
    kept = OURS.dumps_typed(messages)
    parts = OURS.dumps_parts(messages)[1]
    assert (b"".join(parts) if isinstance(parts, tuple) else parts) == kept[1]
    anew = OURS.dumps_typed(copy.deepcopy(messages))
    assert kept == anew
    assert_same(STOCK.loads_typed(kept), STOCK.loads_typed(STOCK.dumps_typed(messages)))


def containers(value: Any) -> Iterator[Any]:
    if type(value) is dict:
        yield value
        for each in value.values():
            yield from containers(each)
    elif type(value) in (list, tuple):
        if type(value) is list:
            yield value
        for each in value:
            yield from containers(each)


def change(messages: list[Any], data: Any) -> None:
    """Change something, anywhere: a field, an item far within, or only its type or order."""
    message = data.draw(st.sampled_from(messages))
    extras = message.__pydantic_extra__
    how = data.draw(st.integers(0, 11))
    within = [each for root in (message.__dict__, extras or {}) for each in containers(root)]
    dicts = [each for each in within if type(each) is dict and each is not message.__dict__]
    lists = [each for each in within if type(each) is list]
    if how == 0:
        message.content = data.draw(st.one_of(texts, st.lists(texts, max_size=2)))
    elif how == 1 and isinstance(message.content, str):
        message.content += "more"
    elif how == 2 and dicts:
        found = data.draw(st.sampled_from(dicts))
        found[data.draw(st.one_of(texts, st.sampled_from(["a", *found])))] = data.draw(plain)
    elif how == 3 and dicts:
        found = data.draw(st.sampled_from(dicts))
        if found:
            found.pop(data.draw(st.sampled_from(list(found))))
    elif how == 4 and lists:
        data.draw(st.sampled_from(lists)).append(data.draw(st.one_of(leaves, mappings)))
    elif how == 5 and lists:
        data.draw(st.sampled_from(lists)).reverse()
    elif how == 6 and lists:
        found = data.draw(st.sampled_from(lists))
        if found:
            found[0] = copy.deepcopy(found[-1])
    elif how == 7:
        message.additional_kwargs = data.draw(mappings)
    elif how == 8:
        message.__pydantic_extra__ = data.draw(mappings)
    elif how == 9 and type(message) is HumanMessage:
        message.type = "HumanMessageChunk"
        message.__class__ = HumanMessageChunk
    elif how == 10 and dicts:
        found = data.draw(st.sampled_from(dicts))
        items = list(found.items())
        found.clear()
        found.update(reversed(items))
    elif how == 11:
        message.__dict__ = dict(message.__dict__)
    if data.draw(st.booleans()):
        messages[data.draw(st.integers(0, len(messages) - 1))] = copy.deepcopy(message)


@PROPERTY
@given(message_lists.filter(bool), st.data())
@pytest.mark.filterwarnings("ignore")
def test_changes_are_noticed(messages: list[Any], data: Any) -> None:
    messages = [each for each in messages if hasattr(each, "additional_kwargs")]
    messages.append(HumanMessage("x"))
    for _ in range(data.draw(st.integers(1, 6))):
        OURS.dumps_typed(messages)
        change(messages, data)
        check(messages)


USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}


def deep_message() -> AIMessage:
    call = {"name": "n", "args": {"a": [1, {"b": (1, [2])}]}, "id": "1"}
    return AIMessage(["x", {"t": ["y"]}], tool_calls=[call], additional_kwargs={"k": {"l": [0]}})


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.tool_calls[0]["args"]["a"][1]["b"][1].append(3),
        lambda m: m.tool_calls[0]["args"]["a"].__setitem__(0, True),
        lambda m: m.tool_calls[0]["args"]["a"].__setitem__(0, 1.0),
        lambda m: m.tool_calls[0].__setitem__("name", "o"),
        lambda m: m.tool_calls.append(dict(m.tool_calls[0])),
        lambda m: m.content.__setitem__(0, "y"),
        lambda m: m.content[1]["t"].__setitem__(0, "z"),
        lambda m: m.additional_kwargs["k"]["l"].insert(0, 0),
        lambda m: m.additional_kwargs["k"].pop("l"),
        lambda m: m.additional_kwargs.clear(),
        lambda m: setattr(m, "id", "new"),
        lambda m: setattr(m, "usage_metadata", USAGE),
        lambda m: setattr(m, "more", 1),
        lambda m: m.__dict__.update(name="n"),
    ],
)
def test_a_change_anywhere_is_noticed(change: Any) -> None:
    message = deep_message()
    before = OURS.dumps_typed([message])
    assert OURS.dumps_typed([message]) == before
    change(message)
    assert OURS.dumps_typed([message]) != before
    check([message])


def test_an_unchanged_message_is_written_once() -> None:
    messages = [HumanMessage("a"), deep_message(), ToolMessage("t", tool_call_id="1")]
    first = OURS.dumps_parts(messages)[1]
    again = OURS.dumps_parts([*messages, HumanMessage("b")])[1]
    assert all(one is other for one, other in zip(first[:-1], again, strict=False))
    messages[1].content[1]["t"].append("z")
    changed = OURS.dumps_parts(messages)[1]
    same = [one is other for one, other in zip(first, changed, strict=True)]
    assert same == [True, True, True, False, True, True, True]


def test_a_fragment_goes_with_its_message() -> None:
    messages = [HumanMessage(str(i)) for i in range(50)]
    OURS.dumps_typed(messages)
    assert fragments.kept()[0] == 50
    del messages[10:]
    assert fragments.kept()[0] == 10
    messages[0].additional_kwargs["own"] = messages
    del messages
    gc.collect()
    assert fragments.kept() == (0, 0)


def test_a_text_is_not_held_for_a_few_of_its_messages() -> None:
    messages = [HumanMessage("x" * 100) for _ in range(50)]
    OURS.dumps_typed(messages)
    size = fragments.kept()[1]
    del messages[5:]
    assert fragments.kept()[1] <= size / 10
    check(messages)


def test_known_and_new_messages_in_any_order() -> None:
    choose = random.Random(2)
    messages: list[Any] = [deep_message() if i % 3 else HumanMessage(f"{i}") for i in range(60)]
    for _ in range(20):
        OURS.dumps_typed(messages)
        for i in choose.sample(range(60), choose.randrange(60)):
            messages[i] = copy.deepcopy(choose.choice(messages))
        choose.shuffle(messages)
        messages[0] = messages[-1]
        check(messages)
        check([*messages, "x", {"a": messages}])


def long_list(count: int = 300) -> list[Any]:
    """Messages whose text is so long that it isn't copied."""
    return [HumanMessage(f"{i}" * 200, additional_kwargs={"n": [i]}) for i in range(count)]


def test_a_list_that_grows_is_written_in_the_place_of_its_text() -> None:
    messages = long_list()
    place = id(OURS.dumps_typed(messages)[1])
    for i in range(3):
        longer = [*messages, HumanMessage(f"new {i}" * 50)]
        data = OURS.dumps_typed(longer)[1]
        assert id(data) == place
        assert data == OURS.dumps_typed(copy.deepcopy(longer))[1]
        assert hash(data) == hash(bytes(bytearray(data)))
        del data
    held = OURS.dumps_typed(messages)[1]
    assert id(held) == place
    assert OURS.dumps_typed(messages)[1] is held
    before = bytes(bytearray(held))
    check([*messages, HumanMessage("x")])
    check(messages[:-1])
    check([*messages[::-1], HumanMessage("y")])
    assert held == before
    del held
    check([*messages, HumanMessage("x" * 100_000)])
    del messages, longer
    assert fragments.kept() == (0, 0)


@pytest.mark.parametrize("others", ["known", "not messages"])
@pytest.mark.parametrize("step", [2, 3, 5, 9])
def test_new_messages_among_others(others: str, step: int) -> None:
    """So many new ones that the next are looked at beforehand, with fields of any kind."""
    messages: list[Any] = [AIMessage(f"{i}", response_metadata={"n": {"i": i}}) for i in range(999)]
    for i in range(0, 999, step):
        if others == "known":
            OURS.dumps_typed(messages[i])
        else:
            messages[i] = i
    messages.insert(0, HumanMessage("first"))
    check(messages)
    for message in messages[400:600]:
        if isinstance(message, AIMessage):
            message.additional_kwargs = "x" * 40  # type: ignore[assignment]
            message.usage_metadata = []  # type: ignore[assignment]
    for serializer in (STOCK, OURS):
        with pytest.raises(TypeError, match="not msgpack serializable: AIMessage"):
            serializer.dumps_typed(messages)


def test_many_new_messages_that_hold_anything() -> None:
    """Containers that are empty, long, deep, or more than are looked at beforehand."""
    more = [[{"deep": [{"er": ("a", {})}]}], 1.5, None]
    block = {"type": "text", "text": "b" * 100, "more": more}
    contents: list[Any] = ["", "a" * 300, "é", [], ["a"], ["a", block], [block] * 9, ["a"] * 40]
    mappings: list[Any] = [
        {},
        {"a": None, "b": [], "c": {}, "d": ()},
        {f"key {i}": {"i": [i]} for i in range(40)},
        {f"key {i}": {"of": {"i": f"{i}" * 50}} for i in range(12)},
        {"a": {"list": [1, "x", {"y": [True, {"z": "z" * 70}]}] * 3}, "é": "é" * 90},
    ]
    call = {"name": "tool", "args": {"of": [{"a": ["b"]}]}, "id": "id", "type": "tool_call"}
    messages: list[Any] = []
    for content in contents:
        for mapping in mappings:
            messages += (
                HumanMessage(content, additional_kwargs=mapping, more=mapping),
                AIMessage(content, tool_calls=[call] * len(mapping), response_metadata=mapping),
                ToolMessage(content, tool_call_id="id", artifact=[mapping]),
            )
    messages = copy.deepcopy(messages * 4)
    random.Random(3).shuffle(messages)
    assert OURS.dumps_typed(messages)[0] == "json"
    fragments.clear()
    check(messages)


def test_texts_that_were_returned_stay_as_they_are() -> None:
    choose = random.Random(3)
    messages = long_list()
    held: list[tuple[bytes, bytes]] = []
    for _ in range(150):
        data = OURS.dumps_typed(messages)[1]
        if choose.random() < 0.3:
            held.append((data, bytes(bytearray(data))))
        assert data == OURS.dumps_typed(copy.deepcopy(messages))[1]
        del data
        how = choose.randrange(6)
        if how < 2:
            messages = [*messages, *long_list(choose.randrange(1, 4))]
        elif how == 2:
            messages = messages[: -choose.randrange(1, 5)]
        elif how == 3:
            choose.choice(messages).additional_kwargs["n"].append("changed")
        elif how == 4 and choose.random() < 0.3:
            choose.shuffle(messages)
        elif held:
            del held[choose.randrange(len(held)) :]
        assert all(one == other for one, other in held)


def test_the_memory_of_a_long_text_is_used_again_once_nobody_has_it() -> None:
    for wrapped in (bytes, memoryview):
        held: list[tuple[Any, bytes]] = []
        for count in (300, 290, 310, 300, 150, 300):
            data = OURS.dumps_typed(long_list(count))[1]
            assert data == OURS.dumps_typed(long_list(count))[1]
            assert hash(data) == hash(bytes(bytearray(data)))
            held.append((wrapped(data), bytes(bytearray(data))))
            assert all(one == other for one, other in held)
    fragments.clear()
    data = OURS.dumps_typed(long_list())[1]
    fragments.clear()
    other = bytes(bytearray(data))
    assert sys.getrefcount(data) == sys.getrefcount(other) + 1  # one to use it again
    others = [OURS.dumps_typed(long_list()) for _ in range(2)]
    fragments.clear()
    assert sys.getrefcount(data) == sys.getrefcount(other)  # only of the latest ones
    place = id(others.pop()[1])
    assert id(OURS.dumps_typed(long_list())[1]) == place
    data = OURS.dumps_typed(long_list(6000))[1]
    fragments.clear()
    assert sys.getrefcount(data) == sys.getrefcount(other)  # none of a very long one


def test_a_fragment_does_not_keep_its_message() -> None:
    message = HumanMessage("x", additional_kwargs={"a": []})
    OURS.dumps_typed(message)
    message.additional_kwargs["a"].append(message)
    del message
    gc.collect()
    assert fragments.kept() == (0, 0)


def test_bounds() -> None:
    fragments.set_bounds(10, 10_000_000)
    messages = [HumanMessage(f"{i}") for i in range(100)]
    for _ in range(3):
        check(messages)
        assert fragments.kept()[0] <= 10
    fragments.set_bounds(1000, 5000)
    for _ in range(3):
        check(messages)
        assert fragments.kept()[1] <= 5000
    fragments.set_bounds(1000, 0)
    check(messages)
    assert fragments.kept() == (0, 0)
    with pytest.raises(ValueError, match="room"):
        fragments.set_bounds(0, 1)


def test_a_long_message_is_not_kept() -> None:
    fragments.set_bounds(1000, 100_000)
    long = HumanMessage("x" * 20_000)
    check([long])
    assert fragments.kept() == (0, 0)


def test_many_come_and_go() -> None:
    """The table is searched after any order of taking out."""
    choose = random.Random(1)
    messages = [HumanMessage(f"{i}") for i in range(300)]
    for _ in range(40):
        OURS.dumps_typed(messages)
        assert fragments.kept()[0] == len(messages)
        gone = set(choose.sample(range(300), 200))
        messages = [each for i, each in enumerate(messages) if i not in gone]
        check(messages)
        messages += [HumanMessage(f"{choose.random()}") for _ in range(200)]


def test_threads_that_write_and_change_the_same_messages() -> None:
    messages = [deep_message() for _ in range(20)]
    done = threading.Event()
    failures: list[BaseException] = []

    def changing() -> None:
        i = 0
        while not done.is_set():
            i += 1
            message = messages[i % 20]
            message.content = f"c{i}"
            message.additional_kwargs = {"n": i}
            message.additional_kwargs["m"] = i

    def writing() -> None:
        try:
            for _ in range(200):
                for each in OURS.loads_typed(OURS.dumps_typed(messages)):
                    assert each.tool_calls
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=writing) for _ in range(3)]
    changer = threading.Thread(target=changing)
    changer.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    changer.join()
    assert not failures
    check(messages)
