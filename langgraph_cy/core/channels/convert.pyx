# cython: language_level=3, embedsignature=True, auto_pickle=False
"""From upstream's channels to the compiled ones.

Invariant: only an object of one of upstream's exact classes is taken for what its class says.
"""

from langgraph_cy.core.channels.any_value cimport AnyValue
from langgraph_cy.core.channels.base cimport Channel, is_compiled, mark_compiled
from langgraph_cy.core.channels.binop cimport BinaryOperatorAggregate
from langgraph_cy.core.channels.delta cimport DeltaChannel
from langgraph_cy.core.channels.ephemeral_value cimport EphemeralValue
from langgraph_cy.core.channels.last_value cimport LastValue, LastValueAfterFinish
from langgraph_cy.core.channels.named_barrier_value cimport (
    NamedBarrierValue, NamedBarrierValueAfterFinish,
)
from langgraph_cy.core.channels.topic cimport Topic
from langgraph_cy.core.channels.untracked_value cimport UntrackedValue

from langgraph_cy import upstream

# Upstream's class: the compiled one, and the arguments of both, which are attributes as well.
cdef dict COUNTERPARTS = {
    upstream.LastValue: (LastValue, ("typ", "key")),
    upstream.LastValueAfterFinish: (LastValueAfterFinish, ("typ", "key")),
    upstream.EphemeralValue: (EphemeralValue, ("typ", "guard")),
    upstream.AnyValue: (AnyValue, ("typ", "key")),
    upstream.UntrackedValue: (UntrackedValue, ("typ", "guard")),
    upstream.Topic: (Topic, ("typ", "accumulate")),
    upstream.BinaryOperatorAggregate: (BinaryOperatorAggregate, ("typ", "operator")),
    upstream.NamedBarrierValue: (NamedBarrierValue, ("typ", "names")),
    upstream.NamedBarrierValueAfterFinish: (NamedBarrierValueAfterFinish, ("typ", "names")),
    upstream.DeltaChannel: (DeltaChannel, ("reducer", "typ", "snapshot_frequency")),
}

for _stock, (_compiled, _) in COUNTERPARTS.items():
    _stock.register(_compiled)  # isinstance against upstream's class holds
    mark_compiled(_compiled)


cpdef object compiled_channel(object spec):
    """Return a compiled channel without state that behaves as `spec` does, where there is one.

    Args:
        spec: A channel, in any state, which is left as it is.

    Returns:
        A new channel, as `spec.from_checkpoint(MISSING)` makes one, when `spec` is of an exact
        upstream or compiled type; None for a subclass or a channel of the user's own.
    """
    cls = type(spec)
    if is_compiled(cls):
        return (<Channel>spec).c_fresh()
    if cls not in COUNTERPARTS:
        return None
    compiled, arguments = COUNTERPARTS[cls]
    cdef Channel twin = compiled(**{name: getattr(spec, name) for name in arguments})
    twin.key = spec.key
    return twin.c_fresh()
