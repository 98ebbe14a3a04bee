"""Ways in: the whole process (`install`) or one graph (`accelerate`)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from langgraph.pregel import Pregel as UpstreamPregel

from langgraph_cy.entry_points import installed as _stock
from langgraph_cy.entry_points import is_genuine
from langgraph_cy.locks import fork_safe
from langgraph_cy.pregel import Pregel, ainvoke, astream, invoke, stream

GraphT = TypeVar("GraphT")

_ENTRY_POINTS = {"invoke": invoke, "ainvoke": ainvoke, "stream": stream, "astream": astream}
_lock = fork_safe(threading.Lock())
_for_good = False  # `install` was called, and `uninstall` not since
_blocks = 0  # how many `with installed()` blocks are open


def _put_in() -> None:
    for name, method in _ENTRY_POINTS.items():
        if name not in _stock and is_genuine(name):
            _stock[name] = vars(UpstreamPregel)[name]
            setattr(UpstreamPregel, name, method)


def _take_out() -> None:
    while _stock:
        setattr(UpstreamPregel, *_stock.popitem())


def install() -> None:
    """Run every graph in the process on the compiled engine, where it covers the run.

    Also graphs that were compiled, and modules that were imported, before the call.
    Installing twice changes nothing. An entry point that another tool has wrapped is left
    to it; its runs then go to upstream's engine, counted.
    """
    global _for_good
    with _lock:
        _for_good = True
        _put_in()


def uninstall() -> None:
    """Put upstream's methods back exactly as `install` found them."""
    global _for_good
    with _lock:
        _for_good = False
        _take_out()


@contextmanager
def installed() -> Iterator[None]:
    """The engine installed for the length of a `with` block.

    It stays installed until the last of several such blocks is left, in whichever threads
    they are, and after an earlier `install` until `uninstall`.
    """
    global _blocks
    with _lock:
        _blocks += 1
        _put_in()
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0 and not _for_good:
                _take_out()


def accelerated_class(cls: type) -> type:
    """The subclass of a graph class whose graphs run on the compiled engine.

    Args:
        cls: upstream's `Pregel` or a subclass, such as one of the user's own.
    """
    if issubclass(cls, Pregel):
        return cls
    if cls is UpstreamPregel:
        return Pregel
    bases = (cls, Pregel)  # the class's own overrides go first, as ever
    with _lock:
        # kept by the class itself, so that a class made in a function can go away again
        for made in cls.__subclasses__():
            if made.__bases__ == bases:
                return made
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
        return type(cls.__name__, bases, names)


def stock_graph(graph: Any) -> Any:
    """The same graph of a class of upstream's or the user's own; the inverse of `accelerate`.

    Args:
        graph: a compiled graph, on either engine.
    """
    if not isinstance(graph, Pregel):
        return graph
    classes = (cls for cls in type(graph).__mro__ if issubclass(cls, UpstreamPregel))
    stock: Any = object.__new__(next(cls for cls in classes if not issubclass(cls, Pregel)))
    stock.__dict__.update(graph.__dict__)
    return stock


def accelerate(graph: GraphT) -> GraphT:
    """The same graph on the compiled engine; the one passed in stays as it is.

    Args:
        graph: a compiled graph: what `StateGraph.compile`, `entrypoint` or `Pregel` makes.

    Raises:
        TypeError: `graph` is not a compiled graph.
    """
    if not isinstance(graph, UpstreamPregel):
        hint = "; call .compile() first" if hasattr(graph, "compile") else ""
        raise TypeError(f"accelerate() takes a compiled graph, not {type(graph).__name__}{hint}")
    if isinstance(graph, Pregel):
        return graph
    fast: Any = object.__new__(accelerated_class(type(graph)))
    fast.__dict__.update(graph.__dict__)
    return cast(GraphT, fast)
