"""What hypothesis draws: sessions whose order does not depend on timing, or is known to.

A graph is either narrow, one task in every superstep, or wide. Narrow ones may fail anywhere.
In wide ones on threads a failure stops the others whenever it is noticed, so that there only
first attempts fail, and are tried again.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from .description import Act, Branch, Graph, Key, Node, Retry, Settings, To
from .session import Fault, Op, Run, Saver, Session, Update, Workflow
from .strategies import END, NAMES, START, inputs, rarely, retries, some_of, updates

PLAIN_KINDS = ("add", "last", "cat", "delta", "messages")
# Not "topic" and "pile": stock gives savers the list that later supersteps change, which this
# engine mends.
KINDS = (
    "add", "last", "cat", "delta", "messages", "union", "untracked", "ephemeral", "any",
    "newest", "loud", "is_last", "remaining",
)  # fmt: skip
# Keys that several tasks of a superstep may write.
SHARED_KINDS = ("add", "cat", "delta", "messages", "newest", "unguarded")
MODES = ("values", "updates", "messages", "custom", "tasks", "checkpoints", "debug")
# For these stock's engine waits for chunks on a worker, and with one worker waits forever.
EAGER_MODES = ("messages", "custom")
SAVERS = ("plain", "memory", "memory", "ledger", "pathless", "counting")
# Not "mutate": a node that changes what it was sent may or may not be quicker than the saver.
ACTS = ("update",) * 5 + ("command",) * 2 + ("ask",) * 3 + (
    "ask twice", "ask or not", "write", "write", "talk", "say", "nothing", "overwrite",
    "commands", "pairs", "graph", "graph asks", "graph asks", "echo", "drain",
    "list of updates", "refused",
)  # fmt: skip
REFUSED = ("unknown key", "number", "other error")  # where "refused" is drawn
CALLING = ("task", "broken task")  # need a thread more than their node's
ASYNC_ACTS = ("wait",) * 4 + ("talk async", "graph async", "graph asks async", "task async")
# What takes turns of the event loop: how tasks beside each other interleave is not compared.
TURNING = ("graph", "graph async", "graph asks", "graph asks async", "talk async", "task async")
GOING = ("command", "commands", "pairs")
FORMS = ("function",) * 6 + ("lambda", "sequence")
INJECTIONS = ("nothing",) * 5 + (
    "config", "runtime", "writer", "store", "previous", "everything", "ambient",
)  # fmt: skip


@st.composite
def keys(draw: Any, wide: bool) -> tuple[Key, ...]:
    kinds = SHARED_KINDS if wide else KINDS
    first = draw(st.sampled_from(SHARED_KINDS[:4] if wide else PLAIN_KINDS))
    more = draw(st.lists(st.sampled_from(kinds), max_size=2))
    return tuple(Key(name, kind) for name, kind in zip(NAMES, (first, *more), strict=False))


@st.composite
def acts(
    draw: Any,
    keys: tuple[Key, ...],
    names: tuple[str, ...],
    *,
    wide: bool = False,
    coroutine: bool = False,
    calling: bool = False,
    inner: bool = False,
) -> Act:
    """An act of a node.

    Args:
        names: where it may go.
        coroutine: its node is a coroutine function.
        calling: it may call tasks on threads.
        inner: its node is one of a subgraph, which may go to the parent's nodes.
    """
    kinds = ACTS + (ASYNC_ACTS if coroutine else ()) + (CALLING if calling else ())
    kind = draw(st.sampled_from(kinds))
    if wide and kind in ("refused", "broken task", "overwrite", "drain", "list of updates"):
        kind = "update"
    if kind == "refused":
        kind = draw(st.sampled_from(REFUSED))
    if inner and kind in GOING:
        kind = "parent"
    times = draw(st.integers(1, 2)) if draw(rarely(8)) and not wide else 0
    goto: tuple[To, ...] = ()
    if kind in (*GOING, "parent"):
        to = draw(st.sampled_from((END, *names)))
        send = draw(st.integers(0, 2)) if to != END and draw(rarely(3)) else None
        goto = (To(to, send),)
    return Act(kind, draw(updates(keys)), goto, times)


@st.composite
def subgraphs(
    draw: Any, keys: tuple[Key, ...], names: tuple[str, ...], coroutine: bool, wide: bool
) -> Graph:
    """A graph to be a node: one or two nodes in a row, with the same keys."""
    made = acts(keys, names, wide=wide, coroutine=coroutine, inner=True)
    own = tuple(f"s{i}" for i in range(draw(st.integers(1, 2))))
    ends = (START, *own, END)
    return Graph(
        keys,
        nodes=tuple(
            Node(
                name,
                acts=(draw(made),),
                form="coroutine" if coroutine else "function",
            )
            for name in own
        ),
        edges=tuple(pairwise(ends)),
        accelerated=draw(st.booleans()),
        # tasks beside each other would share what one with a memory of its own saves
        checkpointer=draw(st.sampled_from((None, None, None if wide else True, False))),
        interrupt_before=own[-1:] if draw(rarely(8)) else (),
    )


@st.composite
def nodes(
    draw: Any,
    name: str,
    keys: tuple[Key, ...],
    names: tuple[str, ...],
    *,
    wide: bool,
    coroutine: bool,
    calling: bool,
) -> Node:
    if draw(rarely(6)):
        sub = draw(subgraphs(keys, () if wide else names, coroutine, wide))
        return Node(name, acts=(Act("update"),), sub=sub)
    form = "coroutine" if coroutine else draw(st.sampled_from(FORMS))
    made = acts(keys, names, wide=wide, coroutine=coroutine, calling=calling)
    chosen = tuple(draw(st.lists(made, min_size=1, max_size=2)))
    handler = None
    if draw(rarely(7)) and not wide:
        way = (To(draw(st.sampled_from((END, *names)))),) if draw(rarely(2)) else ()
        handler = Act("command", draw(updates(keys)), way)
    fails = any(act.times for act in chosen)
    return Node(
        name,
        acts=chosen,
        form=form,
        inject=draw(st.sampled_from(INJECTIONS if form == "function" else ("nothing", "ambient"))),
        retry=draw(retries) if draw(rarely(2 if fails else 8)) else (),
        metadata=draw(rarely(6)),
        cached=draw(rarely(6)),
        handler=handler,
    )


@st.composite
def narrow_graphs(draw: Any, coroutine: bool, calling: bool) -> Graph:
    """One task in every superstep."""
    made_of = draw(keys(False))
    names = tuple(f"n{i}" for i in range(draw(st.integers(1, 4))))
    options = {"wide": False, "coroutine": coroutine, "calling": calling}
    made = tuple(draw(nodes(name, made_of, names, **options)) for name in names)
    edges: list[Any] = [(START, names[0])]
    branches = []
    for place, node in enumerate(made):
        inside = node.sub.nodes if node.sub is not None else ()
        performed = [act for each in (node, *inside) for act in each.acts]
        if any(act.kind in (*GOING, "parent") for act in performed):
            continue  # goes where its commands say, and nowhere else
        following = names[place + 1 : place + 2] or (END,)
        if draw(rarely(4)):
            ways = draw(st.lists(st.sampled_from((END, *names)), min_size=1, max_size=2))
            answers = tuple((To(way),) for way in ways)
            branches.append(Branch(node.name, answers, mapped=draw(rarely(3))))
        else:
            edges.append((node.name, following[0]))
    style = draw(st.sampled_from(("typeddict",) * 6 + ("dataclass", "pydantic")))
    # Local classes can't be pickled to a cache key. And a node that comes again in the same run
    # may be quicker than what keeps its first result.
    if style != "typeddict" or branches or len(edges) <= len(names):
        made = tuple(replace(node, cached=False) for node in made)
    return Graph(
        made_of,
        made,
        tuple(edges),
        tuple(branches),
        style=style,
        output_keys=draw(some_of(("a",), 1, 1)) if draw(rarely(8)) else None,
        context=draw(rarely(5)),
        bound=draw(rarely(8)),
        checkpointer=draw(st.sampled_from((None, None, True))),
        interrupt_before=draw(some_of(names, 1, 1)) if draw(rarely(8)) else (),
        interrupt_after=draw(some_of(names, 1, 1)) if draw(rarely(8)) else (),
    )


@st.composite
def wide_graphs(draw: Any, coroutine: bool, retried: bool) -> Graph:
    """Several tasks in a superstep: edges side by side, or Sends, and then a join."""
    made_of = draw(keys(True))
    sends = draw(rarely(2))
    if sends:  # of numbers, which subgraphs have to take
        made_of = (Key("a", "add"), *made_of[1:])
    names = tuple(f"n{i}" for i in range(draw(st.integers(2, 4))))
    options = {"wide": True, "coroutine": coroutine, "calling": False}
    made = [draw(nodes(name, made_of, (), **options)) for name in names]
    join = Node("join", acts=(draw(acts(made_of, (), wide=True)),), defer=draw(rarely(3)))
    if coroutine:
        join = Node("join", join.acts, form="coroutine", defer=join.defer)
    if retried and made[0].sub is None:
        first = made[0].acts[0]
        failing = (Act(first.kind, first.update, first.goto, times=1), *made[0].acts[1:])
        made[0] = Node("n0", failing, made[0].form, retry=(Retry(3, "user"),))
    branches: tuple[Branch, ...] = ()
    edges: list[Any]
    if sends:
        answer = tuple(To(name, number) for number, name in enumerate((*names, names[-1])))
        branches = (Branch(START, (answer,), as_list=True),)
        edges = []
    else:
        edges = [(START, name) for name in names]
    if draw(rarely(2)):
        edges.append((names, "join"))
    else:
        edges += [(name, "join") for name in names]
    return Graph(
        made_of,
        (*made, join),
        (*edges, ("join", END)),
        branches,
        interrupt_before=("join",) if draw(rarely(6)) else (),
        interrupt_after=names[:1] if draw(rarely(6)) else (),
    )


@st.composite
def workflows(draw: Any, asynchronous: bool, wide: bool) -> Workflow:
    kinds = ("task",) * 4 + ("ask", "ask", "write", "fail", "add")
    kinds += ("wait",) if asynchronous else ()
    kinds += ("tasks",) * 4 if wide else ()
    ops = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(kinds))
        times = draw(st.integers(1, 2)) if kind == "fail" or draw(rarely(6)) else 0
        ops.append(Op(kind, draw(st.integers(0, 3)), times))
    return Workflow(
        tuple(ops),
        asynchronous,
        final=draw(rarely(3)),
        attempts=draw(st.integers(1, 3)),
        cached=draw(rarely(4)),
    )


def mode_choices(modes: tuple[str, ...]) -> st.SearchStrategy[Any]:
    several = st.lists(st.sampled_from(modes), min_size=1, max_size=4, unique=True).map(tuple)
    return st.one_of(st.none(), st.just(()), st.sampled_from(modes), several, st.just(modes))


@st.composite
def runs(
    draw: Any, given: Any, names: tuple[str, ...], visible: tuple[str, ...], *, asynchronous: bool,
    closing: bool, serial: bool, durable: bool, going: bool,
) -> Run:  # fmt: skip
    """A run.

    Args:
        given: see `Run`.
        names: of the nodes.
        visible: keys that a caller may ask for.
        closing: it may close the stream: no node runs on a thread beside an event loop then.
        going: it may go to a node of the caller's choice, beside what is to run anyway.
        durable: every graph in it saves. Stock fails for the durability "sync" in one that
            doesn't, which this engine mends.
    """
    durabilities = (None, None, "async", "exit", *(("sync",) if durable else ()))
    lazy_modes = tuple(mode for mode in MODES if mode not in EAGER_MODES)
    modes = draw(mode_choices(lazy_modes if serial else MODES))
    streams = modes is not None
    statics = st.just("*") | some_of(names, 1, 2) if names else st.just("*")
    return Run(
        given,
        goto=draw(st.sampled_from(names)) if going and names and draw(rarely(3)) else None,
        modes=modes,
        subgraphs=streams and not serial and draw(rarely(3)),
        version=draw(st.sampled_from((None, None, "v1", "v2"))),
        output_keys=draw(some_of(visible, 1, 2)) if visible and draw(rarely(8)) else None,
        print_mode=draw(st.sampled_from(("values", ("updates", "tasks")))) if draw(rarely(10))
        else (),
        durability=draw(st.sampled_from(durabilities)),
        interrupt_before=draw(statics) if draw(rarely(10)) else (),
        interrupt_after=draw(statics) if draw(rarely(10)) else (),
        close_after=draw(st.integers(1, 4)) if streams and closing and draw(rarely(5)) else None,
        cancel=asynchronous and draw(rarely(3)),
        fork=draw(st.integers(0, 5)) if draw(rarely(6)) else None,
        watched=draw(rarely(4)),
        control=draw(rarely(5)),
    )  # fmt: skip


@st.composite
def settings_of(draw: Any) -> Settings:
    if draw(rarely(2)):
        return Settings()
    return Settings(
        recursion_limit=draw(st.integers(1, 8)) if draw(rarely(3)) else None,
        tags=draw(st.booleans()),
        metadata=draw(st.booleans()),
        thread=draw(st.booleans()),
        run_name=draw(rarely(4)),
        context=draw(rarely(3)),
    )


@st.composite
def savers(draw: Any, racing: bool) -> Saver | None:
    if draw(rarely(7)):
        return None
    kind = draw(st.sampled_from(SAVERS))
    if racing and kind == "pathless":
        kind = "ledger"  # without a path, writes are read back in the order of their arrival
    fault = None
    if not racing and kind != "plain" and draw(rarely(5)):
        operation = draw(st.sampled_from(("put", "put", "put_writes", "put_writes", "get_tuple")))
        fault = Fault(operation, draw(st.integers(1, 6)), nested=draw(rarely(4)))
    return Saver(kind, fault)


def takes_turns(graph: Graph) -> bool:
    """Whether a node awaits more than its own function."""
    return any(
        node.sub is not None or any(act.kind in TURNING for act in node.acts)
        for node in graph.nodes
    )


@st.composite
def sessions(draw: Any) -> Session:
    """A session of any kind."""
    asynchronous = draw(st.booleans())
    family = draw(st.sampled_from(("narrow",) * 5 + ("wide", "wide", "workflow")))
    going = draw(rarely(6))
    wide = family == "wide" or going or (family == "workflow" and draw(rarely(2)))
    settings = draw(settings_of())
    serial = family == "wide" and not asynchronous and not going and draw(st.booleans())
    racing = wide and not asynchronous and not serial
    coroutine = asynchronous and (wide or not draw(rarely(4)))
    if family == "narrow":
        graph: Any = draw(narrow_graphs(coroutine, calling=not asynchronous))
    elif family == "wide":
        graph = draw(wide_graphs(coroutine, retried=draw(rarely(3))))
        if serial:
            settings = replace(settings, max_concurrency=1)
    else:
        graph = draw(workflows(asynchronous, wide))
    if family == "workflow":
        names: tuple[str, ...] = ()
        visible: tuple[str, ...] = ()
        given: Any = st.integers(0, 3).map(lambda number: (("a", number),))
        nodes_of: tuple[str, ...] = ("workflow",)
    else:
        names = nodes_of = tuple(node.name for node in graph.nodes)
        managed = ("is_last", "remaining")
        visible = tuple(key.name for key in graph.keys if key.kind not in managed)
        given = inputs(graph.keys)
    if wide and asynchronous and (family == "workflow" or takes_turns(graph)):
        racing = True
    saver = draw(savers(racing))
    subs = [] if family == "workflow" else [node.sub for node in graph.nodes if node.sub]
    options = {
        "asynchronous": asynchronous,
        "closing": not wide and coroutine is asynchronous,
        "going": going,
        "serial": serial,
        "durable": saver is not None and all(sub.checkpointer is not False for sub in subs),
    }
    steps: list[Run | Update] = [draw(runs(draw(given), names, visible, **options))]
    for _ in range(draw(st.integers(0, 3)) if saver is not None else draw(st.integers(0, 1))):
        way = draw(st.integers(0, 9))
        if way == 9 and saver is not None:
            as_node = draw(st.none() | st.sampled_from(nodes_of))
            fork = draw(st.integers(0, 4)) if draw(rarely(3)) else None
            steps.append(Update(draw(given), as_node, fork))
        elif way >= 7:
            steps.append(draw(runs(draw(given), names, visible, **options)))
        else:
            answers = ("one answer", "one answer", "answers by id", "first answer by id", None)
            answer = draw(st.sampled_from(answers))
            steps.append(draw(runs(answer, names, visible, **options)))
    return Session(
        graph,
        tuple(steps),
        saver,
        settings,
        asynchronous,
        wide,
        racing,
        installed=draw(rarely(4)),
        eager=not serial and draw(rarely(8)),
        cache=draw(rarely(3)),
    )
