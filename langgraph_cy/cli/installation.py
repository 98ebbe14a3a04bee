"""How this package is installed: its versions, its extension modules, the wheel it came from."""

from __future__ import annotations

import platform
import sys
import sysconfig
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions, version
from pathlib import Path
from typing import Any

import langgraph_cy

FOLDER = Path(langgraph_cy.__file__).parent
PACKAGES = (
    "langgraph",
    "langgraph-checkpoint",
    "langgraph-prebuilt",
    "langchain-core",
    "orjson",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",
    "rich",
)


def python_version() -> str:
    """The interpreter: `CPython 3.12.1`, with what is special about it."""
    threads = " free-threaded" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    text = f"{platform.python_implementation()} {platform.python_version()}{threads}"
    return f"{text}, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str | None]:
    """The installed versions of what matters to this package; None for what is not installed."""
    found: dict[str, str | None] = {"langgraph-cy": langgraph_cy.__version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def expected_modules() -> list[str]:
    """The dotted names of the modules that are to be compiled: those with a `.pyi` alone."""
    stubs = (path for path in FOLDER.rglob("*.pyi") if not path.with_suffix(".py").exists())
    return sorted(_dotted(path.with_suffix("")) for path in stubs)


def extension_modules() -> list[str]:
    """The dotted names of the extension modules that this interpreter can load."""
    found = (path for path in _libraries() if path.name.endswith(tuple(EXTENSION_SUFFIXES)))
    return sorted(_dotted(path.parent / path.name.partition(".")[0]) for path in found)


def foreign_extensions() -> set[str]:
    """The suffixes of extension modules that other interpreters or machines could load."""
    own = tuple(EXTENSION_SUFFIXES)
    names = (path.name for path in _libraries())
    return {name.partition(".")[2] for name in names if not name.endswith(own)}


def is_source_tree() -> bool:
    """Whether the package is the uncompiled source tree, imported from there."""
    return any(FOLDER.glob("core/*.pyx")) and not extension_modules()


def is_pure_wheel() -> bool:
    """Whether pip installed a wheel without extension modules."""
    try:
        wheel = distribution("langgraph-cy").read_text("WHEEL") or ""
    except PackageNotFoundError:
        return False
    return any(line.startswith("Tag: py3-none-") for line in wheel.splitlines())


def distribution_of(module: str) -> str | None:
    """The installed distribution, with its version, that a module belongs to."""
    names = packages_distributions().get(module.partition(".")[0])
    return f"{names[0]} {version(names[0])}" if names else None


def module_behind(function: Any) -> str:
    """The module whose code runs when something is called: of a wrapper, not of what it wraps."""
    for each in (getattr(function, "_self_wrapper", None), function):
        namespace = getattr(getattr(each, "__func__", each), "__globals__", None)
        if namespace is not None:
            return str(namespace.get("__name__", "?"))
    return str(getattr(function, "__module__", None) or type(function).__module__)


def file_of(module: str) -> str:
    """The file of a loaded module, empty where there is none."""
    return str(getattr(sys.modules.get(module), "__file__", None) or "")


def _libraries() -> list[Path]:
    return [path for path in FOLDER.rglob("*") if path.suffix in (".so", ".pyd")]


def _dotted(path: Path) -> str:
    return ".".join((FOLDER.name, *path.relative_to(FOLDER).parts))
