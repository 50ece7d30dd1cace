"""The crawl, from top to bottom.

A fixed number of workers share one frontier, one client and one output. Each worker does one page
after the other: take a URL, fetch it, find its links, hand them to the output. Nothing grows with
the length of the list: the frontier is read as it is used, and a worker that finds the output
behind waits for it before it fetches again.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from .frontier import Frontier, Job, Malformed
from .http import URL, BadStatus, Client, HTTPError, NotHTML, Reply, Response
from .output import Output
from .page import find_links
from .summary import Summary

HTML_TYPES = frozenset({"text/html", "application/xhtml+xml"})


class Observer(Protocol):
    """Who is told how the crawl goes (the progress bar, a log, a test)."""

    def page(self, job: Job, response: Response, links: int) -> None:
        """A page was fetched."""

    def failure(self, job: Job, error: HTTPError) -> None:
        """A URL could not be fetched."""

    def malformed(self, line: Malformed) -> None:
        """A line of the list is no URL."""


class UnexpectedError(HTTPError):
    """Something that the crawler has no name for: a bug, with the exception as its cause."""

    reason = "internal error"


async def crawl(
    urls: Path,
    found: Path,
    client: Client,
    observer: Observer,
    *,
    concurrency: int,
    summary: Summary | None = None,
) -> Summary:
    """Fetch every URL that ``urls`` lists and write the links found to the file ``found``.

    ``concurrency`` is the number of pages in work at a time. To stop early, cancel the call: the
    pages in work are given up, all that was found until then is written, and ``summary``, which
    counts as the crawl goes on, agrees with the file.

    Raises OSError, perhaps in an ExceptionGroup, if the list cannot be read or the file cannot be
    written.
    """
    summary = summary or Summary()

    def malformed(line: Malformed) -> None:
        summary.malformed += 1
        observer.malformed(line)

    async def work() -> None:
        while (job := await frontier.next()) is not None:
            try:
                response, links = await _fetch(client, job)
            except HTTPError as error:
                summary.failures[error.reason] += 1
                observer.failure(job, error)
                continue
            summary.pages += 1
            summary.links += len(links)
            summary.received += response.wire_bytes
            observer.page(job, response, len(links))
            await output.add(job.source, links)

    try:
        async with (
            Frontier(urls, malformed) as frontier,
            Output(found) as output,
            asyncio.TaskGroup() as workers,
        ):
            for _ in range(concurrency):
                workers.create_task(work())
    finally:
        summary.stop_clock()
    return summary


async def _fetch(client: Client, job: Job) -> tuple[Response, list[str]]:
    """One page and its links; every failure is an HTTPError, so that it stops this URL alone."""
    try:
        response = await client.get(job.url, inspect=want_html)
        page, codec = response.utf8()
        return response, find_links(page, response.url.href, codec)
    except HTTPError:
        raise
    except Exception as error:
        raise UnexpectedError(job.source, f"{type(error).__name__}: {error}") from error


def want_html(url: URL, reply: Reply) -> None:
    """Turn down what is no successful HTML page before its body is downloaded."""
    if not 200 <= reply.status < 300:
        raise BadStatus(url.href, reply.status, reply.phrase)
    content_type = reply.headers.get("content-type")
    # Without a content type the page may be HTML: browsers look, and so does the parser.
    if content_type and content_type.partition(";")[0].strip().lower() not in HTML_TYPES:
        raise NotHTML(url.href, f"the content type is {content_type}")
