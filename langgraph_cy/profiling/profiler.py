"""`Profile`: what the `with` block of `langgraph_cy.profile` gives."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

try:
    from langgraph_cy.profiling import recorder, serializers
except ImportError as error:
    raise ImportError(
        "profile() needs langgraph_cy's compiled core, which can't be loaded: reinstall "
        f"langgraph-cy where a C compiler is available ({error})"
    ) from error
from langgraph_cy.profiling import html, mermaid, table, trace_events
from langgraph_cy.profiling.record import Record
from langgraph_cy.profiling.spans import Spans


class Profile:
    """Where the time of graph runs went; see `langgraph_cy.profile`, which makes it.

    Args:
        limit: how many events, and how many runs, are kept.
        opentelemetry: also make OpenTelemetry spans.
        tracer: an OpenTelemetry `Tracer` to make them with.
    """

    def __init__(self, *, limit: int, opentelemetry: bool = False, tracer: Any = None) -> None:
        if limit < 1:
            raise ValueError(f"limit has to be at least 1, not {limit}")
        spans = Spans(tracer) if opentelemetry or tracer is not None else None
        self._recorder = recorder.Recorder(limit, spans)
        self._open = False
        self._record: Record | None = None

    def __enter__(self) -> Profile:
        if self._recorder.began:
            raise RuntimeError(
                "A profile measures one `with` block: call langgraph_cy.profile() for another"
            )
        self._open = True
        self._recorder.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        self._recorder.stop()
        if not recorder.active:
            serializers.restore()

    @property
    def record(self) -> Record:
        """What has been measured, put together; inside of the block, what there is so far."""
        if self._record is not None:
            return self._record
        record = Record(self._recorder)
        if not self._open:
            self._record = record
        return record

    def table(self) -> str:
        """Tables of the parts, nodes and supersteps, as text."""
        return table.text(self.record)

    def html(self) -> str:
        """A timeline as a page that needs no network."""
        return html.page(self.record)

    def trace(self) -> dict[str, Any]:
        """The timeline in Chrome's Trace Event Format, which Perfetto opens."""
        return trace_events.trace(self.record)

    def mermaid(self) -> str:
        """The graphs as a Mermaid flowchart, each node in the shade of its share of the time."""
        return mermaid.flowchart(self.record)

    def to_dict(self) -> dict[str, Any]:
        """Runs, supersteps, nodes and parts as plain dicts and lists; times in nanoseconds."""
        return self.record.to_dict()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a file, in the form that its suffix stands for.

        Args:
            path: ends in `.html` (timeline), `.json` (Trace Event Format), `.mmd` (Mermaid) or
                `.txt` (tables). A file that is there is replaced, once the new one is whole.

        Raises:
            ValueError: the suffix is another one.
        """
        made: dict[str, Callable[[], str]] = {
            ".html": self.html,
            ".json": lambda: json.dumps(self.trace(), separators=(",", ":")),
            ".mmd": self.mermaid,
            ".txt": self.table,
        }
        target = Path(path)
        make = made.get(target.suffix.lower())
        if make is None:
            raise ValueError(
                f"A profile can't be saved as {target.name!r}: its name has to end in one of "
                f"{', '.join(made)}"
            )
        _write(target, make())


def _write(target: Path, text: str) -> None:
    """Replace a file by one that is whole from the first moment on."""
    made = target.with_name(f".{target.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(made, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(made, target)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
