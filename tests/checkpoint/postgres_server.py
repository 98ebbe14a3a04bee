"""PostgreSQL for tests: the server that an environment variable names, or else one of our own."""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import services
from processes import ToolError

# A connection URI of an account that may create databases.
VARIABLE = "LANGGRAPH_CY_TEST_POSTGRES"


def own_cluster(stack: ExitStack) -> services.Cluster:
    """A cluster of our own; the test is skipped where PostgreSQL is not installed."""
    try:
        services.postgres_programs()
    except ToolError as error:
        pytest.skip(f"{error}, and {VARIABLE} names no server for this test")
    return stack.enter_context(services.own_postgres(services.free_port()))


def in_database(uri: str, name: str) -> str:
    """The URI of another database of the same server."""
    from psycopg.conninfo import make_conninfo

    return make_conninfo(uri, dbname=name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URI of a server, where databases may be created."""
    with ExitStack() as stack:
        given = os.environ.get(VARIABLE)
        yield given if given else own_cluster(stack).uri


class Databases:
    """Makes databases, and drops them.

    Args:
        server: URI of the server.
    """

    def __init__(self, server: str) -> None:
        self._server = server
        self._made: list[str] = []

    def make(self) -> str:
        """A new, empty database's connection string."""
        name = f"langgraph_cy_{uuid.uuid4().hex}"
        self._admin(f"CREATE DATABASE {name}")
        self._made.append(name)
        return in_database(self._server, name)

    def drop(self) -> None:
        for name in self._made:
            self._admin(f"DROP DATABASE {name} WITH (FORCE)")

    def _admin(self, statement: Any) -> None:
        import psycopg

        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(statement)


class Restartable(NamedTuple):
    """A database on a server of our own.

    Args:
        uri: the database's connection string.
        stop: ends the server at once, as a crash would: clients lose their connections.
        start: starts it again, and waits until it answers.
    """

    uri: str
    stop: Callable[[], None]
    start: Callable[[], None]


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[services.Cluster]:
    """A server of our own, to stop and start."""
    import psycopg

    with ExitStack() as stack:
        cluster = own_cluster(stack)
        with psycopg.connect(cluster.uri, autocommit=True) as admin:
            # Off, what is committed may be lost when the server is stopped like this.
            admin.execute("ALTER SYSTEM SET synchronous_commit = on")
            admin.execute("SELECT pg_reload_conf()")
            while admin.execute("SHOW synchronous_commit").fetchone() != ("on",):
                time.sleep(0.01)
        yield cluster


@pytest.fixture
def postgres_restartable(postgres_cluster: services.Cluster) -> Iterator[Restartable]:
    """A new, empty database of a server that the test may stop and start."""
    import psycopg

    databases = Databases(postgres_cluster.uri)
    try:
        yield Restartable(databases.make(), postgres_cluster.stop, postgres_cluster.start)
    finally:
        try:
            psycopg.connect(postgres_cluster.uri).close()
        except psycopg.OperationalError:  # the test has failed while it was stopped
            postgres_cluster.start()
        databases.drop()


@pytest.fixture
def postgres_databases(postgres_server: str) -> Iterator[Databases]:
    """Makes databases for this test."""
    databases = Databases(postgres_server)
    try:
        yield databases
    finally:
        databases.drop()


@pytest.fixture
def postgres_database(postgres_databases: Databases) -> str:
    """The connection string of a new, empty database."""
    return postgres_databases.make()
