"""Reads pydantic's schemas of LangChain's message classes.

A schema says exactly what calling the class does, so nothing is guessed: a class whose schema
holds anything that is not known here is left to pydantic, and its instances to upstream's
encoding.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from langchain_core import messages
from langchain_core.documents import Document
from pydantic import BaseModel

__all__ = ("Entry", "Model", "Typed", "UnknownSchemaError", "known_models")

# Validators that have no effect on the kwargs that fit: what they need for that is said below.
_VALIDATORS: dict[type, tuple[str, ...]] = {
    messages.HumanMessage: (),
    messages.HumanMessageChunk: (),
    messages.AIMessage: ("_backwards_compat_tool_calls",),
    messages.AIMessageChunk: (
        "_backwards_compat_tool_calls",
        "init_server_tool_calls",
        "init_tool_calls",
    ),
    messages.SystemMessage: (),
    messages.SystemMessageChunk: (),
    messages.ToolMessage: ("coerce_args",),
    messages.ToolMessageChunk: ("coerce_args",),
    messages.ChatMessage: (),
    messages.ChatMessageChunk: (),
    messages.FunctionMessage: (),
    messages.FunctionMessageChunk: (),
    messages.RemoveMessage: (),
    Document: (),
}

# AIMessage rebuilds its calls with functions that take no other keys than these, and set them all.
_CALLS = {
    "tool_calls": ("name", "args", "id", "type"),
    "invalid_tool_calls": ("type", "id", "name", "args", "error"),
    "tool_call_chunks": ("name", "args", "id", "index", "type"),
}
_NOTED = frozenset({"type", "metadata", "ref"})  # keys of a schema that have no effect
_STRING = {"type": "str"}
_DICT = {"type": "dict", "keys_schema": {"type": "any"}, "values_schema": {"type": "any"}}
_BLOCK = {"type": "union", "choices": [_STRING, _DICT]}
_CONTENT = {"type": "union", "choices": [_STRING, {"type": "list", "items_schema": _BLOCK}]}


class UnknownSchemaError(Exception):
    """A schema that this module can't say the effect of."""


class Entry(NamedTuple):
    """A key and what may stand under it.

    Args:
        name: the key.
        kind: a name of `Kind` in messages.pxd, in lower case.
        detail: the strings of a literal, the `Typed` of a typed dictionary.
        required: whether it has to be there.
    """

    name: str
    kind: str
    detail: Any
    required: bool


class Typed(NamedTuple):
    """A typed dictionary; with `open`, other keys may follow the known ones."""

    entries: tuple[Entry, ...]
    open: bool


class Model(NamedTuple):
    """A class of messages.

    Args:
        cls: the class.
        entries: its fields, in order.
        extras: whether it takes fields that it doesn't know.
        parses_calls: whether it makes tool calls of `additional_kwargs`.
        direct: whether an instance is nothing but its kwargs, in the order of the fields.
    """

    cls: type[BaseModel]
    entries: tuple[Entry, ...]
    extras: bool
    parses_calls: bool
    direct: bool


def known_models() -> list[Model]:
    """The classes whose instances are known to be what their kwargs say."""
    found = []
    for cls, validators in _VALIDATORS.items():
        try:
            found.append(_model(cls, validators))
        except (UnknownSchemaError, AttributeError, LookupError, TypeError):
            continue
    return found


def _model(cls: Any, validators: tuple[str, ...]) -> Model:
    schema = cls.__pydantic_core_schema__
    called: list[str] = []
    definitions: dict[str, Any] = {}
    while schema["type"] != "model":
        schema = _unwrap(schema, called, definitions)
    _only(schema, "cls", "schema", "config", "custom_init", "root_model")
    if schema["cls"] is not cls or schema.get("root_model"):
        raise UnknownSchemaError(cls)
    config = schema["config"]
    if config.keys() - {"title", "extra_fields_behavior"}:
        raise UnknownSchemaError(config)
    schema = schema["schema"]
    while schema["type"] != "model-fields":
        schema = _unwrap(schema, called, definitions)
    if tuple(sorted(called)) != validators or cls.__new__ is not object.__new__:
        raise UnknownSchemaError(called)
    if cls.__pydantic_post_init__ or cls.__private_attributes__ or not cls.__weakrefoffset__:
        raise UnknownSchemaError(cls)
    _only(schema, "fields", "model_name", "computed_fields")
    if schema.get("computed_fields"):
        raise UnknownSchemaError(schema)
    extra = config.get("extra_fields_behavior", "ignore")
    if extra not in ("allow", "ignore"):
        raise UnknownSchemaError(config)
    return Model(
        cls,
        tuple(_field(cls, name, field, definitions) for name, field in schema["fields"].items()),
        extras=extra == "allow",
        parses_calls="_backwards_compat_tool_calls" in validators,
        direct=cls is not messages.AIMessageChunk,
    )


