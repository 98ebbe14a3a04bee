"""What the command that builds the documentation looks for in the site; nothing is built."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# The tools are programs, not a package: they import each other from their own folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

import docs_build


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>'),
        ("a.html", '<img src="//cdn.example/x.png">'),
        ("a.html", '<link rel="preconnect stylesheet" href="https://fonts.example/x">'),
        ("a.html", '<p style="background: url(https://cdn.example/x.png)">'),
        ("a.css", "@import 'https://fonts.example/x.css';"),
        ("a.svg", "<svg><style>a { fill: url(https://x.example/#a) }</style></svg>"),
    ],
)
def test_what_a_page_loads_from_outside_is_found(name: str, text: str, tmp_path: Path) -> None:
    page = tmp_path / "folder" / name
    page.parent.mkdir()
    page.write_text(text)
    assert [path for path, _ in docs_build.loads(tmp_path)] == [page]


def test_links_to_follow_and_own_files_are_not_loads(tmp_path: Path) -> None:
    own = '<link rel="stylesheet" href="assets/x.css"><img src="x.svg"><script>1</script>'
    (tmp_path / "a.html").write_text(f'{own}<a href="https://docs.example/">there</a>')
    (tmp_path / "a.css").write_text("a { mask: url('data:image/svg+xml;base64,AA') }")
    assert list(docs_build.loads(tmp_path)) == []
