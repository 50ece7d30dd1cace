"""Which links are followed, and how far.

Everything here is decided by the text of a URL, before anything is asked of a server. The order of
the rules is that of their price.

Traps are sites without an end: calendars, sessions in the path, relative links that lengthen the
address each time. What bounds them: the depth, the length of a URL, and how often a part of its
path may repeat; ``max_per_host`` bounds what is left.
"""

import re
from collections import Counter
from dataclasses import dataclass

from .hosts import host_of, site_of

# Longer addresses are seldom pages, and often the same page once more.
MAX_FOLLOWED = 2_000
# How often one name may stand in a path: /a/b/a/b/a/b/ is a link that is relative by mistake.
MAX_REPEATS = 3
_FEW_PARTS = 2 * MAX_REPEATS


@dataclass(frozen=True, slots=True)
class Scope:
    """How far a crawl goes. ``depth`` is in links from a URL that the user named; 0 follows none.

    ``same_host`` and ``same_site`` stay where the user's URLs are, or where those redirect to. A
    link is followed if one of ``allow`` (or there is none) and none of ``deny`` is found in it.
    ``sitemaps`` adds what the sites of the user's URLs list themselves.
    ``max_pages`` and ``max_per_host`` bound how many URLs are asked for; None is no bound.
    """

    depth: int = 0
    same_host: bool = False
    same_site: bool = False
    allow: tuple[re.Pattern[str], ...] = ()
    deny: tuple[re.Pattern[str], ...] = ()
    max_pages: int | None = None
    max_per_host: int | None = None
    sitemaps: bool = False


class Bounds:
    """A scope at work: it knows where the crawl began and how much there has been."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.pages = 0
        self._hosts: set[str] = set()
        self._sites: set[str] = set()
        self._per_host: Counter[str] = Counter()

    def begin_at(self, host: str) -> None:
        """Count this host, and its site, as one where the crawl belongs."""
        if self.scope.same_host:
            self._hosts.add(host)
        if self.scope.same_site:
            self._sites.add(site_of(host))

    @property
    def full(self) -> bool:
        """Whether no further URL is asked for."""
        most = self.scope.max_pages
        return most is not None and self.pages >= most

    def takes(self, href: str) -> bool:
        """Whether a link may be followed, as far as its text tells."""
        if len(href) > MAX_FOLLOWED:
            return False
        scope = self.scope
        if scope.same_host or scope.same_site:
            host = host_of(href)
            if scope.same_host and host not in self._hosts:
                return False
            if scope.same_site and site_of(host) not in self._sites:
                return False
        if scope.allow and not any(pattern.search(href) for pattern in scope.allow):
            return False
        if any(pattern.search(href) for pattern in scope.deny):
            return False
        return not _repeats(href)

    def count(self, host: str) -> bool:
        """Count a URL that is about to be asked for; False if it is one too many."""
        scope = self.scope
        if scope.max_pages is not None and self.pages >= scope.max_pages:
            return False
        if scope.max_per_host is not None:
            if self._per_host[host] >= scope.max_per_host:
                return False
            self._per_host[host] += 1
        self.pages += 1
        return True


def _repeats(href: str) -> bool:
    """Whether a name stands in the path too often; numbers and short paths have no part in it."""
    if href.count("/") <= _FEW_PARTS:
        return False
    path = href.partition("?")[0]
    names = Counter(name for name in path.split("/")[3:] if name and not name.isdigit())
    return any(count > MAX_REPEATS for count in names.values())
