"""The links of a page: which parts of it hold some, and what they are as absolute URLs.

Links are what the HTML standard calls hyperlinks, `<a href>` and `<area href>`, unless other kinds
are asked for: `KINDS` lists them. References are resolved as the URL standard says, against the
address of the page or its first `<base href>`.

Nothing here trusts the page. What a link may cost is bounded one by one (its length, that of its
host name) and for the page as a whole: a `<base>` of a megabyte would otherwise stand before each
of a hundred thousand links. What was left out is told by a flag.
"""

import functools
from collections.abc import Generator, Iterator

from crawler.markup.scanner import scan

from .headers import link_targets, refresh_target, source_set
from .resolving import (
    BYTES_A_LINK,
    LINKS_A_STEP,
    TOO_MANY_LINKS,
    PageLinks,
    Resolved,
    resolve,
    text_of,
)

# What `links` may name, and where links of that kind stand.
KINDS = {
    "a": "<a href>, SVG's too",
    "area": "<area href>",
    "link": "<link href>",
    "iframe": "<iframe src>",
    "frame": "<frame src>",
    "form": "<form action>, <button formaction>, <input formaction>",
    "src": "<img src> and that of script, audio, video, source, track, embed, input; <object data>",
    "srcset": "<img srcset>, <source srcset>, <link imagesrcset>",
    "refresh": "<meta http-equiv=refresh> and the Refresh header",
    "header": "the Link header",
    "href": "any element's href but that of <base>",
}
DEFAULT_KINDS = frozenset({"a", "area"})

# What the links of one page may be.
MAX_LINKS = 300_000


def parse_kinds(text: str) -> frozenset[str]:
    """The kinds that a comma-separated list names; raises ValueError for one that is unknown."""
    kinds = frozenset(kind.strip().lower() for kind in text.split(",") if kind.strip())
    if unknown := sorted(kinds - KINDS.keys()):
        raise ValueError(f"links must be of {', '.join(KINDS)}; got {', '.join(unknown)}")
    if not kinds:
        raise ValueError(f"name at least one kind of links: {', '.join(KINDS)}")
    return kinds


def find_links(
    html: str | bytes,
    page_url: str,
    codec: str = "utf-8",
    kinds: frozenset[str] = DEFAULT_KINDS,
    *,
    xml: bool = False,
) -> list[str]:
    """The links of a page, at once; see :func:`link_steps`. ``html`` is text, or UTF-8."""
    page = html.encode("utf-8", "replace") if isinstance(html, str) else html
    steps = link_steps(page, page_url, codec, kinds, xml=xml)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: PageLinks = end.value
            return found.links


def link_steps(
    page: bytes,
    page_url: str,
    codec: str,
    kinds: frozenset[str] = DEFAULT_KINDS,
    *,
    xml: bool = False,
    link_header: str = "",
    refresh_header: str = "",
    beside: int = 0,
    resolved: Resolved | None = None,
) -> Generator[None, None, PageLinks]:
    """The links of a page in UTF-8, in steps of some milliseconds at most.

    ``page_url`` is the absolute URL that the page came from; the credentials in it are not passed
    on to links. ``codec`` is what the page was sent in: browsers send the query of a link in the
    encoding of the page that the link is on. ``xml`` is for XHTML. Link header fields that came
    more than once are joined with commas. ``beside`` is how many characters are written beside each
    link, and count with it. ``resolved`` is what other pages of the crawl have taught. References
    with another scheme (``mailto:``, ``javascript:``, …) and those that are no URL at all are left
    out.
    """
    # Each reference once: bytes as they stand in an attribute, or text that was read elsewhere.
    found: dict[bytes | str, None] = {}
    if link_header and "header" in kinds:
        found.update(dict.fromkeys(link_targets(link_header)))
    if refresh_header and "refresh" in kinds:
        found.update(dict.fromkeys(refresh_target(refresh_header)))
    plan = _plan(kinds)
    hyperlinks = plan.hyperlinks
    base: bytes | None = None
    work, flags = 0, set[str]()
    for tags in scan(page, plan.elements, plan.attributes, values_of=plan.values_of, xml=xml):
        for tag in tags:
            work += 1
            if isinstance(tag, bytes):  # as nearly all are
                found[tag] = None
                continue
            name, attributes, html = tag
            if html and name in hyperlinks:
                if b"href" in attributes:
                    found[attributes[b"href"]] = None
            elif html and name == b"base":
                if base is None:
                    base = attributes.get(b"href")
            else:
                found.update(dict.fromkeys(plan.references(name, attributes, html=html)))
                work += sum(map(len, attributes.values())) // BYTES_A_LINK
            if work >= LINKS_A_STEP:
                work = 0
                yield None
        if len(found) > MAX_LINKS:
            flags.add(TOO_MANY_LINKS)
            break
        yield None
    return (yield from resolve(page_url, base, found, codec, flags, beside, resolved))


