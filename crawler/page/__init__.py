"""What is in a page: its tags, its links, and time to look for them."""

from .links import DEFAULT_KINDS, KINDS, PageLinks, find_links, link_steps, parse_kinds
from .turns import Turns

__all__ = [
    "DEFAULT_KINDS",
    "KINDS",
    "PageLinks",
    "Turns",
    "find_links",
    "link_steps",
    "parse_kinds",
]
