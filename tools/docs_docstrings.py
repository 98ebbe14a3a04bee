"""Docstrings of compiled modules for the API reference, as an extension of griffe.

griffe reads signatures and types from the `.pyi` files. A `.pyi` has no docstrings, and no parser
of Python reads a `.pyx`, so they are taken from the installed modules: what `help()` shows.
Arguments that a docstring describes together (`left, right: ...`) are told apart for griffe.
"""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import griffe

# An entry of a section for several arguments: its indent, their names, and the text with all
# lines that are indented further.
TOGETHER = re.compile(r"^( +)([*\w]+(?:, [*\w]+)+): (.+(?:\n\1 +.+)*)$", re.MULTILINE)


class CompiledDocstrings(griffe.Extension):
    """Gives the objects of a `.pyi` the docstrings of the compiled module beside it."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for each object of the sources: an entry for each argument."""
        if obj.docstring is not None:
            obj.docstring.value = TOGETHER.sub(_apart, obj.docstring.value)

    def on_module(self, *, mod: griffe.Module, loader: griffe.GriffeLoader, **_: Any) -> None:
        """Called for each module, once its members are there."""
        path = mod.filepath
        if isinstance(path, list) or path.suffix != ".pyi":
            return
        try:
            compiled = importlib.import_module(mod.path)
        except ImportError as error:
            raise RuntimeError(
                f"the API reference needs {mod.path} compiled, which is not installed: {error}"
            ) from error
        self._fill(mod, compiled, loader)

    def _fill(self, parent: griffe.Object, runtime: Any, loader: griffe.GriffeLoader) -> None:
        if parent.docstring is None and (text := _docstring(parent.name, runtime)):
            parent.docstring = griffe.Docstring(
                text,
                parent=parent,
                parser=loader.docstring_parser,
                parser_options=loader.docstring_options,
            )
            self.on_object(obj=parent)
        if isinstance(parent, griffe.Module | griffe.Class):
            for name, member in parent.members.items():
                if isinstance(member, griffe.Object) and hasattr(runtime, name):
                    self._fill(member, getattr(runtime, name), loader)


def _apart(entry: re.Match[str]) -> str:
    indent, names, text = entry.groups()
    return "\n".join(f"{indent}{name}: {text}" for name in names.split(", "))


def _docstring(name: str, found: Any) -> str:
    """What is written in the source: without the signature or type that Cython puts on top."""
    text = found.__doc__
    if not isinstance(text, str) or text == getattr(type(found), "__doc__", None):
        return ""
    if text == getattr(getattr(object, name, None), "__doc__", None):
        return ""
    first, _, rest = text.partition("\n")
    if re.match(rf"(?:\w+\.)*{name}(?:\(|: )", first):
        text = rest
    return inspect.cleandoc(text)
