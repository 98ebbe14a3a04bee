"""Comparing the transcripts of a session, and telling chance from difference.

Stock decides what is compared: where its own transcripts of one session differ from each
other in some aspect of a step, that aspect is left to chance. This is looked at only where
the engines differ, and how often it happens is counted, since it must stay rare.
"""

import re
from collections.abc import Callable
from typing import Any

import langgraph_cy

from .build import TooLarge
from .normal import Names, blank, settled, unordered, without_labels
from .play import Aspects, Unplayable, play_compiled, play_stock
from .session import Session
from .tally import TALLY
from .watchdog import watched

# How often stock is asked again where the engines differ.
RUNS_TO_TELL = 12
# Chunks of these modes come from the loop, whatever the tasks' order; those of subgraphs don't.
MILESTONES = re.compile(
    r"^(?!.*'ns', \('tuple', '|\('tuple', \('tuple', ').*'(values|checkpoints)'"
)
Transcript = list[Aspects]
Place = tuple[int, str]


class Difference(AssertionError):
    """The engines differ."""


def normal(transcript: Transcript, racing: bool) -> Transcript:
    """A transcript with ids renamed; without order where that is chance."""
    if not racing:
        names = Names()
        return [
            {aspect: names.rename(lines) for aspect, lines in sorted(aspects.items())}
            for aspects in transcript
        ]
    merged = {
        f"{place:03}{aspect}": lines
        for place, aspects in enumerate(transcript)
        for aspect, lines in aspects.items()
    }
    found: Transcript = [{} for _ in transcript]
    for key, lines in unordered(merged).items():
        found[int(key[:3])][key[3:]] = lines
    for aspects, ordered in zip(found, transcript, strict=True):
        chunks = ordered.get("chunks", ())
        aspects["milestones"] = [settled(blank(line)) for line in chunks if MILESTONES.match(line)]
    return found


def torn(session: Session, transcript: Transcript) -> int:
    """The step from which on all is chance: where a task fails beside others."""
    for place, aspects in enumerate(transcript):
        if session.wide and any("During task with name" in e for e in aspects.get("error", ())):
            return place
    return len(transcript)


def differences(stock: Transcript, other: Transcript) -> list[Place]:
    """Where two transcripts differ: the numbers of steps, with the aspects."""
    found = []
    for place, (one, two) in enumerate(zip(stock, other, strict=True)):
        for aspect in sorted({*one, *two}, key=lambda each: (each != "error", each)):
            if one.get(aspect, []) != two.get(aspect, []):
                found.append((place, aspect))
    return found


def first_difference(one: list[str], two: list[str]) -> int:
    """The number of the first line that differs."""
    pairs = enumerate(zip(one, two, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(two)))


def plainest(stock: Transcript, other: Transcript, places: list[Place]) -> Place:
    """The first place that differs in more than ids, if any does: ids follow from the rest."""
    for step, aspect in places:
        if without_ids(stock[step], aspect) != without_ids(other[step], aspect):
            return step, aspect
    return places[0]


def without_ids(aspects: Aspects, aspect: str) -> list[str]:
    """An aspect with all ids alike."""
    return sorted(map(without_labels, aspects.get(aspect, ())))


def parted(one: Transcript, two: Transcript) -> int:
    """The step from which on two transcripts start from another state."""
    for place, (left, right) in enumerate(zip(one, two, strict=True)):
        if without_ids(left, "state") != without_ids(right, "state"):
            return place + 1
    return len(one)


def report(session: Session, stock: Transcript, other: Transcript, place: Place) -> str:
    """What differs first, and how to see it again."""
    step, aspect = place
    ours, theirs = other[step].get(aspect, []), stock[step].get(aspect, [])
    number = first_difference(theirs, ours)
    if session.racing:
        blanked = list(map(without_labels, theirs)), list(map(without_labels, ours))
        number = min(first_difference(*blanked), max(len(theirs), len(ours)) - 1)
    what = repr(session.steps[step]) if step < len(session.steps) else "what is left at the end"
    every = ", ".join(f"{a} of step {s}" for s, a in differences(stock, other))
    return (
        f"{aspect!r} of step {step} differ from line {number} on "
        f"({len(theirs)} lines on stock, {len(ours)} compiled)\n"
        f"  step:     {what}\n"
        f"  stock:    {theirs[number] if number < len(theirs) else 'nothing'}\n"
        f"  compiled: {ours[number] if number < len(ours) else 'nothing'}\n"
        f"  error on stock:    {stock[step].get('error')}\n"
        f"  error on compiled: {other[step].get('error')}\n"
        f"  all that differs: {every}\n"
        f"  session: {session!r}"
    )


def check_session(
    session: Session,
    loop: Any,
    compiled: Callable[[Session, Any], Transcript] = play_compiled,
) -> bool:
    """Compare both engines on a session. False for one that can't be played at all.

    Args:
        loop: where asynchronous sessions run.
        compiled: plays the session on the engine under test.

    Raises:
        Difference: the engines differ.
    """
    with watched(session):
        try:
            raw = play_stock(session, loop)
        except (Unplayable, TooLarge):
            TALLY.refused += 1
            return False
        langgraph_cy.reset_engine_stats()
        other = compiled(session, loop)
        end = torn(session, raw)
        stock = normal(raw[:end], session.racing)
        found = normal(other[:end], session.racing)
        TALLY.session(session, langgraph_cy.engine_stats(), stock)
        different = differences(stock, found)
        if not different:
            return True
        chance: set[Place] = set()
        same = end + 1
        for _ in range(RUNS_TO_TELL):
            repeated = play_stock(session, loop)
            if torn(session, repeated) < end:
                TALLY.chance(session, different)
                return True
            again = normal(repeated[:end], session.racing)
            if not differences(again, found):
                TALLY.chance(session, different)
                return True
            chance.update(differences(stock, again))
            same = min(same, parted(stock, again))
        certain = [place for place in different if place not in chance and place[0] < same]
        # ids are numbered through a transcript: what comes after chance is not certain either
        if not certain or (not session.racing and min(chance, default=certain[0]) < certain[0]):
            TALLY.chance(session, different)
            return True
        # what threads come to on a busy machine may differ once, but not again and again
        for _ in range(3):
            replayed = normal(compiled(session, loop)[:end], session.racing)
            if not differences(stock, replayed):
                TALLY.chance(session, different)
                return True
        place = plainest(stock, found, certain)
        raise Difference(report(session, stock, found, place))
