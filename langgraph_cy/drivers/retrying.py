"""What both drivers do when an attempt of a task fails."""

from __future__ import annotations

import random
import sys
from dataclasses import replace
from typing import Any

from langgraph_cy import upstream as up


def noted_delay(task: Any, error: Exception) -> float | None:
    """Note on an error which task has raised it, and tell how long to wait until the next attempt.

    Returns:
        Seconds, None where there is no other attempt.
    """
    if sys.version_info >= (3, 11):  # exceptions take notes
        error.add_note(f"During task with name '{task.name}' and id '{task.id}'")
    policies = task.retry_policy
    return retry_delay(policies, error, task.attempt + 1) if policies else None


def retry_delay(policies: Any, error: Exception, failures: int) -> float | None:
    """Seconds to wait before another attempt, None where no policy allows one.

    Args:
        policies: upstream `RetryPolicy`s; the first that covers the error decides.
        failures: attempts that have failed, this one included.
    """
    for policy in policies:
        if up._should_retry_on(policy, error):
            break
    else:
        return None
    if failures >= policy.max_attempts:
        return None
    interval: float = min(
        policy.max_interval,
        policy.initial_interval * policy.backoff_factor ** (failures - 1),
    )
    return interval + random.uniform(0, 1) if policy.jitter else interval


def log_retry(task: Any, delay: float, error: Exception) -> None:
    """Say that a task is tried again, in upstream's words and under its logger."""
    up.retry_logger.info(
        f"Retrying task {task.name} after {delay:.2f} seconds "
        f"(attempt {task.attempt + 1}) after {error.__class__.__name__} {error}",
        exc_info=error,
    )


def handle_here(task: Any, error: Any) -> bool:
    """Whether a command raised for a parent graph was meant for this task's graph.

    If so the task's writers carry it out; otherwise it is addressed to the graph above.
    """
    config = task.attempt_config()
    namespace = config[up.CONF][up.CONFIG_KEY_CHECKPOINT_NS]
    command = error.args[0]
    if command.graph in (namespace, up.recast_checkpoint_ns(namespace), task.name):
        for writer in task.writers:
            writer.invoke(command, config)
        return True
    if command.graph == up.Command.PARENT:
        above = up._checkpoint_ns_for_parent_command(namespace)
        error.args = (replace(command, graph=above),)
    return False


def stops_others(error: BaseException) -> bool:
    """Whether a task's error ends the superstep before its other tasks have ended.

    An answer that its interrupt does not take doesn't: tasks that were answered in the same
    resume have had side effects, and would run again with their saved answers.
    """
    return not isinstance(error, up.GraphBubbleUp) and not up.is_invalid_resume(error)


def combined(errors: Any) -> BaseException | None:
    """What the errors of a superstep come to: a failure first, else its interrupts together."""
    for error in errors:
        if not isinstance(error, up.GraphInterrupt):
            failure: BaseException = error
            return failure
    if errors:
        return up.GraphInterrupt(
            tuple(interrupt for error in errors for interrupt in error.args[0])
        )
    return None
