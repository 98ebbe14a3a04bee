"""Fixtures for the tests of savers."""

from .postgres_server import (
    postgres_cluster,
    postgres_database,
    postgres_databases,
    postgres_restartable,
    postgres_server,
)

__all__ = (
    "postgres_cluster",
    "postgres_database",
    "postgres_databases",
    "postgres_restartable",
    "postgres_server",
)
