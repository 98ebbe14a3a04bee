"""Loads the compiled core, or says once that there is none."""

from __future__ import annotations

import os
import warnings
from typing import Any

__all__ = ("COMPILED", "REQUIRE", "first_replaced", "plan", "superstep", "sync")

REQUIRE = "LANGGRAPH_CY_REQUIRE_COMPILED"

COMPILED: bool

superstep: Any = None
sync: Any = None
plan: Any = None
first_replaced: Any = None

try:
    from langgraph_cy.core import plan, superstep
    from langgraph_cy.core.guards import first_replaced
    from langgraph_cy.drivers import sync

    COMPILED = True
except ImportError as error:
    if os.environ.get(REQUIRE, "") not in ("", "0"):
        raise ImportError(
            f"langgraph_cy's compiled core can't be loaded ({error}) and {REQUIRE} is set. "
            "Reinstall langgraph-cy where a C compiler is available, or unset the variable to "
            "run on LangGraph's own engine."
        ) from error
    COMPILED = False
    warnings.warn(
        f"langgraph_cy's compiled core can't be loaded ({error}): graphs run on LangGraph's "
        "own engine. Reinstall langgraph-cy where a C compiler is available.",
        RuntimeWarning,
        stacklevel=2,
    )
