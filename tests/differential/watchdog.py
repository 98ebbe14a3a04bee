"""What ends a hanging test run, and says in which session it hangs: nothing else could."""

import faulthandler
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

LIMIT = 60  # seconds; a session takes milliseconds
# called first: gives the process its own standard error back
before_barking: list[Callable[[], Any]] = []


@contextmanager
def watched(session: Any) -> Iterator[None]:
    """End the process where the block takes too long, after printing the session."""

    def bark() -> None:
        for prepare in before_barking:
            prepare()
        print(f"\nthis session hangs: {session!r}", file=sys.__stderr__, flush=True)
        faulthandler.dump_traceback(sys.__stderr__)
        os._exit(3)

    timer = threading.Timer(LIMIT, bark)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
