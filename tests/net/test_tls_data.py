"""What is written on one side of a TLS connection comes out on the other: all of it, in order."""

from __future__ import annotations

import array
import asyncio
import hashlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net import certificates
from tests.net.blocking_peer import listening, receive_exactly, tls_server
from tests.net.recording_protocol import BufferedRecorder, Recorder

Run = Callable[..., Any]

ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])
BOTH_VERSIONS = pytest.mark.parametrize(
    "version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"]
)


def pattern(size: int) -> bytes:
    """Bytes in which no part is like another."""
    return hashlib.shake_128(b"seed").digest(size)


async def connect(
    address: tuple[str, int], factory: Callable[[], Any] = Recorder, **options: Any
) -> tuple[Any, Any]:
    options.setdefault("ssl", certificates.client_context())
    return await asyncio.get_running_loop().create_connection(
        factory, *address, server_hostname="localhost", **options
    )


async def pair(**options: Any) -> tuple[asyncio.Server, Recorder, Recorder]:
    """A server, and both ends of a connection to it. The first is the client's."""
    loop = asyncio.get_running_loop()
    accepted = loop.create_future()

    class Accepted(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            accepted.set_result(self)

    server = await loop.create_server(Accepted, "127.0.0.1", 0, ssl=certificates.server_context())
    _, client = await connect(server.sockets[0].getsockname(), **options)
    return server, client, await accepted


async def end(server: asyncio.Server, client: Recorder, accepted: Recorder) -> None:
    client.transport.close()
    assert await client.lost is None
    assert await accepted.lost is None
    server.close()
    await server.wait_closed()


def echo(count: int) -> Callable[[ssl.SSLSocket], None]:
    """Send back so many bytes, piece by piece, and wait for the end."""

    def serve(sock: ssl.SSLSocket) -> None:
        left = count
        while left:
            data = sock.recv(65536)
            assert data
            sock.sendall(data)
            left -= len(data)
        assert sock.recv(100) == b""

    return serve


@BOTH_VERSIONS
@pytest.mark.parametrize("size", [1, 100, 16_383, 16_384, 16_385, 65_536, 1_000_000])
def test_messages_of_any_size_come_back(run: Run, size: int, version: ssl.TLSVersion) -> None:
    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context()
        context.maximum_version = version
        transport, protocol = await connect(address, ssl=context)
        assert transport.get_extra_info("ssl_object").version() == version.name.replace("_", ".")
        data = pattern(size)
        transport.write(data)
        assert await protocol.received(size) == data
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), echo(size))) as address:
        run(main, address)


@pytest.mark.parametrize("size", [1, 100, 16_384, 100_000])
def test_a_buffered_protocol_gets_everything_whatever_its_buffer(run: Run, size: int) -> None:
    data = pattern(min(20_000 * size, 200_000))  # a call for each byte takes its time

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, lambda: BufferedRecorder(size))
        transport.write(data)
        assert await protocol.received(len(data)) == data
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), echo(len(data)))) as address:
        run(main, address)


# asyncio cuts off a bytearray what is full, which makes a copy, and reads the rest into that.
@ON_MINILOOP
def test_the_buffer_of_a_protocol_may_be_a_bytearray(run: Run) -> None:
    class Plain(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> bytearray:
            whole: bytearray = self.buffer.obj  # type: ignore[assignment]
            return whole

    data = pattern(200_000)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, lambda: Plain(50_000))
        transport.write(data)
        assert await protocol.received(len(data)) == data
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), echo(len(data)))) as address:
        run(main, address)


def test_the_protocol_may_be_replaced_between_messages(run: Run) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, first = await connect(address)
        transport.write(b"one")
        assert await first.received(3) == b"one"
        second = BufferedRecorder(2)
        second.transport = transport
        transport.set_protocol(second)
        assert transport.get_protocol() is second
        transport.write(b"two")
        assert await second.received(3) == b"two"
        third = Recorder()
        transport.set_protocol(third)
        transport.write(b"three")
        assert await third.received(5) == b"three"
        transport.close()
        assert await third.lost is None
        assert third.calls[-1] == "connection_lost"
        assert first.calls == ["connection_made"]
        assert second.calls == []

    with listening(tls_server(certificates.server_context(), echo(11))) as address:
        run(main, address)


