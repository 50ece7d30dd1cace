"""Telling a person how the crawl goes: a live bar on a terminal, plain lines elsewhere.

Both write to the same stream as the failures do (standard error), so that what is piped onward
from standard output stays clean.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from tqdm import tqdm

from .crawl import UnexpectedError
from .frontier import Job, Malformed
from .http import HTTPError, Response

# Seconds between two plain lines: often enough to see that it lives, seldom enough for a log.
PLAIN_INTERVAL = 5.0


class PlainProgress:
    """One line for each failure, and one every few seconds for the rest."""

    def __init__(
        self,
        list_name: str,
        total: int | None,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._list_name = list_name
        self._total = total
        self._stream = stream or sys.stderr
        self._clock = clock
        self._done = 0
        self._links = 0
        self._failed = 0
        self._next_line = clock() + PLAIN_INTERVAL

    def __enter__(self) -> "PlainProgress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def page(self, job: Job, response: Response, links: int) -> None:
        """Count a page."""
        self._links += links
        self._count()

    def pages(self, count: int, links: int) -> None:
        """Count pages that workers have fetched."""
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

    def say(self, text: str) -> None:
        """Print one line."""
        say(text, self._stream)

    def _count(self, pages: int = 1) -> None:
        self._done += pages
        now = self._clock()
        if now >= self._next_line:
            self._next_line = now + PLAIN_INTERVAL
            of = "" if self._total is None else f" of {self._total:,}"
            self.say(f"{self._done:,}{of} done, {self._links:,} links, {self._failed:,} failed")


class BarProgress(PlainProgress):
    """A bar at the bottom of the terminal; failures scroll by above it."""

    def __init__(self, list_name: str, total: int | None, stream: TextIO | None = None) -> None:
        super().__init__(list_name, total, stream)
        # tqdm's monitor is a thread that redraws when nothing happens; the loop needs no such help.
        tqdm.monitor_interval = 0
        self._bar = tqdm(
            total=total, unit="page", file=self._stream, dynamic_ncols=True, smoothing=0.1
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._show_counts()
        self._bar.close()

    def say(self, text: str) -> None:
        """Print one line above the bar."""
        try:
            self._bar.write(text, file=self._stream)
        except OSError:
            silence(self._stream)

    def _count(self, pages: int = 1) -> None:
        self._done += pages
        try:
            if self._bar.update(pages):  # it was drawn again, which is a few times a second
                self._show_counts()
        except OSError:
            silence(self._stream)

    def _show_counts(self) -> None:
        """Put the counts beside the bar, to be seen when it is drawn the next time."""
        text = f"{self._links:,} links, {self._failed:,} failed"
        self._bar.set_postfix_str(text, refresh=False)


class NoProgress(PlainProgress):
    """Says nothing."""

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


def progress(
    list_name: str, total: int | None, stream: TextIO | None = None, *, quiet: bool = False
) -> PlainProgress:
    """The bar if ``stream`` (standard error) is a terminal, else the plain lines."""
    stream = stream or sys.stderr
    if quiet:
        return NoProgress(list_name, total, stream)
    kind = BarProgress if stream.isatty() else PlainProgress
    return kind(list_name, total, stream)


def _failure_text(job: Job, error: HTTPError) -> str:
    text = f"FAILED {job.source}: {error.reason}: {error.detail}"
    if isinstance(error, UnexpectedError):
        text += "\n" + "".join(traceback.format_exception(error)).rstrip()
    return text
