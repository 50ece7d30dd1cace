"""The scanner finds the tags of a tree that the HTML standard's algorithm (Lexbor's) builds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from crawler.markup.references import attribute_text
from crawler.markup.scanner import Tag, scan

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.html"))
ELEMENTS = frozenset({b"a", b"area", b"base"})
HREF = frozenset({b"href"})


def hrefs(found: Iterable[Sequence[Tag | bytes]]) -> Iterator[tuple[bytes | None, bytes]]:
    """The values of ``href``, with the element where that is told."""
    for tag in chain(*found):
        if isinstance(tag, bytes):
            yield None, tag
        elif b"href" in tag[1]:
            yield tag[0], tag[1][b"href"]


def by_scanner(page: bytes, elements: frozenset[bytes] = ELEMENTS) -> set[str]:
    """All values of ``href`` that the scanner finds, in tags or alone."""
    found = [value for name, value in hrefs(scan(page, elements, HREF)) if name in ELEMENTS]
    alone = hrefs(scan(page, elements, HREF, values_of=ELEMENTS))
    assert found == [value for name, value in alone if name in ELEMENTS | {None}]
    return set(map(attribute_text, found))


def by_tree(page: bytes) -> set[str]:
    """All that are in a tree."""
    nodes = LexborHTMLParser(page.decode("utf-8", "replace")).css("a, area, base")
    return {node.attributes["href"] or "" for node in nodes if "href" in node.attributes}


LINKS = [
    "<a href=%d>",
    "<a href='%d'>",
    '<a href="%d" class=x>',
    '<a class="x" href="%d" id="y">',
    "<a title='<a href=%d>'>",
    "<a\nhref=%d/>",
    "<a a=b href=%d />",
    "<A HREF=%d>",
    "<i/a href=%d>",
    "<a href = %d>",
    "<a href= '%d' b>",
    "<a =href=%d>",
    "<a x href=%d y href=99>",
    "<a b='%d",
    "<area href=%d>",
    "<base href=%d>",
]
TEXT = [
    "text",
    "&amp;",
    "'",
    '"',
    ">",
    "=",
    "/",
    "<",
    "-",
    "--",
    "\0",
    "\r\n",
    "<a",
    "<a ",
    "<a href",
]
RAW_NAMES = ("script", "style", "textarea", "xmp", "iframe", "noembed", "noframes")
RAW = [f"<{slash}{name}>" for name in RAW_NAMES for slash in ("", "/")]
OTHER = [
    *("<!--", "-->", "--!>", "<!-->", "<!--->", "<!doctype html>", "<?x>", "</>", "</ x>", "</scr"),
    *("<p>", "</p>", "<div>", "<b>", "<table>", "<tr>", "<td>", "<ul><li>", "<font>", "<title>"),
    *("<script/>", "<title/>", "</script x='>'>", "<noscript>", "</noscript>", "<font color=x>"),
]
HTML = [*LINKS, *TEXT, *RAW, *OTHER, "</title>", "</div>", "</b>", "</a>", "</table>", "</font>"]
HTML += ["<template>", "</template>", "<![CDATA[", "]]>"]
FOREIGN = [
    *LINKS,
    *TEXT,
    *RAW,
    *OTHER,
    "<svg>",
    "</svg>",
    "<svg/>",
    "<math>",
    "</math>",
    "<g>",
    "</g>",
]
FOREIGN += ["<foreignObject>", "<desc>", "<mi>", "<annotation-xml encoding=text/html>"]


def page_of(pieces: list[str]) -> bytes:
    numbered = (piece.replace("%d", str(number)) for number, piece in enumerate(pieces))
    return "".join(numbered).encode() + b"<a href=end>"


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(HTML), max_size=9))
@example(["</", "<a href=%d>"])
@example(["<p>", "<!--", "<", "-->"])
def test_html_has_the_links_that_a_tree_has(pieces: list[str]) -> None:
    assert by_scanner(page_of(pieces)) == by_tree(page_of(pieces))


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(FOREIGN), max_size=9))
@example(["<svg/>", "<title>"])
@example(["<math>", "<svg>", "<title>", "<title>"])
def test_svg_and_mathml_have_the_links_that_a_tree_has(pieces: list[str]) -> None:
    assert by_scanner(page_of(pieces)) == by_tree(page_of(pieces))


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(FOREIGN + HTML), max_size=9))
def test_what_is_wanted_changes_nothing_of_what_is_found(pieces: list[str]) -> None:
    page = page_of(pieces)
    assert by_scanner(page) == by_scanner(page, frozenset())
    assert by_scanner(page) == by_scanner(page, ELEMENTS | {b"p", b"script", b"svg", b"font"})


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_scanned(page: bytes, xml: bool) -> None:
    for _ in scan(page, ELEMENTS, HREF, xml=xml):
        pass


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.stem)
def test_what_once_went_wrong_goes_right(path: Path) -> None:
    page = path.read_bytes()
    assert by_scanner(page) == by_tree(page)


@pytest.mark.parametrize(
    ("page", "ours", "of_a_tree"),
    [
        # An end tag without its start, and one of an element that is open outside: we guess.
        ("<svg></div><title><a href=1>", set(), {"1"}),
        ("<g><svg></g><script><a href=1>", {"1"}, set()),
        # HTML inside an integration point hides its end tag from a tree.
        ("<svg><desc><div></desc></svg><title><a href=1></title>", set(), set()),
        ("<svg><title><![CDATA[</svg><a href=1>", {"1"}, set()),
    ],
)
def test_where_we_guess_is_known(page: str, ours: set[str], of_a_tree: set[str]) -> None:
    assert by_scanner(page.encode()) == ours
    assert by_tree(page.encode()) == of_a_tree
