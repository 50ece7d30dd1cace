"""Small programs of the HTTP client and of the crawler. The server is in threads of its own."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crawler.crawl import crawl
from crawler.http import Client, HTTPError, Limits
from tests.crawler.scripted import Peer, Server, serving
from tests.faults.scenarios import Told, scenario
from tests.net.certificates import client_context, server_context

__all__: list[str] = []

PAGE = b'<a href="/next">next</a>' + b" " * 20_000
LIMITS = Limits(connect=3, read=3, total=5)


def serve(peer: Peer) -> None:
    while peer.request():
        peer.reply(PAGE, "Content-Type: text/html")


@contextlib.contextmanager
def web(told: Told, *, tls: bool = False) -> Iterator[Server]:
    with contextlib.ExitStack() as stack:
        with told.peers():
            server = stack.enter_context(serving(serve, server_context() if tls else None))
        try:
            yield server
        finally:
            server.errors.clear()  # of connections that broke, as they should
            with told.peers():
                stack.close()


@scenario
async def client(told: Told) -> bool:
    with web(told) as server:
        async with Client(limits=LIMITS) as http:
            bodies = [(await http.get(f"{server.url}/{path}")).body for path in "ab"]
    return bodies == [PAGE, PAGE]


@scenario
async def client_over_tls(told: Told) -> bool:
    with web(told, tls=True) as server:
        async with Client(limits=LIMITS, tls=client_context()) as http:
            bodies = [(await http.get(f"{server.url}/{path}")).body for path in "ab"]
    return bodies == [PAGE, PAGE]


@scenario
async def whole_crawl(told: Told) -> bool:
    class Notes:
        def page(self, job: Any, response: Any, links: int) -> None: ...
        def failure(self, job: Any, error: HTTPError) -> None:
            told.protocols.append(error)

        def malformed(self, line: Any) -> None: ...

    with tempfile.TemporaryDirectory() as folder, web(told) as server:
        urls = [f"{server.url}/{path}" for path in "abc"]
        found = Path(folder, "found.txt")
        async with Client(limits=LIMITS) as http:
            await crawl(urls, found, http, Notes(), concurrency=2)
        lines = found.read_text().splitlines()
    return sorted(lines[1:]) == [f"{url}\t{server.url}/next" for url in urls]
