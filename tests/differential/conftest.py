"""An event loop for sessions, and what was played in the summary of the test run."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from .tally import TALLY
from .watchdog import before_barking


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Where asynchronous sessions run."""
    made = asyncio.new_event_loop()
    yield made
    made.run_until_complete(made.shutdown_asyncgens())
    made.run_until_complete(made.shutdown_default_executor())
    made.close()


def pytest_configure(config: pytest.Config) -> None:
    if capture := config.pluginmanager.getplugin("capturemanager"):
        before_barking.append(partial(capture.suspend_global_capture, in_=False))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if TALLY.sessions:
        terminalreporter.section("generated sessions")
        for line in TALLY.lines():
            terminalreporter.write_line(line)
