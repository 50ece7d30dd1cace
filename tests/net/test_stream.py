"""Stream transports: their life from connection_made to connection_lost, and reading."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.connected import connected, receive_until_eof, tcp_pair, unix_pair
from tests.net.recording_protocol import BufferedRecorder, Recorder

Run = Callable[..., Any]

PAIRS = pytest.mark.parametrize("pair", [tcp_pair, unix_pair], ids=["tcp", "unix"])


# Life.


@PAIRS
def test_a_connection_is_made_talks_and_is_lost(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, pair) as (transport, protocol, peer):
            assert protocol.calls == ["connection_made"]
            assert protocol.transport is transport
            assert isinstance(transport, asyncio.Transport)
            assert transport.get_protocol() is protocol
            await loop.sock_sendall(peer, b"hello")
            assert await protocol.received(5) == b"hello"
            transport.write(b"world")
            assert await loop.sock_recv(peer, 100) == b"world"
            peer.close()
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]
            assert transport.is_closing()

    run(main)


def test_connection_lost_comes_once_and_never_from_inside_of_a_call(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            for _ in range(3):
                transport.close()
                transport.abort()
            assert protocol.calls == ["connection_made"]
            assert await protocol.lost is None
            transport.close()
            transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert protocol.calls.count("connection_lost") == 1

    run(main)


def test_nothing_is_told_after_connection_lost(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, peer):
            transport.abort()
            try:
                await loop.sock_sendall(peer, b"too late")
            except OSError:
                pass  # it may have noticed already
            await protocol.lost
            for _ in range(5):
                await asyncio.sleep(0)
            assert protocol.calls == ["connection_made", "connection_lost"]
            assert protocol.data == b""

    run(main)


def test_close_lets_the_buffer_drain_first(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            data = bytes(range(256)) * 20_000
            transport.write(data)
            assert transport.get_write_buffer_size() > 0
            transport.close()
            assert transport.is_closing()
            assert not protocol.lost.done()
            assert await receive_until_eof(peer) == data
            assert await protocol.lost is None

    run(main)


def test_abort_drops_the_buffer(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            data = b"x" * 20_000_000
            transport.write(data)
            transport.close()
            transport.abort()
            assert transport.get_write_buffer_size() == 0
            assert await protocol.lost is None
            assert len(await receive_until_eof(peer)) < len(data)

    run(main)


def test_the_file_descriptor_is_closed_with_the_transport(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            bare = transport.get_extra_info("socket")
            assert bare.fileno() >= 0
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            assert bare.fileno() == -1

    run(main)


def test_the_transport_tells_what_it_knows(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            assert transport.get_extra_info("peername") == peer.getsockname()
            assert transport.get_extra_info("sockname") == peer.getpeername()
            bare = transport.get_extra_info("socket")
            assert bare.family == socket.AF_INET
            assert bare.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            assert not hasattr(bare, "recv"), "a view of the socket, not the socket itself"
            assert transport.get_extra_info("sslcontext") is None
            assert transport.get_extra_info("nonsense", "default") == "default"
            transport.close()
            await protocol.lost
            assert transport.get_extra_info("peername") == peer.getsockname()

    run(main)


def test_a_unix_transport_knows_that_its_ends_have_no_name(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder, unix_pair) as (transport, _, _):
            assert transport.get_extra_info("peername") == ""
            assert transport.get_extra_info("sockname") == ""

    run(main)


def test_an_unclosed_transport_warns_and_closes_its_socket(run: Run) -> None:
    async def main() -> None:
        ours, peer = tcp_pair()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(asyncio.Protocol, ours)
        del ours
        transport.pause_reading()  # or the loop would keep it alive
        await asyncio.sleep(0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport
            gc.collect()
        # The collector decides whether the socket, which warns as well, goes first.
        assert any(str(warning.message).startswith("unclosed transport <") for warning in caught)
        assert {warning.category for warning in caught} == {ResourceWarning}
        assert await receive_until_eof(peer) == b""
        peer.close()

    run(main)


def test_a_closed_transport_does_not_warn(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            transport.close()
            await protocol.lost
            await asyncio.sleep(0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                transport.__del__()

    run(main)


def test_the_repr_names_the_descriptor_and_the_state(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            fd = transport.get_extra_info("socket").fileno()
            assert f"fd={fd}" in repr(transport)
            transport.close()
            assert "closing" in repr(transport)
            await protocol.lost
            await asyncio.sleep(0)
            assert "closed" in repr(transport)

    run(main)


def test_users_are_kept_off_the_socket_of_a_transport(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, _):
            fd = transport.get_extra_info("socket").fileno()
            for method in (loop.add_reader, loop.add_writer):
                with pytest.raises(RuntimeError, match=f"File descriptor {fd} is used by"):
                    method(fd, print)
            for method in (loop.remove_reader, loop.remove_writer):
                with pytest.raises(RuntimeError, match=f"File descriptor {fd} is used by"):
                    method(fd)
            transport.close()
            await protocol.lost

    run(main)


# Reading.


def test_reading_can_be_paused_and_resumed(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, peer):
            assert transport.is_reading()
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            await loop.sock_sendall(peer, b"later")
            for _ in range(20):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            assert await protocol.received(5) == b"later"

    run(main)


def test_a_paused_reader_holds_up_the_peer(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, peer):
            transport.pause_reading()
            sending = asyncio.ensure_future(loop.sock_sendall(peer, b"x" * 5_000_000))
            for _ in range(50):
                await asyncio.sleep(0)
            assert not sending.done()
            transport.resume_reading()
            await protocol.received(5_000_000)
            await sending

    run(main)


def test_reading_may_be_paused_before_the_connection_is_made(run: Run) -> None:
    class Paused(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.transport.pause_reading()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Paused) as (transport, protocol, peer):
            await loop.sock_sendall(peer, b"data")
            for _ in range(20):
                await asyncio.sleep(0)
            assert protocol.data == b""
            transport.resume_reading()
            assert await protocol.received(4) == b"data"

    run(main)


def test_pausing_in_data_received_stops_the_next_read(run: Run) -> None:
    class OneAtATime(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.pause_reading()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(OneAtATime) as (transport, protocol, peer):
            for number in range(1, 4):
                await loop.sock_sendall(peer, b"x")
                assert len(await protocol.received(number)) == number
                await loop.sock_sendall(peer, b"x")
                for _ in range(10):
                    await asyncio.sleep(0)
                assert len(protocol.data) == number
                transport.resume_reading()
                await protocol.received(number + 1)
                peer_read = number + 1
                assert len(protocol.data) == peer_read
                protocol.data.pop()  # start over with one byte less
                transport.resume_reading()

    run(main)


def test_pausing_or_resuming_a_closing_transport_does_nothing(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            transport.close()
            transport.pause_reading()
            transport.resume_reading()
            assert not transport.is_reading()
            await protocol.lost

    run(main)


def test_large_data_arrives_whole_in_pieces_that_grow(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sizes: list[int] = []

        class Measuring(Recorder):
            def data_received(self, data: bytes) -> None:
                sizes.append(len(data))
                super().data_received(data)

        data = bytes(range(256)) * 40_000
        async with connected(Measuring) as (_, protocol, peer):
            sending = loop.create_task(loop.sock_sendall(peer, data))
            assert await protocol.received(len(data)) == data
            await sending
        assert max(sizes) > 16 * 1024

    run(main)


@PAIRS
@pytest.mark.parametrize("size", [1, 7, 65536])
def test_a_buffered_protocol_reads_into_its_own_buffer(run: Run, pair: Any, size: int) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        data = bytes(range(256)) * (2 if size < 100 else 2000)
        async with connected(lambda: BufferedRecorder(size), pair) as (_, protocol, peer):
            sending = loop.create_task(loop.sock_sendall(peer, data))
            assert await protocol.received(len(data)) == data
            await sending
            peer.close()
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main)


def test_the_protocol_may_be_exchanged_between_two_reads(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, first, peer):
            await loop.sock_sendall(peer, b"one")
            await first.received(3)
            second = BufferedRecorder(100)
            transport.set_protocol(second)
            assert transport.get_protocol() is second
            await loop.sock_sendall(peer, b"two")
            await second.received(3)
            third = Recorder()
            transport.set_protocol(third)
            await loop.sock_sendall(peer, b"three")
            await third.received(5)
            assert (first.data, second.data, third.data) == (b"one", b"two", b"three")
            transport.close()
            await third.lost
            assert first.calls == ["connection_made"]
            assert second.calls == []
            assert third.calls == ["connection_lost"]

    run(main)


def test_the_protocol_may_be_exchanged_in_data_received(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        second = BufferedRecorder(4)

        class Exchanging(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.set_protocol(second)

        async with connected(Exchanging) as (_, first, peer):
            await loop.sock_sendall(peer, b"first")
            await first.received(5)
            await loop.sock_sendall(peer, b"second")
            assert await second.received(6) == b"second"
            assert first.data == b"first"

    run(main)


# The end of the peer's data.


def test_the_end_closes_the_transport_by_default(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            assert await protocol.lost is None
            assert transport.is_closing()
            assert await receive_until_eof(peer) == b""

    run(main)


def test_what_is_buffered_is_sent_after_the_peers_end(run: Run) -> None:
    async def main() -> None:
        data = bytes(range(256)) * 20_000
        async with connected(Recorder) as (transport, protocol, peer):
            transport.write(data)
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            assert await receive_until_eof(peer) == data
            assert await protocol.lost is None

    run(main)


class KeepOpen(Recorder):
    """Wants to go on writing after the peer's end."""

    def eof_received(self) -> bool:
        super().eof_received()
        return True


def test_a_protocol_may_keep_its_direction_open_after_the_peers_end(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(KeepOpen) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            for _ in range(20):
                await asyncio.sleep(0)
            assert not transport.is_closing()
            transport.write(b"still here")
            assert await loop.sock_recv(peer, 100) == b"still here"
            transport.close()
            assert await receive_until_eof(peer) == b""
            assert await protocol.lost is None
            assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    run(main)


def test_data_and_end_together_arrive_in_this_order(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, peer):
            transport.pause_reading()
            await loop.sock_sendall(peer, b"last words")
            peer.close()
            await asyncio.sleep(0)
            transport.resume_reading()
            assert await protocol.lost is None
            assert protocol.data == b"last words"

    run(main)


def test_the_end_is_told_once_even_if_reading_is_resumed_after_it() -> None:
    # Ours alone: asyncio reads the end again, and tells it again.
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(KeepOpen) as (transport, protocol, peer):
            peer.shutdown(socket.SHUT_WR)
            await protocol.eof
            transport.pause_reading()
            transport.resume_reading()
            transport.write(b"and writing goes on")
            assert await loop.sock_recv(peer, 100) == b"and writing goes on"
            assert protocol.calls == ["connection_made", "eof_received"]

    miniloop.run(main())
