"""Coroutines on either engine: a fresh loop for each, and nothing of a run left behind on it."""

import asyncio
import gc
import sys
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from .engines import COMPILED, Outcome, both, mask

MORE_CONTEXT = sys.version_info >= (3, 11)  # asyncio tasks take a context of the caller's

LOOP_STOPPERS = (KeyboardInterrupt, SystemExit)  # asyncio lets them through at once

NewLoop = Callable[[], asyncio.AbstractEventLoop]
Call = Callable[[list[Any]], Awaitable[Any]]

LOOPS: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


def assert_compiled() -> None:
    """Every run since the counts were reset was on the compiled engine, and there was one."""
    COMPILED.check()


def ancestry(error: BaseException) -> list[tuple[str, type, str]]:
    """The errors that an error came from, as Python would print them: nearest first."""
    found: list[tuple[str, type, str]] = []
    seen = {id(error)}
    while True:
        if error.__cause__ is not None:
            relation, before = "cause", error.__cause__
        elif error.__context__ is not None and not error.__suppress_context__:
            relation, before = "context", error.__context__
        else:
            return found
        if id(before) in seen:
            return found
        seen.add(id(before))
        error = before
        if not isinstance(error, asyncio.CancelledError):
            found.append((relation, type(error), mask(str(error))))
        elif not found or found[-1][1] is not asyncio.CancelledError:
            # how often it was cancelled on the way, and by which task, is no one's concern
            found.append((relation, asyncio.CancelledError, ""))


@contextmanager
def unraisable(found: list[str]) -> Iterator[None]:
    """Take down what Python could not raise."""
    before = sys.unraisablehook
    sys.unraisablehook = lambda args: found.append(f"unraisable: {args.exc_value!r}")
    try:
        yield
    finally:
        sys.unraisablehook = before


def run_on(
    coroutine: Awaitable[Any],
    left: list[str],
    new_loop: NewLoop = asyncio.new_event_loop,
    *,
    stops: bool = False,
    turns: int = 0,
) -> Any:
    """Run a coroutine on a loop of its own, close it, and take down what should not be there.

    Args:
        coroutine: what to run; its result or error is that of this function.
        left: is given a line for each task that has not ended, warning, and call of the loop's
            exception handler, such as for an exception that nobody looked at.
        new_loop: makes the loop.
        stops: an error stops the loop itself, under the tasks that it runs. Then those have not
            ended, and only what happens to them while the loop is closed counts.
        turns: how many turns of the loop tasks have to end, after the coroutine has.
    """

    def complain(loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not (stops and isinstance(error, LOOP_STOPPERS)):
            left.append(f"{context['message']}: {error!r}")

    with unraisable(left), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = new_loop()
        loop.set_exception_handler(complain)
        try:
            return loop.run_until_complete(coroutine)
        finally:
            if not stops:
                loop.run_until_complete(take_turns(turns))
                left.extend(f"not ended: {task}" for task in asyncio.all_tasks(loop))
            finish(loop)
            del coroutine
            gc.collect(1)
            left.extend(str(each.message) for each in caught)


async def take_turns(count: int) -> None:
    """Let the loop turn a number of times."""
    for _ in range(count):
        await asyncio.sleep(0)


def finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what a loop still runs, and close it."""
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        with suppress(*LOOP_STOPPERS):  # raised by another of the tasks
            loop.run_until_complete(asyncio.wait(tasks))
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    asyncio.set_event_loop(None)


def both_async(
    call: Call,
    *,
    new_loop: NewLoop = asyncio.new_event_loop,
    covered: bool = True,
    stops: bool = False,
    turns: int = 0,
    tidy: bool = True,
    stock_tidy: bool = True,
    blur: Callable[[Outcome], None] | None = None,
) -> Outcome:
    """Run the same coroutine function on both engines and check that it comes to the same.

    Also compared is what the error was raised from.

    Args:
        call: is given the list that chunks go to.
        new_loop: makes the event loop.
        covered: the compiled engine has to take every run itself.
        stops: see `run_on`.
        turns: see `run_on`.
        tidy: nothing may be left behind.
        stock_tidy: nor may stock, which has cases where it does leave something.
        blur: takes out of an outcome what stock itself leaves to chance.
    """
    left: list[list[str]] = []
    origins: list[Any] = []

    def driven(chunks: list[Any]) -> Any:
        left.append([])
        try:
            return run_on(call(chunks), left[-1], new_loop, stops=stops, turns=turns)
        except BaseException as error:
            origins.append(ancestry(error))
            raise

    outcome = both(driven, covered=covered, blur=blur)
    of_stock, of_compiled = left
    assert not (tidy and stock_tidy) or of_stock == [], of_stock
    assert not tidy or of_compiled == [], of_compiled
    if origins:
        expected, found = origins
        assert found == expected, f"\nstock:    {expected}\ncompiled: {found}"
    return outcome
