"""Gathering a report while the crawl goes on."""

from typing import Protocol

from crawler.output import Record

from .tally import Tally


class Visit(Protocol):
    """A URL that is done with."""

    def record(self, depth: int) -> Record:
        """All there is to say about it."""


class Reporter:
    """A watcher of a crawl (:class:`crawler.crawl.Watcher`) that adds up what the report shows."""

    records = True

    def __init__(self) -> None:
        self.tally = Tally()

    def begins(self, queue: object, summary: object) -> None:
        """There is nothing to do yet."""

    def over(self, visit: Visit, depth: int) -> None:
        """Count a URL."""
        self.tally.add(visit.record(depth))
