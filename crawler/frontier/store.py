"""What several workers share of a crawl: one small interface, and what every store promises.

The rules:

1. A URL is known once, and is *waiting*, *claimed* or *done*. It is done when what it came to is in
   the output and its links are in the store: one commit says both.
2. The pages of a host are fetched by one worker at a time, who *holds* the host. So a host's delay
   and its robots.txt are the business of one process.
3. A worker holds what it holds as long as it is heard of: every call that it makes counts. One that
   has been silent for `LEASE` seconds, or is known to have died, loses its hosts, and what it had
   claimed waits again. Should it only have been slow, its next commit is refused as a whole, with
   :class:`Fenced`: nothing of it becomes so.
4. A page is as deep as the shortest way to it, in whatever order pages come; see :mod:`.known`.
5. The crawl is over when its list has been read to the end and every known URL is done.
6. What is more than :class:`Rules` let be asked for is set aside. Whoever goes on with the crawl
   and allows for more has it asked for, or hears from the store that it did not keep it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

# Seconds of silence after which a worker counts as dead. It speaks up several times in that time.
LEASE = 30.0
# The most that a claim gives of one host, and the least where many take turns: see `share_of`.
SHARE, LEAST_SHARE = 64, 8


class Fenced(Exception):
    """The worker was taken for dead, and others have what it held."""


class Page(NamedTuple):
    """A URL to be fetched.

    ``source`` is its line of the list, or empty. ``named`` says that the list names its host,
    ``redirects`` how many redirects led to it.
    """

    url: str
    source: str
    depth: int
    redirects: int = 0
    named: bool = False


class Done(NamedTuple):
    """A page that is over with.

    ``links`` are what it leads to, ``step`` links away: 0 where it redirects, and ``redirects`` is
    then how many did on the way. ``moved`` is a URL that need not be fetched any more, as its page
    is this one. ``rest`` is for how many seconds the host is to be left alone. Without a ``url``
    only the links count, as the list's do.
    """

    url: str
    links: Sequence[str]
    step: int = 1
    redirects: int = 0
    moved: str = ""
    rest: float = 0.0


class Claimed(NamedTuple):
    """What a worker gets.

    ``least`` is the smallest depth of a page that is not done, below which nothing changes any
    more. ``over`` says that the crawl is; ``give`` is how many hosts others would like to have, and
    ``stop`` that somebody wants all workers to end. At ``until``, of the loop's clock, the worker
    begins no more pages before it has claimed again: others may have its hosts soon, and at
    ``ends`` they may have them.
    """

    pages: list[Page]
    least: int
    over: bool = False
    give: int = 0
    stop: bool = False
    until: float = math.inf
    ends: float = math.inf


@dataclass(frozen=True, slots=True)
class Rules:
    """What a store has to know of the scope. ``place`` is where the crawl has to stay, if it has.

    ``place`` makes a host or site of a host. The list's are taken, and those that its pages
    redirect to.
    """

    depth: int = 0
    max_pages: int | None = None
    max_per_host: int | None = None
    place: Callable[[str], str] | None = None

    @property
    def bounds(self) -> str:
        """How much may be asked for, in the words of the command line."""
        words = [] if self.max_pages is None else [f"--max-pages {self.max_pages}"]
        if self.max_per_host is not None:
            words.append(f"--max-per-host {self.max_per_host}")
        return " ".join(words)


class Store(Protocol):
    """Where a crawl keeps what is known; every method may be awaited by many at once."""

    async def add(self, listed: Sequence[tuple[str, str]]) -> None:
        """Take URLs of the list, each with its line; those that are known are no matter."""

    async def end_list(self) -> None:
        """Note that there are no more of them."""

    async def join(self) -> int:
        """The number of a new worker; no other ever has it."""

    async def claim(
        self, worker: int, most: int, full: Sequence[str] = (), *, more: bool = True
    ) -> Claimed:
        """Up to ``most`` pages: of hosts that the worker holds, less the ``full``, and of others.

        Without ``more`` no further host is taken. Raises :class:`Fenced`.
        """

    async def commit(
        self, worker: int, done: Sequence[Done], written: int, counts: Mapping[str, int]
    ) -> None:
        """Make all of this so, or nothing. ``written`` is how long the output is now.

        ``counts`` is added to :meth:`counted`. Raises :class:`Fenced`, and OSError.
        """

    async def release(self, worker: int, hosts: Mapping[str, float]) -> None:
        """Give hosts back, each to be left alone for so many seconds."""

    async def leave(self, worker: int) -> None:
        """Give everything back: for a worker that ends, or that has died."""

    async def written(self, worker: int) -> int:
        """How long the output, the worker's if each has its own, was at the last commit."""

    async def counted(self) -> dict[str, int]:
        """What all commits have counted."""


def share_of(most: int, hosts: int) -> int:
    """How much a claim of ``most`` pages takes of each of so many hosts.

    Not as much as there is, or a few would have all of it, and those may have to be left alone.
    """
    return min(SHARE, max(LEAST_SHARE, -(-most // max(1, hosts))))
