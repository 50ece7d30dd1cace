"""What references mean as absolute URLs; the effort is bounded for each and for all of a page."""

import codecs
from collections.abc import Generator
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import can_ada

from crawler.http.charset import encode
from crawler.http.hosts import MAX_HOST, host_is_too_long
from crawler.markup.references import attribute_text

# Flags of a page whose links were not all taken.
LINK_TOO_LONG = "link-too-long"
TOO_MANY_LINKS = "too-many-links"

# No server takes URLs of this many characters.
MAX_LINK = 32 * 1024
# What the links of one page may take of the memory.
MAX_LINKS_BYTES = 32 * 1024 * 1024
# What one link takes besides its text.
_OVERHEAD = 64
# References up to this length need no look.
_SHORT = MAX_HOST
# What stands in an attribute may be longer than what it means: "&amp;" is "&".
_MAX_RAW = 4 * MAX_LINK
# References that are read, or resolved, between two chances for others; and what long ones count.
LINKS_A_STEP = 100
BYTES_A_LINK = 256
# How many references are remembered, some 300 bytes each.
MAX_RESOLVED = 16_000
# How references begin that mean the same on all pages of an origin.
_WITHOUT_PAGE = (b"/", b"http://", b"https://")


class PageLinks(NamedTuple):
    """Absolute http and https URLs, each once, in the order of the page; what was left out."""

    links: list[str]
    flags: frozenset[str]


class Resolved:
    """What references meant on earlier pages: a site's menus stand on each of its pages.

    Kept are short ones whose meaning does not depend on the page but on its origin at most, in a
    bounded memory. All pages of a crawl may share one.
    """

    def __init__(self) -> None:
        self._of_origin: dict[str, dict[bytes | str, str]] = {}
        self._room = MAX_RESOLVED

    def at(self, origin: str) -> dict[bytes | str, str]:
        """What is known at an origin."""
        if self._room <= 0:
            self._of_origin.clear()
            self._room = MAX_RESOLVED
        known = self._of_origin.get(origin)
        if known is None:
            known = self._of_origin[origin] = {}
        return known

    def learn(self, known: dict[bytes | str, str], reference: bytes, link: str) -> None:
        """Keep what a reference means at the origin of ``known``, if there is room."""
        if self._room > 0:
            self._room -= 1
            known[reference] = link


def resolve(
    page_url: str,
    base_reference: bytes | None,
    references: dict[bytes | str, None],
    codec: str,
    flags: set[str],
    beside: int,
    resolved: Resolved | None,
) -> Generator[None, None, PageLinks]:
    """The links that references of a page mean, in steps; see :func:`.links.link_steps`."""
    base = can_ada.parse(page_url)
    if base.has_credentials():
        base.username = base.password = ""
    legacy = None if codec.startswith("utf") else codec
    if base_reference is not None:
        base = _rebase(base, text_of(base_reference), legacy, flags)
    known: dict[bytes | str, str] = {}
    if base_reference is not None or legacy is not None:
        resolved = None
    elif resolved is not None:
        known = resolved.at(base.origin)
    links: dict[str, None] = {}
    # Each try costs as much as the base is long, for that is copied.
    left, each = MAX_LINKS_BYTES, _OVERHEAD + len(base.href) + beside
    work = 0
    for raw in references:
        work += 1
        if work >= LINKS_A_STEP:
            work = 0
            yield None
        link = known.get(raw)
        if link is None:
            if len(raw) > _SHORT:
                work += len(raw) // BYTES_A_LINK
                if len(raw) > _MAX_RAW:
                    flags.add(LINK_TOO_LONG)
                    continue
            reference = attribute_text(raw) if type(raw) is bytes else str(raw)
            if len(reference) > _SHORT and _is_too_long(reference):
                flags.add(LINK_TOO_LONG)
                continue
            if legacy is not None and not reference.isascii():
                reference = _encode_query(reference, legacy)
            try:
                link = (base + reference).href
            except ValueError:
                continue  # not a URL, as in href="http://["
            if not link.startswith(("http:", "https:")):
                continue
            if (
                resolved is not None
                and type(raw) is bytes
                and raw.startswith(_WITHOUT_PAGE)
                and len(raw) <= _SHORT
            ):
                resolved.learn(known, raw, link)
        left -= each + len(link)
        if left < 0:
            flags.add(TOO_MANY_LINKS)
            break
        if len(link) > MAX_LINK:
            flags.add(LINK_TOO_LONG)
            continue
        links[link] = None
    return PageLinks(list(links), frozenset(flags))


def text_of(raw: bytes) -> str:
    """The text of an attribute, or as much of it as can matter."""
    return attribute_text(raw[:_MAX_RAW])


def _rebase(page: can_ada.URL, reference: str, legacy: str | None, flags: set[str]) -> can_ada.URL:
    """The base URL of a document (HTML standard, "frozen base URL")."""
    if _is_too_long(reference):
        flags.add(LINK_TOO_LONG)
        return page
    if legacy is not None and not reference.isascii():
        reference = _encode_query(reference, legacy)
    try:
        base = page + reference
    except ValueError:
        return page
    return page if base.protocol in ("data:", "javascript:") else base


def _is_too_long(reference: str) -> bool:
    return len(reference) > MAX_LINK or host_is_too_long(reference)


def _encode_query(reference: str, codec: str) -> str:
    """Percent-encode the query of a reference in a legacy encoding (URL standard, query state)."""
    before, mark, after = reference.partition("?")
    if not mark or "#" in before:
        return reference
    query, mark, fragment = after.partition("#")
    encoded = quote_from_bytes(encode(query, codec, _NOT_IN_CODEC), safe=_SAFE_IN_QUERY)
    return f"{before}?{encoded}{mark}{fragment}"


def _as_reference(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the encoding lacks: their numbers, as ``%26%231234%3B``."""
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    return "".join(f"%26%23{ord(character)}%3B" for character in missing), error.end


_NOT_IN_CODEC = "crawler-query"
codecs.register_error(_NOT_IN_CODEC, _as_reference)
# A "#" among the bytes is half of a character, as ISO-2022-JP has it: one that begins the fragment
# has been cut off before.
_SAFE_IN_QUERY = "".join(map(chr, range(0x20, 0x7F))).replace("#", "")
