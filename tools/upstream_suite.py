"""Judge the engine by upstream's own test suites: ``python tools/upstream_suite.py 1.2.22``.

Gets upstream's tests from the package index, runs them on stock and again with the engine
installed before collection, and compares test by test. ``--prebuilt`` does that with the tests
of the langgraph-prebuilt that the version of langgraph brings. ``--savers`` also puts the savers of
langgraph_cy.checkpoint in place of upstream's; ``--checkpoint``, ``--checkpoint-sqlite`` and
``--checkpoint-postgres`` judge these by the tests of the distributions that they stand in for.
Nothing of upstream's tests is kept in the repository.

Exit code 0: every test that stock passes, the engine passes too. 1: it does not, or a run cannot be
trusted, or not every local run was compiled where ``--require-compiled`` asks for that. 2: the tool
could not do its work (no network, no PostgreSQL, ...).

Standard library only: this starts before anything is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import services
import suite_environment
import suite_table
from environment import upstream_version
from processes import ToolError, run_logged, tail
from suite_environment import Environment
from suite_results import (
    SuiteResult,
    compare,
    counts_table,
    exit_problem,
    names_list,
    not_compiled,
    read_junit,
    reasons_table,
    reruns_table,
    to_rerun,
)

# Raised when the way of running stock changes, so that older cached results are not used.
STOCK_RECIPE = 1
RERUNS = 2
MAX_RERUN_TESTS = 20
SAVERS = "--langgraph-cy-savers"
SERIALIZER = "--langgraph-cy-serializer"
RERUN_MINUTES = 5.0
# A test that takes this long gets the stack of every thread written to the log, and goes on.
STACKS_AFTER_SECONDS = 120


@dataclasses.dataclass(frozen=True)
class Kind:
    """What is to be known of a distribution of upstream's to run its tests.

    Args:
        replaces: options of the pytest plugin that put classes of ours in place of its own.
        graphs: whether its tests run graphs.
        postgres_port: where its tests look for PostgreSQL, as they have it in their text.
        redis: whether some of its tests use Redis.
        needs_services: whether its tests need PostgreSQL, all of them.
        serial: whether its tests share one database, and so cannot share out their work.
        requires: what its tests import and its dependency group for tests does not name.
        about_stores: test files that are left out: stores are upstream's with us, too, and their
            tests need extensions that few builds of SQLite and PostgreSQL have.
        needs_redis: test files that are left out without services: they empty whatever Redis
            answers.
    """

    replaces: tuple[str, ...] = ()
    graphs: bool = True
    postgres_port: int = services.POSTGRES_PORT
    redis: bool = True
    needs_services: bool = False
    serial: bool = False
    requires: tuple[str, ...] = ()
    about_stores: tuple[str, ...] = ()
    needs_redis: tuple[str, ...] = ()

    def left_out(self, *, services: bool) -> tuple[str, ...]:
        """The test files that do not run, on neither engine."""
        return self.about_stores if services else self.about_stores + self.needs_redis


LANGGRAPH = "langgraph"
PREBUILT = "langgraph-prebuilt"
CHECKPOINT = "langgraph-checkpoint"
SQLITE = "langgraph-checkpoint-sqlite"
POSTGRES = "langgraph-checkpoint-postgres"
KINDS = {
    LANGGRAPH: Kind(),
    PREBUILT: Kind(),
    CHECKPOINT: Kind(
        (SAVERS, SERIALIZER),
        graphs=False,
        requires=("pycryptodome",),
        about_stores=("tests/test_store.py",),
        needs_redis=("tests/test_redis_cache.py",),
    ),
    SQLITE: Kind(
        (SAVERS,),
        redis=False,
        about_stores=("tests/test_store.py", "tests/test_async_store.py", "tests/test_ttl.py"),
    ),
    POSTGRES: Kind(
        (SAVERS,),
        postgres_port=5441,
        redis=False,
        needs_services=True,
        serial=True,
        about_stores=("tests/test_store.py", "tests/test_async_store.py"),
    ),
}
# What a suite stands on besides its own distribution.
SHOWN = (LANGGRAPH, CHECKPOINT, SQLITE, POSTGRES, PREBUILT, "langchain-core")


@dataclasses.dataclass(frozen=True)
class Suite:
    """Upstream's tests of one distribution.

    Args:
        distribution: whose tests: one of KINDS.
        version: of that distribution.
        langgraph: the version of langgraph that they run with.
        savers: whether our savers are in place of upstream's, also where the tests are not about
            savers.
    """

    distribution: str
    version: str
    langgraph: str
    savers: bool = False

    @property
    def kind(self) -> Kind:
        """What is to be known of the distribution."""
        return KINDS[self.distribution]

    @property
    def replaces(self) -> tuple[str, ...]:
        """Options of the pytest plugin that put classes of ours in place of upstream's."""
        return self.kind.replaces or ((SAVERS,) if self.savers else ())

    @property
    def name(self) -> str:
        """A name for files, and for people."""
        own = f"{self.distribution}-{self.version}"
        return own if self.distribution == LANGGRAPH else f"{own}-langgraph-{self.langgraph}"

    @property
    def pins(self) -> list[str]:
        """The requirements that put these versions into an environment, besides langgraph's."""
        own = [] if self.distribution == LANGGRAPH else [f"{self.distribution}=={self.version}"]
        return [*own, *self.kind.requires]

    @classmethod
    def of(cls, args: argparse.Namespace, langgraph: str, python: Path) -> Suite:
        """The suite that the command line asks for, with a version of langgraph.

        Raises:
            ToolError: there is no such distribution with that langgraph.
        """
        name = args.distribution
        if name == LANGGRAPH:
            return cls(name, langgraph, langgraph, args.savers)
        if args.env:
            version = Environment(python).packages.get(name)
            if version is None:
                raise ToolError(f"{python} has no {name}")
        else:
            version = suite_environment.version_beside(name, langgraph, python)
        return cls(name, version, langgraph, args.savers)


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How pytest is run, on either engine.

    Args:
        python: interpreter of the environment.
        tests: folder with upstream's ``tests/`` and ``pyproject.toml``.
        site: folder with our unpacked wheel; None where the environment has our package.
        services: whether the PostgreSQL and Redis variants run.
        jobs: worker processes.
        expression: pytest's ``-k``; None for all tests.
        minutes: time after which a run is ended.
        replaces: options of the pytest plugin for what is ours besides the engine.
        left_out: test files that do not run, on neither engine.
    """

    python: Path
    tests: Path
    site: Path | None
    services: bool
    jobs: int
    expression: str | None
    minutes: float
    replaces: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def environ(self, *, engine: bool) -> dict[str, str]:
        """What differs from this process's cleaned environment."""
        changes = {
            "NO_DOCKER": "false" if self.services else "true",
            "LANGGRAPH_TEST_FAST": "false" if self.services else "true",
        }
        if engine:
            changes["LANGGRAPH_CY_REQUIRE_COMPILED"] = "1"
            if self.site is not None:
                changes["PYTHONPATH"] = str(self.site)
        return changes

    def command(self, *, engine: bool, arguments: Sequence[str]) -> list[str]:
        """The pytest command line."""
        plugin = ["-p", "langgraph_cy.pytest_plugin", *self.replaces] if engine else []
        return [str(self.python), "-m", "pytest", "-p", "no:cacheprovider", *plugin, *arguments]

    def shell_line(self, name: str) -> str:
        """A line for a shell that runs one test with the engine."""
        settings = [f"{k}={shlex.quote(v)}" for k, v in self.environ(engine=True).items()]
        command = shlex.join(self.command(engine=True, arguments=[name]))
        return f"cd {shlex.quote(str(self.tests))} && {' '.join(settings)} {command}"


