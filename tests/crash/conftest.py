"""A zygote, and databases for threads to be killed on."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .databases import Database, Postgres, Sqlite
from .zygote import Zygote

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import services
from processes import ToolError


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote]:
    """Where processes come from."""
    with Zygote() as made:
        yield made


@pytest.fixture(scope="session")
def cluster() -> Iterator[services.Cluster]:
    """A PostgreSQL of our own, which a test may stop."""
    try:
        services.postgres_programs()
    except ToolError as error:
        pytest.skip(str(error))
    with services.own_postgres(services.free_port(), keeps=True) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Where threads are stored."""
    if request.param == "sqlite":
        yield Sqlite(tmp_path)
    else:
        made: Any = Postgres(request.getfixturevalue("cluster").uri)
        try:
            yield made
        finally:
            made.close()
