"""Other engines beside stock and compiled: the same work, each by its own API, on this machine.

Needs an environment with the engines in it:

    python -m venv build/peers
    build/peers/bin/pip install . fast-langgraph==0.1.15 neograph-engine==0.16.0 sayiir==1.0.0
    build/peers/bin/python bench/peers.py

Each engine has a process of its own, since some replace functions of LangGraph's. Nothing is timed
before each has returned what it must. Rounds alternate between the engines. Exit code 1: an engine
is not there or returns something else; it is named, and no number is given for it.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

Run = Callable[[], int]
NODES, STEPS = 10, 1_000


def langgraph_chain() -> Run:
    """A graph of LangGraph with nodes in a row."""
    from langgraph_cy.cli.workload_graphs import invoke, row

    graph = row(NODES)
    return lambda: int(invoke(graph)["n"])


def langgraph_loop() -> Run:
    """A graph of LangGraph with one node that goes round a conditional edge."""
    from langgraph_cy.cli.workload_graphs import counting, invoke

    graph = counting(STEPS)
    return lambda: int(invoke(graph)["n"])


def compiled(make: Callable[[], Run]) -> Run:
    """The same graph on the compiled engine."""
    import langgraph_cy

    langgraph_cy.install()
    return make()


def fast_langgraph(make: Callable[[], Run]) -> Run:
    """The same graph with what fast-langgraph replaces, put there before LangGraph is imported."""
    with contextlib.redirect_stdout(io.StringIO()):  # it says what it does
        importlib.import_module("fast_langgraph").shim.patch_langgraph(verbose=False)
    return make()


def neograph(nodes: int, **loop: Any) -> Run:
    """A graph of NeoGraph with nodes in Python.

    Args:
        loop: what makes one node go round; without it the nodes stand in a row.
    """
    ng = importlib.import_module("neograph_engine")

    @ng.node("bump")
    def bump_channel(state: Any) -> list[Any]:
        return [ng.ChannelWrite("n", state.get("n") + 1)]

    names = [f"node_{place}" for place in range(nodes)]
    steps = [ng.START_NODE, *names] if loop else [ng.START_NODE, *names, ng.END_NODE]
    definition = {
        "schema_version": ng.TOPOLOGY_SCHEMA_VERSION,
        "name": "peers",
        "channels": {"n": {"reducer": "overwrite"}},
        "nodes": {name: {"type": "bump"} for name in names},
        "edges": [{"from": a, "to": b} for a, b in pairwise(steps)],
        **loop,
    }
    engine = ng.GraphEngine.compile(definition, ng.NodeContext())

    def run() -> int:
        config = ng.RunConfig(thread_id="1", input={"n": 0}, max_steps=STEPS + 10)
        return int(engine.run(config).output["channels"]["n"]["value"])

    return run


def neograph_loop() -> Run:
    """A graph of NeoGraph with one node that goes round a conditional edge."""
    ng = importlib.import_module("neograph_engine")
    ng.ConditionRegistry.register_condition(
        "more", lambda state: "yes" if state.get("n") < STEPS else "no"
    )
    routes = {"yes": "node_0", "no": ng.END_NODE}
    edge = {"from": "node_0", "condition": "more", "routes": routes}
    return neograph(1, conditional_edges=[edge])


def sayiir_chain() -> Run:
    """A workflow of Sayiir with tasks in a row, not durable."""
    sayiir = importlib.import_module("sayiir")
    flow = sayiir.Flow("peers")
    for _ in range(NODES):
        flow = flow.then(lambda n: n + 1)
    workflow = flow.build()
    return lambda: int(sayiir.run_workflow(workflow, 0))


def sayiir_loop() -> Run:
    """A workflow of Sayiir with one task that goes round."""
    sayiir = importlib.import_module("sayiir")
    again, done = sayiir.LoopResult.again, sayiir.LoopResult.done

    def step(n: int) -> Any:
        return done(n + 1) if n + 1 == STEPS else again(n + 1)

    workflow = sayiir.Flow("peers").loop(step, max_iterations=STEPS).build()
    return lambda: int(sayiir.run_workflow(workflow, 0))


@dataclass(frozen=True)
class Engine:
    """An engine, and how it does the work.

    Args:
        distribution: the package that it comes in.
        cases: by workload, what makes a run of it.
    """

    distribution: str
    cases: dict[str, Callable[[], Run]]


LANGGRAPH = {"chain": langgraph_chain, "loop": langgraph_loop}
ENGINES = {
    "stock": Engine("langgraph", LANGGRAPH),
    "langgraph_cy": Engine(
        "langgraph-cy", {name: lambda m=make: compiled(m) for name, make in LANGGRAPH.items()}
    ),
    "fast-langgraph": Engine(
        "fast-langgraph",
        {name: lambda m=make: fast_langgraph(m) for name, make in LANGGRAPH.items()},
    ),
    "NeoGraph": Engine(
        "neograph-engine", {"chain": lambda: neograph(NODES), "loop": neograph_loop}
    ),
    "Sayiir": Engine("sayiir", {"chain": sayiir_chain, "loop": sayiir_loop}),
}
WORKLOADS = {
    "chain": (NODES, f"a node, {NODES} in a row"),
    "loop": (STEPS, f"a step, a loop of {STEPS:,}"),
}


# ---- one engine, in a process of its own -----------------------------------------------------


def calls_of(run: Run) -> dict[str, int]:
    """How often LangGraph's `apply_writes` and what fast-langgraph puts in its place are called."""
    counted = {"apply_writes": 0, "accelerated_apply_writes": 0}

    def count(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_name in counted:
            counted[frame.f_code.co_name] += 1

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        run()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return counted


def serve(engine: str, workload: str, sample: float) -> None:
    """Answer each line of stdin by a time, in seconds a unit, of at least `sample` seconds."""
    units, _ = WORKLOADS[workload]
    run = ENGINES[engine].cases[workload]()
    found = run()
    if found != units:
        raise SystemExit(f"{engine}, {workload}: it returned {found}, not {units}")
    calls = calls_of(run) if engine == "fast-langgraph" else {}
    if engine == "langgraph_cy":
        import langgraph_cy

        if langgraph_cy.engine_stats().stock:
            raise SystemExit(f"a run went to stock: {langgraph_cy.engine_stats()}")
    print(json.dumps({"calls": calls}), flush=True)
    for _ in sys.stdin:
        runs, start = 0, time.perf_counter()
        while (elapsed := time.perf_counter() - start) < sample or not runs:
            run()
            runs += 1
        print(elapsed / runs / units, flush=True)


@contextlib.contextmanager
def process(engine: str, workload: str, sample: float) -> Iterator[subprocess.Popen[str]]:
    """A process that serves samples of one engine."""
    command = [sys.executable, __file__, "--serve", engine, workload, "--sample", str(sample)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as served:
        try:
            yield served
        finally:
            assert served.stdin is not None
            served.stdin.close()
            served.wait(60)


# ---- all of them -------------------------------------------------------------------------------


def answer(served: subprocess.Popen[str], line: str = "") -> str:
    """What a process says, after it was asked for a sample where there is a line."""
    assert served.stdin is not None
    assert served.stdout is not None
    if line:
        served.stdin.write(line)
        served.stdin.flush()
    said = served.stdout.readline()
    if not said:
        raise RuntimeError(f"exit code {served.wait(60)}")
    return said


def measure(
    workload: str, names: Sequence[str], rounds: int, sample: float
) -> tuple[dict[str, list[float]], dict[str, int], list[str]]:
    """The samples of each engine in seconds a unit, fast-langgraph's calls, and what failed."""
    samples: dict[str, list[float]] = {}
    calls: dict[str, int] = {}
    failed: list[str] = []
    with contextlib.ExitStack() as stack:
        running: dict[str, subprocess.Popen[str]] = {}
        for name in names:
            served = stack.enter_context(process(name, workload, sample))
            try:
                calls = json.loads(answer(served))["calls"] or calls
            except RuntimeError as error:
                failed.append(f"{name}, {workload}: {error}")
            else:
                running[name] = served
                samples[name] = []
        for _ in range(rounds + 1):
            for name, served in running.items():
                samples[name].append(float(answer(served, "go\n")))
    # The first round warms up: caches of the processor, of Python, and of the engines.
    return {name: taken[1:] for name, taken in samples.items()}, calls, failed


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n\n")[0],
        epilog=(__doc__ or "").partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7, help="samples an engine (default 7)")
    parser.add_argument(
        "--sample", type=float, default=0.2, help="seconds one sample lasts at least (default 0.2)"
    )
    parser.add_argument("--only", nargs="+", choices=ENGINES, default=list(ENGINES))
    parser.add_argument("--serve", nargs=2, metavar=("ENGINE", "WORKLOAD"), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.rounds < 1:
        parser.error("--rounds: at least 1")
    if args.serve:
        serve(*args.serve, args.sample)
        return 0
    versions = {}
    failed = []
    for name in args.only:
        if found := version_of(name):
            versions[name] = found
        else:
            failed.append(f"{name}: {ENGINES[name].distribution} is not installed")
    measured = {}
    calls: dict[str, int] = {}
    for workload in WORKLOADS:
        measured[workload], counted, problems = measure(
            workload, list(versions), args.rounds, args.sample
        )
        calls = counted or calls
        failed += problems
    print(table(versions, measured))
    if calls:
        print(
            f"\nIn one loop of {STEPS:,} steps LangGraph's apply_writes is called "
            f"{calls['apply_writes']:,} times, fast-langgraph's {calls['accelerated_apply_writes']}"
        )
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"\n{python}, {platform.system()} {platform.machine()}, {os.cpu_count()} CPUs")
    for problem in failed:
        print(f"not measured: {problem}", file=sys.stderr)
    return int(bool(failed))


def version_of(engine: str) -> str:
    """The version that is installed; empty where there is none."""
    if engine == "langgraph_cy":
        return str(importlib.import_module("langgraph_cy").__version__)
    try:
        return version(ENGINES[engine].distribution)
    except PackageNotFoundError:
        return ""


def table(versions: dict[str, str], measured: dict[str, dict[str, list[float]]]) -> str:
    """A row for each engine, in Markdown: the median, and the smallest and largest sample."""
    from langgraph_cy.cli.figures import around, duration
    from langgraph_cy.cli.timing import Spread

    rows = [["engine", "version", *(about for _, about in WORKLOADS.values())]]
    rows.append(["---"] * len(rows[0]))
    for name, its_version in versions.items():
        cells = []
        for workload in WORKLOADS:
            taken = measured[workload].get(name)
            cells.append(around(Spread.of(taken), duration) if taken else "")
        rows.append([name, its_version, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    # Modules of this folder have names that other packages may import.
    sys.path = [path for path in sys.path if Path(path).resolve() != Path(__file__).parent]
    sys.exit(main())