def run_suite(recipe: Recipe, folder: Path, *, engine: bool) -> SuiteResult:
    """Run all tests once, with log, report and engine statistics left in a folder."""
    arguments = ["-v", "--dist", "worksteal", "-n", str(recipe.jobs)]
    if recipe.jobs == 1:
        arguments = ["-v"]
    if recipe.expression is not None:
        arguments += ["-k", recipe.expression]
    arguments += [f"--ignore={file}" for file in recipe.left_out]
    return _pytest(recipe, folder, engine, [*arguments, "tests"], recipe.minutes)


def run_again(
    recipe: Recipe, names: Sequence[str], folder: Path, *, engine: bool
) -> dict[str, list[str]]:
    """Run tests again, each alone in a process, and return their outcomes.

    Where many tests failed, timing is not the cause, and none is run again.
    """
    if len(names) > MAX_RERUN_TESTS:
        return {}
    outcomes: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        outcomes[name] = []
        for attempt in range(RERUNS):
            where = folder / f"again-{number}-{attempt}"
            result = _pytest(recipe, where, engine, ["-v", name], RERUN_MINUTES)
            ended = result.tests.get(name)
            outcomes[name].append(result.problem or (ended.outcome if ended else "missing"))
    return outcomes


def _pytest(
    recipe: Recipe, folder: Path, engine: bool, arguments: Sequence[str], minutes: float
) -> SuiteResult:
    folder.mkdir(parents=True, exist_ok=True)
    report, log, stats = folder / "junit.xml", folder / "log.txt", folder / "stats.json"
    for leftover in (report, stats):
        leftover.unlink(missing_ok=True)
    options = ["--junit-xml", str(report), "-o", "junit_family=xunit1"]
    options += ["-o", f"faulthandler_timeout={STACKS_AFTER_SECONDS}"]
    if engine:
        options += ["--langgraph-cy-stats", str(stats)]
    environ = {**suite_environment.clean_environ(), **recipe.environ(engine=engine)}
    environ["PATH"] = os.pathsep.join([str(recipe.python.parent), environ.get("PATH", os.defpath)])
    start = time.monotonic()
    exit_code = run_logged(
        recipe.command(engine=engine, arguments=[*options, *arguments]),
        log,
        cwd=recipe.tests,
        env=environ,
        timeout=minutes * 60,
    )
    seconds = time.monotonic() - start
    problem = exit_problem(exit_code, minutes)
    tests = {}
    try:
        tests = read_junit(report)
    except (OSError, ElementTree.ParseError) as error:
        problem = problem or f"pytest left no usable report: {error}"
    if not problem and not tests:
        problem = "pytest ran no tests"
    if problem:
        problem += f"; the end of {log}:\n{tail(log.read_text('utf-8', 'replace'))}"
    return SuiteResult(tests, seconds, problem)


