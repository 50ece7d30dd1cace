"""The sock_* verbs: each thing one does with a bare socket."""

from __future__ import annotations

import asyncio
import os
import selectors
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import miniloop
from miniloop.kernel.poller import SelectorPoller
from tests.net.addresses import refusing, silent
from tests.net.connected import receive_exactly, receive_until_eof, tcp_pair, unix_pair

Run = Callable[..., Any]

LARGE = bytes(range(256)) * 20_000

FACTORIES: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "miniloop": miniloop.new_event_loop,
    "miniloop-select": lambda: miniloop.EventLoop(
        poller=SelectorPoller(selectors.SelectSelector())
    ),
    "miniloop-poll": lambda: miniloop.EventLoop(poller=SelectorPoller(selectors.PollSelector())),
    "asyncio": asyncio.new_event_loop,
}


@pytest.fixture(params=FACTORIES.values(), ids=FACTORIES.keys())
def loop_factory(request: pytest.FixtureRequest) -> Any:
    """Loops with other pollers too: the sock_* methods are where they differ."""
    return request.param


PAIRS = pytest.mark.parametrize("pair", [tcp_pair, unix_pair], ids=["tcp", "unix"])


@PAIRS
def test_what_is_there_already_is_received_at_once(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            await loop.sock_sendall(right, b"hello")
            assert await loop.sock_recv(left, 100) == b"hello"

    run(main)


@PAIRS
def test_what_is_not_there_yet_is_waited_for(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await asyncio.sleep(0)
            assert not receiving.done()
            await loop.sock_sendall(right, b"hello")
            assert await receiving == b"hello"

    run(main)


@PAIRS
def test_one_byte_at_a_time(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            await loop.sock_sendall(right, bytes(range(200)))
            received = [await loop.sock_recv(left, 1) for _ in range(200)]
            assert b"".join(received) == bytes(range(200))

    run(main)


@PAIRS
@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_a_ping_pong_loses_nothing(run: Run, pair: Any, size: int) -> None:
    async def echo(sock: socket.socket, rounds: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(rounds):
            await loop.sock_sendall(sock, await receive_exactly(sock, size))

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            echoing = asyncio.ensure_future(echo(right, 50))
            for number in range(50):
                message = bytes([number]) * size
                await loop.sock_sendall(left, message)
                assert await receive_exactly(left, size) == message
            await echoing

    run(main)


@PAIRS
def test_a_large_message_is_sent_whole(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            sending = asyncio.ensure_future(loop.sock_sendall(left, LARGE))
            assert await receive_exactly(right, len(LARGE)) == LARGE
            await sending

    run(main)


@PAIRS
def test_the_end_of_the_peer_is_an_empty_message_again_and_again(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left, right:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 100))
            await asyncio.sleep(0)
            right.shutdown(socket.SHUT_WR)
            assert await receiving == b""
            assert await loop.sock_recv(left, 100) == b""
            await loop.sock_sendall(left, b"the other direction is open")
            assert await loop.sock_recv(right, 100) == b"the other direction is open"

    run(main)


@PAIRS
def test_the_last_words_of_the_peer_are_heard(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = pair()
        with left:
            receiving = asyncio.ensure_future(loop.sock_recv(left, 4))
            await asyncio.sleep(0)
            right.send(b"last words")
            right.close()
            assert await receiving == b"last"
            assert await receive_until_eof(left) == b" words"

    run(main)


@pytest.mark.parametrize(
    "data",
    [b"", b"bytes", bytearray(b"bytearray"), memoryview(b"view"), memoryview(LARGE).cast("I")],
    ids=["empty", "bytes", "bytearray", "memoryview", "items"],
)
def test_all_kinds_of_bytes_can_be_sent(run: Run, data: Any) -> None:
    if getattr(data, "itemsize", 1) != 1:
        # Ours alone: asyncio mistakes the number of items for the number of bytes.
        run = miniloop_run

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = tcp_pair()
        with left, right:
            reading = asyncio.ensure_future(receive_until_eof(right))
            await loop.sock_sendall(left, data)
            left.shutdown(socket.SHUT_WR)
            assert await reading == bytes(data)

    run(main)


def miniloop_run(main: Callable[[], Any]) -> Any:
    return miniloop.run(main())


def test_receiving_into_a_buffer(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = tcp_pair()
        with left, right:
            buffer = bytearray(10)
            receiving = asyncio.ensure_future(loop.sock_recv_into(left, buffer))
            await asyncio.sleep(0)
            await loop.sock_sendall(right, b"hello")
            assert await receiving == 5
            assert buffer == b"hello\0\0\0\0\0"

    run(main)


# Datagrams.


def datagram_pair() -> tuple[socket.socket, socket.socket]:
    ends = []
    for _ in range(2):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        ends.append(sock)
    return ends[0], ends[1]


def test_datagrams_keep_their_bounds_and_their_senders(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = datagram_pair()
        with left, right:
            for number in range(5):
                data = b"x" * number
                assert await loop.sock_sendto(right, data, left.getsockname()) == number
            for number in range(5):
                data, sender = await loop.sock_recvfrom(left, 100)
                assert (len(data), sender) == (number, right.getsockname())

    run(main)


def test_datagrams_that_wait_together_are_received_one_by_one(run: Run) -> None:
    # One event announces them all: a short read does not mean that there are no more.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = datagram_pair()
        with left, right:
            for _ in range(20):
                receiving = asyncio.ensure_future(loop.sock_recvfrom(left, 100))
                await asyncio.sleep(0)
                for number in range(3):
                    right.sendto(b"%d" % number, left.getsockname())
                assert (await receiving)[0] == b"0"
                assert (await loop.sock_recvfrom(left, 100))[0] == b"1"
                assert await loop.sock_recv(left, 100) == b"2"

    run(main)


@pytest.mark.parametrize("size", [0, 3])
def test_datagrams_into_a_buffer(run: Run, size: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = datagram_pair()
        with left, right:
            buffer = bytearray(10)
            right.sendto(b"hello", left.getsockname())
            count, sender = await loop.sock_recvfrom_into(left, buffer, size)
            assert count == (size or 5)
            assert sender == right.getsockname()
            assert buffer[:count] == b"hello"[:count]

    run(main)


# Connecting and accepting.


def test_a_connection_is_made_and_accepted(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with answering_socket() as listener, socket.socket() as client:
            client.setblocking(False)
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await asyncio.sleep(0)
            await loop.sock_connect(client, listener.getsockname())
            connection, address = await accepting
            with connection:
                assert address == client.getsockname()
                assert connection.gettimeout() == 0
                await loop.sock_sendall(client, b"hello")
                assert await loop.sock_recv(connection, 100) == b"hello"

    run(main)


def answering_socket() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


def test_connections_that_wait_together_are_all_accepted(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with answering_socket() as listener:
            accepting = asyncio.ensure_future(loop.sock_accept(listener))
            await asyncio.sleep(0)
            clients = [socket.create_connection(listener.getsockname()) for _ in range(5)]
            connections = [(await accepting)[0]]
            connections += [(await loop.sock_accept(listener))[0] for _ in range(4)]
            names = {connection.getpeername() for connection in connections}
            assert names == {client.getsockname() for client in clients}
            for sock in clients + connections:
                sock.close()

    run(main)


def test_a_refused_connection_is_an_error(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with refusing() as address, socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(sock, address)

    run(main)


def test_a_connection_that_does_not_come_can_be_given_up(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with silent() as address, socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await loop.sock_connect(sock, address)

    run(main)


def test_a_unix_socket_is_connected_to(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as sock:
            listener.bind(str(tmp_path / "socket"))
            listener.listen()
            sock.setblocking(False)
            await loop.sock_connect(sock, str(tmp_path / "socket"))
            assert sock.getpeername() == str(tmp_path / "socket")

    run(main)


def test_a_unix_socket_whose_queue_is_full_is_waited_for(tmp_path: Path) -> None:
    # Ours alone: asyncio says that it is connected when it is not.
    path = str(tmp_path / "socket")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(0)
            fillers = []
            while True:
                filler = socket.socket(socket.AF_UNIX)
                filler.setblocking(False)
                fillers.append(filler)
                if filler.connect_ex(path) != 0:
                    break
            with socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)
                connecting = asyncio.ensure_future(loop.sock_connect(sock, path))
                await asyncio.sleep(0.02)
                assert not connecting.done()
                listener.accept()[0].close()
                await connecting
                assert sock.getpeername() == path
            for filler in fillers:
                filler.close()

    miniloop.run(main())


# What is refused.


def test_a_blocking_socket_is_refused_in_debug_mode(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        with socket.socket() as sock:
            attempts = [
                loop.sock_recv(sock, 10),
                loop.sock_recv_into(sock, bytearray(10)),
                loop.sock_sendall(sock, b"x"),
                loop.sock_connect(sock, ("127.0.0.1", 1)),
                loop.sock_accept(sock),
                loop.sock_recvfrom(sock, 10),
                loop.sock_recvfrom_into(sock, bytearray(10)),
                loop.sock_sendto(sock, b"x", ("127.0.0.1", 1)),
            ]
            for attempt in attempts:
                with pytest.raises(ValueError, match="the socket must be non-blocking"):
                    await attempt

    run(main)


def test_a_socket_that_does_tls_by_itself_is_refused(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        context = ssl.create_default_context()
        bare = socket.socket()
        bare.setblocking(False)
        with context.wrap_socket(bare, server_hostname="x", do_handshake_on_connect=False) as sock:
            for attempt in (loop.sock_recv(sock, 10), loop.sock_sendall(sock, b"x")):
                with pytest.raises(TypeError, match="Socket cannot be of type SSLSocket"):
                    await attempt

    run(main)


def test_an_error_of_the_socket_comes_out(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            with pytest.raises(OSError, match=os.strerror(107)):  # ENOTCONN
                await loop.sock_recv(sock, 10)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await loop.sock_recv(sock, 10)

    run(main)


@pytest.mark.parametrize("make_pair", [tcp_pair, unix_pair])
def test_a_call_for_nothing_never_waits(run: Run, make_pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        ours, peer = make_pair()
        with ours, peer:
            for _ in range(2):  # the second time it is known that there is nothing to read
                assert await asyncio.wait_for(loop.sock_recv(ours, 0), 10) == b""
                assert await asyncio.wait_for(loop.sock_recv_into(ours, bytearray()), 10) == 0
                assert (
                    await asyncio.wait_for(loop.sock_recv_into(ours, memoryview(bytearray())), 10)
                    == 0
                )
                receiving = asyncio.create_task(loop.sock_recv(ours, 10))
                await asyncio.sleep(0)
                await loop.sock_sendall(peer, b"x")
                assert await receiving == b"x"
            filling = asyncio.create_task(loop.sock_sendall(ours, bytes(1 << 24)))
            await loop.sock_recv(peer, 1)
            filling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await filling
            await asyncio.wait_for(loop.sock_sendall(ours, b""), 10)

    run(main)


@pytest.mark.parametrize(
    "call",
    [
        lambda loop, sock: loop.sock_recv(sock, -1),
        lambda loop, sock: loop.sock_recv(sock, "1"),
        lambda loop, sock: loop.sock_recv_into(sock, b"not to be changed"),
        lambda loop, sock: loop.sock_recv_into(sock, memoryview(b"nor this")),
        lambda loop, sock: loop.sock_recvfrom(sock, -1),
        lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(5), 6),
        lambda loop, sock: loop.sock_recvfrom_into(sock, bytearray(5), -1),
        lambda loop, sock: loop.sock_recvfrom_into(sock, b"fixed"),
    ],
)
def test_a_call_that_is_wrong_is_refused_though_nothing_is_there(run: Run, call: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, right = tcp_pair()
        with left, right:
            await loop.sock_sendall(right, b"hello")
            assert await loop.sock_recv(left, 100) == b"hello"
            waiting = asyncio.ensure_future(loop.sock_recv(left, 100))  # so it is known to be empty
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])  # before the socket is closed: `select` fails for it
            with pytest.raises((TypeError, ValueError, BufferError)):
                await asyncio.wait_for(call(loop, left), 5)
            await asyncio.wait([waiting])  # select(2) fails on a socket that is closed meanwhile

    run(main)
