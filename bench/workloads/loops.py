"""Steps one after the other, and the fixed cost of a run."""

from bench.registry import workload
from langgraph_cy.cli import workloads as standard

loop = workload("step", 1_000, tiny=3, at_least=80)(standard.loop)
aloop = workload("step", 1_000, tiny=3, at_least=100)(standard.aloop)
chain = workload("node", 10, tiny=3, at_least=50)(standard.chain)
achain = workload("node", 10, tiny=3, at_least=80)(standard.achain)
one_node = workload("run", 1, tiny=1, at_least=15)(standard.one_node)
