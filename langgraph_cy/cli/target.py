"""The graph that a command is given as `module:graph`."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from langgraph.graph import StateGraph
from langgraph.pregel import Pregel

from langgraph_cy.cli.errors import UsageError

GRAPH_HELP = (
    "the graph: package.module:name or path/to/file.py:name, where the name stands for a "
    "compiled graph, a StateGraph, or a function without arguments that returns one"
)
_GRAPH_NAMES = ("StateGraph", "CompiledStateGraph", "Pregel")


def load_graph(target: str) -> Pregel[Any, Any, Any, Any]:
    """Import a module and take a graph from it.

    Args:
        target: `package.module:name` or `path/to/file.py:name`. The name may have dots.

    Returns:
        The compiled graph. A builder is compiled, a function is called.

    Raises:
        UsageError: there is no such module or name, or it is no graph.
    """
    place, colon, name = target.rpartition(":")
    if not colon or not place or "/" in name or os.sep in name:
        module = load_module(target)
        raise UsageError(f"{target} names no graph: write {target}:NAME. {_offer(module, target)}")
    if not name:
        raise UsageError(f"{target!r} ends with a colon. {_offer(load_module(place), place)}")
    module = load_module(place)
    value: Any = module
    for part in name.split("."):
        try:
            value = getattr(value, part)
        except AttributeError:
            raise UsageError(f"{place} has no {name!r}. {_offer(module, place)}") from None
    return _graph_of(value, target)


def load_module(place: str) -> ModuleType:
    """Import a module by its dotted name or its file.

    Raises:
        UsageError: there is none, or it fails to import.
    """
    path = Path(place)
    if path.suffix == ".py" or os.sep in place or "/" in place:
        if not path.is_file():
            raise UsageError(f"there is no file {place!r} (in {os.getcwd()})")
        place, folder = _module_name(path.resolve())
    else:
        folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if path.suffix == ".py" and "." not in place:
            return _load_file(place, path.resolve())
        module = importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {place!r}{_file_hint(place)}") from None
        missing = f"it needs the module {error.name!r}, which is not installed"
        raise UsageError(f"{place} can't be imported: {missing}\n{_trace(error)}") from error
    except Exception as error:
        raise UsageError(f"{place} can't be imported:\n{_trace(error)}") from error
    found = getattr(module, "__file__", None)
    if path.suffix == ".py" and found and not path.samefile(found):
        raise UsageError(
            f"{path} can't be imported as {place}: that is {found}. "
            "Start from another folder, or take that one off PYTHONPATH"
        )
    return module


def _module_name(path: Path) -> tuple[str, str]:
    """The dotted name of a file, with those of the packages that it is in; and their folder."""
    names, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), str(folder)


def _load_file(name: str, path: Path) -> ModuleType:
    """Import one file, also where another module of its name is there already."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        if getattr(loaded, "__file__", None) == str(path):
            return loaded
        name = f"{name}_{abs(hash(path)):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where pickle and get_type_hints look for it
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _file_hint(place: str) -> str:
    file = Path(*place.split(".")).with_suffix(".py")
    return f"; did you mean {file}?" if file.is_file() else f" (looked in {os.getcwd()} too)"


def _trace(error: BaseException) -> str:
    """The traceback of an error, from the user's module on."""
    tb = error.__traceback__
    while tb is not None and _is_machinery(tb.tb_frame.f_code.co_filename):
        tb = tb.tb_next
    return "".join(traceback.format_exception(type(error), error, tb)).rstrip()


def _is_machinery(filename: str) -> bool:
    return filename == __file__ or "importlib" in filename


def _graph_of(value: Any, target: str) -> Pregel[Any, Any, Any, Any]:
    if isinstance(value, StateGraph):
        value = value.compile()
    elif not isinstance(value, Pregel) and callable(value):
        value = _called(value, target)
        if isinstance(value, StateGraph):
            value = value.compile()
        if not isinstance(value, Pregel):
            raise UsageError(f"{target}() returned {_kind(value)}, not a graph")
    if not isinstance(value, Pregel):
        raise UsageError(f"{target} is {_kind(value)}, not a graph")
    return value


def _called(value: Any, target: str) -> Any:
    if inspect.isclass(value):
        raise UsageError(f"{target} is a class, not a graph")
    if inspect.iscoroutinefunction(value):
        raise UsageError(
            f"{target} is a coroutine function: name a graph, or a plain function that returns one"
        )
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        parameters = ()  # type: ignore[assignment]  # a callable of C's, which says no more
    needed = [each.name for each in parameters if _is_needed(each)]
    if needed:
        raise UsageError(
            f"{target} is a function that needs {', '.join(needed)}: name one without arguments"
        )
    try:
        return value()
    except Exception as error:
        raise UsageError(f"{target}() failed:\n{_trace(error)}") from error


def _is_needed(parameter: inspect.Parameter) -> bool:
    variable = (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    return parameter.default is parameter.empty and parameter.kind not in variable


def _kind(value: Any) -> str:
    return "None" if value is None else f"an object of type {type(value).__name__}"


def _offer(module: ModuleType, place: str) -> str:
    """The graphs that a module has, for whoever named none of them."""
    found = list(_graphs_in(module))
    if not found:
        return "The module has no graph and no function that says it returns one."
    return f"Its graphs: {', '.join(f'{place}:{name}' for name in found)}"


def _graphs_in(module: ModuleType) -> Iterator[str]:
    """The names of graphs, of builders, and of functions that say that they return one."""
    for name, value in vars(module).items():
        if name.startswith("__"):
            continue
        if isinstance(value, (Pregel, StateGraph)) or (
            inspect.isfunction(value)
            and value.__module__ == module.__name__
            and any(each in _returned(value) for each in _GRAPH_NAMES)
        ):
            yield name


def _returned(function: Any) -> str:
    try:
        return str(function.__annotations__.get("return", ""))
    except NameError:  # evaluated only now, from Python 3.14 on
        return ""
