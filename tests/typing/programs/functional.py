"""Workflows of the functional API."""

from langgraph.func import entrypoint, task
from langgraph.types import RetryPolicy, interrupt


@task
def fetch(number: int) -> str:
    return str(number)


@task(name="slow", retry_policy=RetryPolicy(max_attempts=2))
async def fetch_slowly(number: int, *, unit: str = "s") -> str:
    return f"{number} {unit}"


reveal_type(fetch)
reveal_type(fetch_slowly)


@entrypoint()
def workflow(numbers: list[int]) -> list[str]:
    futures = [fetch(number) for number in numbers]
    reveal_type(futures)
    return [future.result() for future in futures]


@entrypoint()
async def slow(number: int) -> entrypoint.final[str, int]:
    reveal_type(fetch_slowly(number, unit="ms"))
    text = await fetch_slowly(number)
    answer = interrupt(text)
    reveal_type(answer)
    return entrypoint.final(value=text, save=number)


reveal_type(workflow)
reveal_type(workflow.invoke([1, 2]))
reveal_type(slow)

# What a checker has to find.
fetch("one")
fetch_slowly(1, units="ms")
workflow.invokes([1])
entrypoint(checkpoint=None)
task(name=3)
