"""uvicorn, serving blocking clients: plain, over TLS, and over WebSocket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from websockets.sync.client import connect

from tests.ecosystem.web_peer import LARGE, fetch

Run = Callable[..., Any]


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Echo a request's body, stream a megabyte, fail, or chat, by path."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "websocket":
        await chat(receive, send)
    elif scope["path"] == "/fails":
        raise RuntimeError("the application fails on purpose")
    elif scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for start in range(0, len(LARGE), 65_536):
            chunk = LARGE[start : start + 65_536]
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})


async def lifespan(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def chat(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": f"heard {message['text']}"})


class Server(uvicorn.Server):
    """Says when it is ready, and leaves the signals of the test run alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[int]:
    config = uvicorn.Config(
        application,
        port=0,
        log_config=None,
        lifespan="on",
        ws="websockets-sansio",
        **options,
    )
    server = Server(config)
    task = asyncio.create_task(server.serve())
    await server.ready.wait()
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


def test_server_answers_a_blocking_client(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            answer = await asyncio.to_thread(fetch, port, "/echo", method="POST", body=LARGE)
            assert answer.body == LARGE
            assert (await asyncio.to_thread(fetch, port, "/stream")).body == LARGE
            assert (await asyncio.to_thread(fetch, port, "/fails")).status == 500

    run(main)


def test_server_answers_forty_blocking_clients_over_tls(
    run: Run, certificate_files: tuple[Path, Path], client_tls: ssl.SSLContext
) -> None:
    chain, key = certificate_files

    async def main() -> None:
        async with serving(ssl_certfile=str(chain), ssl_keyfile=str(key)) as port:
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


def test_server_speaks_websocket_with_a_blocking_client(run: Run) -> None:
    def talk(port: int) -> list[str | bytes]:
        with connect(f"ws://127.0.0.1:{port}/") as peer:
            heard = []
            for word in ("one", "two"):
                peer.send(word)
                heard.append(peer.recv())
            return heard

    async def main() -> None:
        async with serving() as port:
            assert await asyncio.to_thread(talk, port) == ["heard one", "heard two"]

    run(main)
