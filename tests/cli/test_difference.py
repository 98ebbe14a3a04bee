"""Two values are the same up to a renaming of ids, and the first difference has a path."""

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.types import Interrupt, Send

from langgraph_cy.cli.difference import Renaming, first_difference, unmatched
from langgraph_cy.cli.shapes import Unordered, shape_of, show

A = "aaaaaaaa-1111-4111-8111-111111111111"
B = "bbbbbbbb-2222-4222-8222-222222222222"
C = "cccccccc-3333-4333-8333-333333333333"


@dataclass
class Point:
    x: int
    y: Any = None


class Plain:
    def __init__(self, value: Any) -> None:
        self.value = value


class Colour(Enum):
    RED = 1
    BLUE = 2


def difference(stock: Any, compiled: Any, renaming: Renaming | None = None) -> Any:
    return first_difference(shape_of(stock), shape_of(compiled), renaming or Renaming())


@pytest.mark.parametrize(
    ("stock", "compiled"),
    [
        (A, B),
        ([A, A, C], [B, B, A]),
        ({"id": A, "ns": f"node:{A}"}, {"id": B, "ns": f"node:{B}"}),
        ({A: 1}, {B: 1}),
        ("at 2024-01-01T00:00:00.1+00:00", "at 2025-02-03T04:05:06.789+00:00"),
        ("<object at 0x7f0000000001>", "<object at 0x7f0000000002>"),
        (f"{2:032}.0.25", f"{2:032}.0.75"),
        (float("nan"), float("nan")),
        ({1, 2, 3}, {3, 2, 1}),
        (Plain([A]), Plain([B])),
        ((Interrupt(1, id=A), Interrupt(2, id=B)), (Interrupt(2, id=C), Interrupt(1, id=A))),
        (Unordered([[A], [B, A]]), Unordered([[C, A], [A]])),
        (AIMessage("hi", id=A), AIMessage("hi", id=B)),
    ],
)
def test_same(stock: Any, compiled: Any) -> None:
    assert difference(stock, compiled) is None


@pytest.mark.parametrize(
    ("stock", "compiled", "path"),
    [
        (1, 2, ""),
        (1, True, ""),
        (1, 1.0, ""),
        (0.0, -0.0, ""),
        ([1, [2, 3]], [1, [2, 4]], "[1][1]"),
        ([1], (1,), ""),
        ([1], [1, 2], "[1]"),
        ({"a": 1}, {"b": 1}, "['a']"),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, " (order of keys)"),
        ({"a": 1}, OrderedDict(a=1), ""),
        ([A, A], [B, C], "[1]"),
        ([A, B], [C, C], "[1]"),
        (f"{2:032}.0.25", f"{3:032}.0.25", ""),
        (Point(1, [2]), Point(1, [3]), ".y[0]"),
        (Plain(1), Plain(2), ".value"),
        (Colour.RED, Colour.BLUE, ".name"),
        (Send("a", 1), Send("a", 2), ".arg"),
        ({1, 2}, {1, 3}, ""),
        (ValueError("a"), ValueError("b"), " text"),
        (ValueError("a"), KeyError("a"), ""),
        (len, print, ""),
        (HumanMessage("a", id="1"), HumanMessage("b", id="1"), ".content"),
        (HumanMessage("a", id="1"), AIMessage("a", id="1"), ""),
        ((Interrupt(1, id=A), Interrupt(2, id=B)), (Interrupt(1, id=A), Interrupt(3, id=B)), ""),
    ],
)
def test_different(stock: Any, compiled: Any, path: str) -> None:
    found = difference(stock, compiled)
    assert found is not None
    assert found.path == path


def test_an_id_that_was_given_is_kept() -> None:
    renaming = Renaming()
    renaming.keep(f'{{"id": "{A}"}}')
    assert difference(A, A, renaming) is None
    assert difference(A, B, renaming) is not None
    assert difference(B, A, renaming) is not None


def test_a_failed_match_binds_nothing() -> None:
    """Two that could be alike but for an id that is taken leave the others to be matched."""
    renaming = Renaming()
    stock = [shape_of(each) for each in ([A, "x"], [B, "y"])]
    compiled = [shape_of(each) for each in ([C, "y"], [B, "x"])]
    assert unmatched(stock, compiled, renaming) is None
    assert difference([A, B], [B, C], renaming) is None


def test_a_value_is_taken_at_once() -> None:
    value: dict[str, Any] = {"items": [1]}
    taken = shape_of(value)
    value["items"].append(2)
    assert show(taken) == "{'items': [1]}"


def test_a_value_within_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert show(shape_of(value)) == "[1, <itself>]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((1, "a"), "(1, 'a')"),
        (Point(1), "Point(x=1, y=None)"),
        (ValueError("no good"), "ValueError: no good"),
        (Colour.RED, "Colour(name='RED')"),
    ],
)
def test_shown(value: Any, text: str) -> None:
    assert show(shape_of(value)) == text
    assert show("a" * 200) == "'" + "a" * 156 + "..."
