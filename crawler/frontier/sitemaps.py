"""Sitemaps: the URLs that a site lists itself (https://www.sitemaps.org/protocol.html).

A sitemap is XML with an address in each ``<loc>``, or text with one a line; an index lists further
sitemaps in the same way. A feed, RSS or Atom, lists pages too, in its ``<link>``. Any of them may
be a gzip file. They are read as they come, a piece at a time, and looked through for the elements
that matter: no tree is built, no entity defined, and what is no XML at all gives what can be found
in it.
"""

import asyncio
import codecs
import re
from collections.abc import AsyncIterator, Iterator

import webencodings

from crawler.http import URL, BadStatus, Client, InvalidURL, Reply, TooLarge
from crawler.http.body import decoded, finish
from crawler.http.decoding import Inflater, decoder

# The most that is read of one, in bytes without compression; the protocol allows no more.
MAX_SITEMAP = 50 * 1024 * 1024
# How many an origin may have, and how deep indexes may be in each other.
MAX_SITEMAPS = 1_000
MAX_LEVELS = 3
# Bytes that are looked at between two chances for others, and addresses that are taken.
_STEP = 32 * 1024
_ADDRESSES_A_TURN = 500
# And that are decompressed at a time: deflate makes 1,000 of one at most.
_PACKED_STEP = 2 * 1024
# No address and no tag has more characters.
_LONGEST = 4 * 1024

_GZIP = b"\x1f\x8b"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
)
_DECLARED = re.compile(rb"""\s*+<\?xml\s[^>]*?\sencoding\s*+=\s*+["']([\w.:-]++)""")
_LINE_ENDS = re.compile(r"[\r\n]++")
_TAG = re.compile(
    r"""<(/?)(?:([^\s/>:"'<!?]++):)?([^\s/>:"'<!?]++)((?:[^"'<>]|"[^"]*+"|'[^']*+')*+)>"""
)
_ATTRIBUTE = re.compile(r"""\s([\w:.-]++)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)')""")
# Where markup that is no tag begins, and how it ends.
_OTHERS = (("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>"), ("<!", ">"))
_CDATA_END = "]]>"
_LONGEST_OPENING = len("<![CDATA[")
# What is awaited before the encoding is decided upon, in bytes: a declaration has fewer.
_HEAD = 256
# XML has these and no other entities of its own. "&copy=1" is a query whose author forgot to
# write "&amp;".
_REFERENCE = re.compile(r"&(?:#0*+([0-9]{1,7})|#x0*+([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


class Sitemap:
    """What has been read of one so far; ``is_index`` says that it lists sitemaps and not pages."""

    def __init__(self) -> None:
        self.is_index = False
        self._head = b""  # what has come before the encoding is known
        self._decoder: codecs.IncrementalDecoder | None = None
        self._is_xml = False
        self._rest = ""
        self._root: str | None = None
        self._wanted = ""  # the element that has an address as its text, with its prefix
        self._text: str | None = None  # of such an element, as it is written; None outside of one
        self._until = ""  # what must come before there is markup again

    def feed(self, data: bytes, *, last: bool = False) -> Iterator[str]:
        """The addresses in some more of it, as they are written."""
        if self._decoder is None:
            self._head += data
            if len(self._head) < _HEAD and not last:
                return
            data, codec = _encoding(self._head)
            self._decoder = codecs.getincrementaldecoder(codec)("replace")
            text = self._decoder.decode(data, last)
            self._is_xml = text.lstrip().startswith("<")
        else:
            text = self._decoder.decode(data, last)
        text = self._rest + text
        if self._is_xml:
            yield from self._markup(text)
            return
        *lines, self._rest = _LINE_ENDS.split(text)
        if last:
            lines.append(self._rest)
        self._rest = self._rest[: _LONGEST + 1]
        for line in lines:
            if line := line.strip():
                yield line

    def _markup(self, text: str) -> Iterator[str]:
        at, end = 0, len(text)
        while at < end:
            if self._until:
                stop = text.find(self._until, at)
                over = stop >= 0
                if not over:  # the end of it may be what it ends with, in part
                    stop = max(at, end - len(self._until) + 1)
                if self._until == _CDATA_END:
                    self._add(text[at:stop].replace("&", "&amp;"))
                at = stop
                if not over:
                    break
                at += len(self._until)
                self._until = ""
            elif text[at] != "<":
                stop = text.find("<", at)
                stop = end if stop < 0 else stop
                self._add(text[at:stop])
                at = stop
            elif tag := _TAG.match(text, at):
                at = tag.end()
                yield from self._tag(*tag.groups())
            elif other := next((it for it in _OTHERS if text.startswith(it[0], at)), None):
                if other[0] == "<!" and end - at < _LONGEST_OPENING:
                    break
                at += len(other[0])
                self._until = other[1]
            elif end - at < _LONGEST and text.find(">", at) < 0:
                break
            else:
                at += 1
        self._rest = text[at:]

    def _tag(self, slash: str, prefix: str | None, name: str, attributes: str) -> Iterator[str]:
        if self._text is not None:
            address, self._text = _unescaped(self._text).strip(), None
            if address:
                yield address
        if slash:
            return
        prefix = "" if prefix is None else prefix + ":"
        if self._root is None:
            self._root = name
            self.is_index = name == "sitemapindex"
            # What has another prefix is of another kind, as the <image:loc> of a picture.
            self._wanted = "link" if name in ("rss", "RDF") else prefix + "loc"
            if name == "feed":
                self._wanted = ""
        elif self._root == "feed" and name == "link":
            found = {key: one or two for key, one, two in _ATTRIBUTE.findall(attributes)}
            if found.get("rel", "alternate") == "alternate" and (href := found.get("href")):
                yield _unescaped(href).strip()
        elif prefix + name == self._wanted and not attributes.endswith("/"):
            self._text = ""

    def _add(self, text: str) -> None:
        """Take some text, if it is of an element that has an address; too long is too long."""
        if self._text is not None and len(self._text) <= _LONGEST:
            self._text += text if self._text else text.lstrip()


def _encoding(head: bytes) -> tuple[bytes, str]:
    """What follows the mark at the beginning, if there is one, and the codec that it is in."""
    for mark, codec in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :], codec
    declared = _DECLARED.match(head)
    label = "" if declared is None else declared[1].decode("ascii")
    encoding = webencodings.lookup(label)
    # What could be read up to here is no UTF-16, whatever it says.
    if encoding is None or encoding.name.startswith(("utf-16", "replacement")):
        return head, "utf-8"
    return head, encoding.codec_info.name


