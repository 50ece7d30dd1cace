"""The demo site: a small HTTP/1.1 server in a process of its own.

    python -m crawler.demo.site --pages 400
    python -m crawler.demo.site --pages 100000 --plain --port-file site.json

It serves pages 0 … N-1 as ``/page/0`` …, the same over http and https, and beside them the
exhibits (redirects and failures of every kind). ``--plain`` makes all pages easy ones of about the
same size, for measuring. When it listens it prints one line of JSON, an :class:`Addresses`, and
writes the same to ``--port-file``. It stops on SIGINT and SIGTERM, and with ``--with-parent`` when
its standard input is closed, as it is when the process that started it is gone.
"""

import argparse
import asyncio
import contextlib
import functools
import json
import signal
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .answers import Answer, Ending, reply
from .certificates import server_contexts
from .exhibits import HTML, Exhibit, exhibits
from .pages import LINKS_PER_PAGE, Page, page

# Rendered pages that are kept, some 5 KiB each. Beyond these a page is rendered when asked for.
KEPT_PAGES = 20_000
# Seconds between two bytes of the page that never ends: more often than a read limit strikes.
DRIP_INTERVAL = 0.1


@dataclass(frozen=True)
class Addresses:
    """Where the site is: origins, and the authority that vouches for ``https``.

    ``stranger`` has a certificate that nobody vouches for, and at ``nobody`` nothing listens.
    """

    http: str
    https: str
    stranger: str
    nobody: str
    ca_file: str


@dataclass(frozen=True)
class Site:
    """The contents of a site of ``pages`` pages; what it holds is known without asking it."""

    pages: int
    plain: bool = False
    links: int = LINKS_PER_PAGE

    def page(self, number: int) -> Page:
        """One ordinary page."""
        return page(number, self.pages, plain=self.plain, links=self.links)

    def ordinary(self, at: Addresses) -> "Expectation":
        """The ordinary pages, and what is to be found in them."""
        expected = Expectation()
        for number in range(self.pages):
            one = self.page(number)
            origin = at.https if one.kind.scheme == "https" else at.http
            expected.found(origin + one.path, one.expected(origin))
        return expected

    def within(self, at: Addresses, depth: int) -> "Expectation":
        """What a crawl from the first page comes to, ``depth`` links far and on ``http`` only.

        It asks robots.txt, which lets it go to one of the pages whose name begins with "up".
        """
        expected = Expectation()
        level = [f"{at.http}/page/0"]
        seen = set(level)
        for distance in range(depth + 1):
            links: list[str] = []
            for url in level:
                number = url.removeprefix(f"{at.http}/page/")
                if number.isdigit() and int(number) < self.pages:
                    one = list(self.page(int(number)).expected(at.http))
                    expected.found(url, iter(one))
                    links += one if distance < depth else []
                elif url == f"{at.http}/up%205" or not url.startswith(f"{at.http}/up"):
                    expected.failed(url, "status")
                else:
                    expected.disallowed += 1
            pages = [link.partition("#")[0] for link in links if link.startswith(at.http + "/")]
            level = [url for url in dict.fromkeys(pages) if url not in seen]
            seen.update(level)
        return expected

    def everything(self, at: Addresses) -> "Expectation":
        """The ordinary pages, the exhibits, and some lines that are no URLs."""
        expected = self.ordinary(at)
        for exhibit in exhibits(at.https):
            if not exhibit.listed:
                continue
            source = at.http + exhibit.path
            if exhibit.reason is None:
                expected.found(source, (link.format(origin=at.http) for link in exhibit.links))
            else:
                expected.failed(source, exhibit.reason)
        expected.failed(at.stranger + "/page/0", "TLS")
        expected.failed(at.nobody + "/", "refused")
        # RFC 6761: no name under .invalid ever resolves.
        expected.failed("http://no-such-host.invalid/", "DNS")
        expected.malformed("http://page 1/")
        expected.malformed("/page/1")
        expected.malformed("ftp://example.com/")
        return expected


@dataclass
class Expectation:
    """A list of URLs, and what a crawl of it must come to."""

    lines: list[str] = field(default_factory=list)
    pages: int = 0
    links: set[tuple[str, str]] = field(default_factory=set)
    failures: Counter[str] = field(default_factory=Counter)
    malformed_lines: int = 0
    disallowed: int = 0

    def found(self, source: str, links: Iterator[str]) -> None:
        """Expect ``source`` to be fetched and to hold ``links``."""
        self.lines.append(source)
        self.pages += 1
        self.links.update((source, link) for link in links)

    def failed(self, source: str, reason: str) -> None:
        """Expect ``source`` to fail for ``reason``."""
        self.lines.append(source)
        self.failures[reason] += 1

    def malformed(self, line: str) -> None:
        """Expect ``line`` to be reported as no URL."""
        self.lines.append(line)
        self.malformed_lines += 1

    def write_list(self, path: Path) -> None:
        """Write the list of URLs, with a comment at its head and a blank line after that."""
        text = "\n".join(["# The pages of the demo site.", "", *self.lines])
        path.write_text(text + "\n", encoding="utf-8")