def stock_result(
    recipe: Recipe, environment: Environment, suite: Suite, folder: Path, cache: Path, fresh: bool
) -> SuiteResult:
    """Stock's result: the one recorded on this machine, or else a new run.

    Raises:
        ToolError: stock's own run broke, so that there is nothing to compare with.
    """
    identity = [STOCK_RECIPE, suite.name, environment.fingerprint, recipe.tests.name]
    identity += [recipe.services, recipe.jobs, recipe.expression]
    if recipe.left_out:
        identity.append(recipe.left_out)
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    record = cache / "stock" / f"{suite.name}-{key}.json"
    if record.is_file() and not fresh:
        return SuiteResult.from_json(json.loads(record.read_text("utf-8")))
    print("running upstream's tests on stock ...", flush=True)
    result = run_suite(recipe, folder, engine=False)
    if result.problem:
        raise ToolError(f"stock's run cannot be compared with: {result.problem}")
    result.reruns = run_again(recipe, result.failed(), folder, engine=False)
    if not any(result.passes(name) for name in result.tests):
        raise ToolError(f"not one of {len(result.tests)} tests passes on stock: see {folder}")
    now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    record.parent.mkdir(parents=True, exist_ok=True)
    unfinished = record.with_suffix(f".{os.getpid()}")
    recorded = dataclasses.replace(result, cached=now)
    unfinished.write_text(json.dumps(recorded.as_json()), encoding="utf-8")
    unfinished.replace(record)
    return result