def test_ciphertext_may_come_in_crumbs(run: Run) -> None:
    def serve_in_crumbs(sock: socket.socket) -> None:
        """TLS by hand, over a socket to which every byte is sent by itself."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates.server_context().wrap_bio(incoming, outgoing, server_side=True)

        def do(action: Callable[..., Any], *args: Any) -> Any:
            result: Any = "missing"
            while True:
                try:
                    result = action(*args)
                except ssl.SSLWantReadError:
                    pass
                for byte in outgoing.read():
                    sock.send(bytes([byte]))
                if result != "missing":
                    return result
                incoming.write(sock.recv(1))

        do(tls.do_handshake)
        assert do(tls.read, 5) == b"hello"
        do(tls.write, b"crumbs" * 100)
        assert do(tls.read, 5) == b""
        do(tls.unwrap)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.write(b"hello")
        assert await protocol.received(600) == b"crumbs" * 100
        transport.close()
        assert await protocol.lost is None

    with listening(serve_in_crumbs) as address:
        run(main, address)


def test_megabytes_go_both_ways_at_once(run: Run) -> None:
    data = pattern(6_000_000)

    async def main() -> None:
        server, client, accepted = await pair()
        client.transport.write(data)
        accepted.transport.write(data[::-1])
        assert await accepted.received(len(data)) == data
        assert await client.received(len(data)) == data[::-1]
        await end(server, client, accepted)

    run(main)


def test_many_small_writes_keep_their_order(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        pieces = [str(number).encode() for number in range(20_000)]
        for piece in pieces[:10_000]:
            client.transport.write(piece)
        client.transport.writelines(pieces[10_000:])
        expected = b"".join(pieces)
        assert await accepted.received(len(expected)) == expected
        await end(server, client, accepted)

    run(main)


@pytest.mark.parametrize("size", [10, 100_000, 12_000_000])
@pytest.mark.parametrize("wrap", [bytearray, memoryview])
def test_a_buffer_may_be_changed_once_it_is_written(
    run: Run, size: int, wrap: Callable[[bytearray], bytearray | memoryview]
) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        accepted.transport.pause_reading()
        buffer = bytearray(pattern(size))
        client.transport.write(wrap(buffer))
        client.transport.write(wrap(buffer))
        if size == 12_000_000:
            assert client.transport.get_write_buffer_size() > 0, "it was to be more than fits"
        buffer[:] = bytes(size)
        accepted.transport.resume_reading()
        assert await accepted.received(2 * size) == 2 * pattern(size)
        await end(server, client, accepted)

    run(main)


@ON_MINILOOP
def test_a_view_of_anything_is_written_as_bytes(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        numbers = array.array("I", range(50_000))
        for view in (memoryview(numbers)[:10], memoryview(numbers)):
            client.transport.write(view)
        expected = numbers[:10].tobytes() + numbers.tobytes()
        assert await accepted.received(len(expected)) == expected
        await end(server, client, accepted)

    run(main)


def test_empty_writes_send_nothing(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        client.transport.write(b"")
        client.transport.write(bytearray())
        client.transport.writelines([])
        client.transport.write(b"x")
        assert await accepted.received(1) == b"x"
        await end(server, client, accepted)

    run(main)


@pytest.mark.parametrize("data", ["text", None, 1, [b"x"]])
def test_only_bytes_can_be_written(run: Run, data: Any) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        with pytest.raises(TypeError, match=type(data).__name__):
            client.transport.write(data)
        await end(server, client, accepted)

    run(main)


def test_there_is_no_half_close(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        assert not client.transport.can_write_eof()
        with pytest.raises(NotImplementedError):
            client.transport.write_eof()
        await end(server, client, accepted)

    run(main)


def test_a_writer_is_held_up_by_a_peer_that_does_not_read(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        accepted.transport.pause_reading()
        chunk = pattern(100_000)
        written = 0
        while not client.full:
            client.transport.write(chunk)
            written += len(chunk)
            assert written < 100_000_000, "nobody ever says stop"
            await asyncio.sleep(0)
        assert client.transport.get_write_buffer_size() > 0
        low, high = client.transport.get_write_buffer_limits()
        assert client.transport.get_write_buffer_size() <= high + len(chunk)
        accepted.transport.resume_reading()
        await client.room()
        assert client.transport.get_write_buffer_size() <= low
        received = await accepted.received(written)
        assert received == chunk * (written // len(chunk))
        await end(server, client, accepted)

    run(main)


def test_write_buffer_limits_can_be_set(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        transport = client.transport
        assert transport.get_write_buffer_limits() == (128 * 1024, 512 * 1024)
        transport.set_write_buffer_limits(high=1000)
        assert transport.get_write_buffer_limits() == (250, 1000)
        transport.set_write_buffer_limits(low=1000)
        assert transport.get_write_buffer_limits() == (1000, 4000)
        transport.set_write_buffer_limits(high=5, low=2)
        assert transport.get_write_buffer_limits() == (2, 5)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        await end(server, client, accepted)

    run(main)


@ON_MINILOOP
def test_with_low_limits_a_writer_is_held_up_early_and_not_for_nothing(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        client.transport.set_write_buffer_limits(high=0)
        client.transport.write(b"this fits into the socket")
        assert not client.full
        accepted.transport.pause_reading()
        written = 0
        while not client.full:
            client.transport.write(bytes(50_000))
            written += 50_000
            assert written < 100_000_000
        assert client.transport.get_write_buffer_size() <= 50_000
        accepted.transport.resume_reading()
        await client.room()
        await accepted.received(written + 25)
        await end(server, client, accepted)

    run(main)


def test_a_peer_is_held_up_by_an_application_that_does_not_read(run: Run) -> None:
    total = 50_000_000
    sent = []
    stuck = threading.Event()

    def flood(sock: ssl.SSLSocket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        assert receive_exactly(sock, 5) == b"flood"
        chunk = bytes(100_000)
        sock.settimeout(0.5)
        count = 0
        try:
            while count < total:
                sock.sendall(chunk)
                count += len(chunk)
        except TimeoutError:
            sent.append(count)
        finally:
            stuck.set()

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        transport, protocol = await loop.create_connection(
            Recorder, sock=sock, ssl=certificates.client_context(), server_hostname="localhost"
        )
        transport.write(b"flood")
        transport.pause_reading()
        assert not transport.is_reading()
        await loop.run_in_executor(None, stuck.wait)
        assert not protocol.data
        transport.resume_reading()
        assert transport.is_reading()
        await protocol.lost
        assert not any(protocol.data)

    def serve(sock: socket.socket) -> None:
        # The connection is given up in the middle of a record.
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            flood(tls)

    with listening(serve) as address:
        run(main, address)
    assert 0 < sent[0] < 2_000_000


def test_data_that_came_during_a_pause_are_delivered_before_the_end(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        client.transport.pause_reading()
        accepted.transport.write(b"last words")
        accepted.transport.close()
        # A second connection is a way to wait that leaves the first one alone.
        _, other = await connect(server.sockets[0].getsockname())
        other.transport.abort()
        await other.lost
        assert not client.data
        client.transport.resume_reading()
        assert await client.lost is None
        assert client.data == b"last words"
        assert client.calls == ["connection_made", "eof_received", "connection_lost"]
        assert await accepted.lost is None
        server.close()

    run(main)


def test_pausing_within_data_received_holds_back_the_rest(run: Run) -> None:
    class OneAtATime(BufferedRecorder):
        def buffer_updated(self, nbytes: int) -> None:
            assert self.transport.is_reading()
            super().buffer_updated(nbytes)
            self.transport.pause_reading()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, lambda: OneAtATime(10))
        transport.write(pattern(1000))
        for count in range(10, 1001, 10):
            await protocol.received(count)
            transport.resume_reading()
        assert protocol.data == pattern(1000)
        transport.close()
        assert await protocol.lost is None

    with listening(tls_server(certificates.server_context(), echo(1000))) as address:
        run(main, address)


def test_pausing_and_resuming_twice_is_as_good_as_once(run: Run) -> None:
    async def main() -> None:
        server, client, accepted = await pair()
        for _ in range(2):
            client.transport.pause_reading()
        for _ in range(2):
            client.transport.resume_reading()
        accepted.transport.write(b"x")
        assert await client.received(1) == b"x"
        await end(server, client, accepted)

    run(main)


def test_streams_carry_large_messages_both_ways(run: Run) -> None:
    data = pattern(3_000_000)

    async def echo_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100_000):
            writer.write(chunk)
            await writer.drain()
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(
            echo_back, "127.0.0.1", 0, ssl=certificates.server_context()
        )
        async with server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(),
                ssl=certificates.client_context(),
                server_hostname="localhost",
            )

            async def send() -> None:
                for start in range(0, len(data), 50_000):
                    writer.write(data[start : start + 50_000])
                    await writer.drain()

            sending = asyncio.create_task(send())
            assert await reader.readexactly(len(data)) == data
            await sending
            writer.close()
            await writer.wait_closed()

    run(main)


def test_a_unix_socket_carries_tls_too(run: Run, tmp_path: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        path = str(tmp_path / "socket")
        server = await loop.create_unix_server(Recorder, path, ssl=certificates.server_context())
        async with server:
            transport, protocol = await loop.create_unix_connection(
                Recorder, path, ssl=certificates.client_context(), server_hostname="localhost"
            )
            transport.close()
            assert await protocol.lost is None

    run(main)


def test_an_accepted_socket_can_be_given_to_the_loop(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        (_, server), (_, client) = await asyncio.gather(
            loop.connect_accepted_socket(Recorder, here, ssl=certificates.server_context()),
            loop.create_connection(
                Recorder, sock=there, ssl=certificates.client_context(), server_hostname="localhost"
            ),
        )
        server.transport.write(b"hello")
        assert await client.received(5) == b"hello"
        server.transport.close()
        assert await server.lost is None
        assert await client.lost is None

    run(main)
