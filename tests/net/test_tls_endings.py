"""How a TLS connection ends: by agreement, without a word, or by force."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import socket
import ssl
import threading
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net import certificates
from tests.net.blocking_peer import PATIENCE, listening, receive_exactly, reset, tls_server
from tests.net.recording_protocol import BufferedRecorder, Recorder

Run = Callable[..., Any]

ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


async def connect(
    address: tuple[()] | tuple[str, int], factory: Callable[[], Any] = Recorder, **options: Any
) -> tuple[Any, Any]:
    options.setdefault("ssl", certificates.client_context())
    return await asyncio.get_running_loop().create_connection(
        factory, *address, server_hostname="localhost", **options
    )


def serving(program: Callable[[ssl.SSLSocket], object]) -> Any:
    return listening(tls_server(certificates.server_context(), program))


def read_to_the_end(sock: ssl.SSLSocket) -> bytes:
    """All data up to a close_notify; without one, ssl.SSLEOFError."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def caught_errors() -> list[dict[str, Any]]:
    """The contexts that reach the exception handler of the running loop from now on."""
    contexts: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))
    return contexts


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
        assert may_read.wait(5)
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
        assert closed.wait(5)
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


def corrupting(sock: socket.socket) -> None:
    """Send a good record and a bad one, in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = certificates.server_context().wrap_bio(incoming, outgoing, server_side=True)
    while tls.version() is None or not tls.cipher():
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            sock.sendall(outgoing.read())
            incoming.write(sock.recv(10_000))
    tls.write(b"good")
    good = outgoing.read()
    tls.write(b"bad")
    bad = bytearray(outgoing.read())
    bad[-1] ^= 1
    sock.sendall(good + bad)
    while sock.recv(10_000):
        pass


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
            assert closed.wait(5)
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
        transport, protocol = await connect((), sock=sock, ssl_shutdown_timeout=0.2)
        began = loop.time()
        transport.write(bytes(size))
        transport.close()
        assert await protocol.lost is None
        assert loop.time() - began > 0.2, "it was to take longer than the timeout"

    with listening(serve) as address:
        run(main, address)
    assert received == [size]


def test_writes_after_the_end_are_dropped_and_then_complained_of(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(address: tuple[str, int]) -> None:
        transport, protocol = await connect(address)
        transport.close()
        await protocol.lost
        for _ in range(10):
            transport.write(b"anybody there?")

    with serving(lambda sock: read_to_the_end(sock)) as address:
        run(main, address)
    assert "SSL connection is closed" in caplog.text


# Applications that fail.


@pytest.mark.parametrize("method", ["data_received", "get_buffer", "buffer_updated"])
def test_an_application_that_raises_loses_its_connection_and_is_reported(
    run: Run, method: str
) -> None:
    base: Any = Recorder if method == "data_received" else lambda: BufferedRecorder(1000)

    async def main(address: tuple[str, int]) -> None:
        contexts = caught_errors()
        protocol = base()

        def fail(_: object) -> None:
            raise ZeroDivisionError(method)

        setattr(protocol, method, fail)
        transport, _ = await connect(address, lambda: protocol)
        exc = await protocol.lost
        assert isinstance(exc, ZeroDivisionError)
        assert [context["exception"] for context in contexts] == [exc]
        assert isinstance(contexts[0]["message"], str)
        assert transport.is_closing()

    def serve(sock: socket.socket) -> None:
        # It may be so soon that the handshake is not done.
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            tls_server(certificates.server_context(), send_and_read)(sock)

    def send_and_read(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"data")
        read_to_the_end(sock)

    with listening(serve) as address:
        run(main, address)


# asyncio reads nothing into an empty buffer, and takes that for the end of the connection.
@ON_MINILOOP
def test_an_empty_buffer_is_an_error_and_not_an_end(run: Run) -> None:
    class Empty(BufferedRecorder):
        def get_buffer(self, sizehint: int) -> bytearray:
            return bytearray()

    async def main(address: tuple[str, int]) -> None:
        contexts = caught_errors()
        _, protocol = await connect(address, lambda: Empty(1))
        exc = await protocol.lost
        assert isinstance(exc, RuntimeError)
        assert "empty buffer" in str(exc)
        assert [context["exception"] for context in contexts] == [exc]

    def serve(sock: socket.socket) -> None:
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            tls_server(certificates.server_context(), send_and_read)(sock)

    def send_and_read(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"data")
        read_to_the_end(sock)

    with listening(serve) as address:
        run(main, address)


def test_an_eof_received_that_raises_is_reported(run: Run) -> None:
    class Failing(Recorder):
        def eof_received(self) -> None:
            raise ZeroDivisionError

    async def main(address: tuple[str, int]) -> None:
        contexts = caught_errors()
        _, protocol = await connect(address, Failing)
        exc = await protocol.lost
        assert isinstance(exc, ZeroDivisionError)
        assert [context["exception"] for context in contexts] == [exc]

    with serving(lambda _: None) as address:
        run(main, address)


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_flow_control_callbacks_that_raise_are_reported_and_survived(run: Run, method: str) -> None:
    may_read = threading.Event()

    class Failing(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            if method == "pause_writing":
                raise ZeroDivisionError

        def resume_writing(self) -> None:
            super().resume_writing()
            if method == "resume_writing":
                raise ZeroDivisionError

    async def main(address: tuple[str, int]) -> None:
        contexts = caught_errors()
        transport, protocol = await connect(address, Failing)
        while not protocol.full:
            transport.write(bytes(100_000))
        may_read.set()
        await protocol.room()
        transport.close()
        assert await protocol.lost is None
        assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
        assert method in contexts[0]["message"]

    def serve(sock: ssl.SSLSocket) -> None:
        assert may_read.wait(5)
        read_to_the_end(sock)

    with serving(serve) as address:
        run(main, address)


# asyncio lets it pass through, to be reported as a failure of its own method.
@ON_MINILOOP
def test_a_connection_made_that_raises_is_reported_and_ends_the_attempt(run: Run) -> None:
    class Failing(Recorder):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            raise ZeroDivisionError

    async def main(address: tuple[str, int]) -> None:
        contexts = caught_errors()
        with pytest.raises(ZeroDivisionError):
            await connect(address, Failing)
        assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError]
        assert "connection_made() call failed" in contexts[0]["message"]

    def serve(sock: ssl.SSLSocket) -> None:
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            read_to_the_end(sock)

    with serving(serve) as address:
        run(main, address)


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes_through_and_the_connection_goes_on(
    run: Run, loop_factory: Callable[[], Any], exception: type[BaseException]
) -> None:
    class Interrupted(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"stop":
                raise exception

    def serve(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"stop")
        assert receive_exactly(sock, 2) == b"go"
        assert read_to_the_end(sock) == b""

    with serving(serve) as address:
        loop = loop_factory()
        try:
            transport, protocol = loop.run_until_complete(connect(address, Interrupted))
            with pytest.raises(exception):
                loop.run_until_complete(protocol.lost)
            transport.write(b"go")
            transport.close()
            assert loop.run_until_complete(protocol.lost) is None
        finally:
            loop.close()


# What is left.


def test_an_unclosed_connection_is_named_in_a_warning(
    loop_factory: Callable[[], Any],
) -> None:
    def serve(sock: ssl.SSLSocket) -> None:
        with pytest.raises((ssl.SSLEOFError, ConnectionError)):
            read_to_the_end(sock)

    with serving(serve) as address:
        loop = loop_factory()
        transport, _ = loop.run_until_complete(connect(address))
        loop.close()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            del transport, _
            gc.collect()
    messages = [str(warning.message) for warning in caught]
    assert any(re.match(r"unclosed transport <.*SSL.*Transport", text) for text in messages)
    assert {warning.category for warning in caught} == {ResourceWarning}


def test_nothing_of_a_connection_is_left_to_the_garbage_collector(run: Run) -> None:
    contexts = []

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context()
        contexts.append(weakref.ref(context))
        transport, protocol = await connect(address, ssl=context)
        await protocol.received(2)
        transport.close()
        await protocol.lost

    def serve(sock: ssl.SSLSocket) -> None:
        sock.sendall(b"hi")
        read_to_the_end(sock)

    with serving(serve) as address:
        gc.collect()
        gc.disable()
        try:
            run_without_collection(run, main, address)
            assert contexts[0]() is None
        finally:
            gc.enable()


def run_without_collection(run: Run, main: Any, address: Any) -> None:
    collect, gc.collect = gc.collect, lambda *_: 0  # type: ignore[assignment]
    try:
        run(main, address)
    finally:
        gc.collect = collect


# asyncio leaves a circle: the waiter, its exception, and the frame that awaits the waiter.
@ON_MINILOOP
def test_a_failed_handshake_leaves_nothing_either(run: Run) -> None:
    contexts = []

    async def main(address: tuple[str, int]) -> None:
        context = certificates.client_context(authority=certificates.STRANGER)
        contexts.append(weakref.ref(context))
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(address, ssl=context)

    def refused(sock: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."):
            tls_server(certificates.server_context(), read_to_the_end)(sock)

    with listening(refused) as address:
        gc.collect()
        gc.disable()
        try:
            run_without_collection(run, main, address)
            assert contexts[0]() is None
        finally:
            gc.enable()


def test_debug_mode_logs_why_a_connection_broke(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="asyncio")

    async def main(address: tuple[str, int]) -> None:
        asyncio.get_running_loop().set_debug(True)
        _, protocol = await connect(address)
        assert isinstance(await protocol.lost, ssl.SSLError)

    def serve(sock: socket.socket) -> None:
        try:
            corrupting(sock)
        except ConnectionResetError:
            pass

    with listening(serve) as address:
        run(main, address)
    # The second is what OpenSSL says from 3.5 on.
    assert re.search("DECRYPTION_FAILED_OR_BAD_RECORD_MAC|RECORD_LAYER_FAILURE", caplog.text)
