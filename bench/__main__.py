"""`tools/bench`: times of stock and compiled, their ratio, and what it should be at least."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from bench import tables
from bench.registry import Workload
from bench.runner import FEWEST_ROUNDS, RefusedError, Result, measure
from bench.workloads import CURVES, WORKLOADS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 1 where a workload could not be compared, else 0."""
    parser = _parser()
    options = parser.parse_args(argv)
    registry = CURVES if options.curves else WORKLOADS
    if unknown := set(options.only) - registry.keys():
        parser.error(f"no such name: {', '.join(sorted(unknown))}; there are {', '.join(registry)}")
    chosen = {name: registry[name] for name in options.only or registry}
    if options.list:
        for workload in chosen.values():
            print(f"{workload.name:<20}{workload.about}")
        return 0

    measured = [(workload, _results(workload, options)) for workload in chosen.values()]
    found = [(workload, results) for workload, results in measured if results]
    results = [result for _, of_one in found for result in of_one]
    if options.curves:
        for workload, of_one in found:
            print(f"{tables.curve(workload, of_one, options.markdown)}\n")
        if found:
            _plot(found, options.plot)
    elif results:
        print(f"{tables.ratios(results, options.markdown)}\n")
    environment = tables.environment()
    print(", ".join(f"{name} {value}" for name, value in environment.items()))
    if options.json:
        record = {
            "environment": environment,
            "rounds": options.rounds,
            "results": [result.as_json() for result in results],
        }
        options.json.write_text(json.dumps(record, indent=2) + "\n")
    return 0 if len(found) == len(measured) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__)
    parser.add_argument("--only", metavar="NAME", nargs="+", default=[], help="these, not all")
    parser.add_argument("--rounds", type=_positive, default=7, help="samples a side (default 7)")
    parser.add_argument(
        "--sample", type=float, default=0.1, help="seconds one sample lasts at least (default 0.1)"
    )
    parser.add_argument(
        "--budget",
        type=float,
        default=20,
        metavar="SECONDS",
        help="rounds of one workload that would last longer are left out, down to "
        f"{FEWEST_ROUNDS} (default 20)",
    )
    parser.add_argument("--tiny", action="store_true", help="smallest sizes, to check outputs")
    parser.add_argument("--list", action="store_true", help="name the workloads and stop")
    parser.add_argument("--markdown", action="store_true", help="a table for the README")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample")
    parser.add_argument("--curves", action="store_true", help="cost of a step over size")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        default=Path("bench-curves.png"),
        help="where --curves draws, if matplotlib is there (default bench-curves.png)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _sizes(workload: Workload, options: argparse.Namespace) -> tuple[int, ...]:
    return (workload.tiny,) if options.tiny else workload.sizes


def _results(workload: Workload, options: argparse.Namespace) -> list[Result]:
    """Measure the workload at its sizes, saying on stderr what came of it."""
    start = monotonic()
    sizes = _sizes(workload, options)
    try:
        results = measure(workload, sizes, options.rounds, options.sample, options.budget)
    except RefusedError as refused:
        print(f"{workload.name}: REFUSED: {refused}", file=sys.stderr)
        return []
    print(f"{workload.name}: outputs equal, {monotonic() - start:.1f} s", file=sys.stderr)
    for result in results:
        rounds, runs = len(result.ratios), f"{result.timed_runs:,} timed runs"
        text = f"  {result.size:,}: {rounds} rounds, {runs}, each {result.counts}"
        print(text, file=sys.stderr, flush=True)
    return results


def _plot(curves: list[tuple[Workload, list[Result]]], path: Path) -> None:
    try:
        from bench.plot import save
    except ModuleNotFoundError as missing:
        print(f"no plot, {missing}: pip install 'langgraph-cy[bench]'", file=sys.stderr)
    else:
        save(curves, path)
        print(f"plot: {path}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
