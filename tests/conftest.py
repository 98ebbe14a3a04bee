"""Fixtures for every test of the engine: one body, run on stock and on the compiled engine."""

from collections.abc import Iterator

import pytest

from .engines import Engine


@pytest.fixture(params=["stock", "compiled"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The engine under which the test's graphs run, whatever they were built with."""
    chosen = Engine(compiled=request.param == "compiled")
    with chosen.running():
        yield chosen


@pytest.fixture
def compiled() -> Iterator[Engine]:
    """The compiled engine, for a test that stock's could not take part in."""
    chosen = Engine(compiled=True)
    with chosen.running():
        yield chosen
