"""Measured runs come to what stock's engine comes to: generated graphs and sessions."""

import asyncio

from hypothesis import assume, given, seed, settings

import langgraph_cy

from ..differential.compare import check_case
from ..differential.description import Case
from ..differential.examples import COMMON, SCALE
from ..differential.judge import check_session
from ..differential.session import Session
from ..differential.session_strategies import sessions
from ..differential.strategies import cases
from .profiles import check


@settings(COMMON, max_examples=max(1, round(100 * SCALE)))
@seed(122202)
@given(case=cases())
def test_cases(case: Case) -> None:
    with langgraph_cy.profile() as profile:
        playable = check_case(case)
    check(profile.record)
    assume(playable)


@settings(COMMON, max_examples=max(1, round(40 * SCALE)))
@seed(122203)
@given(session=sessions())
def test_sessions(session: Session, loop: asyncio.AbstractEventLoop) -> None:
    with langgraph_cy.profile() as profile:
        playable = check_session(session, loop)
    check(profile.record)
    assume(playable)
