"""A descriptor has one owner: nobody reads, writes or watches behind a transport's back."""

from __future__ import annotations

import asyncio
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import miniloop
from miniloop.kernel.poller import EpollPoller, SelectorPoller
from tests.net.connected import KERNEL_BUFFER, connected, receive_exactly, tcp_pair, unix_pair
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]
Loop = asyncio.AbstractEventLoop

IN_USE = "is used by transport"


def large_file() -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by the garbage collector
    file.truncate(50 * KERNEL_BUFFER)
    return file


# Each would have to wait, as there is nothing to read and no room to write.
WAITING: dict[str, Callable[[Loop, socket.socket], Coroutine[Any, Any, object]]] = {
    "sock_recv": lambda loop, sock: loop.sock_recv(sock, 1),
    "sock_recv_into": lambda loop, sock: loop.sock_recv_into(sock, bytearray(1)),
    "sock_recvfrom": lambda loop, sock: loop.sock_recvfrom(sock, 1),
    "sock_recvfrom_into": lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(1)),
    "sock_sendall": lambda loop, sock: loop.sock_sendall(sock, bytes(50 * KERNEL_BUFFER)),
    "sock_sendfile": lambda loop, sock: loop.sock_sendfile(sock, large_file()),
}


@pytest.mark.parametrize("make_pair", [tcp_pair, unix_pair])
@pytest.mark.parametrize("call", WAITING.values(), ids=WAITING.keys())
@pytest.mark.filterwarnings("ignore:unclosed file")
def test_a_socket_method_does_not_wait_on_a_transports_socket(
    run: Run, call: Any, make_pair: Any
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, make_pair) as (transport, protocol, peer):
            sock = transport.get_extra_info("socket")._sock
            for _ in range(2):
                with pytest.raises(RuntimeError, match=IN_USE):
                    await call(loop, sock)
            await loop.sock_sendall(peer, b"for the transport")
            assert await protocol.received(17) == b"for the transport"

    run(main)


def test_a_file_does_not_go_between_what_a_transport_sends(run: Run, tmp_path: Path) -> None:
    """Though there would be room for it."""
    path = tmp_path / "file"
    path.write_bytes(b"short")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, tcp_pair) as (transport, _, _):
            with path.open("rb") as file, pytest.raises(RuntimeError, match=IN_USE):
                await loop.sock_sendfile(transport.get_extra_info("socket")._sock, file)

    run(main)