class Server(asyncio.Protocol):
    """One connection to the site. Requests have no body, and come one after the other."""

    def __init__(self, answer: Callable[[bytes], Answer]) -> None:
        self._answer = answer
        self._transport: asyncio.Transport
        self._unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        data = self._unread + data
        if not data.endswith(b"\r\n\r\n"):
            self._unread = data
            return
        self._unread = b""
        _, _, rest = data.partition(b" ")
        answer = self._answer(rest[: rest.find(b" ")])
        if answer.delay:
            asyncio.get_running_loop().call_later(answer.delay, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        transport = self._transport
        if transport.is_closing():
            return
        transport.write(answer.data)
        if answer.ending is Ending.CLOSE:
            transport.close()
        elif answer.ending is Ending.RESET:
            _reset(transport)
        elif answer.ending is Ending.DRIP:
            drop = Answer(b".", Ending.DRIP)
            asyncio.get_running_loop().call_later(DRIP_INTERVAL, self._send, drop)


def _reset(transport: asyncio.Transport) -> None:
    """Close so that the other side gets a reset and not an end of file (SO_LINGER of 0 seconds)."""
    sock: socket.socket = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    transport.abort()


def answers(site: Site, shown: list[Exhibit]) -> Callable[[bytes], Answer]:
    """The function from a request's target to what is sent for it."""
    not_found = reply(404, HTML, b"There is no such page.")
    special = {exhibit.path.encode(): exhibit.answer for exhibit in shown}

    @functools.lru_cache(maxsize=KEPT_PAGES)
    def answer(target: bytes) -> Answer:
        prefix, _, number = target.partition(b"/page/")
        if not prefix and number.isdigit() and int(number) < site.pages:
            return site.page(int(number)).answer()
        return special.get(target, not_found)

    return answer


async def serve(
    site: Site, port_file: Path | None, ca_file: Path, *, with_parent: bool = False
) -> None:
    """Serve until a signal says otherwise."""
    loop = asyncio.get_running_loop()
    trusted, stranger = server_contexts(ca_file)
    respond: Callable[[bytes], Answer] | None = None

    def answer(target: bytes) -> Answer:
        assert respond is not None
        return respond(target)

    async with contextlib.AsyncExitStack() as stack:
        origins: list[str] = []
        for scheme, context in (("http", None), ("https", trusted), ("https", stranger)):
            server = await loop.create_server(
                lambda: Server(answer), "127.0.0.1", 0, ssl=context, backlog=1024
            )
            await stack.enter_async_context(server)
            origins.append(f"{scheme}://{_host(server.sockets[0])}")
        nobody = stack.enter_context(socket.socket())
        nobody.bind(("127.0.0.1", 0))  # bound, so that nobody else gets it, and not listening
        http, https, stranger_https = origins
        at = Addresses(http, https, stranger_https, f"http://{_host(nobody)}", str(ca_file))
        respond = answers(site, list(exhibits(at.https)))
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        if with_parent:
            loop.add_reader(sys.stdin.fileno(), stop.set)
        line = json.dumps(asdict(at))
        if port_file is not None:
            _write_at_once(port_file, line + "\n")
        print(line, flush=True)
        await stop.wait()


def _host(sock: socket.socket) -> str:
    host, port = sock.getsockname()
    return f"{host}:{port}"


def _write_at_once(path: Path, text: str) -> None:
    """Write so that whoever looks finds nothing or everything."""
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(path)


def main() -> None:
    """Run the site as its arguments say."""
    parser = argparse.ArgumentParser(prog="python -m crawler.demo.site", description=serve.__doc__)
    parser.add_argument("--pages", type=int, default=400, help="(default: %(default)s)")
    parser.add_argument("--links", type=int, default=LINKS_PER_PAGE, help="links on each page")
    parser.add_argument("--plain", action="store_true", help="easy pages only")
    parser.add_argument("--port-file", type=Path, help="where to write the addresses, as JSON")
    parser.add_argument("--ca-file", type=Path, help="where to write the certificate authority")
    parser.add_argument("--with-parent", action="store_true", help="stop when stdin is closed")
    options = parser.parse_args()
    site = Site(options.pages, options.plain, options.links)
    with tempfile.TemporaryDirectory() as scratch:
        ca_file = options.ca_file or Path(scratch, "ca.pem")
        serving = serve(site, options.port_file, ca_file, with_parent=options.with_parent)
        with asyncio.Runner() as runner:
            runner.run(serving)


if __name__ == "__main__":
    main()
