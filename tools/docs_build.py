"""Build the documentation strictly, and check that no page of it loads anything from a network.

Exit code 0: it is in `build/site`. 1: mkdocs warned, or a page loads something from outside.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"
OUTSIDE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
# A link that a reader may follow is not loaded; of `link` elements these are.
LOADED_LINKS = {"stylesheet", "icon", "preload", "preconnect", "dns-prefetch", "prefetch"}
CSS_LOADS = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)


class Loads(HTMLParser):
    """The addresses of other hosts that a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take down what the element loads."""
        values = dict(attrs)
        loaded = [values.get("src"), values.get("srcset"), values.get("data")]
        if tag == "link" and LOADED_LINKS & set((values.get("rel") or "").split()):
            loaded.append(values.get("href"))
        self.found += [value for value in loaded if value and OUTSIDE.match(value)]
        self.found += CSS_LOADS.findall(values.get("style") or "")


def loads(site: Path) -> Iterator[tuple[Path, str]]:
    """Each page or style sheet of a site that loads something from outside, and what."""
    for page in sorted(site.rglob("*.html")):
        parser = Loads()
        parser.feed(page.read_text("utf-8"))
        yield from ((page, address) for address in parser.found)
    for sheet in sorted([*site.rglob("*.css"), *site.rglob("*.svg")]):
        yield from ((sheet, address) for address in CSS_LOADS.findall(sheet.read_text("utf-8")))


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    parser = argparse.ArgumentParser(prog="tools/docs", description=__doc__)
    parser.add_argument(
        "--serve", metavar="ADDRESS", help="serve it at host:port instead, and follow changes"
    )
    args = parser.parse_args(argv)
    from mkdocs.__main__ import cli as mkdocs  # --help needs nothing that is installed

    os.chdir(ROOT)  # mkdocs finds its configuration there
    if args.serve:
        return int(mkdocs(["serve", "-a", args.serve], standalone_mode=False) or 0)
    try:
        mkdocs(["build", "--strict", "--clean", "--site-dir", str(SITE)], standalone_mode=False)
    except Exception as error:
        print(f"tools/docs: {error}", file=sys.stderr)
        return 1
    outside = list(loads(SITE))
    for page, address in outside:
        print(f"tools/docs: {page.relative_to(SITE)} loads {address}", file=sys.stderr)
    if not outside:
        print(f"{len(list(SITE.rglob('*.html')))} pages: {SITE / 'index.html'}")
    return int(bool(outside))


if __name__ == "__main__":
    sys.exit(main())