def test_a_socket_method_does_not_wait_on_an_endpoints_socket(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with closing(transport), pytest.raises(RuntimeError, match=IN_USE):
            await loop.sock_recv(transport.get_extra_info("socket")._sock, 1)
        await asyncio.sleep(0)

    run(main)


def test_connecting_a_transports_socket_does_not_wait(run: Run) -> None:
    """To a peer that never answers: the queue of a listener that accepts nothing is full."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as listener, socket.socket() as first, socket.socket() as ours:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            first.connect(listener.getsockname())
            ours.setblocking(False)
            transport, _ = await loop.connect_accepted_socket(Recorder, ours)
            with closing(transport):
                transport.pause_reading()
                with pytest.raises(RuntimeError, match=IN_USE):
                    await loop.sock_connect(ours, listener.getsockname())
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    run(main)


def test_what_was_known_of_a_socket_is_void_once_it_has_a_transport() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = unix_pair()
        await loop.sock_sendall(peer, b"1")
        assert await loop.sock_recv(ours, 10) == b"1"
        waiting = asyncio.create_task(loop.sock_recv(ours, 10))
        await asyncio.sleep(0)
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        # asyncio has it wait for ever.
        with pytest.raises(RuntimeError, match=IN_USE):
            await waiting
        transport.pause_reading()
        for _ in range(2):
            with pytest.raises(RuntimeError, match=IN_USE):
                await loop.sock_recv(ours, 10)
        transport.resume_reading()
        await loop.sock_sendall(peer, b"2")
        assert await protocol.received(1) == b"2"
        transport.abort()
        await protocol.lost
        peer.close()

    miniloop.run(main())


def test_the_number_is_free_once_its_transport_is_closed(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = unix_pair()
        number = ours.fileno()
        transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
        transport.close()
        await protocol.lost
        while ours.fileno() >= 0:
            await asyncio.sleep(0)
        peer.close()
        sock, other = unix_pair()
        with sock, other:
            assert sock.fileno() == number
            receiving = asyncio.create_task(loop.sock_recv(sock, 10))
            await asyncio.sleep(0)
            await loop.sock_sendall(other, b"x")
            assert await receiving == b"x"

    run(main)


# Second owners.

SECOND: dict[str, Callable[[Loop, socket.socket], Coroutine[Any, Any, object]]] = {
    "create_connection": lambda loop, sock: loop.create_connection(Recorder, sock=sock),
    "connect_accepted_socket": lambda loop, sock: loop.connect_accepted_socket(Recorder, sock),
}


async def still_works(protocol: Recorder, peer: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(peer, b"there")
    assert await protocol.received(5) == b"there"
    protocol.transport.write(b"back")
    assert await receive_exactly(peer, 4) == b"back"


@pytest.mark.parametrize("call", SECOND.values(), ids=SECOND.keys())
def test_a_socket_has_one_transport(run: Run, loop_factory: Callable[[], Loop], call: Any) -> None:
    if loop_factory is asyncio.new_event_loop and not (3, 12) <= sys.version_info < (3, 14):
        pytest.skip("asyncio: before it takes the second one, and after it closes the socket")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = tcp_pair()
        transport, protocol = await loop.create_connection(Recorder, sock=ours)
        with pytest.raises(RuntimeError, match=IN_USE):
            await call(loop, ours)
        await still_works(protocol, peer)
        transport.abort()
        await protocol.lost
        peer.close()

    run(main)


def test_an_endpoints_socket_has_one_transport(run: Run, loop_factory: Callable[[], Loop]) -> None:
    if loop_factory is asyncio.new_event_loop and sys.version_info < (3, 12):
        pytest.skip("asyncio takes the second one, before 3.12")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket(type=socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        with pytest.raises(RuntimeError, match=IN_USE):
            await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=sock)
        assert sock.fileno() >= 0
        transport.close()
        await asyncio.sleep(0)

    run(main)


def test_a_transports_socket_is_no_pipe() -> None:
    """asyncio takes it, and its transport is deaf from then on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, unix_pair) as (transport, protocol, peer):
            file = transport.get_extra_info("socket")._sock.makefile("rb", buffering=0)
            with file:
                with pytest.raises(RuntimeError, match=IN_USE):
                    await loop.connect_read_pipe(Recorder, file)
                with pytest.raises(RuntimeError, match=IN_USE):
                    await loop.connect_write_pipe(Recorder, file)
            await still_works(protocol, peer)

    miniloop.run(main())


def test_a_listening_socket_has_one_server(tmp_path: Path) -> None:
    """asyncio takes it, and the first server is deaf from then on."""

    async def main(sock: socket.socket, create: Any) -> None:
        async with await create(Recorder, sock=sock) as first:
            with pytest.raises(RuntimeError, match="is used by server"):
                await create(Recorder, sock=sock)
            second = await create(Recorder, sock=sock, start_serving=False)
            with pytest.raises(RuntimeError, match="is used by server"):
                await second.start_serving()
            assert first.is_serving()
            assert not second.is_serving()
            with socket.socket(sock.family) as client:
                client.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_connect(client, sock.getsockname())
                while not first._clients:
                    await asyncio.sleep(0)
                first.close_clients()
                assert await loop.sock_recv(client, 1) == b""

    async def both() -> None:
        loop = asyncio.get_running_loop()
        await main(socket.create_server(("127.0.0.1", 0)), loop.create_server)
        unix = socket.socket(socket.AF_UNIX)
        unix.bind(str(tmp_path / "door"))
        await main(unix, loop.create_unix_server)

    miniloop.run(both())


def test_a_server_whose_predecessor_is_closed_may_serve(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sock = socket.create_server(("127.0.0.1", 0))
        copy = sock.dup()
        for one in (sock, copy):
            server = await loop.create_server(Recorder, sock=one)
            server.close()

    run(main)


@pytest.mark.parametrize("poller", [EpollPoller, SelectorPoller])
def test_one_who_pauses_at_once_is_not_woken_for_what_was_waited_for_before(poller: Any) -> None:
    class PausesAtOnce(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        ours, peer = unix_pair()
        with peer:
            waiting = asyncio.create_task(loop.sock_recv(ours, 1))
            await asyncio.sleep(0)
            transport, protocol = await loop.create_unix_connection(PausesAtOnce, sock=ours)
            with pytest.raises(RuntimeError, match=IN_USE):
                await waiting
            await loop.sock_sendall(peer, b"x")
            loop.poller.wait(0)  # on Linux it is told of this once
            assert not list(loop.poller.wait(0))
            transport.resume_reading()
            assert await protocol.received(1) == b"x"
            transport.abort()
            await protocol.lost

    loop = miniloop.EventLoop(poller=poller())
    with closing(loop):
        loop.run_until_complete(main())
