"""Telling a person how the crawl goes in plain lines; :mod:`.live` is for terminals.

Both write to the same stream as the failures do (standard error), so that what is piped onward
from standard output stays clean.
"""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from .crawl import UnexpectedError
from .frontier import Job, Malformed
from .http import HTTPError, Response

if TYPE_CHECKING:
    from .crawl import Queue
    from .fetching import Visit
    from .summary import Summary

# Seconds between two plain lines: often enough to see that it lives, seldom enough for a log.
PLAIN_INTERVAL = 5.0


class PlainProgress:
    """One line for each failure, and one every few seconds for the rest.

    That line comes also while nothing is done, as when all hosts rest: a log shows that it lives.
    ``with`` it, in a coroutine.
    """

    def __init__(
        self,
        list_name: str,
        total: int | None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        verbose: bool = False,
    ) -> None:
        self._list_name = list_name
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._done = 0
        self._links = 0
        self._failed = 0
        self._verbose = verbose
        self._line_at = clock()
        self._done_then = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> "PlainProgress":
        self._wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def page(self, job: Job, response: Response, links: int) -> None:
        """Count a page."""
        self._links += links
        self._count()

    def pages(self, count: int, links: int, received: int) -> None:
        """Count pages that workers have fetched, and their bytes."""
        self._links += links
        self._count(count)

    def failure(self, job: Job, error: HTTPError) -> None:
        """Say which URL failed, and why."""
        self._failed += 1
        self.say(_failure_text(job, error))
        self._count()

    def malformed(self, line: Malformed) -> None:
        """Say which line of the list is no URL, and why."""
        self.say(f"{self._list_name}:{line.line}: not a URL: {line.text!r}: {line.why}")

    @property
    def watches(self) -> bool:
        """Whether it is to be told what came of each URL, as a watcher of the crawl."""
        return self._verbose

    records = False

    def begins(self, queue: "Queue", summary: "Summary") -> None:
        """There is nothing to do yet."""

    def over(self, visit: "Visit", depth: int) -> None:
        """Say what came of a URL, if that is wanted; failures are said in any case."""
        if self._verbose and visit.error is None:
            self.say(visit_text(visit))

    def say(self, text: str) -> None:
        """Print one line."""
        say(text, self._stream)

    def _count(self, pages: int = 1) -> None:
        self._done += pages

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PLAIN_INTERVAL, self.tell)

    def tell(self) -> None:
        """Say how far it is, and that again in a few seconds."""
        now = self._clock()
        of = "" if self._total is None else f" of {self._total:,}"
        rate = (self._done - self._done_then) / (now - self._line_at)
        self.say(
            f"{self._done:,}{of} done, {self._links:,} links, {self._failed:,} failed,"
            f" {rate:,.0f}/s"
        )
        self._line_at, self._done_then = now, self._done
        self._wait()


class NoProgress(PlainProgress):
    """Says nothing."""

    def _wait(self) -> None:
        """There is nothing to wait for."""

    def say(self, text: str) -> None:
        """Leave it."""


def say(text: str, stream: TextIO) -> None:
    """Print one line, unless nobody reads there any more: that is no reason to stop a crawl."""
    try:
        print(text, file=stream, flush=True)
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Have all that is still written to ``stream`` go nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)


def visit_text(visit: "Visit") -> str:
    """What came of a URL, in a line."""
    reply = visit.response or visit.reply
    status = "-" if reply is None else str(reply.status)
    size = 0 if reply is None else reply.wire_bytes
    text = f"{status} {visit.seconds:.3f} s, {size:,} bytes, {len(visit.links)} links"
    there = "" if visit.there is None else f" -> {visit.there}"
    return f"{visit.job.source} {text}{there}"


def _failure_text(job: Job, error: HTTPError) -> str:
    text = f"FAILED {job.source}: {error.reason}: {error.detail}"
    if isinstance(error, UnexpectedError):
        text += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return text
