"""robots.txt (RFC 9309): what a site asks of robots, kept for each origin.

What the file says holds for a day (section 2.4). A site without one (4xx) allows everything; where
it cannot be had (5xx, no connection) nothing is allowed for the next minutes, as the site may well
have wanted to say so (section 2.3.1). 429 is not "there is none" but "not now". A redirect that
leads nowhere, or through too many others, is "there is none" (section 2.3.1.2).

protego reads the file. What it takes more freely than the standard does is put right before: a
group is for those whose product token it names, all of it and nothing but it, so ``craw`` is not
``crawler``, and ``crawler/2.0`` is; and a line ends with CR, LF or both.
"""

import asyncio
import re
from collections import OrderedDict
from urllib.parse import quote

from protego import Protego

from crawler.http import URL, Client, HTTPError, RedirectError, RefusedResponse, Reply

# The most that is read of a file; section 2.5 asks for this much.
MAX_ROBOTS = 500 * 1024
# Longer ones are parsed in a thread: 500 KiB may take a third of a second.
PARSED_AT_ONCE = 8 * 1024
# So are patterns looked for in a URL, if there are many or it is long: eighty thousand in one of 32
# KiB take most of a second. In characters, where each pattern counts as some more.
MATCHED_AT_ONCE = 10_000_000
_EACH_PATTERN = 1000
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

    __slots__ = ("_agent", "_parsed", "_patterns", "_problem", "delay", "until")

    def __init__(
        self,
        agent: str,
        parsed: Protego | None,
        until: float,
        problem: HTTPError | None = None,
        *,
        patterns: int = 0,
    ) -> None:
        self._agent = agent
        self._parsed = parsed
        self._problem = problem
        self._patterns = patterns
        self.until = until
        asked = None if parsed is None else parsed.crawl_delay(agent)
        self.delay = min(asked or 0.0, LONGEST_DELAY)

    async def check(self, url: URL) -> None:
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
        parsed = self._parsed
        if parsed is None:
            return
        if self._patterns * (len(url.href) + _EACH_PATTERN) <= MATCHED_AT_ONCE:
            allowed = parsed.can_fetch(url.href, self._agent)
        else:
            loop = asyncio.get_running_loop()
            allowed = await loop.run_in_executor(None, parsed.can_fetch, url.href, self._agent)
        if not allowed:
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
        except (_NoFile, RedirectError):
            return Rules(self._agent, None, now + GOOD_FOR)
        except HTTPError as error:
            return Rules(self._agent, None, now + UNREACHABLE_FOR, error)
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        if len(text) <= PARSED_AT_ONCE:
            parsed = _parse(text, self._agent)
        else:
            loop = asyncio.get_running_loop()
            parsed = await loop.run_in_executor(None, _parse, text, self._agent)
        patterns = text.count("*") + text.count("$")
        return Rules(self._agent, parsed, now + GOOD_FOR, patterns=patterns)

    async def _read(self, url: URL) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", url, inspect=_want_file) as response:
            async for piece in response.pieces():
                body += piece
                if len(body) >= MAX_ROBOTS:
                    # What was cut off is no rule: it might say more than it was meant to.
                    return bytes(body[: body.rfind(b"\n", 0, MAX_ROBOTS) + 1])
        return bytes(body)


# What `str.splitlines` takes for the end of a line, and the standard does not.
_NO_LINE_ENDS = {ord(each): quote(each) for each in "\v\f\x1c\x1d\x1e\x85\u2028\u2029"}
_AGENT = re.compile(
    r"((?:^|[\r\n])[ \t]*+user[- ]?agent(?:[ \t]*+:|[ \t])[ \t]*+)([a-z0-9_-]++)([^\r\n]*+)",
    re.IGNORECASE,
)
# Our own tokens are the words of the User-Agent, but for its versions and addresses.
_NO_TOKENS = re.compile(r"\S*://\S*|/\S*")
_TOKEN = re.compile(r"[a-z0-9_-]+")
# A token that nobody has: it is none.
_NOBODY = "\x7f"


def _parse(text: str, agent: str) -> Protego:
    ours = set(_TOKEN.findall(_NO_TOKENS.sub(" ", agent.lower())))

    def exact(line: re.Match[str]) -> str:
        before, token, _ = line.groups()
        return before + (token if token.lower() in ours else _NOBODY)

    return Protego.parse(_AGENT.sub(exact, text.translate(_NO_LINE_ENDS)))


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
