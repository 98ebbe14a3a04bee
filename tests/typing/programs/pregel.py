"""Graphs of nodes and channels, built by hand."""

from langgraph.channels import (
    AnyValue,
    BaseChannel,
    BinaryOperatorAggregate,
    EphemeralValue,
    LastValue,
    Topic,
    UntrackedValue,
)
from langgraph.pregel import NodeBuilder, Pregel

first = NodeBuilder().subscribe_only("text").do(lambda text: text + text).write_to("twice")
reveal_type(first)
last = LastValue(str)
reveal_type(last)
reveal_type(last.get())
reveal_type(last.copy())
reveal_type(last.update(["a"]))
topic: Topic[str] = Topic(str, accumulate=True)
reveal_type(topic.get())
total: BinaryOperatorAggregate[int] = BinaryOperatorAggregate(int, lambda left, right: left + right)
reveal_type(total.get())
reveal_type(total.operator)
reveal_type(topic.values)
reveal_type(EphemeralValue(str, guard=False).guard)
reveal_type(last.value)
reveal_type(last.ValueType)
reveal_type(last.from_checkpoint("a"))
channels: dict[str, BaseChannel] = {
    "text": EphemeralValue(str),
    "twice": last,
    "topic": topic,
    "total": total,
    "any": AnyValue(str),
    "scratch": UntrackedValue(str),
}
app = Pregel(
    nodes={"first": first},
    channels=channels,
    input_channels="text",
    output_channels=["twice"],
)
reveal_type(app)
reveal_type(app.invoke({"text": "a"}))
reveal_type(app.stream)
reveal_type(app.with_config(tags=["mine"]))
reveal_type(app.get_graph())


class Counted(LastValue[int]):
    """A channel of the user's own."""

    writes: int = 0

    def update(self, values: list[int]) -> bool:
        self.writes += len(values)
        return super().update(values)


class Logged(Pregel):
    """A graph of the user's own."""

    def invoke(self, input: object) -> str:
        return str(super().invoke(input))


# What a checker has to find.
LastValue()
Topic(str, accumulated=True)
Pregel(nodes={"first": first}, channels={"text": 1}, input_channels="text", output_channels="text")
app.invoke({"text": "a"}, output_keys=3)
NodeBuilder().subscribe_only("text").written_to("twice")
last.value.missing
total.operator(1)
