"""Generated sessions: stock and the compiled engine show, store and leave behind the same.

LGCY_EXAMPLES scales the number of sessions: 1 plays 500 of a fixed seed and 100 of a random
one, 10 plays 5,000 and 1,000. A failure prints the session as it was
generated, a blob to replay it with `@reproduce_failure`, and in the error one made smaller for
some seconds; `check_session` takes both. The summary of the test run says how many runs were
compiled, and why the others were not.
"""

from functools import partial
from typing import Any

from hypothesis import assume, given, seed, settings

from .examples import COMMON, SCALE
from .judge import Difference, check_session
from .session import Session
from .session_strategies import sessions
from .shrinking import shrunk
from .tally import TALLY

# the share of sessions on which stock may differ from itself
CHANCE = 0.02
# the shorter failures, by the sessions that have failed
FAILURES: dict[Session, Exception] = {}


def check(session: Session, loop: Any) -> None:
    """Compare both engines on a session.

    Raises:
        Difference: they differ, on this one or on a smaller one.
    """
    try:
        playable = check_session(session, loop)
    except Difference as error:
        if session not in FAILURES:  # hypothesis asks again
            FAILURES[session] = shrunk(session, error, partial(check_session, loop=loop))
        raise FAILURES[session] from None
    assume(playable)


@settings(COMMON, max_examples=max(1, round(500 * SCALE)))
@seed(122201)
@given(session=sessions())
def test_fixed_seed(session: Session, loop: Any) -> None:
    check(session, loop)


@settings(COMMON, max_examples=max(1, round(100 * SCALE)))
@given(session=sessions())
def test_random_seed(session: Session, loop: Any) -> None:
    check(session, loop)


def test_little_is_left_to_chance() -> None:
    """Comparing counts for something: stock repeats itself on nearly all sessions."""
    assert len(TALLY.left_to_chance) <= 2 + CHANCE * TALLY.sessions, TALLY.left_to_chance
