"""Counting what there may be millions of, in memory for some thousands.

When more are known than there is room for, those that weigh least are forgotten. What remains is
what weighs most, unless it was seen seldom until now; ``forgotten`` says whether there were any.
"""

from collections.abc import Callable, Iterable
from heapq import nsmallest
from typing import Generic, TypeVar

T = TypeVar("T")


class Heaviest(Generic[T]):
    """Things by name, made by ``make`` when first asked for; ``weigh`` says which are kept."""

    def __init__(self, most: int, make: Callable[[], T], weigh: Callable[[T], float]) -> None:
        self._most = most
        self._make = make
        self._weigh = weigh
        self.known: dict[str, T] = {}
        self.forgotten = 0

    def __getitem__(self, name: str) -> T:
        thing = self.known.get(name)
        if thing is None:
            if len(self.known) >= 2 * self._most:
                kept = self.heaviest(self._most)
                self.forgotten += len(self.known) - len(kept)
                self.known = dict(kept)
            thing = self.known[name] = self._make()
        return thing

    def heaviest(self, number: int) -> list[tuple[str, T]]:
        """So many of them, the heaviest first, equal ones by name."""
        return nsmallest(
            number, self.known.items(), key=lambda item: (-self._weigh(item[1]), item[0])
        )


class Links:
    """How many pages link to what, and one page that does."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pages: dict[str, int] = {}
        self._on: dict[str, str] = {}
        self.forgotten = 0

    def add(self, page: str, links: Iterable[str]) -> None:
        """Count the links of a page, which are all different."""
        pages = self._pages
        for link in links:
            if link in pages:
                pages[link] += 1
            else:
                pages[link] = 1
                self._on[link] = page
        if len(pages) > 2 * self._most:
            kept = self.most_linked(self._most)
            self.forgotten += len(pages) - len(kept)
            self._pages = dict(kept)
            self._on = {link: self._on[link] for link, _ in kept}

    def most_linked(self, number: int) -> list[tuple[str, int]]:
        """So many of them, and how many pages link there: the most linked first, then by URL."""
        return nsmallest(number, self._pages.items(), key=lambda item: (-item[1], item[0]))

    def page_with(self, link: str) -> str:
        """A page that links there; empty if none is remembered."""
        return self._on.get(link, "")
