"""Each URL once, at the least number of links from where the crawl began.

A crawl that goes N links deep must find the same pages however fast each of them came. Pages come
in any order, so a page may first be found by a long way and later by a shorter one, and then what
it leads to is nearer too. Waiting at each depth for the slowest page would settle it, and let one
slow host hold up all others. Instead the depth of a page is lowered when a shorter way is found,
and the links of a page that has been fetched are kept for as long as that may still happen.

That is not long. Let the *least* depth be the smallest of a page that waits or is in work. What is
yet to be found lies as deep as that, if a redirect leads to it, or deeper. So nothing changes any
more at ``least`` and above.
"""

import zlib
from collections.abc import Iterable, Iterator

# The depth at which the list counts: what is on it may be found deeper before it is read.
_LIST = -1


class Known:
    """The URLs seen so far, and how deep each lies; none deeper than ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._depth: dict[str, int] = {}
        # How many wait or are in work, by depth. What is still to be read of the list counts as
        # one.
        self._open: dict[int, int] = {_LIST: 1}
        self._least = _LIST
        self._kept: dict[int, dict[str, bytes]] = {}  # compressed links, by depth and URL

    def __len__(self) -> int:
        return len(self._depth)

    def __contains__(self, url: str) -> bool:
        return url in self._depth

    @property
    def least(self) -> int:
        """The smallest depth of a page that waits or is in work; above that nothing changes."""
        return self._least

    def depth(self, url: str) -> int:
        """How deep a known URL lies, as far as is known."""
        return self._depth[url]

    def add(self, url: str, depth: int) -> bool:
        """Note a URL that is to be fetched; False if it is known already, or too deep."""
        if url in self._depth or depth > self._limit:
            return False
        self._depth[url] = depth
        self._open[depth] = self._open.get(depth, 0) + 1
        return True

    def add_closed(self, url: str, depth: int, kept: bytes | None = None) -> None:
        """Note a URL that needs no fetching, with what :meth:`close` said was to be kept of it."""
        self._depth[url] = depth
        if depth > self._least:
            self._kept.setdefault(depth, {})[url] = _NOTHING if kept is None else kept

    def close(self, url: str, links: Iterable[str], *, redirect: bool = False) -> bytes | None:
        """Note that a page has been fetched; call it before :meth:`settle`.

        Where a ``redirect`` leads is as deep as the page itself. Returns what is kept of the links,
        if they may be needed again.
        """
        depth = self._depth[url]
        if depth <= self._least:
            return None
        text = ("\n" if redirect else "") + "\n".join(links)
        kept = zlib.compress(text.encode(), 1)
        self._kept.setdefault(depth, {})[url] = kept
        return kept

    def more_begins(self) -> None:
        """Count one more list that is still to be read."""
        self._open[_LIST] += 1

    def no_more_begins(self) -> None:
        """Count a list as read to its end; there is one to begin with."""
        self._open[_LIST] -= 1
        self._advance()

    def settle(self, url: str) -> None:
        """Count a page as done with; its links have been added."""
        depth = self._depth[url]
        self._open[depth] -= 1
        if depth == self._least:
            self._advance()

    def nearer(self, url: str, depth: int) -> Iterator[tuple[str, int]]:
        """Note a shorter way to a URL that is known, if it is one.

        Yields the URLs for which that matters, each with its depth: known ones, whose depth has
        been lowered, and new ones, which are to be added.
        """
        found = [(url, depth)]
        while found:
            url, depth = found.pop()
            before = self._depth.get(url)
            if before is None:
                if depth <= self._limit:
                    yield url, depth
                continue
            if before <= depth:
                continue
            self._depth[url] = depth
            yield url, depth
            kept = self._kept.get(before, {}).pop(url, None)
            if kept is None:
                # It waits or is in work: whatever is over with and may still change is kept.
                self._open[before] -= 1
                self._open[depth] = self._open.get(depth, 0) + 1
                continue
            if depth > self._least:
                self._kept.setdefault(depth, {})[url] = kept
            links = zlib.decompress(kept).decode()
            step = 0 if links.startswith("\n") else 1
            found.extend((link, depth + step) for link in links.split("\n") if link)

    def _advance(self) -> None:
        least = self._least
        if least > self._limit or self._open.get(least):
            return
        # Over the levels that exist, not up to the limit: that may be any number.
        self._least = min(
            (at for at, count in self._open.items() if count), default=self._limit + 1
        )
        for level in [at for at in self._open if at < self._least]:
            del self._open[level]
        for level in [at for at in self._kept if at <= self._least]:
            del self._kept[level]


_NOTHING = zlib.compress(b"")
