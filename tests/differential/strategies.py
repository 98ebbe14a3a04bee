"""What hypothesis draws: cases small enough to run thousands of."""

from dataclasses import replace
from itertools import pairwise

from hypothesis import strategies as st

from .build import INJECTIONS, KEY_KINDS, LISTS, MANAGED, RETRY_ON
from .description import (
    GHOST,
    Act,
    Actor,
    Branch,
    Call,
    Case,
    Graph,
    Key,
    Machine,
    Node,
    Retry,
    Settings,
    To,
)

END = "__end__"
START = "__start__"
NAMES = ("a", "b", "c", "d")
KINDS = tuple(KEY_KINDS)
# Weighed by repetition: hypothesis shrinks towards what comes first.
ACTS = (
    ("update",) * 20
    + ("command",) * 6
    + (
        "nothing",
        "overwrite",
        "pairs",
        "commands",
        "sends",
        "sends",
        "graph",
        "mutate",
        "unknown key",
        "echo",
        "list of updates",
        "number",
        "other error",
        "interrupt",
        "parent",
    )
)
# Called tasks run on the threads that nodes run on: where all of those are nodes that wait for
# a task, stock's engine waits forever. So graphs with such nodes have few of them, no Send, and
# no max_concurrency.
CALLING_ACTS = (*ACTS, "task", "task", "task", "broken task")
MOST_CALLING_NODES = 4
FORMS = ("function",) * 20 + (
    "lambda",
    "sequence",
    "partial",
    "object",
    "method",
    "coroutine",
)


def rarely(one_in: int) -> st.SearchStrategy[bool]:
    """True once in so many draws; shrinks to False."""
    return st.integers(0, one_in - 1).map(lambda n: n == one_in - 1)


def some_of(values: tuple, least: int = 0, most: int = 3) -> st.SearchStrategy[tuple]:
    return st.lists(st.sampled_from(values), min_size=least, max_size=most, unique=True).map(tuple)


retries = st.lists(
    st.builds(Retry, st.integers(1, 3), st.sampled_from(sorted(RETRY_ON))), min_size=1, max_size=2
).map(tuple)


@st.composite
def destinations(
    draw, names: tuple[str, ...], most: int = 2, calling: bool = False
) -> tuple[To, ...]:
    found = []
    for number in range(draw(st.integers(0, most))):
        node = draw(st.sampled_from((END, *names, *names)))
        if draw(rarely(40)):
            node = draw(st.sampled_from((GHOST, START)))
        if calling:
            found.append(To(node))
            continue
        send = number if draw(rarely(3)) and (node != END or draw(rarely(8))) else None
        found.append(To(node, send))
    return tuple(found)


@st.composite
def updates(draw, keys: tuple[Key, ...]) -> tuple[tuple[str, int], ...]:
    names = [key.name for key in keys if key.kind not in MANAGED]
    chosen = draw(st.lists(st.sampled_from(names), max_size=3, unique=True)) if names else []
    return tuple((name, draw(st.integers(0, 3))) for name in chosen)


@st.composite
def acts(draw, keys: tuple[Key, ...], names: tuple[str, ...], calling: bool, inner: bool) -> Act:
    kind = draw(st.sampled_from(CALLING_ACTS if calling else ACTS))
    if inner and kind in ("sends", "command", "commands", "graph", "pairs"):
        kind = "parent" if kind == "command" else "update"
    times = 0
    if kind == "other error" or draw(rarely(20)):
        times = draw(st.integers(1, 3))
    goto = ()
    if kind in ("command", "pairs", "commands", "sends", "parent"):
        goto = draw(destinations(names, calling=calling))
    return Act(kind, draw(updates(keys)), goto, times)


