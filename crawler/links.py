"""The links of a page: what its ``href`` attributes point to, absolute.

The page is parsed as a browser parses it (the HTML standard's algorithm, by Lexbor), because pages
in the wild are broken in ways that only that algorithm agrees on; see
docs/decisions/html-parser.md. Character references are decoded by it, and references are resolved
as the URL standard says.
"""

import codecs
from urllib.parse import quote_from_bytes

import can_ada
from selectolax.lexbor import LexborHTMLParser


def find_links(html: str | bytes, page_url: str, codec: str = "utf-8") -> list[str]:
    """Absolute http and https URLs of all ``href`` attributes, each once, in document order.

    ``html`` is text, or bytes in UTF-8, which saves a copy. ``page_url`` is the absolute URL that
    the page came from; the first ``<base href>`` of the page is resolved against it and then takes
    its place. ``codec`` is what the page was in when it was sent: browsers send the query of a link
    in the encoding of the page that the link is on. References with another scheme (``mailto:``,
    ``javascript:``, …) and those that are no URL at all are left out.
    """
    base = can_ada.parse(page_url)
    has_base = False
    legacy = not codec.startswith("utf")
    references: dict[str, None] = {}
    for node in LexborHTMLParser(html).css("[href]"):
        reference = node.attrs["href"] or ""
        if legacy and not reference.isascii():
            reference = _encode_query(reference, codec)
        if node.tag != "base":
            references[reference] = None
        elif not has_base:
            has_base = True
            base = _rebase(base, reference)
    return _resolve(base, references)


def _rebase(page: can_ada.URL, reference: str) -> can_ada.URL:
    """The base URL of a document (HTML standard, "frozen base URL")."""
    try:
        base = page + reference
    except ValueError:
        return page
    return page if base.protocol in ("data:", "javascript:") else base


def _encode_query(reference: str, codec: str) -> str:
    """Percent-encode the query of a reference in a legacy encoding (URL standard, query state)."""
    before, mark, after = reference.partition("?")
    if not mark or "#" in before:
        return reference
    query, mark, fragment = after.partition("#")
    encoded = quote_from_bytes(query.encode(codec, _NOT_IN_CODEC), safe=_ASCII)
    return f"{before}?{encoded}{mark}{fragment}"


def _as_reference(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that the encoding lacks: their numbers, as ``%26%231234%3B``."""
    assert isinstance(error, UnicodeEncodeError)
    missing = error.object[error.start : error.end]
    return "".join(f"%26%23{ord(character)}%3B" for character in missing), error.end


_NOT_IN_CODEC = "crawler-query"
codecs.register_error(_NOT_IN_CODEC, _as_reference)
_ASCII = "".join(map(chr, range(0x20, 0x7F)))


def _resolve(base: can_ada.URL, references: dict[str, None]) -> list[str]:
    links: dict[str, None] = {}
    for reference in references:
        try:
            link = (base + reference).href
        except ValueError:
            continue  # not a URL, as in href="http://["
        if link.startswith(("http:", "https:")):
            links[link] = None
    return list(links)
