"""What is in a page: its characters, its tags, its links."""

from .links import DEFAULT_KINDS, KINDS, PageLinks, find_links, parse_kinds

__all__ = ["DEFAULT_KINDS", "KINDS", "PageLinks", "find_links", "parse_kinds"]
