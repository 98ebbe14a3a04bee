"""Without the extension modules, or beside a changed upstream, stock's engine runs."""

import json

import pytest

from .engines import Finished, python

pytestmark = pytest.mark.shim

# A finder that comes before all others and refuses the package's compiled modules.
BLOCK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(("langgraph_cy.core.", "langgraph_cy.drivers.")):
            raise ImportError(f"{name} is missing here")
        return None

sys.meta_path.insert(0, Blocker())
"""

USE = """
import asyncio, json, warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import langgraph_cy
    import langgraph_cy.backend
    from langgraph.graph import START, END, StateGraph
    from langgraph.types import Send
    from typing_extensions import TypedDict

    class State(TypedDict):
        n: int

    def build(kind):
        builder = kind(State)
        builder.add_node("add", lambda state: {"n": state["n"] + 1})
        builder.add_edge(START, "add")
        builder.add_edge("add", END)
        return builder.compile()

    graph = build(StateGraph)
    results = [
        langgraph_cy.accelerate(graph).invoke({"n": 1}),
        build(langgraph_cy.StateGraph).invoke({"n": 2}),
    ]
    with langgraph_cy.installed():
        results.append(graph.invoke({"n": 3}))
        results.append(list(graph.stream({"n": 4}, stream_mode="values")))
        results.append(asyncio.run(graph.ainvoke({"n": 5})))
    results.append(graph.invoke({"n": 6}))

stats = langgraph_cy.engine_stats()
print(json.dumps({
    "compiled": langgraph_cy.COMPILED,
    "results": results,
    "counts": [stats.compiled, stats.stock],
    "reasons": stats.reasons,
    "warnings": [
        [each.category.__name__, str(each.message)]
        for each in caught
        if "langgraph_cy" in str(each.message)
    ],
}))
"""

RESULTS = [{"n": 2}, {"n": 3}, {"n": 4}, [{"n": 4}, {"n": 5}], {"n": 6}, {"n": 7}]


def used(done: Finished) -> dict[str, object]:
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["results"] == RESULTS
    return found


def test_without_the_extension_modules() -> None:
    """One warning that says why; stock runs everything, and each run is counted."""
    found = used(python("-c", BLOCK + USE))
    assert found["compiled"] is False
    assert found["counts"] == [0, 5]
    assert sum(found["reasons"].values()) == 5
    assert any("compiled core" in reason for reason in found["reasons"])
    ((category, text),) = found["warnings"]
    assert category == "RuntimeWarning"
    assert "is missing here" in text


def test_demanding_the_compiled_core() -> None:
    done = python("-c", BLOCK + "import langgraph_cy", LANGGRAPH_CY_REQUIRE_COMPILED="1")
    assert done.code == 1
    last = done.err.strip().splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert "LANGGRAPH_CY_REQUIRE_COMPILED" in last
    assert "is missing here" in last


def test_not_demanding_it() -> None:
    done = python(
        "-W",
        "ignore::RuntimeWarning",
        "-c",
        BLOCK + "import langgraph_cy; print(langgraph_cy.COMPILED)",
        LANGGRAPH_CY_REQUIRE_COMPILED="0",
    )
    assert (done.code, done.out, done.err) == (0, "False\n", "")


@pytest.mark.core
def test_with_the_extension_modules() -> None:
    """The same program as above where nothing is missing: no warning, all compiled."""
    found = used(python("-c", USE, LANGGRAPH_CY_REQUIRE_COMPILED="1"))
    assert found["compiled"] is True
    assert found["warnings"] == []
    assert found["counts"] == [5, 0]
    assert found["reasons"] == {}


def test_upstream_changed_before_the_import() -> None:
    """A tool that got in first, and replaced what the engine bypasses, is called."""
    patch = """
import functools
from langgraph.pregel import _loop
calls = []
original = _loop.PregelLoop.tick
if {wraps}:
    @functools.wraps(original)
    def tick(self, *args, **kwargs):
        calls.append(1)
        return original(self, *args, **kwargs)
else:
    def tick(self, *args, **kwargs):
        calls.append(1)
        return original(self, *args, **kwargs)
_loop.PregelLoop.tick = tick
"""
    for wraps in (True, False):
        code = patch.format(wraps=wraps) + USE + "\nassert len(calls) == 18, len(calls)\n"
        assert used(python("-c", code))["counts"] == [0, 5], wraps


def test_the_command_without_the_extension_modules() -> None:
    """`python -m langgraph_cy` runs the program on stock, and says so on standard error."""
    code = (
        BLOCK
        + "sys.argv = ['langgraph_cy', '-m', 'timeit', '-n', '1', '-r', '1', 'pass']\n"
        + "from langgraph_cy.__main__ import main\nmain()\n"
    )
    done = python("-c", code)
    assert done.code == 0, done.err
    assert "1 loop" in done.out
    assert done.err.count("compiled core can't be loaded") == 1
