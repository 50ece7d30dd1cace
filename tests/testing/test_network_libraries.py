"""Libraries and our own crawler, unmodified, between hosts that are in memory."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import aiohttp.web
import httpx
import pytest
import redis.asyncio
import redis.exceptions
import uvicorn
import websockets.asyncio.client
import websockets.asyncio.server
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from miniloop.testing import run
from miniloop.testing.network import Network
from tests.crawler import WHY_NOT
from tests.net.certificates import AUTHORITY, client_context
from tests.testing.network_programs import RedisServer, served

if not WHY_NOT:
    from crawler.crawl import crawl
    from crawler.http import Client, Limits


def server_context(name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(name).configure_cert(context)
    return context


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_aiohttp_client_and_server(scheme: str) -> None:
    network = Network(latency=0.05)
    web, visitor = network.host("web"), network.host("visitor")
    network.name("shop.example", web)
    seen: list[str | None] = []

    async def hello(request: aiohttp.web.Request) -> aiohttp.web.Response:
        seen.append(request.remote)
        await asyncio.sleep(10)
        return aiohttp.web.Response(text=f"hello {request.match_info['name']}", headers={"X": "y"})

    async def start() -> aiohttp.web.AppRunner:
        application = aiohttp.web.Application()
        application.router.add_get("/{name}", hello)
        runner = aiohttp.web.AppRunner(application)
        await runner.setup()
        tls = server_context("shop.example") if scheme == "https" else None
        await aiohttp.web.TCPSite(runner, "0.0.0.0", 8000, ssl_context=tls).start()
        return runner

    async def visit() -> list[str]:
        tls = client_context() if scheme == "https" else False
        async with aiohttp.ClientSession() as session:

            async def get(name: str) -> str:
                url = f"{scheme}://shop.example:8000/{name}"
                async with session.get(url, ssl=tls) as response:
                    return await response.text()

            return await asyncio.gather(*(get(name) for name in "abc"))

    async def main() -> tuple[list[str], float]:
        runner = await web.run(start())
        try:
            return await visitor.run(visit()), asyncio.get_running_loop().time()
        finally:
            await runner.cleanup()
            await asyncio.sleep(1)  # as aiohttp's own pages advise: TLS says goodbye

    texts, seconds = run(main(), network=network)
    assert texts == ["hello a", "hello b", "hello c"]
    assert set(seen) == {visitor.address}
    assert 10.2 <= seconds < 10.5  # two or three round trips of 0.1 s, and the ten seconds


async def application(scope: Any, receive: Any, send: Any) -> None:
    """An ASGI application that says what it was asked for."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": scope["path"].encode() + b" " + body})


def test_uvicorn_serves_httpx() -> None:
    network = Network(latency=0.01)
    web, visitor = network.host("web"), network.host("visitor")

    async def visit() -> list[str]:
        async with httpx.AsyncClient(base_url="http://web:8000") as client:
            answers = [await client.post(f"/{n}", content=b"x" * n) for n in (1, 2, 100_000)]
            return [answer.text for answer in answers]

    async def main() -> list[str]:
        config = uvicorn.Config(application, host="0.0.0.0", port=8000, log_level="error")
        server = uvicorn.Server(config)
        serving = web.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.1)
        texts = await visitor.run(visit())
        server.should_exit = True
        await serving
        return texts

    texts = run(main(), network=network, until=60)
    assert texts == ["/1 x", "/2 xx", "/100000 " + "x" * 100_000]


def test_httpx_over_tls_finds_a_wrong_name() -> None:
    network = Network()
    web = network.host("web")

    async def main() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            writer.close()

        async def start() -> Any:
            return await asyncio.start_server(answer, "0.0.0.0", 443, ssl=server_context("web"))

        network.name("other", web)
        async with (
            served(web, start),
            httpx.AsyncClient(verify=client_context()) as client,
        ):
            text = (await client.get("https://web/")).text
            with pytest.raises(httpx.ConnectError, match="certificate"):
                await client.get("https://other/")
            await asyncio.sleep(1)  # the server hears of it
            return text

    assert run(main(), network=network) == "ok"


