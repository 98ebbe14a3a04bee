"""Compiled twins of upstream's channels, in modules named like upstream's.

Invariant: a channel is a pure state machine. Its next state depends on its state and on the values
handed to it, and a reader never gets hold of a container that the channel goes on changing.
"""

from langgraph_cy.core.channels.any_value import AnyValue
from langgraph_cy.core.channels.base import Channel, traits
from langgraph_cy.core.channels.binop import BinaryOperatorAggregate
from langgraph_cy.core.channels.convert import compiled_channel
from langgraph_cy.core.channels.delta import DeltaChannel
from langgraph_cy.core.channels.ephemeral_value import EphemeralValue
from langgraph_cy.core.channels.last_value import LastValue, LastValueAfterFinish
from langgraph_cy.core.channels.named_barrier_value import (
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
)
from langgraph_cy.core.channels.topic import Topic
from langgraph_cy.core.channels.untracked_value import UntrackedValue

__all__ = (
    "AnyValue",
    "BinaryOperatorAggregate",
    "Channel",
    "DeltaChannel",
    "EphemeralValue",
    "LastValue",
    "LastValueAfterFinish",
    "NamedBarrierValue",
    "NamedBarrierValueAfterFinish",
    "Topic",
    "UntrackedValue",
    "compiled_channel",
    "traits",
)
