"""The package where its extension modules are missing: it says so once, and stock runs."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

from .conftest import ROOT, environ

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


SAVERS = """
import warnings
warnings.simplefilter("ignore")
from langgraph.checkpoint.memory import InMemorySaver as UpstreamInMemorySaver
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict
import langgraph_cy
from langgraph_cy.checkpoint import OrjsonSerializer, SqliteSaver

class State(TypedDict):
    n: int

builder = StateGraph(State).add_node("add", lambda state: {"n": state["n"] + 1})
builder.add_edge(START, "add")
thread = {"configurable": {"thread_id": "1"}}
with SqliteSaver.from_conn_string(":memory:") as sqlite:
    for saver in (sqlite, UpstreamInMemorySaver(serde=OrjsonSerializer())):
        graph = langgraph_cy.accelerate(builder.compile(checkpointer=saver))
        graph.invoke({"n": 1}, thread)
        print(graph.get_state(thread).values)
"""


def test_savers_without_the_extension_modules(robbed_site):
    done = python(robbed_site, SAVERS)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'n': 2}\n" * 2


def test_the_saver_that_is_compiled_says_what_to_do(robbed_site):
    done = python(robbed_site, "from langgraph_cy.checkpoint import InMemorySaver")
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("ImportError"))
    assert "No module named 'langgraph_cy.checkpoint.kept'" in said
    assert "Reinstall langgraph-cy where a C compiler is available" in said
    assert "use langgraph.checkpoint.memory.InMemorySaver" in said


# Those that do not start interpreters of their own, which would find the environment's package.
IN_PROCESS = ("backend", "covered", "functional_api", "parity")


def test_the_shims_tests_pass_on_stocks_engine(robbed_site):
    files = [str(ROOT / f"tests/test_{name}.py") for name in IN_PROCESS]
    options = ["-q", "-p", "no:cacheprovider", "-m", "shim and not core"]
    options += ["-W", "ignore:langgraph_cy's compiled core:RuntimeWarning"]
    options += ["-c", str(ROOT / "setup.cfg"), "--rootdir", str(ROOT)]
    done = python(robbed_site, f"import pytest; raise SystemExit(pytest.main({options + files}))")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 200
    assert " skipped" not in done.stdout