# ---- where links stand ------------------------------------------------------------------------

_WITH_SRC = (b"img", b"script", b"audio", b"video", b"source", b"track", b"embed", b"input")
_PLACES: dict[str, tuple[tuple[bytes, bytes], ...]] = {
    "a": ((b"a", b"href"),),
    "area": ((b"area", b"href"),),
    "link": ((b"link", b"href"),),
    "iframe": ((b"iframe", b"src"),),
    "frame": ((b"frame", b"src"),),
    "form": ((b"form", b"action"), (b"button", b"formaction"), (b"input", b"formaction")),
    "src": (*((name, b"src") for name in _WITH_SRC), (b"object", b"data")),
    "srcset": ((b"img", b"srcset"), (b"source", b"srcset"), (b"link", b"imagesrcset")),
}
_SETS = frozenset({b"srcset", b"imagesrcset"})
# Elements with links in SVG; those of the other kinds are HTML's alone.
_FOREIGN = frozenset({b"a"})


class _Plan:
    """What to ask of the scanner for some kinds of links, and what to take of a tag."""

    def __init__(self, kinds: frozenset[str]) -> None:
        self._every_href = "href" in kinds
        self._refresh = "refresh" in kinds
        self._places: dict[bytes, tuple[bytes, ...]] = {}
        for kind in kinds:
            for element, attribute in _PLACES.get(kind, ()):
                self._places[element] = (*self._places.get(element, ()), attribute)
        self.hyperlinks = frozenset(
            name for name, places in self._places.items() if places == (b"href",)
        )
        names = {name for places in self._places.values() for name in places}
        self.attributes = frozenset(names | {b"href"})
        if self._refresh:
            self.attributes |= {b"http-equiv", b"content"}
        # Of nearly all tags the href is all that counts, if no other attribute does.
        self.values_of = self.hyperlinks if self.attributes == {b"href"} else frozenset()
        self.elements: frozenset[bytes] = frozenset()  # all of them
        if not self._every_href:
            self.elements = frozenset(self._places.keys() | {b"base"})
            if self._refresh:
                self.elements |= {b"meta"}

    def references(
        self, name: bytes, attributes: dict[bytes, bytes], *, html: bool
    ) -> Iterator[bytes | str]:
        """The references in a tag that is neither a usual hyperlink nor ``<base>``."""
        if not html:
            if name in _FOREIGN or self._every_href:
                href = attributes.get(b"href", attributes.get(b"xlink:href"))
                if href is not None:
                    yield href
            return
        if name == b"meta" and self._refresh and _is_refresh(attributes):
            yield from refresh_target(text_of(attributes.get(b"content", b"")))
        places = self._places.get(name, ())
        for place in places:
            if place in attributes:
                if place in _SETS:
                    yield from source_set(text_of(attributes[place]))
                else:
                    yield attributes[place]
        if self._every_href and b"href" in attributes and b"href" not in places:
            yield attributes[b"href"]


@functools.lru_cache(maxsize=64)
def _plan(kinds: frozenset[str]) -> _Plan:
    return _Plan(kinds)


def _is_refresh(attributes: dict[bytes, bytes]) -> bool:
    return text_of(attributes.get(b"http-equiv", b"")).lower() == "refresh"
