# The C interface of the channels, for `from langgraph_cy.core.channels cimport ...`.
from langgraph_cy.core.channels.any_value cimport AnyValue
from langgraph_cy.core.channels.base cimport (
    TRAIT_CLEARS_ON_EMPTY, TRAIT_CONSUMES, TRAIT_FINISHES, TRAIT_STABLE, Channel, channel_traits,
)
from langgraph_cy.core.channels.binop cimport BinaryOperatorAggregate
from langgraph_cy.core.channels.convert cimport compiled_channel
from langgraph_cy.core.channels.delta cimport DeltaChannel
from langgraph_cy.core.channels.ephemeral_value cimport EphemeralValue
from langgraph_cy.core.channels.last_value cimport LastValue, LastValueAfterFinish
from langgraph_cy.core.channels.named_barrier_value cimport (
    NamedBarrierValue, NamedBarrierValueAfterFinish,
)
from langgraph_cy.core.channels.topic cimport Topic
from langgraph_cy.core.channels.untracked_value cimport UntrackedValue
