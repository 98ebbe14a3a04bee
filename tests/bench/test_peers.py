"""The comparison with other engines, with those that are surely there."""

import re
from pathlib import Path

from ..engines import python

PEERS = str(Path(__file__).parents[2] / "bench/peers.py")


def test_stock_beside_compiled() -> None:
    options = ["--only", "stock", "langgraph_cy", "--rounds", "1", "--sample", "0.01"]
    ended = python(PEERS, *options, limit=120, LANGGRAPH_CY_REQUIRE_COMPILED="1")
    assert ended.code == 0, ended.err
    time = r"[\d.]+ [um]s \[[\d.]+ [um]s \.\. [\d.]+ [um]s\]"
    for name in ("stock", "langgraph_cy"):
        assert re.search(rf"^\| {name} \| [\d.]+ \| {time} \| {time} \|$", ended.out, re.MULTILINE)


def test_an_engine_that_is_not_there_gets_no_number() -> None:
    ended = python(PEERS, "--only", "NeoGraph", "--rounds", "1")
    assert ended.code == 1
    assert "NeoGraph: neograph-engine is not installed" in ended.err
    assert " us " not in ended.out
