"""One page: fetched, looked at, and what there is to say about it."""

import contextvars
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any

from .frontier import Job
from .http import (
    URL,
    BadStatus,
    Client,
    HTTPError,
    NotHTML,
    RedirectError,
    RefusedResponse,
    Reply,
    Response,
)
from .http.charset import utf8_steps
from .http.mime import content_type, is_html, is_xhtml, may_be_html
from .http.redirects import MAX_REDIRECTS, STATUSES, destination
from .http.trace import Durations
from .http.url import reference_in
from .output import Exchange, Record
from .page import PageLinks, Resolved, Turns, link_steps


class UnexpectedError(HTTPError):
    """Something that the crawler has no name for: a bug, with the exception as its cause."""

    reason = "internal error"


class Moved(RefusedResponse):
    """A page that a link led to is somewhere else, at ``there``."""

    def __init__(self, url: URL, there: URL) -> None:
        super().__init__(url.href, f"redirected to {there}")
        self.there = there


class Visit:
    """A URL in work: what came of it so far."""

    __slots__ = (
        "_record", "codec", "error", "exchanges", "flags", "job", "links", "reply", "response",
        "seconds", "there", "timings", "url", )  # fmt: skip

    def __init__(self, job: Job) -> None:
        self.job = job
        self.response: Response | None = None
        self.links: list[str] = []
        self.codec = ""
        self.flags: frozenset[str] = frozenset()
        self.error: HTTPError | None = None
        self.url = job.url
        self.reply: Reply | None = None
        self.there: URL | None = None
        self.seconds = 0.0
        self.timings: dict[str, float] = {}
        self.exchanges: list[Exchange] = []
        self._record: Record | None = None

    def record(self, depth: int) -> Record:
        """All there is to say about it; call it when it is over."""
        if self._record is not None:
            return self._record
        self._record = record = Record(
            self.job.source,
            depth,
            int((time.time() - self.seconds) * 1e3) / 1e3,
            final_url=(self.there or self.url).href,
            charset=self.codec,
            seconds=_to_microseconds(self.seconds),
            timings={name: _to_microseconds(took) for name, took in self.timings.items()},
            links=self.links,
            exchanges=self.exchanges,
        )
        if self.reply is not None:
            self._add_reply(record, self.reply)
        if self.response is not None:
            record.redirects = [url.href for url in self.response.history]
            record.decoded_size = len(self.response.body)
        if self.error is not None:
            self._add_error(record, self.error)
        return record

    def _add_error(self, record: Record, error: HTTPError) -> None:
        record.error = error.reason
        record.detail = error.detail
        if error.urls:
            *record.redirects, record.final_url = error.urls
        if isinstance(error, RedirectError) and error.status is not None:
            record.status = error.status

    def _add_reply(self, record: Record, reply: Reply) -> None:
        record.status = reply.status
        record.size = reply.wire_bytes
        found = content_type(reply.headers.get("content-type", ""))
        record.type = "" if found is None else found.essence
        if reply.flags or self.flags:
            record.flags = sorted({*reply.flags, *self.flags})


def _to_microseconds(seconds: float) -> float:
    """Seconds without what is beyond microseconds; three times as fast as ``round``."""
    return int(seconds * 1e6 + 0.5) / 1e6


class Fetcher:
    """Fetches pages and finds their links, of these ``kinds``.

    ``records`` says whether all there is to know is to be kept, or the links alone; ``timed``
    whether at least the time that each takes.
    """

    def __init__(
        self,
        client: Client,
        kinds: frozenset[str],
        *,
        records: bool = False,
        timed: bool = False,
    ) -> None:
        self._client = client
        self._kinds = kinds
        self._records = records
        self._timed = timed or records
        self._turns = Turns()
        self._resolved = Resolved()

    async def fetch(self, visit: Visit) -> None:
        """Do it; every failure is an HTTPError, so that it stops this URL alone."""
        if not self._timed:
            await self._fetch(visit)
            return
        started = time.perf_counter()
        token = _visit.set(visit)
        try:
            await self._fetch(visit)
        finally:
            visit.seconds = time.perf_counter() - started
            _visit.reset(token)

    async def _fetch(self, visit: Visit) -> None:
        job = visit.job
        try:
            if self._records or not job.named:
                look = _Look(visit)
                response = await self._client.get(job.url, inspect=look, follow_redirects=job.named)
            else:
                response = await self._client.get(job.url, inspect=want_html)
            if is_html(response.headers.get("content-type", "")) is None and not may_be_html(
                response.body
            ):
                raise NotHTML(job.source, "no content type, and the body is no text")
            page, visit.codec = await self._turns.run(
                self._links(response, len(job.source)), len(response.body)
            )
        except HTTPError:
            raise
        except Exception as error:
            raise UnexpectedError(job.source, f"{type(error).__name__}: {error}") from error
        visit.response = response
        visit.links, visit.flags = page

    def _links(
        self, response: Response, beside: int
    ) -> Generator[None, None, tuple[PageLinks, str]]:
        """Find the links of a page, in steps: it may be long, and made to be slow."""
        headers, kinds = response.headers, self._kinds
        field = headers.get("content-type", "")
        xml = is_xhtml(field)
        page, codec = yield from utf8_steps(response.body, field, xml=xml)
        links = yield from link_steps(
            page,
            response.url.href,
            codec,
            kinds,
            xml=xml,
            link_header=reference_in(headers.get("link", "")) if "header" in kinds else "",
            refresh_header=reference_in(headers.get("refresh", "")) if "refresh" in kinds else "",
            beside=beside,
            resolved=self._resolved,
        )
        return links, codec


def want_html(url: URL, reply: Reply) -> None:
    """Turn down what is no successful HTML page before its body is downloaded."""
    if not 200 <= reply.status < 300:
        raise BadStatus(url.href, reply.status, reply.phrase, reply.headers.get("retry-after"))
    field = reply.headers.get("content-type", "")
    # Where the type is not known the body is looked at.
    if is_html(field) is False:
        raise NotHTML(url.href, f"the content type is {field}")


class _Look:
    """An ``inspect`` that keeps what it sees, and has redirects of followed links come back."""

    __slots__ = ("_visit",)

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def __call__(self, url: URL, reply: Reply) -> None:
        visit = self._visit
        visit.url, visit.reply = url, reply
        if reply.status in STATUSES and not visit.job.named:
            visit.there = there = destination(url, reply)
            if visit.job.redirects >= MAX_REDIRECTS:
                text = f"more than {MAX_REDIRECTS} redirects, the last to {there}"
                raise RedirectError(url.href, text)
            raise Moved(url, there)
        want_html(url, reply)


# The page that this task is at.
_visit: contextvars.ContextVar[Visit | None] = contextvars.ContextVar("visit", default=None)


def add_timing(step: str, seconds: float) -> None:
    """Add what a step took to the page that this task is at."""
    visit = _visit.get()
    if visit is not None:
        visit.timings[step] = visit.timings.get(step, 0.0) + seconds


# A trace for the client: adds up, for each page, how long its steps took.
keep_timings = Durations(add_timing)


class Departures:
    """A trace for the client that tells when requests are sent.

    A request may be sent long after the job was handed out, as a connection has to be opened first.
    """

    def __init__(self) -> None:
        self.tell: Callable[[str], None] = lambda url: None

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """Tell at the beginning and at the end: it is sent in between."""
        if event.startswith("send_request."):
            self.tell(info["url"])


def current_exchanges() -> list[Exchange] | None:
    """The exchanges of the page that this task is at; None if it is at none."""
    visit = _visit.get()
    return None if visit is None else visit.exchanges
