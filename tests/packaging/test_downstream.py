"""Somebody else's Cython extension, built against the declarations that this package ships."""

import subprocess
import sys
from pathlib import Path

import pytest

import langgraph_cy

from .conftest import environ

# In a wheel and in an editable install alike: the directory that holds the package's .pxd files.
INCLUDE = Path(langgraph_cy.__file__).parents[1]
DECLARED = sorted(
    ".".join(path.relative_to(INCLUDE).with_suffix("").parts).removesuffix(".__init__")
    for path in (INCLUDE / "langgraph_cy").rglob("*.pxd")
)

SETUP = """
from Cython.Build import cythonize
from setuptools import Extension, setup

setup(
    name="downstream",
    ext_modules=cythonize(
        [Extension("downstream", ["downstream.pyx"])],
        include_path=[{include!r}],
    ),
)
"""

DOWNSTREAM = """
# cython: language_level=3
{cimports}
from langgraph_cy.core.channels cimport LastValue


cdef class CountedValue(LastValue):
    cdef readonly int writes

    cdef bint c_update(self, list values) except -1:
        self.writes += len(values)
        return LastValue.c_update(self, values)


def written(LastValue channel not None, object value):
    '''Writes through the C interface; what the channel then holds.'''
    channel.c_update([value])
    return channel.c_get()
"""

USE = """
from langgraph.channels import LastValue as UpstreamLastValue
from langgraph_cy.core.channels import LastValue
import downstream

channel = LastValue(int)
assert downstream.written(channel, 7) == 7 == channel.get()
counted = downstream.CountedValue(int)
assert downstream.written(counted, 8) == 8 == counted.get()
assert counted.writes == 1
assert isinstance(counted, UpstreamLastValue)
print("used")
"""


@pytest.fixture(scope="module")
def downstream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("downstream")
    cimports = "\n".join(f"cimport {module}" for module in DECLARED)
    (folder / "setup.py").write_text(SETUP.format(include=str(INCLUDE)))
    (folder / "downstream.pyx").write_text(DOWNSTREAM.format(cimports=cimports))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env=environ(CFLAGS="-O0"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_declaration_is_shipped():
    assert "langgraph_cy.core.channels" in DECLARED


def test_extension_built_against_the_declarations_works(downstream):
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=downstream,
        env=environ(LANGGRAPH_CY_REQUIRE_COMPILED="1"),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "used"
