"""The links of a page as one gets them with selectolax, which is what the other crawlers use."""

import can_ada
from selectolax.lexbor import LexborHTMLParser


def find_links(html: str, page_url: str) -> list[str]:
    """Absolute http and https URLs of all hyperlinks, each once."""
    base = can_ada.parse(page_url)
    tree = LexborHTMLParser(html)
    if (element := tree.css_first("base[href]")) is not None:
        base = base + (element.attrs["href"] or "")
    links: dict[str, None] = {}
    for node in tree.css("a[href], area[href]"):
        try:
            link = (base + (node.attrs["href"] or "")).href
        except ValueError:
            continue
        if link.startswith(("http:", "https:")):
            links[link] = None
    return list(links)
