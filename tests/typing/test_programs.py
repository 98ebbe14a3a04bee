"""A user's program type-checks as it does with LangGraph's own names."""

import pytest

from .conftest import NAMES, PROGRAMS, STAND_INS, Diagnostic, Found, replaced

WRONG = "# What a checker has to find."


def first_wrong(name: str) -> int:
    """The line behind which everything in a program is wrong on purpose."""
    return (PROGRAMS / f"{name}.py").read_text(encoding="utf-8").splitlines().index(WRONG) + 1


@pytest.fixture(params=["mypy", "pyright"])
def found(request: pytest.FixtureRequest) -> Found:
    """What one of the checkers says of all programs."""
    answer: Found = request.getfixturevalue(request.param)
    return answer


@pytest.mark.parametrize("name", NAMES)
class TestProgram:
    def test_says_the_same(self, found: Found, name: str) -> None:
        assert found["ours"][name] == found["stock"][name]

    def test_reveals_types_and_finds_errors(self, found: Found, name: str) -> None:
        """A checker that could not find the packages would also say the same of both."""
        said = found["stock"][name]
        revealed = [each for each in said if each.message.startswith(("Revealed type", "Type of"))]
        assert len(revealed) > 5
        assert not all(each.message.endswith(('Any"', 'Unknown"')) for each in revealed)
        assert [each for each in said if each.severity == "error" and each.line > first_wrong(name)]
        assert not [each for each in said if "import" in each.rule]

    def test_uses_stand_ins(self, name: str) -> None:
        assert "langgraph_cy" in replaced((PROGRAMS / f"{name}.py").read_text(encoding="utf-8"))


def test_every_stand_in_is_used() -> None:
    written = "".join(
        replaced((PROGRAMS / f"{name}.py").read_text(encoding="utf-8")) for name in NAMES
    )
    for module, name in STAND_INS.values():
        assert f"from {module} import {name} as " in written, name


def test_diagnostics_are_compared_whole() -> None:
    assert Diagnostic(1, "error", "a", "b") != Diagnostic(1, "error", "a", "c")
