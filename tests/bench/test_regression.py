"""Times of the workloads under pytest-benchmark, to compare two checkouts with each other.

`pytest tests/bench/test_regression.py --benchmark-autosave`, then `--benchmark-compare`. Nothing
here fails for being slow.
"""

from typing import Any

import pytest

import langgraph_cy
from bench.workloads import WORKLOADS


@pytest.mark.parametrize("engine", ["stock", "compiled"])
@pytest.mark.parametrize("workload", ["loop", "chain", "one_node", "send", "stream"])
def test_workload(workload: str, engine: str, benchmark: Any) -> None:
    case = WORKLOADS[workload].make(WORKLOADS[workload].tiny)
    graph = langgraph_cy.accelerate(case.graph) if engine == "compiled" else case.graph
    result = benchmark.pedantic(case.run, args=(graph,), rounds=5, warmup_rounds=1)
    assert result == case.expect
