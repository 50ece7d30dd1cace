"""What the page html-parser.md is based on.

    python -m pip install selectolax lxml justhtml html5lib
    python docs/decisions/html_parser.py

For each parser: the time to get all ``href`` values out of a page, and how many of some awkward
pieces of markup it reads as the HTML standard says. Freed memory is kept, as it is in the crawler
(crawler/memory.py); without that the parsers in C mostly measure page faults.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from html.parser import HTMLParser as StandardLibraryParser
from importlib.metadata import version

import html5lib
import justhtml
import lxml.etree
from selectolax.lexbor import LexborHTMLParser

from crawler.memory import keep_freed_memory

FILLER = "<p>An event loop waits until something can be done, does it, and waits again.</p>"
ITEM = '<div class="item c{n}">{filler}<a href="/page/{n}?a=1&amp;b={n}">more <b>{n}</b></a></div>'
PAGES = {
    f"{links} links, {size} KB": page
    for links, repeat in ((20, 1), (100, 2), (1000, 5))
    for page in [
        "<!DOCTYPE html><title>x</title>"
        + "".join(ITEM.format(n=n, filler=FILLER * repeat) for n in range(links))
    ]
    for size in [round(len(page) / 1000)]
}

# Markup, and the links that a browser finds in it.
AWKWARD = [
    ("<A HREF='/a'>", ["/a"]),
    ("<a href=/a>", ["/a"]),
    ('<a href="/a" href="/b">', ["/a"]),
    ('<a href="/a?b=1&c=2&amp;d=3">', ["/a?b=1&c=2&d=3"]),
    ('<a href="/a?x=1&copy=2">', ["/a?x=1&copy=2"]),
    ('<a href="&#x2F;a&#47;b">', ["/a/b"]),
    ('<a href="/caf&eacute">', ["/café"]),
    ("<a class=x\nhref\n=\n/a id=y>", ["/a"]),
    ('<!-- <a href="/a"> -->', []),
    ('<!-- <a href="/a"> --!><a href="/b">', ["/b"]),
    ('<!--><a href="/a"><!-- -->', ["/a"]),
    ("<script>\"<a href='/a'>\"</script>", []),
    ("<script><!--<script></script><a href=/a></script>", []),
    ('<textarea><a href="/a"></textarea><a href="/b">', ["/b"]),
    ('<title><a href="/a"></title>', []),
    ('<noscript><a href="/a"></noscript>', ["/a"]),
    ('<iframe><a href="/a"></iframe>', []),
    ('<table><tr><a href="/a"><td><a href="/b">', ["/a", "/b"]),
    ('<svg><a href="/a"></svg>', ["/a"]),
    ('<plaintext><a href="/a">', []),
    ('<p><a href="/a"', []),
    ("<a/href=/a>", ["/a"]),
    ("<![CDATA[<a href=/a>]]>", []),
    ("<?php <a href=/a> ?><a href=/b>", ["/b"]),
]


def selectolax(page: str) -> list[str | None]:
    """HTML standard, by Lexbor, in C."""
    return [node.attributes["href"] for node in LexborHTMLParser(page).css("[href]")]


HREFS = lxml.etree.XPath("//@href", smart_strings=False)
LIBXML2 = lxml.etree.HTMLParser()


def lxml_html(page: str) -> list[str | None]:
    """HTML 4 with repairs of its own, by libxml2, in C."""
    tree = lxml.etree.fromstring(page, LIBXML2)
    return [] if tree is None else HREFS(tree)  # type: ignore[return-value]


class _Hrefs(StandardLibraryParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "href":
                self.found.append(value)


def standard_library(page: str) -> list[str | None]:
    """A tokenizer in Python."""
    parser = _Hrefs()
    parser.feed(page)
    parser.close()
    return parser.found


def just_html(page: str) -> list[str | None]:
    """HTML standard, in Python."""
    return [node.attrs["href"] for node in justhtml.JustHTML(page).query("[href]")]


def html5_lib(page: str) -> list[str | None]:
    """HTML standard of 2020, in Python."""
    tree = html5lib.parse(page, namespaceHTMLElements=False)
    return [node.get("href") for node in tree.iter() if node.get("href") is not None]


CANDIDATES: dict[str, Callable[[str], list[str | None]]] = {
    f"selectolax {version('selectolax')}": selectolax,
    f"lxml {version('lxml')}": lxml_html,
    "html.parser": standard_library,
    f"justhtml {version('justhtml')}": just_html,
    f"html5lib {version('html5lib')}": html5_lib,
}


def milliseconds(find: Callable[[str], list[str | None]], page: str) -> float:
    """The median of seven runs of a twentieth of a second."""
    runs = []
    for _ in range(7):
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < 0.05:
            find(page)
            count += 1
        runs.append(spent / count * 1000)
    return statistics.median(runs)


def main() -> None:
    """Print the table."""
    keep_freed_memory()
    print(f"{'parser':<20}" + "".join(f"{name:>20}" for name in PAGES) + f"{'awkward':>12}")
    for name, find in CANDIDATES.items():
        times = "".join(f"{milliseconds(find, page):>17.3f} ms" for page in PAGES.values())
        right = sum(find(markup) == links for markup, links in AWKWARD)
        print(f"{name:<20}{times}{right:>9}/{len(AWKWARD)}")


if __name__ == "__main__":
    main()
