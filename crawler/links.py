"""The links of a page: what its ``href`` attributes point to, absolute.

The page is parsed as a browser parses it (the HTML standard's algorithm, by Lexbor), because pages
in the wild are broken in ways that only that algorithm agrees on; see
docs/decisions/html-parser.md. Character references are decoded by it, and references are resolved
as the URL standard says.
"""

import can_ada
from selectolax.lexbor import LexborHTMLParser


def find_links(html: str, page_url: str) -> list[str]:
    """Absolute http and https URLs of all ``href`` attributes, each once, in document order.

    ``page_url`` is the absolute URL that the page came from; the first ``<base href>`` of the page
    is resolved against it and then takes its place. References with another scheme
    (``mailto:``, ``javascript:``, …) and those that are no URL at all are left out.
    """
    base = can_ada.parse(page_url)
    has_base = False
    references: dict[str, None] = {}
    for node in LexborHTMLParser(html).css("[href]"):
        reference = node.attributes["href"] or ""
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
