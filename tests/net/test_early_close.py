"""A connection that is closed before the peer has said all: what was sent must still arrive.

The kernel resets a connection that is closed with data unread, and a reset may overtake what was
written just before: the answer "413" to a long upload, say.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.connected import connected, receive_until_eof, tcp_pair, unix_pair
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

ANSWER = b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\n\r\n"

PAIRS = pytest.mark.parametrize("make_pair", [tcp_pair, unix_pair])


class AnswersAtOnce(Recorder):
    """Has an answer as soon as there is anything to read."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(ANSWER)
        self.transport.close()


class Goodbye(Recorder):
    """Wants to hear nothing."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.write(ANSWER)
        self.transport.close()


def send_ahead(sock: socket.socket, most: int) -> int:
    """Send as much as there is room for. Returns how much it was."""
    try:
        return sock.send(bytes(most))
    except BlockingIOError:
        return 0


@PAIRS
@pytest.mark.parametrize("size", [1, 40_000, 100_000])
def test_the_answer_to_an_upload_that_is_not_read_to_its_end_arrives(
    run: Run, make_pair: Any, size: int
) -> None:
    async def main() -> bytes:
        async with connected(AnswersAtOnce, make_pair) as (transport, protocol, peer):
            transport.pause_reading()
            assert send_ahead(peer, size)
            transport.resume_reading()
            assert await protocol.lost is None
            return await receive_until_eof(peer)

    assert run(main) == ANSWER


@PAIRS
def test_a_goodbye_to_one_who_has_talked_already_arrives(make_pair: Any) -> None:
    """On asyncio the peer is reset: nothing was read at all."""

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        ours, peer = make_pair()
        with peer:
            send_ahead(peer, 10_000)
            _, protocol = await loop.connect_accepted_socket(Goodbye, ours)
            await protocol.lost
            return await receive_until_eof(peer)

    assert miniloop.run(main()) == ANSWER


@PAIRS
def test_an_answer_that_has_to_wait_for_room_arrives(make_pair: Any) -> None:
    size = 1 << 20

    class AnswersAtLength(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write(bytes(size))
            self.transport.close()

    async def main() -> bytes:
        async with connected(AnswersAtLength, make_pair) as (transport, protocol, peer):
            transport.pause_reading()
            send_ahead(peer, 30_000)
            transport.resume_reading()
            received = await receive_until_eof(peer)
            assert await protocol.lost is None
            return received

    assert len(miniloop.run(main())) == size


@PAIRS
def test_a_long_answer_arrives_though_the_peer_cannot_go_on_sending(make_pair: Any) -> None:
    """It sends all it has before it reads, and has more than fits into the kernel's buffers.

    asyncio reads it all if it is there at the first read, and resets the connection if not.
    """
    size = 1 << 21

    class AnswersAtLength(Recorder):
        def data_received(self, data: bytes) -> None:
            if not self.transport.is_closing():
                self.transport.write(bytes(size))
                self.transport.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(AnswersAtLength, make_pair) as (_, protocol, peer):
            capacity = peer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
            async with asyncio.timeout(30):
                await loop.sock_sendall(peer, bytes(capacity + 40_000))
                assert len(await receive_until_eof(peer)) == size
            await protocol.lost

    miniloop.run(main())


@PAIRS
def test_a_peer_that_sends_without_end_is_given_up(make_pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, make_pair) as (transport, _, peer):
            transport.write(bytes(1 << 23))
            assert transport.get_write_buffer_size()
            transport.close()
            sent = 0
            # Until there has been no more room for a while.
            while sent < 1 << 22:
                try:
                    await asyncio.wait_for(loop.sock_sendall(peer, bytes(1000)), 0.2)
                except TimeoutError:
                    break
                sent += 1000
            assert sent < 1 << 22
            transport.abort()

    miniloop.run(main())


@PAIRS
def test_what_a_full_stream_reader_left_does_not_keep_the_answer_from_arriving(
    make_pair: Any,
) -> None:
    """It has paused reading, as nobody reads. asyncio has read more of it, but not all of this."""

    async def main() -> bytes:
        ours, peer = make_pair()
        with peer:
            reader, writer = await asyncio.open_connection(sock=ours, limit=100)
            transport: Any = writer.transport
            send_ahead(peer, 10_000)
            while transport.is_reading():
                await asyncio.sleep(0)
            assert send_ahead(peer, 20_000)
            writer.write(ANSWER)
            writer.close()
            received = await asyncio.wait_for(receive_until_eof(peer), 30)
            await writer.wait_closed()
            assert len(await reader.read(200)) == 200
            return received

    assert miniloop.run(main()) == ANSWER


def test_what_is_read_and_dropped_is_bounded() -> None:
    taken = 0

    class Endless(socket.socket):
        """A peer that sends faster than we read."""

        def recv(self, size: int, flags: int = 0) -> bytes:  # type: ignore[override]
            nonlocal taken
            taken += size
            return bytes(size)

    async def main() -> None:
        ours, peer = unix_pair()
        with peer:
            endless = Endless(fileno=ours.detach())
            loop = asyncio.get_running_loop()
            transport, protocol = await loop.create_unix_connection(Recorder, sock=endless)
            transport.close()
            await protocol.lost

    miniloop.run(main())
    assert 0 < taken <= 256 * 1024


@pytest.mark.parametrize("how", ["paused", "aborted", "ended"])
def test_nothing_is_read_any_more_by_one_who(run: Run, how: str) -> None:
    """Whoever paused may have given a copy of the socket to somebody else."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, unix_pair) as (transport, protocol, peer):
            with transport.get_extra_info("socket")._sock.dup() as copy:
                transport.pause_reading()
                if how == "ended":
                    peer.shutdown(socket.SHUT_WR)
                    transport.resume_reading()
                    await protocol.eof
                else:
                    await loop.sock_sendall(peer, b"for the copy")
                    if how == "aborted":
                        transport.resume_reading()
                        transport.abort()
                    else:
                        transport.close()
                await protocol.lost
                assert copy.recv(100) == (b"" if how == "ended" else b"for the copy")

    run(main)
