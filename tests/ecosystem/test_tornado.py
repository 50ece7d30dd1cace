"""tornado, which awaits nothing that is not an instance of ``asyncio.Future``."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import Callable, Generator
from typing import Any

import pytest
import tornado.gen
import tornado.httpclient
import tornado.httpserver
import tornado.ioloop
import tornado.iostream
import tornado.netutil
import tornado.process
import tornado.simple_httpclient
import tornado.tcpclient
import tornado.tcpserver
import tornado.web
import tornado.websocket
from websockets.sync.client import connect

from tests.ecosystem.web_peer import LARGE, WebServer, fetch

Run = Callable[..., Any]


class Echo(tornado.web.RequestHandler):
    def post(self) -> None:
        self.write(self.request.body)


class Slow(tornado.web.RequestHandler):
    async def get(self) -> None:
        for start in range(0, len(LARGE), 65_536):
            self.write(LARGE[start : start + 65_536])
            await self.flush()


class OldStyle(tornado.web.RequestHandler):
    @tornado.gen.coroutine
    def get(self) -> Generator[Any, Any, None]:
        # A coroutine of tornado's own yields futures of the loop, lists of them, and executors'.
        one, two = yield [tornado.gen.sleep(0), asyncio.sleep(0, "native")]
        ran = yield tornado.ioloop.IOLoop.current().run_in_executor(None, sum, [1, 2])
        self.write(f"{one} {two} {ran}")


class Fails(tornado.web.RequestHandler):
    def get(self) -> None:
        raise tornado.web.HTTPError(418)


class Chat(tornado.websocket.WebSocketHandler):
    def on_message(self, message: str | bytes) -> None:
        self.write_message(f"heard {message!r}")


def serve(tls: ssl.SSLContext | None = None) -> tuple[tornado.httpserver.HTTPServer, int]:
    routes = [
        ("/echo", Echo),
        ("/slow", Slow),
        ("/old", OldStyle),
        ("/fails", Fails),
        ("/ws", Chat),
    ]
    application = tornado.web.Application(routes, log_function=lambda handler: None)
    server = tornado.httpserver.HTTPServer(application, ssl_options=tls)
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    return server, sockets[0].getsockname()[1]


async def stop(server: tornado.httpserver.HTTPServer) -> None:
    server.stop()
    await server.close_all_connections()


def test_server_answers_a_blocking_client(run: Run) -> None:
    async def main() -> None:
        server, port = serve()
        answer = await asyncio.to_thread(fetch, port, "/echo", method="POST", body=LARGE)
        assert answer.body == LARGE
        assert (await asyncio.to_thread(fetch, port, "/slow")).body == LARGE
        assert (await asyncio.to_thread(fetch, port, "/old")).body == b"None native 3"
        assert (await asyncio.to_thread(fetch, port, "/fails")).status == 418
        await stop(server)

    run(main)


def test_server_answers_twenty_blocking_clients_over_tls(
    run: Run, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        server, port = serve(server_tls)
        bodies = [b"%d" % number * 5000 for number in range(20)]
        answers = await asyncio.gather(
            *(
                asyncio.to_thread(fetch, port, "/echo", method="POST", body=body, tls=client_tls)
                for body in bodies
            )
        )
        assert [answer.body for answer in answers] == bodies
        await stop(server)

    run(main)


def test_server_speaks_websocket_with_a_blocking_client(run: Run) -> None:
    def talk(port: int) -> str | bytes:
        with connect(f"ws://127.0.0.1:{port}/ws") as peer:
            peer.send("hello")
            return peer.recv()

    async def main() -> None:
        server, port = serve()
        assert await asyncio.to_thread(talk, port) == "heard 'hello'"
        await stop(server)

    run(main)


def test_client_fetches_and_times_out(run: Run, web: WebServer) -> None:
    async def main() -> None:
        client = tornado.simple_httpclient.SimpleAsyncHTTPClient(force_instance=True)
        assert (await client.fetch(f"{web.url}/large")).body == LARGE
        assert (await client.fetch(f"{web.url}/redirect")).body == b"hello"
        with pytest.raises(tornado.httpclient.HTTPClientError, match="404"):
            await client.fetch(f"{web.url}/nowhere")
        with pytest.raises(tornado.simple_httpclient.HTTPTimeoutError):
            await client.fetch(f"{web.url}/hang", request_timeout=0.05)
        client.close()

    run(main)


def test_streams_read_until_a_delimiter_from_a_blocking_peer(run: Run) -> None:
    class Shout(tornado.tcpserver.TCPServer):
        async def handle_stream(
            self, stream: tornado.iostream.IOStream, address: tuple[Any, ...]
        ) -> None:
            with_newline = await stream.read_until(b"\n")
            await stream.write(with_newline.upper())
            stream.close()

    def talk(port: int) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=20) as peer:
            peer.sendall(b"hel")
            peer.sendall(b"lo\n")
            return peer.makefile("rb").read()

    async def main() -> None:
        server = Shout()
        sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        port = sockets[0].getsockname()[1]
        assert await asyncio.to_thread(talk, port) == b"HELLO\n"
        stream = await tornado.tcpclient.TCPClient().connect("127.0.0.1", port)
        await stream.write(b"again\n")
        assert await stream.read_until_close() == b"AGAIN\n"
        server.stop()

    run(main)


def test_periodic_callback_ticks_until_it_is_stopped(run: Run) -> None:
    async def main() -> int:
        ticks = 0
        enough = asyncio.Event()

        def tick() -> None:
            nonlocal ticks
            ticks += 1
            if ticks == 3:
                enough.set()

        ticking = tornado.ioloop.PeriodicCallback(tick, 5)
        ticking.start()
        await enough.wait()
        ticking.stop()
        return ticks

    assert run(main) == 3


def test_subprocess_is_read_and_its_exit_code_is_known(run: Run) -> None:
    async def main() -> None:
        process = tornado.process.Subprocess(
            [sys.executable, "-c", "print('from a child'); raise SystemExit(3)"],
            stdout=tornado.process.Subprocess.STREAM,
        )
        assert await process.stdout.read_until_close() == b"from a child\n"
        assert await process.wait_for_exit(raise_error=False) == 3
        tornado.process.Subprocess.uninitialize()

    run(main)


def test_the_old_way_to_start_a_loop_still_starts_it(run: Run) -> None:
    async def answer() -> int:
        await tornado.gen.sleep(0)
        return 42

    async def main() -> None:
        current = tornado.ioloop.IOLoop.current()
        assert current.asyncio_loop is asyncio.get_running_loop()  # type: ignore[attr-defined]
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        current.add_callback(lambda: current.add_future(asyncio.ensure_future(answer()), finish))

        def finish(future: asyncio.Future[int]) -> None:
            done.set_result(future.result())

        assert await done == 42
        assert await tornado.gen.with_timeout(current.time() + 5, done) == 42

    run(main)
