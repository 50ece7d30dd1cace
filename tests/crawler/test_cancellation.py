"""A fetch that is cancelled, at whatever point, leaves no connection, no socket and no timer."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from crawler.http import Client, Limits
from tests.crawler.scripted import Peer, polite, serving
from tests.crawler.test_tls import client_context, server_context

Run = Callable[..., Any]

STEPS = (
    "acquire",
    "resolve",
    "connect_tcp",
    "start_tls",
    "send_request",
    "receive_head",
    "receive_body",
)

BEFORE_THERE_IS_A_SOCKET = {"acquire.started", "acquire.complete", "resolve.started"}


def record_sockets(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """Every socket that is connected on the running loop from now on."""
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    seen: list[socket.socket] = []

    async def recording(sock: socket.socket, address: Any) -> None:
        seen.append(sock)
        await connect(sock, address)

    monkeypatch.setattr(loop, "sock_connect", recording)
    return seen


def still_open(socks: list[socket.socket]) -> list[socket.socket]:
    return [sock for sock in socks if sock.fileno() != -1]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def stalling(peer: Peer) -> None:
    """Sends half of a reply and waits: whoever reads it is in the middle of the body."""
    peer.request()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    peer.until_gone()


@pytest.mark.parametrize("half", ["started", "complete"])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cancelled_at(
    run: Run, scheme: str, step: str, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if scheme == "http" and step == "start_tls":
        return
    if (step, half) == ("receive_body", "complete"):
        return  # there is no await after it

    async def main(url: str) -> None:
        loop = asyncio.get_running_loop()
        socks = record_sockets(monkeypatch)

        def trace(event: str, info: Mapping[str, Any]) -> None:
            if event == f"{step}.{half}":
                task.cancel()

        async with Client(trace=trace, tls=client_context()) as client:
            task = loop.create_task(client.get(url))
            with pytest.raises(asyncio.CancelledError):
                await task
            await settle()
            assert client.pool.open_connections == 0
            assert len(client.pool._origins) == 0
            assert not still_open(socks)
            assert bool(socks) == (f"{step}.{half}" not in BEFORE_THERE_IS_A_SOCKET)

    tls = server_context() if scheme == "https" else None
    with serving(stalling, tls) as server:
        run(main, server.url.replace("127.0.0.1", "localhost"))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cancelled_after_any_number_of_turns_of_the_loop(
    run: Run, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turn by turn through a whole fetch: redirect, new connection, reused connection."""

    def script(peer: Peer) -> None:
        while request := peer.request():
            if b"/start" in request:
                peer.reply(b"", f"Location: {peer.server.url}/goal", status="302 Found")
            else:
                peer.reply()

    async def main(url: str) -> int:
        finished = turns = 0
        socks = record_sockets(monkeypatch)
        async with Client(tls=client_context()) as client:
            while finished < 5 and turns < 400:
                turns += 1
                task = asyncio.create_task(client.get(f"{url}/start"))
                for _ in range(turns):
                    await asyncio.sleep(0)
                    if turns > 20:
                        await asyncio.sleep(0.0001)  # let the server's threads run
                finished += task.done()
                task.cancel()
                await asyncio.wait({task})
                await settle()
                assert client.pool.open_connections == client.pool.idle_connections
        assert client.pool.open_connections == 0
        assert socks
        assert not still_open(socks)
        return finished

    with serving(script, server_context() if scheme == "https" else None) as server:
        assert run(main, server.url) == 5


def test_cancelled_while_it_waits_for_a_place_in_the_pool(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client(limits=Limits(per_origin=1)) as client:
            first = asyncio.create_task(client.get(url))
            second = asyncio.create_task(client.get(url))
            third = asyncio.create_task(client.get(url))
            while not client.pool.open_connections:
                await asyncio.sleep(0)
            await settle()
            second.cancel()
            await settle()
            first.cancel()
            assert (await third).body == b"hello"

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.request()
            peer.until_gone()
        else:
            polite(peer)

    with serving(script) as server:
        run(main, server.url)
    assert server.connections == 2


def test_the_connection_of_a_cancelled_fetch_is_never_used_again(run: Run) -> None:
    """Its reply is still under way, and must not be taken for the next one's."""

    def script(peer: Peer) -> None:
        while request := peer.request():
            path = request.split()[1]
            if path == b"/slow":
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl")
                peer.server.gone.wait(0.2)
                peer.send(b"ow")
            else:
                peer.reply(path)

    async def main(url: str) -> None:
        async with Client() as client:
            for _ in range(3):
                await client.get(f"{url}/warm")
                slow = asyncio.create_task(client.get(f"{url}/slow"))
                await asyncio.sleep(0.02)
                slow.cancel()
                await asyncio.wait({slow})
                assert (await client.get(f"{url}/fast")).body == b"/fast"

    with serving(script) as server:
        run(main, server.url)


def test_a_timeout_around_a_fetch_is_an_ordinary_timeout(run: Run) -> None:
    async def main(url: str) -> None:
        async with Client() as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await client.get(url)
            assert client.pool.open_connections == 0

    with serving(stalling) as server:
        run(main, server.url)
        assert server.gone.wait(25)


def test_an_attempt_that_connects_after_the_race_is_over_is_closed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.crawler.test_failures import fetch_by_name

    with serving(polite) as server:
        address = ("127.0.0.1", server.port)

        async def main() -> None:
            socks = record_sockets(monkeypatch)
            assert await fetch_by_name(monkeypatch, *[address] * 5) == b"hello"
            assert socks
            assert not still_open(socks)

        run(main)


def test_nothing_of_a_cancelled_request_is_sent_later(run: Run) -> None:
    """The server sees a reset, and no orderly end behind all that was still to come."""
    asked, ended = threading.Event(), list[str]()

    def script(peer: Peer) -> None:
        peer.request()
        asked.set()
        try:
            ended.append("more" if peer.sock.recv(1) else "end")
        except ConnectionResetError:
            ended.append("reset")

    async def main(url: str) -> None:
        async with Client() as client:
            fetching = asyncio.create_task(client.get(url))
            await asyncio.to_thread(asked.wait)
            fetching.cancel()
            await asyncio.wait({fetching})

    with serving(script) as server:
        run(main, server.url)
    assert ended == ["reset"]
