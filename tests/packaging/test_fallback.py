"""The package where its extension modules are missing: it says so once, and stock runs."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from .conftest import environ

USE = """
import json, sys, warnings

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import langgraph_cy
    from langgraph.graph import StateGraph
    from typing import TypedDict

    class State(TypedDict):
        n: int

    builder = StateGraph(State)
    builder.add_node("add", lambda state: {"n": state["n"] + 1})
    builder.set_entry_point("add")
    graph = builder.compile()
    results = [langgraph_cy.accelerate(graph).invoke({"n": 1})]
    with langgraph_cy.installed():
        results.append(graph.invoke({"n": 2}))
    results += langgraph_cy.accelerate(graph).stream({"n": 3}, stream_mode="updates")

stats = langgraph_cy.engine_stats()
print(json.dumps({
    "file": langgraph_cy.__file__,
    "compiled_core": langgraph_cy.COMPILED,
    "results": results,
    "stock": stats.stock,
    "compiled": stats.compiled,
    "reasons": sum(stats.reasons.values()),
    "warnings": [str(each.message) for each in caught if "langgraph" in str(each.message).lower()],
}))
"""


def python(site: Path, code: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Runs code with `site` before the environment's packages.

    `-S` leaves out .pth files, through which an editable install would get in first; site-packages
    then comes as an ordinary entry of the path.
    """
    path = os.pathsep.join(
        [str(site), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    )
    return subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=site,
        env=environ(PYTHONPATH=path, **extra),
        capture_output=True,
        text=True,
    )


def test_import_works_warns_once_and_stock_runs(pure_site):
    import json

    done = python(pure_site, USE)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert Path(seen["file"]).is_relative_to(pure_site)
    assert seen["compiled_core"] is False
    assert seen["results"] == [{"n": 2}, {"n": 3}, {"add": {"n": 4}}]
    assert (seen["compiled"], seen["stock"], seen["reasons"]) == (0, 3, 3)
    assert len(seen["warnings"]) == 1


def test_demanding_the_compiled_core_makes_the_import_fail(pure_site):
    done = python(pure_site, "import langgraph_cy", LANGGRAPH_CY_REQUIRE_COMPILED="1")
    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "LANGGRAPH_CY_REQUIRE_COMPILED" in done.stderr
