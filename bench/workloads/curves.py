"""What one step costs, over the size of something that it should not depend on.

A run has costs of its own: it starts with an object for each channel and node, and it ends with
reading the whole state. To see what a step costs, the run of a single step of the same graph is
timed too and taken off.
"""

from dataclasses import make_dataclass
from typing import Any

from bench.graphs import Count, bump, cycle
from bench.registry import Case, Graph, workload

# Steps of a curve over something else.
LONG = 1_000

Values = dict[str, int]


def steps_of(graph: Graph, state: Values, steps: int) -> Case:
    """The last `steps - 1` steps of a run that counts `n` up to 0.

    Args:
        state: what a run starts from besides `n`, and what it ends with.
    """

    def case(length: int, shorter: Case | None = None) -> Case:
        def run(graph: Graph) -> Any:
            return graph.invoke({**state, "n": -length})

        return Case(graph, run, {**state, "n": 0}, length, shorter=shorter)

    return case(steps, case(1))


def counting_up(schema: type[Any] = Count, **options: Any) -> Graph:
    """A cycle that ends when the count is 0; `options` as for `cycle`."""
    return cycle(schema, bump, lambda state: state["n"] < 0, **options)


@workload("step", 10, 100, 1_000, 10_000, tiny=3, axis="steps in the run")
def steps(n: int) -> Case:
    """`loop`, shorter and longer"""
    return steps_of(counting_up(), {}, n)


@workload("step", 10, 100, 1_000, tiny=3, axis="nodes in the graph")
def nodes(n: int) -> Case:
    """`loop` in a graph whose other nodes never run"""
    return steps_of(counting_up(others=[f"idle_{i}" for i in range(1, n)]), {}, LONG)


@workload("step", 10, 100, 1_000, tiny=3, axis="channels in the state")
def channels(n: int) -> Case:
    """`loop` with a state of which one channel changes, and the node reads only that one"""
    constant = {f"field_{i}": i for i in range(1, n)}
    wide = make_dataclass("Wide", [(name, int) for name in ("n", *constant)])
    return steps_of(counting_up(wide, reads=Count), constant, LONG)
