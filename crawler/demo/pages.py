"""The ordinary pages of the site, and the links that each of them holds.

Every page is made from its number, so it is the same on every run. For each link there are two
texts: what stands in the page and what it means. The second is written down here and not computed
with a URL library, so that it can be held against what a crawler found.

The pages take turns in being difficult: KINDS says how.
"""

import gzip
import html
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote

from .answers import Answer, chunked, closing, reply

LINKS_PER_PAGE = 20

# Text that makes a page as long as pages are.
_PARAGRAPH = (
    "<p>An event loop waits until something can be done, does it, and waits again. While one page "
    "is on its way a hundred others can be asked for, and none of them needs a thread.</p>\n"
)


class Link(NamedTuple):
    """``written`` is the value of the attribute, ``means`` the URL, with {origin} and {page}."""

    written: str
    means: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """How a page is difficult, if it is."""

    name: str
    scheme: str = "http"
    word: str = "Zürich"
    # How the characters become bytes, what Content-Type says of it, and what a <meta> says.
    codec: str = "utf-8"
    content_type: str = "text/html; charset=utf-8"
    meta: str = ""
    mark: bytes = b""
    coding: str = ""
    framing: str = "length"
    markup: str = "tidy"
    delay: float = 0.0


_UNLABELLED = "text/html"

KINDS = (
    Kind("plain"),
    Kind("plain over TLS", scheme="https"),
    Kind("gzip", coding="gzip"),
    Kind("plain"),
    Kind("chunked", framing="chunked"),
    Kind("windows-1251 by header", word="Москва", codec="cp1251",
         content_type='text/html; charset="windows-1251"'),
    Kind("plain"),
    Kind("deflate", coding="deflate"),
    Kind("Shift_JIS by <meta charset>", word="東京", codec="cp932", content_type=_UNLABELLED,
         meta='<meta charset="shift_jis">'),
    Kind("broken markup", markup="broken"),
    Kind("plain over TLS", scheme="https"),
    Kind("gzip in chunks over TLS", scheme="https", coding="gzip", framing="chunked"),
    Kind("KOI8-R by <meta http-equiv>", word="Харьков", codec="koi8-r", content_type=_UNLABELLED,
         meta='<meta http-equiv="Content-Type" content="text/html; charset=koi8-r">'),
    Kind("<base href>", markup="base"),
    Kind("plain"),
    Kind("deflate without its header", coding="deflate-raw"),
    Kind("UTF-16 by byte order mark", word="Αθήνα", codec="utf-16-le", mark=b"\xff\xfe",
         content_type=_UNLABELLED),
    Kind("slow", delay=0.05),
    Kind("ended by closing", framing="close"),
    Kind("iso-8859-1, which means windows-1252", word="Málaga 5 €", codec="cp1252",
         content_type="text/html; charset=ISO-8859-1"),
    Kind("plain over TLS", scheme="https"),
    Kind("a byte order mark against its header", word="Brașov", mark=b"\xef\xbb\xbf",
         content_type="text/html; charset=windows-1252"),
    Kind("no label at all", word="Łódź", content_type=_UNLABELLED),
    Kind("ended by closing, over TLS", scheme="https", framing="close"),
)  # fmt: skip

PLAIN = KINDS[0]


@dataclass(frozen=True, slots=True)
class Page:
    """One ordinary page: where it is, what the server answers, and the links in it."""

    path: str
    kind: Kind
    links: tuple[Link, ...]

    def expected(self, origin: str) -> Iterator[str]:
        """The absolute links of the page when the site is at ``origin``, each once."""
        seen = set()
        for link in self.links:
            if link.means is not None:
                url = link.means.format(origin=origin, page=origin + self.path)
                if url not in seen:
                    seen.add(url)
                    yield url

    def answer(self) -> Answer:
        """What the server sends for it."""
        kind = self.kind
        body = kind.mark + _document(self).encode(kind.codec)
        headers = {"Content-Type": kind.content_type}
        if kind.coding:
            headers["Content-Encoding"] = kind.coding.removesuffix("-raw")
            body = _encode(kind.coding, body)
        frame = {"length": reply, "chunked": chunked, "close": closing}[kind.framing]
        return frame(200, headers, body)._replace(delay=kind.delay)


