"""The crawl, from top to bottom.

A fixed number of workers share one frontier, one client and one output. Each worker does one page
after the other: take a URL, fetch it, find its links, hand them to the output. Nothing grows with
the length of the list: the frontier is read as it is used, and a worker that finds the output
behind waits for it before it fetches again.
"""

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Protocol

from .frontier import Frontier, Job, Malformed
from .http import URL, BadStatus, Client, HTTPError, NotHTML, Reply, Response
from .http.charset import utf8_steps
from .http.mime import is_html, is_xhtml, may_be_html
from .output import Output
from .page import DEFAULT_KINDS, PageLinks, Turns, link_steps
from .summary import Summary


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
    found: Path | int,
    client: Client,
    observer: Observer,
    *,
    concurrency: int,
    append: bool = False,
    kinds: frozenset[str] = DEFAULT_KINDS,
    summary: Summary | None = None,
) -> Summary:
    """Fetch every URL that ``urls`` lists and write the links found to the file ``found``.

    ``found`` may be an open file descriptor; ``append`` adds to a file instead of replacing it.
    ``concurrency`` is the number of pages in work at a time, ``kinds`` what is taken for a link
    (:data:`crawler.page.KINDS`). To stop early, cancel the call: the pages in work are given up,
    all that was found until then is written, and ``summary``, which counts as the crawl goes on,
    agrees with the file.

    Raises OSError, perhaps in an ExceptionGroup, if the list cannot be read or the file cannot be
    written.
    """
    summary = summary or Summary()
    turns = Turns()

    def malformed(line: Malformed) -> None:
        summary.malformed += 1
        observer.malformed(line)

    async def work() -> None:
        while (job := await frontier.next()) is not None:
            try:
                response, page = await _fetch(client, job, kinds, turns)
            except HTTPError as error:
                summary.failures[error.reason] += 1
                observer.failure(job, error)
                continue
            summary.pages += 1
            summary.links += len(page.links)
            summary.received += response.wire_bytes
            observer.page(job, response, len(page.links))
            await output.add(job.source, page.links)

    try:
        async with (
            Frontier(urls, malformed) as frontier,
            Output(found, append=append) as output,
            asyncio.TaskGroup() as workers,
        ):
            for _ in range(concurrency):
                workers.create_task(work())
    finally:
        summary.stop_clock()
    return summary


async def _fetch(
    client: Client, job: Job, kinds: frozenset[str], turns: Turns
) -> tuple[Response, PageLinks]:
    """One page and its links; every failure is an HTTPError, so that it stops this URL alone."""
    try:
        response = await client.get(job.url, inspect=want_html)
        if is_html(response.headers.get("content-type", "")) is None and not may_be_html(
            response.body
        ):
            raise NotHTML(job.source, "no content type, and the body is no text")
        return response, await turns.run(_links(response, kinds), len(response.body))
    except HTTPError:
        raise
    except Exception as error:
        raise UnexpectedError(job.source, f"{type(error).__name__}: {error}") from error


def _links(response: Response, kinds: frozenset[str]) -> Generator[None, None, PageLinks]:
    """Find the links of a page, in steps: it may be long, and made to be slow."""
    headers = response.headers
    field = headers.get("content-type", "")
    xml = is_xhtml(field)
    page, codec = yield from utf8_steps(response.body, field, xml=xml)
    return (
        yield from link_steps(
            page,
            response.url.href,
            codec,
            kinds,
            xml=xml,
            link_header=headers.get("link", ""),
            refresh_header=headers.get("refresh", ""),
        )
    )


def want_html(url: URL, reply: Reply) -> None:
    """Turn down what is no successful HTML page before its body is downloaded."""
    if not 200 <= reply.status < 300:
        raise BadStatus(url.href, reply.status, reply.phrase)
    content_type = reply.headers.get("content-type", "")
    # Where the type is not known the body is looked at.
    if is_html(content_type) is False:
        raise NotHTML(url.href, f"the content type is {content_type}")
