"""JSON that a command is given: inputs of a graph, a config, a context."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from langgraph.types import Command

from langgraph_cy.cli.errors import UsageError

INPUT_HELP = (
    "a JSON or JSON Lines file, - for stdin, or a JSON object or list: one input, or several; "
    '{"__command__": {"resume": ...}} stands for a Command'
)
COMMAND = "__command__"


def read_inputs(argument: str) -> list[Any]:
    """The inputs of an `--input` argument, as JSON values.

    Args:
        argument: a file, `-`, or JSON. One value is one input, a list or JSON Lines are several.

    Raises:
        UsageError: it can't be read, is no JSON, or has no input.
    """
    text = _text(argument, "--input")
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or error.msg != "Extra data":
            raise _no_json(argument, "--input", error) from None
        value = []
        for number, line in enumerate(lines, 1):
            try:
                value.append(json.loads(line))
            except json.JSONDecodeError as wrong:
                raise UsageError(f"--input {argument}: line {number} is no JSON: {wrong}") from None
    inputs = value if isinstance(value, list) else [value]
    if not inputs:
        raise UsageError(f"--input {argument}: the list is empty, so there is nothing to run")
    return inputs


def read_object(argument: str | None, option: str) -> dict[str, Any] | None:
    """The JSON object of an argument such as `--config`; None where it was not given.

    Raises:
        UsageError: it can't be read or is no JSON object.
    """
    if argument is None:
        return None
    text = _text(argument, option)
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise _no_json(argument, option, error) from None
    if not isinstance(value, dict):
        raise UsageError(
            f"{option} {argument}: a JSON object is needed, not {type(value).__name__}"
        )
    return value


def graph_input(value: Any) -> Any:
    """A JSON value as a graph takes it: a new copy of it, or the `Command` that it stands for.

    Raises:
        UsageError: a command has fields that `Command` does not have.
    """
    copy = json.loads(json.dumps(value))
    if not isinstance(copy, dict) or set(copy) != {COMMAND}:
        return copy
    try:
        return Command(**copy[COMMAND])
    except TypeError as error:
        raise UsageError(f"--input: {COMMAND} {copy[COMMAND]!r} is no Command: {error}") from None


def _text(argument: str, option: str) -> str:
    if argument.lstrip()[:1] in ("{", "["):
        return argument
    try:
        return sys.stdin.read() if argument == "-" else Path(argument).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{option}: can't read {argument!r}: {error}") from None


def _no_json(argument: str, option: str, error: json.JSONDecodeError) -> UsageError:
    shown = argument if len(argument) < 60 else f"{argument[:57]}..."
    return UsageError(f"{option} {shown}: no JSON: {error}")
