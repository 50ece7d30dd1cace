"""Sitemaps: the URLs that a site lists itself (https://www.sitemaps.org/protocol.html).

A sitemap is XML with an address in each ``<loc>``, or text with one a line; an index lists further
sitemaps in the same way. Either may be a gzip file. They are read as they come, a piece at a time,
and looked through for what stands in ``<loc>``: no tree is built, no entity defined, and what is no
XML at all gives what can be found in it.
"""

import asyncio
import html
import re
import zlib
from collections.abc import AsyncIterator, Iterator

from crawler.http import URL, BadStatus, Client, DecodingError, InvalidURL, Reply

# The most that is read of one, in bytes without compression; the protocol allows no more.
MAX_SITEMAP = 50 * 1024 * 1024
# How many an origin may have, and how deep indexes may be in each other.
MAX_SITEMAPS = 1_000
MAX_LEVELS = 3
# Bytes that are looked at between two chances for others.
_STEP = 32 * 1024
_LONGEST = 4 * 1024

_GZIP = b"\x1f\x8b"
_INDEX = re.compile(rb"<(?:\w+:)?sitemapindex[\s>]")
_LOC = re.compile(rb"<(?:\w+:)?loc\s*+>\s*+(?:<!\[CDATA\[([^\]]*+)\]\]|([^<]++)(?=<))")


class Sitemap:
    """What has been read of one so far; ``is_index`` says that it lists sitemaps and not pages."""

    def __init__(self) -> None:
        self.is_index = False
        self._rest = b""
        self._is_xml: bool | None = None

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[str]:
        """The addresses in some more of it, as they are written."""
        data = self._rest + data
        if self._is_xml is None:
            start = data.removeprefix(b"\xef\xbb\xbf").lstrip()
            if len(start) <= 3 and not last:  # it may be a part of the mark
                self._rest = data
                return
            self._is_xml = start.startswith(b"<")
        if not self._is_xml:
            *lines, self._rest = data.split(b"\n")
            if last:
                lines.append(self._rest)
            self._rest = self._rest[:_LONGEST]
            for line in lines:
                if text := line.strip():
                    yield text.decode("utf-8", "replace")
            return
        if not self.is_index and _INDEX.search(data):
            self.is_index = True
        end = 0
        for match in _LOC.finditer(data):
            end = match.end()
            section, text = match.groups()
            if section is not None:
                yield section.decode("utf-8", "replace").strip()
            else:
                yield html.unescape(text.decode("utf-8", "replace")).strip()
        # What may be the beginning of something; more than that is not looked at again.
        self._rest = data[max(end, len(data) - _LONGEST) :]


async def read_sitemap(client: Client, url: URL, sitemap: Sitemap) -> AsyncIterator[str]:
    """The addresses in the sitemap at ``url``, serialised and without fragments.

    Raises an HTTPError if it cannot be read, perhaps after some of them.
    """
    async with client.stream("GET", url, inspect=_want_file) as response:
        async for piece in _inflated(response.pieces(), url):
            for text in sitemap.feed(piece):
                if (found := _address(text)) is not None:
                    yield found
            await asyncio.sleep(0)
    for text in sitemap.feed(b"", last=True):
        if (found := _address(text)) is not None:
            yield found


async def _inflated(pieces: AsyncIterator[bytes], url: URL) -> AsyncIterator[bytes]:
    """The pieces, cut small, and without the compression of a gzip file."""
    gzip: zlib._Decompress | None = None
    head, known, size = b"", False, 0
    async for piece in pieces:
        if not known:
            piece = head = head + piece
            if len(head) < len(_GZIP):
                continue
            known = True
            if head.startswith(_GZIP):
                gzip = zlib.decompressobj(31)
        while piece:
            if gzip is None:
                data, piece = piece[:_STEP], piece[_STEP:]
            else:
                try:
                    data = gzip.decompress(piece, _STEP)
                except zlib.error as error:
                    raise DecodingError(url.href, str(error)) from error
                piece = b"" if gzip.eof else gzip.unconsumed_tail
            size += len(data)
            if size > MAX_SITEMAP:
                return
            if data:
                yield data
    if not known and head:
        yield head


def _address(text: str) -> str | None:
    if not text or len(text) > _LONGEST:
        return None
    try:
        return URL(text).href.partition("#")[0]
    except InvalidURL:
        return None


def _want_file(url: URL, reply: Reply) -> None:
    if not 200 <= reply.status < 300:
        raise BadStatus(url.href, reply.status, reply.phrase, reply.headers.get("retry-after"))
