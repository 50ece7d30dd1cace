"""robots.txt (RFC 9309): what a site asks of robots, kept for each origin.

What the file says holds for a day (section 2.4). A site without one (4xx) allows everything; where
it cannot be had (5xx, no connection) nothing is allowed for the next minutes, as the site may well
have wanted to say so (section 2.3.1). 429 is not "there is none" but "not now".
"""

import asyncio
from collections import OrderedDict

from protego import Protego

from crawler.http import URL, Client, HTTPError, RefusedResponse, Reply

# The most that is read of a file; section 2.5 asks for this much.
MAX_ROBOTS = 500 * 1024
# Longer ones are parsed in a thread: 500 KiB may take a third of a second.
PARSED_AT_ONCE = 8 * 1024
# Seconds for which an answer holds.
GOOD_FOR = 24 * 3600.0
UNREACHABLE_FOR = 300.0
# How many origins are remembered.
ORIGINS = 10_000
# The longest pause between two pages that a site may ask for, in seconds.
LONGEST_DELAY = 30.0


class Disallowed(HTTPError):
    """The site's robots.txt asks not to fetch this, or cannot be had."""

    reason = "robots.txt"


class Rules:
    """What one robots.txt says to us; without one, everything is allowed."""

    __slots__ = ("_agent", "_parsed", "_problem", "delay", "until")

    def __init__(
        self, agent: str, parsed: Protego | None, until: float, problem: HTTPError | None = None
    ) -> None:
        self._agent = agent
        self._parsed = parsed
        self._problem = problem
        self.until = until
        asked = None if parsed is None else parsed.crawl_delay(agent)
        self.delay = min(asked or 0.0, LONGEST_DELAY)

    def check(self, url: URL) -> None:
        """Raise :class:`Disallowed` if ``url`` should not be fetched.

        Where the server cannot be spoken to at all it is the error that says so: there is no page
        either.
        """
        problem = self._problem
        if problem is not None:
            text = f"{url.origin}/robots.txt cannot be had: {problem.detail}"
            if isinstance(problem, RefusedResponse):
                raise Disallowed(url.href, text)
            raise type(problem)(url.href, text) from problem
        if self._parsed is not None and not self._parsed.can_fetch(url.href, self._agent):
            raise Disallowed(url.href, f"{url.origin}/robots.txt asks not to fetch it")

    @property
    def sitemaps(self) -> list[str]:
        """The sitemaps that the file names."""
        return [] if self._parsed is None else list(self._parsed.sitemaps)


class Robots:
    """The rules of each origin, fetched when they are first asked for. ``agent`` is our name."""

    def __init__(self, client: Client, agent: str) -> None:
        self._client = client
        self._agent = agent
        self._rules: OrderedDict[str, Rules] = OrderedDict()
        self._coming: dict[str, asyncio.Future[Rules]] = {}

    async def rules(self, url: URL) -> Rules:
        """What the origin of ``url`` asks for; many may ask at once, and one does the work."""
        origin = url.origin
        while True:
            rules = self._rules.get(origin)
            if rules is not None and asyncio.get_running_loop().time() < rules.until:
                return rules
            coming = self._coming.get(origin)
            if coming is None:
                return await self._load(origin)
            await asyncio.wait({coming})  # if whoever fetches it is cancelled, the next one does

    async def _load(self, origin: str) -> Rules:
        loop = asyncio.get_running_loop()
        coming = self._coming[origin] = loop.create_future()
        try:
            rules = await self._fetch(origin, loop.time())
            self._rules[origin] = rules
            self._rules.move_to_end(origin)
            if len(self._rules) > ORIGINS:
                self._rules.popitem(last=False)
            return rules
        finally:
            del self._coming[origin]
            coming.cancel()

    async def _fetch(self, origin: str, now: float) -> Rules:
        url = URL(origin + "/robots.txt")
        try:
            body = await self._read(url)
        except _NoFile:
            return Rules(self._agent, None, now + GOOD_FOR)
        except HTTPError as error:
            return Rules(self._agent, None, now + UNREACHABLE_FOR, error)
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        if len(text) <= PARSED_AT_ONCE:
            parsed = Protego.parse(text)
        else:
            loop = asyncio.get_running_loop()
            parsed = await loop.run_in_executor(None, Protego.parse, text)
        return Rules(self._agent, parsed, now + GOOD_FOR)

    async def _read(self, url: URL) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", url, inspect=_want_file) as response:
            async for piece in response.pieces():
                body += piece
                if len(body) >= MAX_ROBOTS:
                    # What was cut off is no rule: it might say more than it was meant to.
                    return bytes(body[: body.rfind(b"\n", 0, MAX_ROBOTS) + 1])
        return bytes(body)


class _NoFile(RefusedResponse):
    """There is no robots.txt."""


class _NotNow(RefusedResponse):
    """The server cannot say."""

    reason = "status"


def _want_file(url: URL, reply: Reply) -> None:
    if 200 <= reply.status < 300:
        return
    text = f"{reply.status} {reply.phrase}".rstrip()
    if 400 <= reply.status < 500 and reply.status != 429:
        raise _NoFile(url.href, text)
    raise _NotNow(url.href, text)
