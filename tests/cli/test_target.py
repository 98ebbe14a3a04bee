"""What `module:graph` may stand for, and what is said where it stands for nothing."""

import sys
from pathlib import Path

import pytest
from langgraph.pregel import Pregel

from langgraph_cy.cli.errors import UsageError
from langgraph_cy.cli.target import load_graph

from .conftest import SAMPLES, Call, sample


@pytest.mark.parametrize("name", ["loop", "builder", "make_loop", "make_builder", "accelerated"])
def test_graphs_builders_and_functions(name: str, cli: Call) -> None:
    graph = load_graph(sample(name))
    assert isinstance(graph, Pregel)
    assert graph.invoke({"n": 0}) == {"n": 3}


def test_dotted_names_of_modules_and_of_graphs(cli: Call, tmp_path: Path) -> None:
    package = tmp_path / "agents"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(SAMPLES.read_text(encoding="utf-8"))
    (package / "main.py").write_text("from . import parts\nclass Holder:\n    graph = parts.loop\n")
    by_name = load_graph("agents.main:Holder.graph")
    by_file = load_graph("agents/main.py:Holder.graph")
    assert by_name is by_file
    assert by_name.invoke({"n": 0}) == {"n": 3}


def test_a_file_that_another_one_hides(
    cli: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph of the file that was named, or none."""
    for folder in ("one", "two"):
        package = tmp_path / folder / "hidden_package"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text("")
        (package / "app.py").write_text(SAMPLES.read_text(encoding="utf-8"))
        monkeypatch.syspath_prepend(tmp_path / folder)
    called = cli("explain", tmp_path / "one/hidden_package/app.py:loop")
    assert (called.code, called.out) == (2, "")
    assert "can't be imported as hidden_package.app: that is " in called.err
    assert load_graph(f"{tmp_path}/two/hidden_package/app.py:loop").invoke({"n": 0}) == {"n": 3}


def test_a_file_of_the_name_of_another_module(cli: Call, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(SAMPLES.read_text(encoding="utf-8"))
    before = sys.modules["json"]
    assert load_graph("json.py:loop").invoke({"n": 0}) == {"n": 3}
    assert sys.modules["json"] is before


@pytest.mark.parametrize(
    ("target", "said"),
    [
        pytest.param("no_such_module:graph", "there is no module 'no_such_module'", id="module"),
        pytest.param("no/such.py:graph", "there is no file 'no/such.py'", id="file"),
        pytest.param("langgraph.nothing:graph", "there is no module 'langgraph.noth", id="part"),
        pytest.param(sample("nothing"), "has no 'nothing'. Its graphs: ", id="name"),
        pytest.param(str(SAMPLES), f"names no graph: write {SAMPLES}:NAME", id="no name"),
        pytest.param(f"{SAMPLES}:", "ends with a colon. Its graphs", id="empty name"),
        pytest.param("json:loads.nothing", "has no graph and no function", id="no graphs"),
        pytest.param(sample("not_a_graph"), "is an object of type int, not a graph", id="an int"),
        pytest.param(sample("State"), "is a class, not a graph", id="a class"),
        pytest.param(sample("make_nothing"), "returned None, not a graph", id="returns None"),
        pytest.param(sample("make_from"), "is a function that needs size", id="with arguments"),
        pytest.param(sample("make_async"), "is a coroutine function", id="a coroutine function"),
        pytest.param(sample("make_badly"), "failed:\nTraceback", id="a function that raises"),
    ],
)
def test_what_is_no_graph(target: str, said: str, cli: Call) -> None:
    called = cli("explain", target)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


def test_offers_every_kind_of_graph(cli: Call) -> None:
    said = cli("explain", sample("nothing")).err
    for name in ("builder", "loop", "make_loop", "make_builder", "workflow"):
        assert f"{SAMPLES}:{name}" in said
    for name in ("make_from", "make_nothing", "State", "add"):
        assert f"{SAMPLES}:{name}," not in said or name == "make_from"


def test_a_module_that_can_not_be_imported(tmp_path: Path, cli: Call) -> None:
    (tmp_path / "wrong.py").write_text("def here():\n    raise ValueError('no good')\nhere()\n")
    (tmp_path / "lacking.py").write_text("import no_such_thing\n")
    for target in ("wrong:graph", "wrong.py:graph"):
        with pytest.raises(UsageError, match="no good") as failed:
            load_graph(target)
        assert "line 3" in str(failed.value)
        assert "target.py" not in str(failed.value)
    with pytest.raises(UsageError, match="needs the module 'no_such_thing'"):
        load_graph("lacking.py:graph")
    with pytest.raises(UsageError, match="needs the module 'no_such_thing'"):
        load_graph("lacking:graph")


def test_what_a_module_prints_stays_out_of_json(cli: Call, tmp_path: Path) -> None:
    text = SAMPLES.read_text(encoding="utf-8") + "\nprint('imported')\n"
    (tmp_path / "noisy.py").write_text(text)
    called = cli("explain", "noisy:loop", "--json")
    assert called.out.startswith("{")
    assert called.err == "imported\n"
