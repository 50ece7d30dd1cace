"""How a TLS connection ends: by agreement, without a word, or by force."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net import certificates
from tests.net.blocking_peer import PATIENCE, listening, receive_exactly, reset, tls_server
from tests.net.recording_protocol import BufferedRecorder, Recorder
from tests.net.tls_peers import caught_errors, connect, corrupting, read_to_the_end, serving

Run = Callable[..., Any]


ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


# By agreement.


def test_an_answer_to_one_who_hung_up_with_the_question_is_no_error(run: Run) -> None:
    """Question and farewell are read at once; who serves by the book is not to blame for that."""

    async def main() -> None:
        errors = caught_errors()
        ends = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)
                await writer.drain()
            writer.close()
            ends.append(data)

        context = certificates.server_context()
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
        address = server.sockets[0].getsockname()
        for _ in range(10):
            _, writer = await asyncio.open_connection(
                *address, ssl=certificates.client_context(), server_hostname="localhost"
            )
            writer.write(b"question")
            writer.close()
            await writer.wait_closed()
        while len(ends) + len(errors) < 10:
            await asyncio.sleep(0.001)
        server.close()
        assert not errors

    run(main)


def test_close_sends_what_was_written_and_then_the_alert(run: Run) -> None:
    received = []

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.write(b"goodbye")
        transport.close()
        assert transport.is_closing()
        transport.close()
        assert await protocol.lost is None
        assert protocol.calls[0] == "connection_made"
        assert protocol.calls.count("connection_lost") == 1

    with serving(lambda sock: received.append(read_to_the_end(sock))) as address:
        run(main, address)
    assert received == [b"goodbye"]


def test_close_sends_megabytes_to_a_peer_that_reads_late(run: Run) -> None:
    size = 20_000_000
    received = []
    may_read = threading.Event()

    def read_late(sock: ssl.SSLSocket) -> None:
        assert may_read.wait(25)
        received.append(len(read_to_the_end(sock)))

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.write(bytes(size))
        transport.close()
        assert transport.get_write_buffer_size() > 0
        may_read.set()
        assert await protocol.lost is None

    with serving(read_late) as address:
        run(main, address)
    assert received == [size]


def test_the_peers_close_notify_is_an_end_of_file(run: Run) -> None:
    def say_goodbye(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"that is all")
        sock.unwrap()  # waits for the answer

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address)
        assert await protocol.lost is None
        assert protocol.data == b"that is all"
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    with serving(say_goodbye) as address:
        run(main, address)


def test_the_last_word_may_be_written_in_eof_received(run: Run) -> None:
    received = []

    class Polite(Recorder):
        def eof_received(self) -> None:
            super().eof_received()
            self.transport.write(b"farewell")

    def say_goodbye_and_listen(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = certificates.server_context().wrap_bio(incoming, outgoing, server_side=True)

        def do(action: Callable[..., Any], *args: Any) -> Any:
            while True:
                try:
                    return action(*args)
                except ssl.SSLWantReadError:
                    sock.sendall(outgoing.read())
                    incoming.write(sock.recv(10_000))
                finally:
                    sock.sendall(outgoing.read())

        do(tls.do_handshake)
        with pytest.raises(ssl.SSLWantReadError):
            tls.unwrap()  # ours only
        received.append(do(tls.read, 100))

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address, Polite)
        assert await protocol.lost is None

    with listening(say_goodbye_and_listen) as address:
        run(main, address)
    assert received == [b"farewell"]


def test_returning_true_from_eof_received_changes_nothing_but_warns(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            return True

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address, Stubborn)
        assert await protocol.lost is None

    with serving(lambda sock: sock.unwrap()) as address:
        run(main, address)
    assert "has no effect when using ssl" in caplog.text


# asyncio fails with "application data after close notify" when it asks OpenSSL to finish.
@ON_MINILOOP
def test_what_comes_after_close_is_dropped_without_an_error(run: Run) -> None:
    closed = threading.Event()

    def talk_on(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"one")
        assert closed.wait(25)
        for _ in range(100):
            sock.sendall(bytes(10_000))
        assert read_to_the_end(sock) == b"enough"

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(3)
        transport.write(b"enough")
        transport.close()
        closed.set()
        assert await protocol.lost is None
        assert protocol.data == b"one"
        assert protocol.calls == ["connection_made", "connection_lost"]

    with serving(talk_on) as address:
        run(main, address)


def test_close_within_data_received_works(run: Run) -> None:
    class OneMessage(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(b"thank you")
            self.transport.close()

    def send_one(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"message")
        assert read_to_the_end(sock) == b"thank you"

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address, OneMessage)
        assert await protocol.lost is None
        assert protocol.data == b"message"

    with serving(send_one) as address:
        run(main, address)


def test_close_while_reading_is_paused_works(run: Run) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(4)
        transport.pause_reading()
        transport.close()
        assert await protocol.lost is None

    def serve(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"data")
        assert read_to_the_end(sock) == b""

    with serving(serve) as address:
        run(main, address)


def test_both_may_close_at_once(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        here, there = socket.socketpair()
        (_, server), (_, client) = await asyncio.gather(
            loop.connect_accepted_socket(Recorder, here, ssl=certificates.server_context()),
            connect((), sock=there),
        )
        server.transport.close()
        client.transport.close()
        assert await server.lost is None
        assert await client.lost is None

    run(main)


# Without a word.


def test_an_end_of_the_socket_is_an_end_of_file_too(run: Run) -> None:
    def hang_up(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"partial")

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address)
        assert await protocol.lost is None
        assert protocol.data == b"partial"
        assert protocol.calls == ["connection_made", "eof_received", "connection_lost"]

    with serving(hang_up) as address:
        run(main, address)


def test_a_reset_is_told_as_such(run: Run) -> None:
    def reset_tls(sock: socket.socket) -> None:
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"x")
            receive_exactly(tls, 1)
            reset(tls)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(1)
        transport.write(b"y")
        assert isinstance(await protocol.lost, ConnectionResetError)
        assert protocol.calls == ["connection_made", "connection_lost"]

    with listening(reset_tls) as address:
        run(main, address)


@pytest.mark.parametrize("count", [0, 1, 100_000])
def test_a_reset_is_noticed_while_reading_is_paused(run: Run, count: int) -> None:
    def send_and_reset(sock: ssl.SSLSocket) -> None:
        assert receive_exactly(sock, 5) == b"ready"
        sock.sendall(bytes(count))
        reset(sock)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.pause_reading()
        transport.write(b"ready")
        assert isinstance(await protocol.lost, ConnectionResetError)
        assert transport.is_closing()
        assert protocol.calls == ["connection_made", "connection_lost"]

    with serving(send_and_reset) as address:
        run(main, address)


def test_who_reads_on_in_the_turn_of_a_reset_is_told_of_it() -> None:
    """The last data and the reset come in one turn, and the reader is woken by the data."""

    def send(sock: ssl.SSLSocket) -> None:
        sock.sendall(bytes(5000))
        assert sock.recv(1) == b"x"
        sock.sendall(bytes(100))
        with contextlib.suppress(OSError):
            read_to_the_end(sock)

    async def main(address: tuple[str, int]) -> None:
        reader, writer = await asyncio.open_connection(
            *address, ssl=certificates.client_context(), server_hostname="localhost", limit=1000
        )
        while not reader._paused:  # type: ignore[attr-defined]
            await asyncio.sleep(0.001)
        tls: Any = writer.transport._tls  # type: ignore[attr-defined]
        writer.write(b"x")
        while not tls.inbox.holds_something():
            await asyncio.sleep(0.001)
        reading = asyncio.create_task(reader.readexactly(10_000))
        await asyncio.sleep(0)
        # It reads on, which takes a turn, as does the end of what is below.
        tls.below._drop(ConnectionResetError())
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reading, 2)
        writer.close()
        with pytest.raises(ConnectionResetError):
            await writer.wait_closed()

    with serving(send) as address:
        miniloop.run(main(address))


def test_a_record_that_was_tampered_with_ends_the_connection(run: Run) -> None:
    def serve(sock: socket.socket) -> None:
        try:
            corrupting(sock)
        except ConnectionResetError:
            pass

    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address)
        assert isinstance(await protocol.lost, ssl.SSLError)
        assert protocol.calls == ["connection_made", "connection_lost"]

    with listening(serve) as address:
        run(main, address)


# asyncio drops what it has decrypted in the same go.
@ON_MINILOOP
@pytest.mark.parametrize("factory", [Recorder, lambda: BufferedRecorder(1000)])
def test_data_before_a_broken_record_are_delivered(
    run: Run, factory: Callable[[], Recorder]
) -> None:
    async def main(address: tuple[str, int]) -> None:
        _, protocol = await connect(address, factory)
        assert isinstance(await protocol.lost, ssl.SSLError)
        assert protocol.data == b"good"

    with listening(corrupting) as address:
        run(main, address)


# asyncio asks OpenSSL to shut down instead of reading on, and gets the same error from that.
@ON_MINILOOP
def test_a_broken_record_after_close_is_told_as_such(run: Run) -> None:
    closed = threading.Event()

    def answer_with_garbage(sock: socket.socket) -> None:
        with certificates.server_context().wrap_socket(sock, server_side=True) as tls:
            tls.sendall(b"x")
            assert closed.wait(25)
            raw = socket.socket(fileno=tls.detach())
        with raw:
            raw.settimeout(PATIENCE)
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            try:
                while raw.recv(10_000):
                    pass
            except ConnectionResetError:
                pass

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(1)
        transport.close()
        closed.set()
        assert isinstance(await protocol.lost, ssl.SSLError)
        assert protocol.calls == ["connection_made", "connection_lost"]

    with listening(answer_with_garbage) as address:
        run(main, address)


# By force.


def test_abort_sends_nothing_more(run: Run) -> None:
    def expect_a_cut(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"x")
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            read_to_the_end(sock)

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        await protocol.received(1)
        transport.write(b"never sent")
        transport.abort()
        assert transport.is_closing()
        transport.abort()
        assert await protocol.lost is None
        assert protocol.calls == ["connection_made", "connection_lost"]

    with serving(expect_a_cut) as address:
        run(main, address)


def test_abort_after_close_does_not_wait_for_the_peer(run: Run) -> None:
    done = threading.Event()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.write(bytes(20_000_000))
        transport.close()
        await asyncio.sleep(0)
        assert not protocol.lost.done()
        transport.abort()
        assert await protocol.lost is None
        done.set()

    with serving(lambda _: done.wait(5)) as address:
        run(main, address)


def test_a_peer_that_does_not_answer_close_is_given_up(run: Run) -> None:
    done = threading.Event()

    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address, ssl_shutdown_timeout=0.05)
        transport.close()
        exc = await protocol.lost
        assert isinstance(exc, TimeoutError)
        assert "SSL shutdown timed out" in str(exc)
        done.set()

    with serving(lambda _: done.wait(5)) as address:
        run(main, address)


# asyncio counts the time to send as well, and cuts off who reads slowly.
@ON_MINILOOP
def test_a_peer_that_reads_slowly_is_not_given_up(run: Run) -> None:
    size = 12_000_000
    done = threading.Event()
    received = []

    def read_slowly(sock: ssl.SSLSocket) -> None:
        count = 0
        while count < size:
            count += len(sock.recv(65536))
            if count % (65536 * 4) == 0:
                done.wait(0.02)
        assert sock.recv(1) == b""
        received.append(count)

    def serve(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        tls_server(certificates.server_context(), read_slowly)(sock)

    async def main(address: tuple[str, int]) -> None:
        loop = asyncio.get_running_loop()
        # Of what is in the kernel's buffer nobody can tell how fast it goes, so let it hold little.
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        transport, protocol = await connect((), sock=sock, ssl_shutdown_timeout=0.5)
        began = loop.time()
        transport.write(bytes(size))
        transport.close()
        assert await protocol.lost is None
        assert loop.time() - began > 0.5, "it was to take longer than the timeout"

    with listening(serve) as address:
        run(main, address)
    assert received == [size]
