"""What is in a page: its tags, its links, and time to look for them."""

from .links import DEFAULT_KINDS, KINDS, find_links, link_steps, parse_kinds
from .resolving import PageLinks, Resolved
from .turns import Turns

__all__ = [
    "DEFAULT_KINDS",
    "KINDS",
    "PageLinks",
    "Resolved",
    "Turns",
    "find_links",
    "link_steps",
    "parse_kinds",
]
