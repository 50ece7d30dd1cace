"""Fills in what a page asks for by a comment on a line of its own.

    <!-- results: callbacks-3.13 -->    a committed result, as a table: see `results`
    <!-- pages: decisions -->           the pages of a folder, each with its heading

Where the page is read in a checkout, the comment is not seen, so the text should do without.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from website.pages import Pages
from website.recordings import with_frames
from website.results import table

__all__ = ["filled", "title_of"]

_RESULTS = re.compile(r"^<!-- results: (?P<stem>[\w.-]+) -->$", re.M)
_PAGES = re.compile(r"^<!-- pages: (?P<folder>[\w/-]+) -->$", re.M)
_LEFT = re.compile(r"^<!-- (?:results|pages)\b.*", re.M)


def filled(text: str, page: str, pages: Pages) -> str:
    """Return the text with what it asks for. Raises ValueError for what cannot be understood."""
    up = "../" * page.count("/")
    if page.startswith("results/") and page != "results/README.md":
        text = _result_page(text, page)
    text = with_frames(text, up)
    text = _RESULTS.sub(lambda found: table(found["stem"]), text)
    text = _PAGES.sub(lambda found: "\n".join(_listed(found["folder"], page, pages)), text)
    if left := _LEFT.search(text):
        raise ValueError(f"{page}: this comment asks for something, but not rightly: {left[0]}")
    return text


def _result_page(text: str, page: str) -> str:
    """A result in a page of its own: the table with bars, and then the text of the command."""
    from website.results import title

    stem = page.removeprefix("results/").removesuffix(".md")
    # Its sections are below the heading of this page.
    return f"# {title(stem)}\n\n<!-- results: {stem} -->\n\n## As text\n\n" + re.sub(
        r"^#", "##", text, flags=re.M
    )


def _listed(folder: str, page: str, pages: Pages) -> Iterator[str]:
    up = "../" * page.count("/")
    for other in sorted(pages.paths):
        inside = other.removeprefix(f"{folder}/")
        if inside == other or inside == "README.md" or not inside.endswith(".md"):
            continue
        yield f"* [{title_of(pages.text_of(other))}]({up}{other})"


def title_of(text: str) -> str:
    """The first heading of a page."""
    found = re.search(r"^# (.+)$", text, re.M)
    if found is None:
        raise ValueError(f"a page has no heading: {text[:60]!r}")
    return found[1]
