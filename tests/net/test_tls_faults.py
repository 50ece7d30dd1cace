"""TLS: applications that raise or are interrupted, and what is left of a connection."""

from __future__ import annotations

import asyncio
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
from tests.net.blocking_peer import listening, receive_exactly, tls_server
from tests.net.recording_protocol import BufferedRecorder, Recorder
from tests.net.tls_peers import caught_errors, connect, corrupting, read_to_the_end, serving

Run = Callable[..., Any]


ON_MINILOOP = pytest.mark.parametrize("loop_factory", [miniloop.new_event_loop], ids=["miniloop"])


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
        assert may_read.wait(25)
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