def _unwrap(schema: Any, called: list[str], definitions: dict[str, Any]) -> Any:
    """What is within a validator or a list of definitions."""
    if schema["type"] in ("function-before", "function-after"):
        _only(schema, "function", "schema")
        called.append(schema["function"]["function"].__name__)
    elif schema["type"] == "definitions":
        _only(schema, "schema", "definitions")
        definitions.update({each["ref"]: each for each in schema["definitions"]})
    else:
        raise UnknownSchemaError(schema["type"])
    return schema["schema"]


def _field(cls: type, name: str, field: Any, definitions: dict[str, Any]) -> Entry:
    _only(field, "schema")
    schema, required = field["schema"], True
    if schema["type"] == "default":
        _only(schema, "schema", "default", "default_factory", "default_factory_takes_data")
        schema, required = schema["schema"], False
    if name == "content":
        if _bare(schema) != _CONTENT:
            raise UnknownSchemaError(schema)
        # refused by RemoveMessage unless it is false
        return Entry(
            name, "empty_string" if cls is messages.RemoveMessage else "content", None, True
        )
    if name == "chunk_position":  # with a position, a chunk parses its content
        return Entry(name, "null_only", None, False)
    kind, detail = _kind(schema, definitions)
    if name in _CALLS:
        detail = _call(detail, _CALLS[name])
    return Entry(name, kind, detail, required)


def _call(typed: Typed, names: tuple[str, ...]) -> Typed:
    if tuple(entry.name for entry in typed.entries)[: len(names)] != names:
        raise UnknownSchemaError(typed)
    return Typed(
        tuple(entry._replace(required=True) for entry in typed.entries[: len(names)]), open=False)


def _kind(schema: Any, definitions: dict[str, Any]) -> tuple[str, Any]:
    kind = schema["type"]
    if kind == "definition-ref":
        return _kind(definitions[schema["schema_ref"]], definitions)
    if kind == "str":
        _only(schema, "coerce_numbers_to_str")
        return "string", None
    if kind in ("int", "any"):
        _only(schema)
        return {"int": "integer", "any": "any"}[kind], None
    if kind == "dict":
        _only(schema, "keys_schema", "values_schema")
        if _bare(schema["values_schema"]) != {"type": "any"}:
            raise UnknownSchemaError(schema)
        if _bare(schema["keys_schema"]) not in ({"type": "any"}, _STRING):
            raise UnknownSchemaError(schema)
        return "mapping", None
    if kind == "literal":
        _only(schema, "expected")
        if not all(type(each) is str for each in schema["expected"]):
            raise UnknownSchemaError(schema)
        return "literal", tuple(schema["expected"])
    if kind == "nullable":
        _only(schema, "schema")
        inner, detail = _kind(schema["schema"], definitions)
        if inner not in ("string", "integer", "typed"):
            raise UnknownSchemaError(schema)
        return f"optional_{inner}", detail
    if kind == "list":
        _only(schema, "items_schema")
        inner, detail = _kind(schema["items_schema"], definitions)
        if inner != "typed":
            raise UnknownSchemaError(schema)
        return "list_of_typed", detail
    if kind == "typed-dict":
        return "typed", _typed(schema, definitions)
    raise UnknownSchemaError(kind)


def _typed(schema: Any, definitions: dict[str, Any]) -> Typed:
    _only(schema, "fields", "cls", "cls_name", "computed_fields", "extra_behavior", "config")
    if schema.get("computed_fields"):
        raise UnknownSchemaError(schema)
    if schema.get("config", {}).keys() - {"title", "extra_fields_behavior"}:
        raise UnknownSchemaError(schema["config"])
    entries = []
    for name, field in schema["fields"].items():
        _only(field, "schema", "required")
        try:
            kind, detail = _kind(field["schema"], definitions)
        except UnknownSchemaError:
            kind, detail = "never", None
        entries.append(Entry(name, kind, detail, field["required"]))
    return Typed(tuple(entries), schema.get("extra_behavior") == "allow")


def _only(schema: Any, *known: str) -> None:
    if unknown := schema.keys() - _NOTED - set(known):
        raise UnknownSchemaError(unknown)


def _bare(schema: Any) -> Any:
    """The schema without what has no effect."""
    if isinstance(schema, dict):
        return {key: _bare(each) for key, each in schema.items() if key not in ("metadata", "ref")}
    if isinstance(schema, (list, tuple)):
        return [_bare(each) for each in schema]
    return schema
