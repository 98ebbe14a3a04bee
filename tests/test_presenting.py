"""What a stream's caller gets of chunks, and what is printed of them."""

from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.utils.input import get_bolded_text

from langgraph_cy.presenting import Presenter

ROOT: tuple[str, ...] = ()
BELOW = ("inner:1",)
CHUNKS = [
    (ROOT, "values", {"n": 1}),
    (BELOW, "updates", {"add": {"n": 2}}),
    (ROOT, "custom", "said"),
]


def graph(output: Any = None, state: Any = None) -> Any:
    return SimpleNamespace(_output_mapper=output, _state_mapper=state)


def presented(
    mode: Any,
    *,
    print_mode: Any = (),
    subgraphs: bool = False,
    version: str = "v1",
    chunks: Any = CHUNKS,
    of: Any = None,
) -> list[Any]:
    return list(Presenter(of or graph(), mode, print_mode, subgraphs, version)(chunks))


@pytest.mark.parametrize(
    ("mode", "subgraphs", "expected"),
    [
        ("values", False, [{"n": 1}]),
        ("values", True, [((), {"n": 1})]),
        ("updates", True, [(("inner:1",), {"add": {"n": 2}})]),
        (["values"], False, [("values", {"n": 1})]),
        (["custom", "values"], False, [("values", {"n": 1}), ("custom", "said")]),
        (
            ["updates", "custom"],
            True,
            [(BELOW, "updates", {"add": {"n": 2}}), (ROOT, "custom", "said")],
        ),
        (("values", "custom"), False, [{"n": 1}, "said"]),  # upstream looks for a list
        ([], False, []),
    ],
    ids=str,
)
def test_shapes(mode: Any, subgraphs: bool, expected: Any) -> None:
    assert presented(mode, subgraphs=subgraphs) == expected


def test_what_is_only_printed_does_not_come_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert presented("custom", print_mode=["values", "updates"]) == ["said"]
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"{get_bolded_text('[values]')} {{'n': 1}}",
        f"{get_bolded_text('[updates]')} {{'add': {{'n': 2}}}}",
    ]


def test_print_names_the_subgraph_where_they_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    presented("custom", print_mode="updates", subgraphs=True)
    out = capsys.readouterr().out
    assert "[graph=('inner:1',)]" in out
    presented("custom", print_mode="values", subgraphs=True)
    assert "graph=" not in capsys.readouterr().out


def test_a_mode_may_be_printed_and_come_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert presented("values", print_mode="values") == [{"n": 1}]
    assert "{'n': 1}" in capsys.readouterr().out


def test_parts_of_the_second_version() -> None:
    assert presented(["values", "updates"], version="v2") == [
        {"type": "values", "ns": (), "data": {"n": 1}, "interrupts": ()},
        {"type": "updates", "ns": BELOW, "data": {"add": {"n": 2}}},
    ]


def test_interrupts_have_a_place_of_their_own_in_a_part() -> None:
    chunks = [(ROOT, "values", {"n": 1, "__interrupt__": ("?",)}), (ROOT, "values", 3)]
    assert presented("values", version="v2", chunks=chunks) == [
        {"type": "values", "ns": (), "data": {"n": 1}, "interrupts": ("?",)},
        {"type": "values", "ns": (), "data": 3, "interrupts": ()},
    ]


def test_mappers_make_typed_values_of_the_second_version() -> None:
    def to_state(value: Any) -> Any:
        return ("state", value["n"])

    of = graph(output=lambda value: ("output", value["n"]), state=to_state)
    chunks = [
        (ROOT, "values", {"n": 1}),
        (ROOT, "checkpoints", {"values": {"n": 2}, "next": []}),
        (ROOT, "updates", {"add": {"n": 2}}),
    ]
    modes = ["values", "checkpoints", "updates"]
    found = presented(modes, version="v2", of=of, chunks=[*chunks])
    assert [part["data"] for part in found] == [
        ("output", 1),
        {"values": ("state", 2), "next": []},
        {"add": {"n": 2}},
    ]
    chunks = [(ROOT, "values", {"n": 1}), (ROOT, "checkpoints", {"values": {"n": 2}, "next": []})]
    first = presented(modes, version="v1", of=of, chunks=chunks)
    assert first == [("values", {"n": 1}), ("checkpoints", {"values": {"n": 2}, "next": []})]
