"""aiohttp, client and server, each against the standard library's blocking HTTP."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web as aioweb
from websockets.sync.client import connect

from tests.ecosystem.web_peer import LARGE, WebServer, fetch

Run = Callable[..., Any]
Handler = Callable[[aioweb.Request], Awaitable[aioweb.StreamResponse]]


def test_client_reads_text_json_gzip_chunks_and_a_megabyte(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(web.url) as session:
            async with session.get("/hello") as response:
                assert await response.text() == "hello"
            async with session.get("/json") as response:
                assert await response.json() == {"loop": "any"}
            async with session.get("/gzip") as response:
                assert await response.read() == b"packed" * 100
            async with session.get("/chunked") as response:
                assert await response.read() == b"one,two,three"
            async with session.get("/large") as response:
                assert await response.read() == LARGE

    run(main)
    assert web.connections == 1  # kept alive from the first request to the last


def test_client_posts_a_body_that_is_made_while_it_is_sent(run: Run, web: WebServer) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 100_000):
            yield LARGE[start : start + 100_000]
            await asyncio.sleep(0)

    async def main() -> None:
        async with (
            aiohttp.ClientSession(web.url) as session,
            session.post("/echo", data=pieces()) as response,
        ):
            assert await response.read() == LARGE

    run(main)


def test_client_fetches_a_hundred_pages_at_once(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(web.url) as session:

            async def get(number: int) -> str:
                async with session.get(f"/page/{number}") as response:
                    return await response.text()

            pages = await asyncio.gather(*(get(number) for number in range(100)))
        assert all(f"<title>{number}<" in text for number, text in enumerate(pages))

    run(main)


def test_client_checks_the_certificate(
    run: Run, secure_web: WebServer, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(secure_web.url) as session:
            async with session.get("/large", ssl=client_tls) as response:
                assert await response.read() == LARGE
            # Without the authority of these tests the certificate is a stranger's.
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.get("/hello")

    run(main)


def test_client_times_out_and_the_session_goes_on(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(web.url) as session:
            with pytest.raises(TimeoutError):
                await session.get("/hang", timeout=aiohttp.ClientTimeout(total=0.05))
            async with session.get("/hello") as response:
                assert await response.text() == "hello"

    run(main)


def test_client_request_can_be_cancelled(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(web.url) as session:
            request = asyncio.create_task(session.get("/hang"))
            while web.connections == 0:
                await asyncio.sleep(0)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    run(main)


def test_client_tells_a_dropped_connection_from_a_refused_one(run: Run, web: WebServer) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{web.url}/drop") as response:
                with pytest.raises(aiohttp.ClientPayloadError):
                    await response.read()
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"http://127.0.0.1:{unused_port()}/")

    run(main)


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@asynccontextmanager
async def serving(
    routes: dict[str, Handler], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    application = aioweb.Application()
    application.add_routes([aioweb.route("*", path, call) for path, call in routes.items()])
    runner = aioweb.AppRunner(application)
    await runner.setup()
    try:
        await aioweb.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def echo(request: aioweb.Request) -> aioweb.Response:
    return aioweb.Response(body=await request.read(), headers={"X-Method": request.method})


async def stream(request: aioweb.Request) -> aioweb.StreamResponse:
    response = aioweb.StreamResponse()
    await response.prepare(request)
    for start in range(0, len(LARGE), 65_536):
        await response.write(LARGE[start : start + 65_536])
    await response.write_eof()
    return response


def test_server_answers_a_blocking_client(run: Run) -> None:
    async def main() -> None:
        async with serving({"/echo": echo, "/stream": stream}) as port:
            answer = await asyncio.to_thread(fetch, port, "/echo", method="POST", body=LARGE)
            assert answer.body == LARGE
            assert answer.headers["x-method"] == "POST"
            assert (await asyncio.to_thread(fetch, port, "/stream")).body == LARGE
            assert (await asyncio.to_thread(fetch, port, "/nowhere")).status == 404

    run(main)


def test_server_answers_forty_blocking_clients_over_tls(
    run: Run, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving({"/echo": echo}, server_tls) as port:
            bodies = [b"%d" % number * 1000 for number in range(40)]
            answers = await asyncio.gather(
                *(
                    asyncio.to_thread(
                        fetch, port, "/echo", method="POST", body=body, tls=client_tls
                    )
                    for body in bodies
                )
            )
            assert [answer.body for answer in answers] == bodies

    run(main)


def test_server_turns_an_exception_in_a_handler_into_a_500(run: Run) -> None:
    async def broken(request: aioweb.Request) -> aioweb.Response:
        raise RuntimeError("the handler fails on purpose")

    async def main() -> None:
        async with serving({"/broken": broken, "/echo": echo}) as port:
            assert (await asyncio.to_thread(fetch, port, "/broken")).status == 500
            assert (await asyncio.to_thread(fetch, port, "/echo")).status == 200

    run(main)


async def websocket(request: aioweb.Request) -> aioweb.WebSocketResponse:
    peer = aioweb.WebSocketResponse()
    await peer.prepare(request)
    async for message in peer:
        await peer.send_str(f"heard {message.data}")
    return peer


def test_server_speaks_websocket_with_a_blocking_client(run: Run) -> None:
    def talk(port: int) -> list[str | bytes]:
        with connect(f"ws://127.0.0.1:{port}/ws") as peer:
            heard = []
            for word in ("one", "two", "three"):
                peer.send(word)
                heard.append(peer.recv())
            return heard

    async def main() -> None:
        async with serving({"/ws": websocket}) as port:
            assert await asyncio.to_thread(talk, port) == ["heard one", "heard two", "heard three"]

    run(main)


def test_client_and_server_meet_on_one_loop(
    run: Run, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        async with serving({"/ws": websocket, "/stream": stream}, server_tls) as port:
            connector = aiohttp.TCPConnector(ssl=client_tls)
            async with aiohttp.ClientSession(f"https://localhost:{port}", connector=connector) as s:
                async with s.ws_connect("/ws") as peer:
                    await peer.send_str("hello")
                    assert await peer.receive_str() == "heard hello"
                async with s.get("/stream") as response:
                    assert await response.read() == LARGE

    run(main)
