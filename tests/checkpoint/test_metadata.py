"""Metadata as it is stored: what upstream's functions and `json` make of it."""

import json
import math
from collections import ChainMap
from enum import Enum, IntEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.base import EXCLUDED_METADATA_KEYS, get_checkpoint_metadata

from langgraph_cy.checkpoint import metadata as compiled
from langgraph_cy.checkpoint.sqlite_database import metadata_text

TEXTS = st.text(st.characters(), max_size=8) | st.sampled_from(
    ['a"b', "\\", ', "x": ', "\0", "\x7f"]
)
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none()
VALUES = st.recursive(
    TEXTS | NUMBERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS | NUMBERS, inner, max_size=3),
    max_leaves=8,
)
KEYS = (
    TEXTS | st.sampled_from(sorted(EXCLUDED_METADATA_KEYS)) | st.sampled_from(["__a", "_a", "step"])
)
MAPPINGS = st.dictionaries(KEYS, VALUES, max_size=4)
LAYERS = st.lists(MAPPINGS, min_size=1, max_size=2).map(lambda maps: ChainMap(*maps))
CONFIGS = st.fixed_dictionaries(
    {}, optional={"metadata": st.none() | MAPPINGS | LAYERS, "configurable": MAPPINGS}
)


class Colour(str, Enum):
    RED = "red\0"


class Rank(IntEnum):
    FIRST = 1


def upstreams(config: Any, metadata: Any) -> bytes:
    """As upstream's SQLite savers write it."""
    made = get_checkpoint_metadata(config, metadata)
    return json.dumps(made, ensure_ascii=False).encode("utf-8", "ignore")


@settings(max_examples=300, deadline=None)
@given(CONFIGS, MAPPINGS)
def test_metadata_are_as_upstreams(config: Any, metadata: Any) -> None:
    expected: Any = get_checkpoint_metadata(config, metadata)
    collected = compiled.collected(config, metadata)
    assert repr(collected) == repr(expected)  # also the order, and what is not equal to itself
    assert metadata_text(config, metadata) == upstreams(config, metadata)


@pytest.mark.parametrize(
    "value",
    [Colour.RED, Rank.FIRST, 10**30, math.nan, 1e16, "\ud800", {1: 2}, ("a", [1]), {"é": "\u2028"}],
    ids=repr,
)
def test_odd_values_are_written_as_upstreams(value: Any) -> None:
    config = {"metadata": {"same": value}, "configurable": {"also": value}}
    for metadata in ({"step": 1, "odd": value}, {"step": 1, "odd": {"in": [value]}}):
        assert metadata_text(config, metadata) == upstreams(config, metadata)


def test_values_that_upstream_refuses_are_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (object(), {b"a": 1}, endless):
        with pytest.raises((TypeError, ValueError)) as expected:
            upstreams({}, {"odd": value})
        with pytest.raises(expected.type) as found:
            metadata_text({}, {"odd": value})
        assert str(found.value) == str(expected.value)


def test_plain_metadata_take_the_compiled_way() -> None:
    assert compiled.text({"step": 1, "parents": {}, "a": ["x, y: z", None]}) == (
        b'{"step": 1, "parents": {}, "a": ["x, y: z", null]}'
    )
    assert compiled.text({"step": 1.5}) is None
