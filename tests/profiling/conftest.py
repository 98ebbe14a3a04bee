"""Every test of profiles runs on the compiled engine, and leaves no profile open."""

from collections.abc import Iterator

import pytest

from langgraph_cy.profiling import recorder

from ..differential.conftest import loop as loop
from ..engines import COMPILED


@pytest.fixture(autouse=True)
def _compiled() -> Iterator[None]:
    with COMPILED.running():
        yield
    assert recorder.active == []