@st.composite
def nodes(
    draw,
    name: str,
    keys: tuple[Key, ...],
    names: tuple[str, ...],
    calling: bool = False,
    inner: bool = False,
) -> Node:
    sub = None
    if not inner and draw(rarely(14)):
        sub = draw(subgraphs(keys))
    form = draw(st.sampled_from(FORMS))
    injections = ("nothing",) * 6 + INJECTIONS if form == "function" else ("nothing", "ambient")
    made = tuple(draw(st.lists(acts(keys, names, calling, inner), min_size=1, max_size=3)))
    fails = any(act.times for act in made)
    return Node(
        name,
        acts=made,
        form=form,
        inject=draw(st.sampled_from(injections)),
        input_keys=(
            draw(some_of(tuple(key.name for key in keys), 1, 2)) if draw(rarely(8)) else None
        ),
        retry=draw(retries) if draw(rarely(2 if fails else 6)) else (),
        defer=not inner and draw(rarely(10)),
        metadata=draw(rarely(6)),
        sub=sub,
    )


@st.composite
def subgraphs(draw, keys: tuple[Key, ...]) -> Graph:
    """A graph to be a node of another: a short chain with the same keys."""
    names = tuple(f"s{i}" for i in range(draw(st.integers(1, 2))))
    ends = (START, *names, END)
    return Graph(
        keys=keys,
        nodes=tuple(draw(nodes(name, keys, names, inner=True)) for name in names),
        edges=tuple(pairwise(ends)),
        accelerated=draw(st.booleans()),
    )


@st.composite
def branches(
    draw, source: str, keys: tuple[Key, ...], names: tuple[str, ...], calling: bool
) -> Branch:
    as_list = draw(rarely(3))
    most = 2 if as_list else 1
    return Branch(
        source,
        answers=tuple(draw(st.lists(destinations(names, most, calling), min_size=1, max_size=3))),
        mapped=draw(rarely(3)),
        as_list=as_list,
        schema=(draw(some_of(tuple(key.name for key in keys), 1, 2)) if draw(rarely(6)) else None),
        inject=draw(st.sampled_from(("nothing",) * 6 + ("config", "runtime", "store", "writer"))),
        fails=draw(rarely(25)),
    )


@st.composite
def graphs(draw) -> Graph:
    style = draw(st.sampled_from(("typeddict",) * 5 + ("dataclass", "pydantic")))
    kinds = [draw(st.sampled_from(("last", "add", "cat", *KINDS)))]
    kinds += draw(st.lists(st.sampled_from(("last", "cat", *KINDS)), max_size=3))
    keys = tuple(Key(name, kind) for name, kind in zip(NAMES, kinds, strict=False))
    calling = draw(rarely(4))
    most = MOST_CALLING_NODES if calling else 5
    names = tuple(f"n{i}" for i in range(draw(st.integers(1, most))))
    made = tuple(draw(nodes(name, keys, names, calling)) for name in names)
    edges: list = []
    found: list = []
    starts = draw(some_of(names, 1, 2))
    if draw(rarely(8)):
        found.append(draw(branches(START, keys, names, calling)))
    else:
        edges += [(START, name) for name in starts]
    for place, name in enumerate(names):
        following = names[place + 1 :]
        way = draw(st.integers(0, 9))
        if way <= 3:
            edges.append((name, following[0] if following else END))
        elif way <= 5:
            edges += [(name, to) for to in draw(some_of((*following, END), 1, 2))]
        elif way <= 8:
            found.append(draw(branches(name, keys, names, calling)))
        # else: whatever its commands say
        if draw(rarely(15)):
            found.append(draw(branches(name, keys, names, calling)))
    if len(names) > 2 and draw(rarely(3)):
        sources = draw(some_of(names, 2, 3))
        edges.append((sources, draw(st.sampled_from((*names, END)))))
    every = tuple(key.name for key in keys)
    visible = tuple(key.name for key in keys if key.kind not in MANAGED)
    return Graph(
        keys=keys,
        nodes=made,
        edges=tuple(dict.fromkeys(edges)),
        branches=tuple(found),
        style=style,
        input_keys=draw(some_of(every, 1, 2)) if draw(rarely(8)) else None,
        output_keys=draw(some_of(visible, 1, 2)) if visible and draw(rarely(6)) else None,
        store=any(node.inject == "store" for node in made)
        or any(branch.inject == "store" for branch in found)
        or draw(rarely(6)),
        context=draw(rarely(5)),
        bound=draw(rarely(8)),
    )


