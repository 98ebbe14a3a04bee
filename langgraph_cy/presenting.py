"""What a stream's caller gets of its chunks (upstream: `_output`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langgraph_cy import upstream as up


class Presenter:
    """Turns (namespace, mode, payload) chunks into what the caller asked for, and prints some.

    Args:
        graph: the graph that runs, whose mappers make typed values of the v2 format.
        mode: the `stream_mode` argument.
        print_mode: modes to print.
        subgraphs: chunks of graphs below come out too.
        version: "v1" or "v2".
    """

    def __init__(
        self, graph: Any, mode: Any, print_mode: Any, subgraphs: bool, version: str
    ) -> None:
        self.mode = mode
        self.print_mode = print_mode
        self.subgraphs = subgraphs
        self.listed = isinstance(mode, list)
        self.typed = version == "v2"
        self.output_mapper = graph._output_mapper if self.typed else None
        self.state_mapper = graph._state_mapper if self.typed else None

    def __call__(self, chunks: list[Any]) -> Iterator[Any]:
        """What to yield for some chunks."""
        for namespace, mode, payload in chunks:
            if mode in self.print_mode:
                self._print(namespace, mode, payload)
            if mode not in self.mode:
                continue
            if self.typed:
                yield self._part(namespace, mode, payload)
            elif self.subgraphs:
                yield (namespace, mode, payload) if self.listed else (namespace, payload)
            else:
                yield (mode, payload) if self.listed else payload

    def _print(self, namespace: tuple[str, ...], mode: str, payload: Any) -> None:
        words = [up.get_bolded_text(f"[{mode}]")]
        if self.subgraphs and namespace:
            words.append(up.get_colored_text(f"[graph={namespace}]", color="yellow"))
        print(*words, repr(payload))

    def _part(self, namespace: tuple[str, ...], mode: str, payload: Any) -> dict[str, Any]:
        """A chunk in the v2 format."""
        part = {"type": mode, "ns": namespace, "data": payload}
        if mode == "values":
            part["interrupts"] = ()
            if isinstance(payload, dict):
                part["interrupts"] = payload.pop(up.INTERRUPT, ())
                if self.output_mapper:
                    part["data"] = self.output_mapper(payload)
        elif mode in ("checkpoints", "debug") and self.state_mapper:
            up._coerce_checkpoint_values(payload, self.state_mapper)
        return part
