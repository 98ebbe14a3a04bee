"""The first difference between what a run showed on stock's engine and on the compiled one.

The chunks of the graph, and of each graph below it, are compared apart: graphs that run at the same
time send theirs in turns that are chance. Where one task runs in a superstep, its chunks are
compared in their order. Where several run, they end in whichever order threads give them: what they
send is compared without it, after the chunks whose order is certain, which tell which id is which.
Where one of several fails, it is chance how far the others have come: then that superstep's chunks
and stored writes are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from math import inf
from typing import Any

from langgraph_cy.cli.difference import Difference, Renaming, first_difference, unmatched
from langgraph_cy.cli.playing import Chunk, Transcript
from langgraph_cy.cli.shapes import Shape, show

Numbered = tuple[int, Chunk]

# In supersteps of several tasks: those first that tell most about which id is which.
_LOOSE = ("tasks", "debug", "values", "updates", "custom", "messages")


@dataclass(frozen=True)
class Found:
    """The first thing that differs.

    Attributes:
        where: in words: the result, a chunk, the exception, or a checkpoint.
        difference: what differs there.
        chance: whether it may be chance, since several tasks ran when one failed.
    """

    where: str
    difference: Difference
    chance: bool = False

    def as_dict(self) -> dict[str, Any]:
        """All of it in types that `json` writes."""
        return {**asdict(self), "difference": self.difference._asdict()}


@dataclass
class _Superstep:
    """The chunks of one graph from after one of its `values` chunks to the next.

    Attributes:
        wide: whether several tasks ran at once.
        chunks: each with its number in the stream.
    """

    wide: bool = False
    chunks: list[Numbered] = field(default_factory=list)


def compare(
    stock: Transcript, compiled: Transcript, modes: Sequence[str], renaming: Renaming
) -> Found | None:
    """The first difference: of chunks, which come first, then of outcome and checkpoints.

    Args:
        modes: the stream modes whose chunks are compared.
        renaming: knows the ids that both runs were given; learns of the others.
    """
    streams = _streams(stock), _streams(compiled)
    failed = stock.error is not None or compiled.error is not None
    torn = failed and any(each[()][-1].wide for each in streams)
    return (
        _compare_chunks(streams, modes, renaming, _last_values(stock, compiled), torn)
        or _compare_errors(stock, compiled, renaming, torn)
        or _compare_checkpoints(stock, compiled, renaming, torn)
    )


def _streams(transcript: Transcript) -> dict[tuple[str, ...], list[_Superstep]]:
    """The supersteps of each graph, by its namespace; the outermost comes first."""
    found: dict[tuple[str, ...], list[_Superstep]] = {(): [_Superstep()]}
    running: dict[tuple[str, ...], int] = {}
    for number, chunk in enumerate(transcript.chunks, 1):
        namespace = tuple(str(part) for _, part in chunk.namespace.parts)
        supersteps = found.setdefault(namespace, [_Superstep()])
        supersteps[-1].chunks.append((number, chunk))
        if chunk.mode == "tasks":
            count = running.get(namespace, 0) + (1 if _starts(chunk) else -1)
            running[namespace] = count
            supersteps[-1].wide |= count > 1
        elif chunk.mode == "values" and not _interrupts(chunk):
            supersteps.append(_Superstep())
    return found


def _starts(chunk: Chunk) -> bool:
    """Whether a chunk of the mode `tasks` says that a task starts."""
    return any(label == "['triggers']" for label, _ in chunk.payload.parts)


def _interrupts(chunk: Chunk) -> bool:
    """Whether a chunk of the mode `values` comes from a task that has just been interrupted."""
    return isinstance(chunk.payload, Shape) and any(
        label == "['__interrupt__']" for label, _ in chunk.payload.parts
    )


def _is_certain(chunk: Chunk) -> bool:
    """Whether a chunk has its place among the others however threads run."""
    if chunk.mode == "debug":
        return ("['type']", "task_result") not in chunk.payload.parts
    if chunk.mode == "values":
        return not _interrupts(chunk)
    return chunk.mode == "checkpoints" or (chunk.mode == "tasks" and _starts(chunk))


def _compare_chunks(
    streams: tuple[dict[tuple[str, ...], list[_Superstep]], ...],
    modes: Sequence[str],
    renaming: Renaming,
    last: tuple[Chunk | None, Chunk | None],
    torn: bool,
) -> Found | None:
    ours, theirs = streams
    ends = [_end(each, torn) for each in streams]
    left = dict(theirs)
    first: tuple[int, Found] | None = None
    for namespace, supersteps in ours.items():
        other = next((each for each in left if _same_namespace(namespace, each, renaming)), None)
        found = left.pop(other) if other is not None else []
        for one, two in zip_longest(supersteps, found, fillvalue=_Superstep()):
            mine = [each for each in one.chunks if each[1].mode in modes and each[0] < ends[0]]
            others = [each for each in two.chunks if each[1].mode in modes and each[0] < ends[1]]
            differs = _compare_superstep(mine, others, one.wide or two.wide, renaming, last)
            if differs is not None:
                first = differs if first is None else min(first, differs, key=lambda each: each[0])
                break
    for supersteps in left.values():
        chunks = [each for step in supersteps for each in step.chunks if each[0] < ends[1]]
        if first is None and (differs := _compare_ordered([], chunks, renaming, last)):
            first = differs
    return None if first is None else first[1]


def _end(streams: dict[tuple[str, ...], list[_Superstep]], torn: bool) -> float:
    """The number of the chunk from which on all is chance."""
    chunks = streams[()][-1].chunks if torn else []
    return chunks[0][0] if chunks else inf


def _same_namespace(stock: tuple[str, ...], compiled: tuple[str, ...], renaming: Renaming) -> bool:
    return len(stock) == len(compiled) and _goes_with("|".join(stock), "|".join(compiled), renaming)


def _compare_superstep(
    stock: list[Numbered],
    compiled: list[Numbered],
    wide: bool,
    renaming: Renaming,
    last: tuple[Chunk | None, Chunk | None],
) -> tuple[int, Found] | None:
    if not wide:
        return _compare_ordered(stock, compiled, renaming, last)
    certain = [[each for each in side if _is_certain(each[1])] for side in (stock, compiled)]
    loose = [[each for each in side if not _is_certain(each[1])] for side in (stock, compiled)]
    return _compare_ordered(certain[0], certain[1], renaming, last) or _compare_unordered(
        loose[0], loose[1], renaming
    )


def _compare_ordered(
    stock: Iterable[Numbered],
    compiled: Iterable[Numbered],
    renaming: Renaming,
    last: tuple[Chunk | None, Chunk | None],
) -> tuple[int, Found] | None:
    for one, two in zip_longest(stock, compiled):
        if one is None or two is None:
            number, chunk = one or two
            text = show(chunk.payload)
            texts = (text, "nothing") if two is None else ("nothing", text)
            return number, Found(_name(number, chunk), Difference("", *texts))
        number, chunk = one
        if found := first_difference(_whole(chunk), _whole(two[1]), renaming):
            is_result = chunk is last[0] and two[1] is last[1]
            return number, Found("the result" if is_result else _name(number, chunk), found)
    return None


def _compare_unordered(
    stock: Sequence[Numbered], compiled: Sequence[Numbered], renaming: Renaming
) -> tuple[int, Found] | None:
    for mode in _LOOSE:
        numbers = [number for number, chunk in stock if chunk.mode == mode] or [1]
        mine = [_whole(chunk) for _, chunk in stock if chunk.mode == mode]
        others = [_whole(chunk) for _, chunk in compiled if chunk.mode == mode]
        if left := unmatched(mine, others, renaming):
            one, two = left
            with renaming.tentative():
                found = first_difference(one, two, renaming)
            where = f"chunks {numbers[0]} to {numbers[-1]} (mode {mode}, in any order)"
            return numbers[0], Found(where, found or Difference("", show(one), show(two)))
    return None


def _compare_errors(
    stock: Transcript, compiled: Transcript, renaming: Renaming, torn: bool
) -> Found | None:
    found = first_difference(stock.error, compiled.error, renaming)
    if found is None:
        return None
    if found.path != " note":
        found = Difference("", _ending(stock.error), _ending(compiled.error))
    return Found("how the run ends", found, chance=torn)


def _ending(error: Any) -> str:
    return "raises nothing" if error is None else f"raises {show(error)}"


def _compare_checkpoints(
    stock: Transcript, compiled: Transcript, renaming: Renaming, torn: bool
) -> Found | None:
    left = dict(compiled.checkpoints)
    for namespace, saved in stock.checkpoints.items():
        other = next((each for each in left if _goes_with(namespace, each, renaming)), None)
        found = left.pop(other, []) if other is not None else []
        for number, (one, two) in enumerate(zip_longest(saved, found), 1):
            where = f"checkpoint {number}{f' of {namespace}' if namespace else ''}"
            if one is None or two is None:
                texts = ("nothing" if each is None else show(each) for each in (one, two))
                return Found(where, Difference("", *texts))
            if torn:
                one, two = _without_writes(one), _without_writes(two)
            if difference := first_difference(one, two, renaming):
                return Found(where, difference)
    for namespace, saved in left.items():
        return Found(f"checkpoint 1 of {namespace}", Difference("", "nothing", show(saved[0])))
    return None


def _goes_with(stock: str, compiled: str, renaming: Renaming) -> bool:
    with renaming.tentative() as kept:
        if same := renaming.same_text(stock, compiled):
            kept.append(True)
    return same


def _without_writes(saved: Shape) -> Shape:
    parts = tuple(part for part in saved.parts if part[0] != "['pending_writes']")
    return saved._replace(parts=parts)


def _whole(chunk: Chunk) -> Shape:
    """A chunk with all that belongs to it, in which paths begin at the payload."""
    return Shape(
        f"chunk of mode {chunk.mode}",
        ((" namespace", chunk.namespace), ("", chunk.payload)),
    )


def _name(number: int, chunk: Chunk) -> str:
    places = "/".join(str(each) for _, each in chunk.namespace.parts)
    return f"chunk {number} (mode {chunk.mode}{f', in {places}' if places else ''})"


def _last_values(*transcripts: Transcript) -> tuple[Chunk | None, Chunk | None]:
    """The chunks that `invoke` would return the value of."""
    one, two = (
        next((c for c in reversed(each.chunks) if c.mode == "values" and c.outermost), None)
        for each in transcripts
    )
    return one, two
