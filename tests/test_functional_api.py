"""The functional API: `entrypoint` and `task`, on either engine."""

import asyncio
import time
from operator import add
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.runtime import Runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, StreamWriter, interrupt

from .driving import MORE_CONTEXT, both_async
from .engines import Outcome, both
from .test_state_api import Numbered

pytestmark = pytest.mark.shim

CONFIG: Any = {"configurable": {"thread_id": "1"}}


def numbered(outcome: Outcome) -> None:
    """Ids of a run as the numbers in which they came up."""
    number = Numbered()
    outcome.chunks = [number(each) for each in outcome.chunks]
    outcome.result = number(outcome.result)


@task
def double(n: int) -> int:
    return 2 * n


@task
async def double_later(n: int) -> int:
    await asyncio.sleep(0)
    return 2 * n


def test_tasks_of_a_workflow() -> None:
    @entrypoint()
    def workflow(n: int) -> int:
        futures = [double(each) for each in range(n)]
        return sum(each.result() for each in futures)

    assert both(lambda chunks: workflow.invoke(5)).result == 20
    assert both(lambda chunks: workflow.batch([1, 2, 3])).result == [0, 2, 6]
    assert both(lambda chunks: list(workflow.stream(5, stream_mode="values"))).result == [20]


def test_tasks_of_an_asynchronous_workflow() -> None:
    @entrypoint()
    async def workflow(n: int) -> int:
        return sum(await asyncio.gather(*(double_later(each) for each in range(n)), double(100)))

    async def streamed(chunks: list[Any]) -> None:
        async for chunk in workflow.astream(3, stream_mode=["updates", "values"]):
            chunks.append(chunk)

    expected = both_async(lambda chunks: workflow.ainvoke(5))
    if MORE_CONTEXT:  # tasks are found through the context
        assert expected.result == 220
    both_async(streamed, blur=lambda outcome: outcome.chunks.sort(key=str))


def test_a_workflow_remembers() -> None:
    """`previous` is what the last run on the thread saved, which need not be what it returned."""

    @entrypoint(checkpointer=InMemorySaver())
    def workflow(n: int, *, previous: Any = None) -> Any:
        return entrypoint.final(value=previous, save=(previous or 0) + n)

    def call(chunks: list[Any]) -> Any:
        config = {"configurable": {"thread_id": str(time.monotonic_ns())}}
        chunks.extend(workflow.invoke(n, config) for n in (1, 2, 3))
        chunks.append(workflow.get_state(config).values)
        return asyncio.run(workflow.ainvoke(4, config))

    expected = both(call)
    assert (expected.chunks, expected.result) == ([None, 1, 3, 3], 6)


@pytest.mark.parametrize("asynchronously", [False, True])
def test_a_workflow_is_interrupted_and_resumed(asynchronously: bool) -> None:
    """Tasks that ended before the interrupt are not run again."""

    async def call(chunks: list[Any]) -> Any:
        ran: list[int] = []

        @task
        def once(n: int) -> int:
            ran.append(n)
            return n + 1

        def body(n: int) -> Any:
            first = once(n).result()
            answers = [interrupt(f"what of {first}?"), interrupt("and then?")]
            return {"first": first, "second": once(10).result(), "answers": answers}

        async def later(n: int) -> Any:
            first = await once(n)
            answers = [interrupt(f"what of {first}?"), interrupt("and then?")]
            return {"first": first, "second": await once(10), "answers": answers}

        workflow = entrypoint(checkpointer=InMemorySaver())(later if asynchronously else body)
        for input in (1, Command(resume="this"), Command(resume="that")):
            if asynchronously:
                chunks.append([each async for each in workflow.astream(input, CONFIG)])
            else:
                chunks.append(list(workflow.stream(input, CONFIG)))
            chunks.append(workflow.get_state(CONFIG))
        return ran

    expected = both_async(call, blur=numbered)
    if MORE_CONTEXT or not asynchronously:
        assert expected.result == [1, 10]


def test_a_failed_workflow_goes_on_where_it_failed() -> None:
    def call(chunks: list[Any]) -> Any:
        ran: list[str] = []

        @task
        def first() -> int:
            ran.append("first")
            return 1

        @task
        def second() -> int:
            ran.append("second")
            if ran.count("second") == 1:
                raise ValueError("the first time")
            return 2

        @entrypoint(checkpointer=InMemorySaver())
        def workflow(_: Any) -> int:
            return add(first().result(), second().result())

        with pytest.raises(ValueError, match="the first time"):
            workflow.invoke({}, CONFIG)
        chunks.append(workflow.invoke(None, CONFIG))
        return ran

    expected = both(call)
    assert (expected.chunks, expected.result) == ([3], ["first", "second", "second"])


def test_policies_of_tasks() -> None:
    """Retries and caches of a task, and an error that outlasts them."""

    def call(chunks: list[Any]) -> Any:
        ran: list[int] = []

        @task(retry_policy=RetryPolicy(initial_interval=0.001, jitter=False, max_attempts=2))
        def unsteady(n: int) -> int:
            ran.append(n)
            if len(ran) == 1 or n < 0:
                raise ConnectionError(n)
            return n

        @task(cache_policy=CachePolicy())
        def cached(n: int) -> int:
            ran.append(n)
            return n

        @entrypoint(cache=InMemoryCache())
        def workflow(n: int) -> int:
            return unsteady(n).result() + cached(3).result()

        chunks.append((workflow.invoke(1), tuple(ran)))
        chunks.append((workflow.invoke(2), tuple(ran)))
        return workflow.invoke(-1)

    expected = both(call, blur=numbered)
    assert expected.kind is ConnectionError
    assert expected.chunks == [(4, (1, 1, 3)), (5, (1, 1, 3, 2))]


def test_what_a_workflow_is_given() -> None:
    """The writer, the store, the runtime's context: as a node gets them."""
    store = InMemoryStore()

    @entrypoint(store=store, context_schema=dict)
    def workflow(n: int, *, writer: StreamWriter, runtime: Runtime[dict[str, int]]) -> int:
        assert runtime.store is not None
        runtime.store.put(("numbers",), "n", {"value": n})
        writer({"wrote": n})
        return n + runtime.context["by"]

    def call(chunks: list[Any]) -> Any:
        chunks.extend(
            workflow.stream(3, context={"by": 4}, stream_mode=["custom", "values", "updates"])
        )
        found = store.get(("numbers",), "n")
        return found and found.value

    assert both(call).result == {"value": 3}


def test_workflows_in_workflows() -> None:
    @entrypoint()
    def inner(n: int) -> int:
        return double(n).result() + 1

    @task
    def through(n: int) -> int:
        return inner.invoke(n)

    @entrypoint()
    def outer(n: int) -> list[int]:
        return [through(n).result(), inner.invoke(n + 1), double(n).result()]

    assert both(lambda chunks: outer.invoke(3)).result == [7, 9, 6]


def test_a_workflow_that_fails() -> None:
    @task
    def fail(n: int) -> int:
        return 1 // n

    @entrypoint()
    def workflow(n: int) -> int:
        try:
            return fail(n).result()
        except ZeroDivisionError:
            return double(fail(n + 1).result()).result() if n == 0 else fail(0).result()

    @entrypoint()
    def careless(n: int) -> int:
        return fail(n).result()

    both(lambda chunks: workflow.invoke(0))
    assert both(lambda chunks: careless.invoke(0)).kind is ZeroDivisionError
