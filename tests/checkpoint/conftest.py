"""Fixtures for the tests of savers and of the serializer."""

from .postgres_server import (
    postgres_cluster,
    postgres_database,
    postgres_databases,
    postgres_restartable,
    postgres_server,
)
from .serializer_settings import round_of_examples

__all__ = (
    "postgres_cluster",
    "postgres_database",
    "postgres_databases",
    "postgres_restartable",
    "postgres_server",
    "round_of_examples",
)