def engine_result(recipe: Recipe, stock: SuiteResult, folder: Path) -> SuiteResult:
    """The result with the engine installed, with failures run again."""
    place = "engine and savers" if recipe.replaces else "engine"
    print(f"running upstream's tests with the {place} installed ...", flush=True)
    result = run_suite(recipe, folder, engine=True)
    result.reruns = run_again(recipe, to_rerun(stock, result), folder, engine=True)
    return result


def read_stats(
    path: Path, *, partial: bool, replaces: bool = False
) -> tuple[dict[str, Any] | None, str]:
    """The engine's counts of a run, and why they show that ours was not in place.

    Args:
        path: the file that the pytest plugin wrote.
        partial: whether the tests that ran may be without any graph.
        replaces: whether classes of ours were to be in place of upstream's, besides the engine.
    """
    try:
        stats = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return None, f"the pytest plugin wrote no counts: {error}"
    if not stats["core_compiled"]:
        return stats, "the compiled core was not loaded"
    if not stats["compiled"] and not partial:
        return stats, "not one graph run was compiled: the engine was not in place"
    if replaces and not stats["replaced"]:
        return stats, "no name of upstream's stood for a saver of ours"
    return stats, ""


def judge(args: argparse.Namespace, version: str, cache: Path, work: Path) -> dict[str, Any]:
    """Run and compare one version, print the report, and return it for ``--json``.

    Raises:
        ToolError: the runs could not be made.
    """
    base = interpreter(args.env) if args.env else args.python
    suite = Suite.of(args, version, base)
    tests = suite_environment.upstream_tests(
        suite.distribution, suite.version, base, cache, fresh=args.fresh
    )
    pyproject = suite_environment.read_toml((tests / "pyproject.toml").read_text("utf-8"))
    needed = suite_environment.test_requirements(pyproject)
    wheel = None if args.stock_only else find_wheel(args, base, work)
    if args.env:
        environment = Environment(base)
        environment.check(version, [*suite_environment.OWN_REQUIREMENTS, *suite.pins, *needed])
    else:
        extra = suite_environment.wheel_requirements(wheel) if wheel else ["orjson"]
        environment = suite_environment.make_environment(
            version, [*suite.pins, *needed, *extra], base, cache, fresh=args.fresh
        )
    folder = work / suite.name
    site = None
    if wheel is not None:
        site = folder / "site"
        shutil.rmtree(site, ignore_errors=True)
        suite_environment.unpack_wheel(environment.python, wheel, site)

    kind = suite.kind
    recipe = Recipe(
        environment.python,
        tests,
        site,
        args.services or kind.needs_services,
        1 if kind.serial else args.jobs,
        args.expression,
        args.timeout,
        suite.replaces,
        kind.left_out(services=args.services),
    )
    with contextlib.ExitStack() as stack:
        if recipe.services:
            running = services.running(environment.python, kind.postgres_port, redis=kind.redis)
            for line in stack.enter_context(running):
                print(line, flush=True)
        stock = stock_result(recipe, environment, suite, folder / "stock", cache, args.fresh)
        ours = None if args.stock_only else engine_result(recipe, stock, folder / "engine")
    return report(
        recipe, environment, suite, folder, stock, ours, require_compiled=args.require_compiled
    )


