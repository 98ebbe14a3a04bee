"""LangGraph's engine, compiled."""

from langgraph_cy._core import COMPILED
from langgraph_cy._version import __version__
from langgraph_cy.backend import accelerate, install, installed, uninstall
from langgraph_cy.fingerprints import UPSTREAM_VERSION
from langgraph_cy.plan_report import explain
from langgraph_cy.pregel import Pregel
from langgraph_cy.profiling import profile
from langgraph_cy.state_graph import NodeBuilder, StateGraph, entrypoint, task
from langgraph_cy.stats import EngineStats, engine_stats, reset_engine_stats

__all__ = [
    "COMPILED",
    "UPSTREAM_VERSION",
    "EngineStats",
    "NodeBuilder",
    "Pregel",
    "StateGraph",
    "__version__",
    "accelerate",
    "engine_stats",
    "entrypoint",
    "explain",
    "install",
    "installed",
    "profile",
    "reset_engine_stats",
    "task",
    "uninstall",
]
