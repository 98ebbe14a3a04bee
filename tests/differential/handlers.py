"""A callback handler that notes every event: names, tags, metadata, values, parent links."""

import threading
from typing import Any

from langgraph.callbacks import GraphCallbackHandler

from .normal import shape

EVENTS = (
    "on_chain_start",
    "on_chain_end",
    "on_chain_error",
    "on_chat_model_start",
    "on_llm_new_token",
    "on_llm_end",
    "on_llm_error",
    "on_custom_event",
    "on_retry",
    "on_tool_start",
    "on_tool_end",
)
# what of an event's keyword arguments is compared
SHOWN = ("run_id", "parent_run_id", "tags", "metadata", "name", "run_type", "inputs")


def _noting(event: str) -> Any:
    def note(self: "Watcher", *values: Any, **facts: Any) -> None:
        # the first argument of a start is what is run, in full
        shown = values[1:] if event.endswith("_start") else values
        self.note(event, *map(shape, shown), *((k, shape(facts[k])) for k in SHOWN if k in facts))

    note.__name__ = event
    return note


class Watcher(GraphCallbackHandler):
    """The events of one run, as lines."""

    run_inline = True  # an asynchronous run calls it in order, on the loop's thread

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lines: list[str] = []

    def note(self, event: str, *facts: Any) -> None:
        with self.lock:
            self.lines.append(repr((event, *facts)))

    def on_interrupt(self, event: Any) -> None:
        self.note("on_interrupt", shape(event))

    def on_resume(self, event: Any) -> None:
        self.note("on_resume", shape(event))


for _event in EVENTS:
    setattr(Watcher, _event, _noting(_event))
