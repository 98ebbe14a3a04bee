"""Runs a workload on both engines and times it: what `langgraph-cy bench` does too."""

from langgraph_cy.cli.timing import (
    COMPILED,
    FEWEST_ROUNDS,
    FLOOR,
    STOCK,
    Counts,
    Engine,
    RefusedError,
    Result,
    Spread,
    measure,
    verify,
)

__all__ = (
    "COMPILED",
    "FEWEST_ROUNDS",
    "FLOOR",
    "STOCK",
    "Counts",
    "Engine",
    "RefusedError",
    "Result",
    "Spread",
    "measure",
    "verify",
)
