"""Steps one after the other, and the fixed cost of a run."""

from bench.graphs import abump, ainvoke, counting, invoke, row
from bench.registry import Case, workload


@workload("step", 1_000, tiny=3, at_least=80)
def loop(n: int) -> Case:
    """invoke: one node going round a conditional edge"""
    return Case(counting(n), invoke, {"n": n}, n)


@workload("step", 1_000, tiny=3, at_least=100)
def aloop(n: int) -> Case:
    """ainvoke: `loop` with an async node"""
    return Case(counting(n, abump), ainvoke, {"n": n}, n)


@workload("node", 10, tiny=3, at_least=50)
def chain(n: int) -> Case:
    """invoke: nodes in a row"""
    return Case(row(n), invoke, {"n": n}, n)


@workload("node", 10, tiny=3, at_least=80)
def achain(n: int) -> Case:
    """ainvoke: async nodes in a row"""
    return Case(row(n, abump), ainvoke, {"n": n}, n)


@workload("run", 1, tiny=1, at_least=15)
def one_node(n: int) -> Case:
    """invoke: a graph of one node, the fixed cost of a run"""
    return Case(row(n), invoke, {"n": n}, 1)