def test_websockets_notice_a_partition_by_their_own_pings() -> None:
    network = Network(latency=0.05)
    chat, visitor = network.host("chat"), network.host("visitor")

    async def answer(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(str(message).upper())

    async def start() -> websockets.asyncio.server.Server:
        return await websockets.asyncio.server.serve(answer, "0.0.0.0", 8000)

    async def talk() -> float:
        loop = asyncio.get_running_loop()
        async with websockets.asyncio.client.connect("ws://chat:8000") as connection:
            await connection.send("hello")
            assert await connection.recv() == "HELLO"
            await asyncio.sleep(100)  # pings every 20 seconds keep it open
            network.partition([chat], [visitor])
            begun = loop.time()
            with pytest.raises(websockets.exceptions.ConnectionClosedError, match="keepalive"):
                await connection.recv()
            return loop.time() - begun

    async def main() -> float:
        async with served(chat, start):
            seconds = await visitor.run(talk())
            network.heal()
            await asyncio.sleep(120)  # the server finds out as well
        return seconds

    seconds = run(main(), network=network, until=3600)
    assert 20 < seconds < 60  # a ping after at most 20, its answer missed after 20, and closing


def test_redis_py_counts_and_sees_a_reset() -> None:
    network = Network(latency=0.01)
    store, visitor = network.host("store"), network.host("visitor")
    server = RedisServer()

    async def start() -> Any:
        return await asyncio.start_server(server.serve, "0.0.0.0", 6379)

    async def count() -> bytes:
        client = redis.asyncio.Redis(host="store", protocol=2, retry=Retry(NoBackoff(), 0))
        async with client:
            await asyncio.gather(*(client.incr("visits") for _ in range(50)))
            assert network.reset(visitor, store) > 0
            with pytest.raises(redis.exceptions.ConnectionError):
                await client.incr("visits")
            value: bytes = await client.get("visits")
            return value

    async def main() -> bytes:
        async with served(store, start):
            return await visitor.run(count())

    assert run(main(), network=network) == b"50"
    assert server.commands.count(b"INCRBY") == 50


@pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
def test_our_crawler_crawls_two_hosts_of_which_one_is_gone(tmp_path: Path) -> None:
    network = Network(latency=0.1, dns_delay=0.5)
    one, two, visitor = network.host("one.test"), network.host("two.test"), network.host("visitor")
    (tmp_path / "urls.txt").write_text(
        "http://one.test/a\nhttp://two.test/b\nhttp://three.test/c\nhttp://one.test/d\n"
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split()[1].decode()
            page = f'<a href="{path}/next">next</a>'.encode()
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
                % (len(page), page)
            )

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def start() -> Any:
        return await asyncio.start_server(serve, "0.0.0.0", 80)

    failures: dict[str, str] = {}

    class Notes:
        def page(self, job: Any, response: Any, links: int) -> None: ...
        def failure(self, job: Any, error: Any) -> None:
            failures[job.source] = error.reason

        def malformed(self, line: Any) -> None: ...

    async def visit() -> None:
        two.crash()
        async with Client(limits=Limits(connect=5, total=20)) as client:
            await crawl(
                tmp_path / "urls.txt", tmp_path / "found.txt", client, Notes(), concurrency=3
            )

    async def main() -> float:
        async with served(one, start):
            await visitor.run(visit())
            return asyncio.get_running_loop().time()

    seconds = run(main(), network=network, until=3600)
    lines = (tmp_path / "found.txt").read_text().splitlines()[1:]
    assert sorted(lines) == [
        "http://one.test/a\thttp://one.test/a/next",
        "http://one.test/d\thttp://one.test/d/next",
    ]
    assert set(failures) == {"http://two.test/b", "http://three.test/c"}
    assert 5 <= seconds < 10  # a dead host takes five seconds, and no real one