def _unescaped(text: str) -> str:
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name:
        return _NAMED[name]
    number = int(decimal) if decimal else int(hexadecimal, 16)
    return "\ufffd" if number > 0x10FFFF or 0xD800 <= number < 0xE000 else chr(number)


async def read_sitemap(client: Client, url: URL, sitemap: Sitemap) -> AsyncIterator[str]:
    """The addresses in the sitemap at ``url``, serialised and without fragments.

    Raises an HTTPError if it cannot be read, perhaps after some of them.
    """
    number = 0
    async with client.stream("GET", url, inspect=_want_file) as response:
        async for piece in _unpacked(response.pieces(), url):
            for text in sitemap.feed(piece):
                number += 1
                if number % _ADDRESSES_A_TURN == 0:
                    await asyncio.sleep(0)
                if (found := _address(text)) is not None:
                    yield found
            await asyncio.sleep(0)
    for text in sitemap.feed(b"", last=True):
        if (found := _address(text)) is not None:
            yield found


async def _unpacked(pieces: AsyncIterator[bytes], url: URL) -> AsyncIterator[bytes]:
    """The pieces, cut small, and without the compression of a gzip file."""
    gzip: Inflater | None = None
    head, known, size = b"", False, 0
    async for piece in pieces:
        if not known:
            piece = head = head + piece
            if len(head) < len(_GZIP):
                continue
            known = True
            if head.startswith(_GZIP):
                gzip = decoder("gzip", MAX_SITEMAP)
        step = _STEP if gzip is None else _PACKED_STEP
        for start in range(0, len(piece), step):
            data = piece[start : start + step]
            if gzip is not None:
                try:
                    data = decoded(url, gzip, data)
                except TooLarge:
                    return
            for at in range(0, len(data), _STEP):
                size += len(data[at : at + _STEP])
                if size > MAX_SITEMAP:
                    return
                yield data[at : at + _STEP]
    if gzip is not None:
        finish(url, gzip)
    elif not known and head:
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
