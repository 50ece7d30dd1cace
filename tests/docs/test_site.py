"""The site as it was built: every link, every picture, every public name."""

from __future__ import annotations

import importlib
import posixpath
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.crawler import WHY_NOT
from website.pages import ROOT
from website.recordings import page_of, programs_in

pytestmark = pytest.mark.timeout(200)

# The packages of the reference, and the page of each.
PUBLIC = {
    "miniloop": "loop",
    "miniloop.study": "study",
    "miniloop.testing": "testing",
    "miniloop.kernel.joints": "joints",
    "miniloop.kernel.poller": "joints",
    "crawler.http": "client",
}
DOORS = ("learn", "swap", "test", "measure", "crawl")


@dataclass
class Html(HTMLParser):
    """What a page has that leads elsewhere, that can be led to, and that is to be seen."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    unsaid: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        has = dict(attributes)
        if has.get("id"):
            self.anchors.add(str(has["id"]))
        if tag == "a" and has.get("href"):
            self.links.append(str(has["href"]))
        if tag in ("img", "iframe", "script") and has.get("src"):
            self.loaded.append(str(has["src"]))
        if tag == "link" and has.get("rel") in ("stylesheet", "preconnect", "icon"):
            self.loaded.append(str(has["href"]))
        if (tag == "img" and not has.get("alt")) or (tag == "iframe" and not has.get("title")):
            self.unsaid.append(str(has.get("src")))


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Html]:
    """Every page of the site but recordings, which have tests of their own."""
    found = {}
    for file in site.rglob("*.html"):
        name = file.relative_to(site).as_posix()
        if not name.startswith("recordings/"):
            found[name] = Html()
            found[name].feed(file.read_text("utf-8"))
    return found


def destinations(name: str, targets: list[str]) -> Iterator[tuple[str, str]]:
    """Files of the site, each with an anchor or none, that a page's links lead to."""
    for target in targets:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            continue
        path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
        yield (path if parts.path else name), unquote(parts.fragment)


def test_every_link_leads_to_a_page_and_a_place_in_it(site: Path, pages: dict[str, Html]) -> None:
    broken = []
    for name, page in pages.items():
        if name == "404.html":  # its links begin at the root of wherever the site is put
            continue
        for path, anchor in destinations(name, [*page.links, *page.loaded]):
            if not (site / path).is_file():
                broken.append(f"{name}: {path}")
            elif anchor and path in pages and anchor not in pages[path].anchors:
                broken.append(f"{name}: {path}#{anchor}")
    assert broken == []


def test_every_page_can_be_reached_from_the_first(site: Path, pages: dict[str, Html]) -> None:
    seen, queue = {"index.html"}, deque(["index.html"])
    while queue:
        name = queue.popleft()
        for path, _ in destinations(name, pages[name].links):
            if path in pages and path not in seen:
                seen.add(path)
                queue.append(path)
    assert sorted(pages.keys() - seen - {"404.html"}) == []


def test_the_first_page_has_the_five_doors(pages: dict[str, Html]) -> None:
    linked = {path for path, _ in destinations("index.html", pages["index.html"].links)}
    assert {f"{door}.html" for door in DOORS} <= linked
    assert {"reference/index.html", "decisions/index.html", "results/index.html"} <= linked
    assert {"changelog.html", "contributing.html"} <= linked


def test_every_picture_and_frame_is_told_in_words(pages: dict[str, Html]) -> None:
    assert {name: page.unsaid for name, page in pages.items() if page.unsaid} == {}


def test_nothing_is_loaded_from_anywhere_else(pages: dict[str, Html]) -> None:
    elsewhere = {
        address for page in pages.values() for address in page.loaded if urlsplit(address).netloc
    }
    assert elsewhere == set()


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_in_the_reference(package: str, pages: dict[str, Html]) -> None:
    if package.startswith("crawler") and WHY_NOT:
        pytest.skip(WHY_NOT)
    names = importlib.import_module(package).__all__
    anchors = pages[f"reference/{PUBLIC[package]}.html"].anchors
    assert [name for name in names if f"{package}.{name}" not in anchors] == []


def test_what_a_page_says_how_to_record_is_recorded_and_shown(
    site: Path, pages: dict[str, Html]
) -> None:
    shown = 0
    for file in (ROOT / "docs").rglob("*.md"):
        name = file.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        name = name.replace("README.html", "index.html")
        for program in programs_in(file.read_text("utf-8")):
            frames = [path for path, _ in destinations(name, pages[name].loaded)]
            assert page_of(program) in frames, f"{name} does not show {program}"
            assert "<script" in (site / page_of(program)).read_text("utf-8")
            shown += 1
    assert shown
