"""What a crawl writes down of its frontier, so that another process can go on where it ended.

A journal and the crawl's output are written by turns: what pages came to goes to the output, and
then one *commit* says which pages those were, what they led to, and how long the output is now. A
process may be killed at any moment. If it was between the two, the output is longer than the last
commit says; whoever resumes cuts it back to there and fetches these pages again. So nothing is lost
and nothing is written twice, whatever the order in which pages come.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """A URL of an earlier process: ``source`` is its line of the list, if it was on it.

    ``kept`` is what :meth:`crawler.frontier.known.Known.close` returned.
    """

    url: str
    source: str
    depth: int
    done: bool
    kept: bytes | None


class Note(NamedTuple):
    """One change, in the terms of who keeps the journal."""

    kind: int
    values: tuple[object, ...]


class Journal(Protocol):
    """A place to note what becomes of URLs; :mod:`.state` has the one in a file."""

    @property
    def written(self) -> int:
        """How long the output was at the last commit, in bytes."""

    @property
    def pending(self) -> bool:
        """Whether there is anything to be committed."""

    def pages(self) -> Iterator[Entry]:
        """All that was committed, the most urgent first."""

    def add(self, url: str, source: str, depth: int) -> None:
        """Note a URL that is to be fetched."""

    def done(self, url: str, kept: bytes | None) -> None:
        """Note that it has been, or cannot be."""

    def closed(self, url: str, depth: int) -> None:
        """Note a URL that need not be fetched."""

    def nearer(self, url: str, depth: int) -> None:
        """Note that a URL is less deep than was thought."""

    def take(self) -> Sequence[Note]:
        """What has been noted since the last call; it goes to :meth:`commit`."""

    async def commit(self, notes: Sequence[Note], written: int) -> None:
        """Make all of this so, or nothing; raises OSError if that cannot be done."""