def page(number: int, of: int, *, plain: bool = False, links: int = LINKS_PER_PAGE) -> Page:
    """Page ``number`` of a site of ``of`` pages; ``plain`` makes it an easy one whatever it is."""
    kind = PLAIN if plain else KINDS[number % len(KINDS)]
    found = tuple(_link(kind, number, place, of) for place in range(links))
    return Page(f"/page/{number}", kind, found)


def _link(kind: Kind, number: int, place: int, of: int) -> Link:
    """The link at ``place``: ten forms take turns; the number in it makes most of them differ."""
    other = (number * 7 + place * 13 + 1) % of
    root = "{origin}/library" if kind.markup == "base" else "{origin}/page"
    word = quote(kind.word)
    match place % 10:
        case 0:
            return Link(f"/page/{other}", f"{{origin}}/page/{other}")
        case 1:
            return Link(f"{other}", f"{root}/{other}")
        case 2:
            return Link(f"./{other}/../{other}?a=1&b={place}", f"{root}/{other}?a=1&b={place}")
        case 3:
            return Link(f"/{kind.word}/{other}", f"{{origin}}/{word}/{other}")
        case 4:
            return Link(f"HTTP://EXAMPLE.com:80/a/./b/../{other}", f"http://example.com/a/{other}")
        case 5:
            return Link(f"  ../up {place}\n", f"{{origin}}/up%20{place}")
        case 6 if place % 20 == 6:
            return Link(f"mailto:page{other}@example.com", None)
        case 6:
            return Link("javascript:void(0)", None)
        case 7:
            return Link(
                f"https://bücher.example/{other}"
                if kind.codec == "utf-8"
                else "https://[::1]:443/",
                f"https://xn--bcher-kva.example/{other}"
                if kind.codec == "utf-8"
                else "https://[::1]/",
            )
        case 8:
            fragment = f"#part-{place}"
            own = "{origin}/library/" if kind.markup == "base" else "{page}"
            return Link(fragment, own + fragment)
        case _:
            return Link(f"/page/{number}", f"{{origin}}/page/{number}")


def _document(page: Page) -> str:
    kind = page.kind
    tags = [_MARKUP[kind.markup](link.written) for link in page.links]
    middle = len(tags) // 2
    head = kind.meta + ('<base href="/library/"><base href="/wrong/">' * (kind.markup == "base"))
    return (
        f"<!DOCTYPE html>\n<html><head>{head}<title>{page.path}: {html.escape(kind.name)}</title>"
        f"</head>\n<body><h1>{kind.word}</h1>\n"
        + "\n".join(tags[:middle])
        + _PARAGRAPH * 8
        + "\n".join(tags[middle:])
        + "\n</body></html>\n"
    )


def _tidy(written: str) -> str:
    return f'<p class="item"><a title="a page" href="{html.escape(written)}">read more</a></p>'


def _broken(written: str) -> str:
    """A link that a browser finds, in the company of things that only look like one."""
    value = written.replace("'", "&#39;")  # and its ampersands as they are
    return (
        '<!-- <a href="/in-a-comment"> --><script>var a = \'<a href="/in-a-script">\';</script>'
        f"<table><div><A CLASS=x HREF='{value}' href=\"/a-second-one\"><b>read</a> more"
        '<p data-href="/not-an-href">'
    )


_MARKUP = {"tidy": _tidy, "base": _tidy, "broken": _broken}


def _encode(coding: str, body: bytes) -> bytes:
    if coding == "gzip":
        return gzip.compress(body, mtime=0)
    if coding == "deflate":
        return zlib.compress(body)
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(body) + machine.flush()