settings_for_runs = st.builds(
    Settings,
    recursion_limit=st.none() | st.integers(1, 12),
    tags=rarely(4),
    metadata=rarely(4),
    thread=rarely(4),
    run_name=rarely(6),
    max_concurrency=st.none() | st.integers(1, 2),
    context=rarely(3),
) | st.just(Settings())

MODES = (None, (), "values", "updates", ("values",), ("updates",), ("values", "updates"))


@st.composite
def calls(draw, names: tuple[str, ...]) -> Call:
    output_keys = None
    if draw(rarely(4)) and names:
        output_keys = draw(st.sampled_from(names) | some_of(names, 1, 2))
    return Call(draw(st.sampled_from(MODES)), output_keys)


@st.composite
def inputs(draw, keys: tuple[Key, ...]) -> tuple[tuple[str, int], ...] | None:
    if draw(rarely(40)):
        return None
    pairs = [(key.name, draw(st.integers(0, 2))) for key in keys if not draw(rarely(5))]
    if draw(rarely(15)):
        pairs.append(("stranger", 1))
    return tuple(pairs)


@st.composite
def machines(draw) -> Machine:
    kinds = [kind for kind in KINDS if kind not in MANAGED and kind not in ("messages", "strict")]
    channels = tuple(
        Key(name, draw(st.sampled_from(("last", "ephemeral", *kinds)))) for name in "abcde"
    )
    every = tuple(key.name for key in channels)
    actors = []
    for number in range(draw(st.integers(1, 4))):
        single = draw(st.booleans())
        subscribes = draw(some_of(every, 1, 1 if single else 2))
        written = draw(some_of(every, 0, 2))
        hows = st.sampled_from(("mapped", "mapped", "constant", "not none", "output"))
        kept = {key.name: key.kind for key in channels}
        writes = []
        for channel in written:
            how = draw(hows)
            if how == "output" and kept[channel] in LISTS:
                how = "mapped"
            writes.append((channel, how))
        if draw(rarely(15)):
            writes.append((GHOST, "output"))
        actors.append(
            Actor(
                f"m{number}",
                subscribes,
                reads=() if single else draw(some_of(every, 0, 2)),
                single=single,
                writes=tuple(writes),
                silent=() if single else draw(some_of(every, 0, 1)),
                answers=tuple(
                    draw(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=3))
                ),
                fails=draw(st.integers(1, 2)) if draw(rarely(8)) else 0,
                retry=draw(retries) if draw(rarely(5)) else (),
                meta=draw(rarely(4)),
            )
        )
    names = st.sampled_from(every) | some_of(every, 1, 3)
    return Machine(
        channels,
        tuple(actors),
        inputs=draw(names),
        outputs=draw(names),
        stream_channels=draw(st.none() | names),
        stream_mode=draw(st.sampled_from(("values", "updates"))),
        retry=draw(retries) if draw(rarely(6)) else (),
    )


@st.composite
def graph_cases(draw) -> Case:
    graph = draw(graphs())
    settings = draw(settings_for_runs)
    if any(act.kind in ("task", "broken task") for node in graph.nodes for act in node.acts):
        settings = replace(settings, max_concurrency=None)
    names = tuple(key.name for key in graph.keys)
    visible = tuple(key.name for key in graph.keys if key.kind not in MANAGED)
    return Case(
        graph,
        inputs=tuple(draw(inputs(graph.keys)) for _ in range(draw(st.integers(1, 2)))),
        calls=tuple(draw(st.lists(calls(visible or names), min_size=1, max_size=3))),
        settings=settings,
    )


@st.composite
def machine_cases(draw) -> Case:
    machine = draw(machines())
    every = tuple(key.name for key in machine.channels)
    return Case(
        machine,
        inputs=tuple(draw(inputs(machine.channels)) for _ in range(draw(st.integers(1, 2)))),
        calls=tuple(draw(st.lists(calls(every), min_size=1, max_size=3))),
        settings=draw(settings_for_runs),
    )


def cases() -> st.SearchStrategy[Case]:
    """Mostly StateGraphs, sometimes a hand-built Pregel graph."""
    return st.integers(0, 4).flatmap(
        lambda number: machine_cases() if number == 4 else graph_cases()
    )
