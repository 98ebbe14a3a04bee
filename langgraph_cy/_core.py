"""Loads the engine: the compiled core, and all else that needs upstream's private names.

Or says once why it stays out, and then every graph runs on upstream's own engine.
"""

from __future__ import annotations

import os
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from langgraph import pregel as upstream_pregel

from langgraph_cy.fingerprints import UPSTREAM_VERSION, difference

__all__ = (
    "COMPILED",
    "NEVER",
    "REQUIRE",
    "runs",
)

REQUIRE = "LANGGRAPH_CY_REQUIRE_COMPILED"
ANY_UPSTREAM = "LANGGRAPH_CY_ANY_UPSTREAM"

COMPILED: bool
NEVER: str | None = None  # why no run may bypass upstream's engine

runs: Any = None


def _asked_for(variable: str) -> bool:
    return os.environ.get(variable, "") not in ("", "0")


def _stay_out(why: str, cure: str, cause: BaseException | None = None) -> None:
    if _asked_for(REQUIRE):
        raise ImportError(
            f"{why}, and {REQUIRE} is set. {cure}, or unset the variable to run on LangGraph's "
            "own engine."
        ) from cause
    text = f"{why}: graphs run on LangGraph's own engine. {cure}."
    warnings.warn(text, RuntimeWarning, stacklevel=4)  # where the package is imported


def _other_upstream() -> str | None:
    """What the engine does not know about the installed upstream, in words."""
    if _asked_for(ANY_UPSTREAM):
        return None
    installed = version("langgraph")
    found = difference(Path(str(upstream_pregel.__file__)).parents[1], installed)
    if found is None:
        return None
    which = f"{installed} is installed, with another {found}" if found else f"not for {installed}"
    return f"langgraph_cy stands in for the engine of langgraph {UPSTREAM_VERSION}, but {which}"


if other := _other_upstream():
    NEVER = "other upstream version"
    cure = f"Install langgraph {UPSTREAM_VERSION}, or set {ANY_UPSTREAM}=1 to try anyway"
    _stay_out(other, cure)
else:
    try:
        from langgraph_cy import runs
    except (ImportError, AttributeError, LookupError) as error:
        NEVER = "compiled core not loaded"
        _stay_out(
            f"langgraph_cy's compiled core can't be loaded ({error})",
            "Reinstall langgraph-cy where a C compiler is available",
            error,
        )
COMPILED = NEVER is None