def report(
    recipe: Recipe,
    environment: Environment,
    suite: Suite,
    folder: Path,
    stock: SuiteResult,
    ours: SuiteResult | None,
    *,
    require_compiled: bool = False,
) -> dict[str, Any]:
    """Print what the runs came to, and return the same for ``--json``."""
    with_services = "without services"
    if recipe.services:
        with_services = "with PostgreSQL and Redis" if suite.kind.redis else "with PostgreSQL"
    packages = {name: environment.packages[name] for name in SHOWN if name in environment.packages}
    lines = ["", f"tests of {suite.distribution} {suite.version}, {with_services}"]
    lines += [", ".join(f"{name} {found}" for name, found in packages.items())]
    lines += [environment.title]
    if recipe.left_out:
        lines.append(f"left out: {', '.join(recipe.left_out)}")
    lines.append("")
    lines += counts_table(stock, ours)
    if stock.cached:
        lines.append(f"stock's result is the one recorded {stock.cached}; --fresh makes it anew")
    lines += reruns_table("on stock", stock)
    problems: list[str] = []
    outcome: dict[str, Any] = {
        "suite": suite.distribution,
        "version": suite.version,
        "packages": packages,
        "environment": environment.title,
        "services": recipe.services,
        "stock": stock.as_json(),
    }
    if ours is not None:
        lines += reruns_table("with the engine", ours)
        failures = len(to_rerun(stock, ours))
        if failures > MAX_RERUN_TESTS:
            lines.append(f"{failures:,} failures: more than {MAX_RERUN_TESTS}, none was run again")
        difference = compare(stock, ours)
        partial = recipe.expression is not None or not suite.kind.graphs
        stats_file = folder / "engine" / "stats.json"
        stats, problem = read_stats(stats_file, partial=partial, replaces=bool(recipe.replaces))
        problems += [text for text in (ours.problem, problem) if text]
        if require_compiled and stats is not None:
            problems += not_compiled(stats)
        outcome.update(
            engine=ours.as_json(), comparison=dataclasses.asdict(difference), engine_stats=stats
        )
        lines += names_list("passed when run alone", difference.flaky)
        lines += names_list("fails on both", difference.shared)
        lines += names_list("stock does not pass, langgraph_cy does", difference.gained)
        lines += ["", *(reasons_table(stats) if stats else [])]
        if recipe.replaces and stats is not None:
            lines += ["ours in place of:", *(f"  {name}" for name in stats["replaced"])]
        lines.append("")
        if difference.regressions:
            count = len(difference.regressions)
            problems.append(f"{count:,} tests that stock passes do not pass with the engine")
            lines.append("stock passes, langgraph_cy does not:")
            lines += [f"  {d.ours:<8} {d.name}  {d.message}" for d in difference.regressions]
            example = recipe.shell_line(difference.regressions[0].name)
            lines += ["to run one of them:", f"  {example}"]
        else:
            lines.append("stock passes, langgraph_cy does not: none")
    outcome["problems"] = problems
    lines += [f"FAILED: {problem}" for problem in problems]
    print("\n".join(lines), flush=True)
    return outcome


def find_wheel(args: argparse.Namespace, python: Path, work: Path) -> Path | None:
    """The wheel to judge; None where the environment of ``--env`` has our package."""
    if args.wheel is not None:
        return args.wheel
    if args.env and Environment(python).has_langgraph_cy:
        return None
    folder = work / "wheel"
    built = sorted(folder.glob("*.whl"))
    if not built:
        print("building the wheel of langgraph_cy ...", flush=True)
        built = [suite_environment.build_wheel(python, folder)]
    return built[0]


def interpreter(path: Path) -> Path:
    """The interpreter of an environment, given its folder or the interpreter itself.

    Raises:
        ToolError: there is none.
    """
    for candidate in (path / "bin/python", path / "Scripts/python.exe", path):
        if candidate.is_file():
            # Not resolved: a link is what tells a virtual environment's interpreter apart.
            return candidate.absolute()
    raise ToolError(f"--env: no Python at {path}")


