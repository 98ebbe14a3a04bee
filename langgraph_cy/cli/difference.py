"""The first difference between two shapes, up to what no two runs share.

Ids of checkpoints, tasks and messages are drawn anew in every run, and so are the random parts of
channel versions. They are compared up to renaming: an id of one run has to stand wherever its
counterpart stands in the other, and nowhere else. Times and memory addresses are not compared.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from langgraph_cy.cli.shapes import Shape, show

_NULL_ID = "00000000-0000-0000-0000-000000000000"
_VARIES = re.compile(
    r"""(?P<version>(?<=\b\d{32})\.[\d.e-]+)
      | (?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[\d.]*(?:\+00:00|Z)?)
      | (?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}
             | \b(?!0{20})[0-9a-f]{32}\b)
      | (?P<address>0x[0-9a-f]{6,})""",
    re.VERBOSE,
)


class Difference(NamedTuple):
    """Where two values differ.

    Attributes:
        path: how to get there from the value, such as `['messages'][0].content`.
        stock, compiled: what stands there, as text.
    """

    path: str
    stock: str
    compiled: str


class Renaming:
    """Which id of the stock run goes with which id of the compiled run."""

    def __init__(self) -> None:
        self._forward: dict[str, str] = {_NULL_ID: _NULL_ID}
        self._backward: dict[str, str] = {_NULL_ID: _NULL_ID}
        self._bound: list[str] = []

    def keep(self, text: str) -> None:
        """Every id in a text that both runs were given is its own counterpart."""
        for found in _VARIES.finditer(text):
            if found.lastgroup == "id":
                self._bind(found.group(), found.group())

    def _bind(self, stock: str, compiled: str) -> bool:
        """Whether two ids go together; from now on they do if neither had a counterpart."""
        known, back = self._forward.get(stock), self._backward.get(compiled)
        if known is None and back is None:
            self._forward[stock], self._backward[compiled] = compiled, stock
            self._bound.append(stock)
            return True
        return known == compiled and back == stock

    @contextmanager
    def tentative(self) -> Iterator[list[bool]]:
        """Ids that are bound within the block are free again, unless it appends to the list."""
        before, kept = len(self._bound), list[bool]()
        yield kept
        if not kept:
            for stock in self._bound[before:]:
                del self._backward[self._forward.pop(stock)]
            del self._bound[before:]

    def same_text(self, stock: str, compiled: str) -> bool:
        """Whether two texts are the same but for ids that go together."""
        if blank(stock) != blank(compiled):
            return False
        pairs = zip(_VARIES.finditer(stock), _VARIES.finditer(compiled), strict=True)
        return all(
            one.lastgroup in ("time", "address") or self._bind(one.group(), other.group())
            for one, other in pairs
        )


def blank(text: str) -> str:
    """A text with all ids, times and addresses alike."""
    return _VARIES.sub(lambda found: f"<{found.lastgroup}>", text)


def first_difference(
    stock: Any, compiled: Any, renaming: Renaming, path: str = ""
) -> Difference | None:
    """Where two shapes differ first, None where they don't.

    Args:
        stock, compiled: shapes, as `shape_of` makes them.
        renaming: the ids that go together so far; it learns of those found here.
        path: how the two were reached.
    """
    if not (isinstance(stock, Shape) and isinstance(compiled, Shape)):
        return None if _same_leaf(stock, compiled, renaming) else _differ(path, stock, compiled)
    if stock.kind != compiled.kind:
        return _differ(path, stock, compiled)
    if stock.unordered and compiled.unordered:
        ours, theirs = ([part for _, part in each.parts] for each in (stock, compiled))
        left = unmatched(ours, theirs, renaming)
        return left and _differ(path, *left)
    labels, others = ([label for label, _ in each.parts] for each in (stock, compiled))
    # keys may be ids, such as those of tasks
    if labels != others and not (
        len(labels) == len(others) and all(map(renaming.same_text, labels, others))
    ):
        return _other_parts(path, stock, compiled)
    for (label, part), (_, other) in zip(stock.parts, compiled.parts, strict=True):
        if found := first_difference(part, other, renaming, path + label):
            return found
    return None


def unmatched(
    stock: Sequence[Any], compiled: Sequence[Any], renaming: Renaming
) -> tuple[Any, Any] | None:
    """What has no counterpart on either side, where order does not count; None where all have."""
    waiting: dict[str, list[Any]] = defaultdict(list)
    for each in compiled:
        waiting[blank(show(each, 10**9))].append(each)
    alone: Any = None
    for each in stock:
        candidates = waiting[blank(show(each, 10**9))]
        for place, candidate in enumerate(candidates):
            with renaming.tentative() as kept:
                if first_difference(each, candidate, renaming) is None:
                    kept.append(True)
                    del candidates[place]
                    break
        else:
            alone = each
            break
    left = [each for candidates in waiting.values() for each in candidates]
    if alone is None and not left:
        return None
    return (_NOTHING if alone is None else alone), _nearest(alone, left)


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _nearest(alone: Any, left: Iterable[Any]) -> Any:
    """What to show beside something without a counterpart: something of its kind, if there is."""
    kind = alone.kind if isinstance(alone, Shape) else None
    same = (each for each in left if isinstance(each, Shape) and each.kind == kind)
    return next(same, next(iter(left), _NOTHING))


def _same_leaf(stock: Any, compiled: Any, renaming: Renaming) -> bool:
    if type(stock) is not type(compiled) or isinstance(stock, (Shape, _Nothing)):
        return False
    if isinstance(stock, str):
        return renaming.same_text(stock, compiled)
    return repr(stock) == repr(compiled)  # so that 0.0 is not -0.0, and nan is nan


def _other_parts(path: str, stock: Shape, compiled: Shape) -> Difference:
    """The difference between two shapes with other keys or another length."""
    labels, others = ([label for label, _ in each.parts] for each in (stock, compiled))
    for label, part in stock.parts:
        if label not in others:
            return Difference(path + label, show(part), "nothing")
    for label, part in compiled.parts:
        if label not in labels:
            return Difference(path + label, "nothing", show(part))
    return Difference(f"{path} (order of keys)", ", ".join(labels), ", ".join(others))


def _differ(path: str, stock: Any, compiled: Any) -> Difference:
    return Difference(path, show(stock), show(compiled))