SUITE_HELP = {
    PREBUILT: f"the tests of the {PREBUILT} that this langgraph brings, in place of its own",
    CHECKPOINT: f"those of the {CHECKPOINT} that it brings, on our in-memory saver and with "
    "OrjsonSerializer in place of JsonPlusSerializer; Redis is used only with --services",
    SQLITE: f"those of {SQLITE}, on our savers",
    POSTGRES: f"those of {POSTGRES}, on our savers; starts its own server where none answers",
}


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Run upstream's test suite on stock and with the engine, and compare."
    )
    add = parser.add_argument
    add(
        "versions",
        nargs="*",
        metavar="VERSION",
        help="of langgraph, such as 1.2.21 (default: the one that the engine stands in for)",
    )
    whose = parser.add_mutually_exclusive_group()
    for name in KINDS:
        if name != LANGGRAPH:
            whose.add_argument(
                name.replace("langgraph-", "--"),
                action="store_const",
                dest="distribution",
                const=name,
                default=LANGGRAPH,
                help=SUITE_HELP[name],
            )
    add(
        "--savers",
        action="store_true",
        help="with the engine, also langgraph_cy.checkpoint's savers in place of upstream's "
        "InMemorySaver, SqliteSaver, AsyncSqliteSaver, PostgresSaver and AsyncPostgresSaver",
    )
    add(
        "--require-compiled",
        action="store_true",
        help="fail where a local graph run went to stock's engine",
    )
    add("--services", action="store_true", help="also the PostgreSQL and Redis variants")
    add(
        "--python",
        type=Path,
        default=Path(sys.executable),
        metavar="PY",
        help="interpreter to make environments from (default: the one that runs this)",
    )
    add(
        "--env",
        type=Path,
        metavar="DIR",
        help="use this environment as it is: it has langgraph, upstream's test dependencies, and "
        "our package (else the wheel is put beside it)",
    )
    add("--wheel", type=Path, metavar="FILE", help="judge this wheel (default: build this tree's)")
    add("--keep", type=Path, metavar="DIR", help="keep logs, reports and our wheel in DIR")
    add("-k", dest="expression", metavar="EXPR", help="only these tests, as for pytest")
    add(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, 4),
        metavar="N",
        help="worker processes (default: one a core, at most 4)",
    )
    add("--json", type=Path, metavar="FILE", help="write everything that was found to FILE")
    add(
        "--table",
        type=Path,
        metavar="PAGE",
        help="write passed tests by version and feature into this page, between "
        f"{suite_table.BEGIN} and {suite_table.END}",
    )
    add("--fresh", action="store_true", help="use nothing cached: sdist, environment, stock's run")
    add("--stock-only", action="store_true", help="record stock's result and stop")
    add(
        "--timeout",
        type=float,
        default=20.0,
        metavar="MINUTES",
        help="end a run of the suite after so long (default: %(default)g)",
    )
    args = parser.parse_args(argv)
    args.versions = args.versions or [upstream_version()]
    if args.jobs < 1:
        parser.error("--jobs: at least 1")
    if args.table is not None:
        if args.expression is not None or args.stock_only:
            parser.error("--table: of all tests on both engines, so without -k and --stock-only")
        if not args.table.is_file() or not suite_table.has_place(args.table.read_text("utf-8")):
            parser.error(f"--table: {args.table} has no {suite_table.BEGIN} {suite_table.END}")
    if args.wheel is not None:
        args.wheel = args.wheel.absolute()
        if not args.wheel.is_file():
            parser.error(f"--wheel: no file {args.wheel}")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    args = arguments(argv)
    # Services and worker processes are ended by `finally`, which a plain SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    work = args.keep.absolute() if args.keep else Path(tempfile.mkdtemp(prefix="langgraph-cy-"))
    exit_code = 2
    try:
        work.mkdir(parents=True, exist_ok=True)
        cache = suite_environment.cache_folder()
        outcomes = [judge(args, version, cache, work) for version in args.versions]
        if args.json:
            args.json.write_text(json.dumps(outcomes, indent=1) + "\n", encoding="utf-8")
        if args.table:
            command = shlex.join(["python", "tools/upstream_suite.py", *args.versions])
            suite_table.write(outcomes, command, args.table)
        exit_code = int(any(outcome["problems"] for outcome in outcomes))
    except ToolError as error:
        print(f"error: {error}", file=sys.stderr)
    finally:
        if args.keep or exit_code:
            print(f"logs and reports: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
