"""Stream transports: broken connections, and protocols that fail."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.blocking_peer import reset
from tests.net.connected import connected, receive_until_eof, tcp_pair
from tests.net.recording_protocol import BufferedRecorder, Recorder

Run = Callable[..., Any]

LARGE = bytes(5_000_000)


def collect_reports() -> list[dict[str, Any]]:
    """A list to which everything is added that the running loop reports."""
    seen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context))
    return seen


# Broken connections.


def test_a_reset_while_reading_is_told_to_the_protocol_alone(run: Run) -> None:
    async def main() -> None:
        reports = collect_reports()
        async with connected(Recorder) as (_, protocol, peer):
            reset(peer)
            assert isinstance(await protocol.lost, ConnectionResetError)
            assert protocol.calls == ["connection_made", "connection_lost"]
        assert reports == []

    run(main)


def test_a_reset_while_writing_is_told_to_the_protocol_alone(run: Run) -> None:
    async def main() -> None:
        reports = collect_reports()
        async with connected(Recorder) as (transport, protocol, peer):
            transport.pause_reading()
            transport.write(LARGE)
            reset(peer)
            assert isinstance(await protocol.lost, ConnectionError)
            assert transport.get_write_buffer_size() == 0
        assert reports == []

    run(main)


def test_writing_to_a_connection_that_is_gone_ends_it(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.pause_reading()
            reset(peer)
            await asyncio.sleep(0)
            transport.write(b"x")
            transport.write(b"x")
            assert isinstance(await protocol.lost, ConnectionError)
            assert transport.is_closing()

    run(main)


def test_writing_lines_to_a_connection_that_is_gone_ends_it() -> None:
    # Ours alone: asyncio leaves the lines in its buffer, and notices when it is told of room.
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.pause_reading()
            reset(peer)
            transport.writelines([b"x", b"y"])
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
            assert isinstance(await protocol.lost, ConnectionError)

    miniloop.run(main())


def test_writes_after_the_end_are_dropped_and_in_time_warned_of(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            transport.abort()
            for _ in range(4):
                transport.write(b"x")
            assert caplog.records == []
            for _ in range(4):
                transport.write(b"x")
            await protocol.lost

    run(main)
    assert caplog.records
    assert {record.message for record in caplog.records} == {"socket.send() raised exception."}
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_in_debug_mode_a_broken_connection_is_logged(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        asyncio.get_running_loop().set_debug(True)
        async with connected(Recorder) as (_, protocol, peer):
            reset(peer)
            await protocol.lost

    caplog.set_level(logging.DEBUG, "asyncio")
    run(main)
    (record,) = [entry for entry in caplog.records if "Fatal read error" in entry.message]
    assert record.levelno == logging.DEBUG
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], ConnectionResetError)


def test_an_error_of_the_socket_that_is_no_broken_connection_is_told_too(run: Run) -> None:
    async def main() -> None:
        reports = collect_reports()
        async with connected(Recorder) as (transport, protocol, peer):
            # The descriptor goes to somebody else behind the transport's back: reading it fails.
            unconnected = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            transport.pause_reading()
            os.dup2(unconnected.fileno(), transport.get_extra_info("socket").fileno())
            unconnected.close()
            transport.write(b"x")
            exc = await protocol.lost
            assert isinstance(exc, OSError)
            assert exc.errno in (errno.ENOTCONN, errno.EPIPE)
            peer.close()
        assert reports == []

    run(main)


# Protocols that fail.


class Failing(Recorder):
    """Raises in one of its methods."""

    def __init__(self, method: str, failure: BaseException) -> None:
        super().__init__()
        inner = getattr(self, method)

        def fail(*args: Any) -> Any:
            inner(*args)
            raise failure

        setattr(self, method, fail)


@pytest.mark.parametrize("method", ["data_received", "eof_received"])
def test_a_protocol_that_fails_while_it_is_read_for_loses_its_connection(
    run: Run, method: str
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = collect_reports()
        failure = LookupError("in the protocol")
        async with connected(lambda: Failing(method, failure)) as (transport, protocol, peer):
            await loop.sock_sendall(peer, b"data")
            peer.shutdown(socket.SHUT_WR)
            assert await protocol.lost is failure
            assert await receive_until_eof(peer) == b""
            (report,) = reports
            assert report["message"] == f"Fatal error: protocol.{method}() call failed."
            assert report["exception"] is failure
            assert report["transport"] is transport
            assert report["protocol"] is protocol

    run(main)


class FailingBuffered(BufferedRecorder):
    """Raises in one of its methods, or gives a buffer that is none."""

    def __init__(self, method: str, failure: BaseException | None = None) -> None:
        super().__init__(10)
        self._method, self._failure = method, failure

    def get_buffer(self, sizehint: int) -> Any:
        if self._method == "get_buffer":
            if self._failure is None:
                return bytearray()
            raise self._failure
        return super().get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        if self._method == "buffer_updated":
            assert self._failure is not None
            raise self._failure
        super().buffer_updated(nbytes)


@pytest.mark.parametrize("method", ["get_buffer", "buffer_updated"])
def test_a_buffered_protocol_that_fails_loses_its_connection(run: Run, method: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = collect_reports()
        failure = LookupError("in the protocol")
        async with connected(lambda: FailingBuffered(method, failure)) as (_, protocol, peer):
            await loop.sock_sendall(peer, b"data")
            assert await protocol.lost is failure
            (report,) = reports
            assert report["message"] == f"Fatal error: protocol.{method}() call failed."

    run(main)


def test_an_empty_buffer_is_an_error(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = collect_reports()
        async with connected(lambda: FailingBuffered("get_buffer")) as (_, protocol, peer):
            await loop.sock_sendall(peer, b"data")
            exc = await protocol.lost
            assert isinstance(exc, RuntimeError)
            assert str(exc) == "get_buffer() returned an empty buffer"
            assert len(reports) == 1

    run(main)


@pytest.mark.parametrize("method", ["pause_writing", "resume_writing"])
def test_a_protocol_that_fails_in_flow_control_keeps_its_connection(run: Run, method: str) -> None:
    async def main() -> None:
        reports = collect_reports()
        failure = LookupError("in the protocol")
        async with connected(lambda: Failing(method, failure)) as (transport, protocol, peer):
            transport.write(LARGE)
            transport.close()
            assert await receive_until_eof(peer) == LARGE
            assert await protocol.lost is None
            (report,) = reports
            assert report["message"] == f"protocol.{method}() failed"
            assert report["exception"] is failure
            assert report["transport"] is transport

    run(main)


def test_a_protocol_that_fails_in_connection_made_keeps_its_connection(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = collect_reports()
        failure = LookupError("in the protocol")
        factory = lambda: Failing("connection_made", failure)  # noqa: E731
        async with connected(factory) as (transport, protocol, peer):
            (report,) = reports
            assert report["exception"] is failure
            await loop.sock_sendall(peer, b"data")
            assert await protocol.received(4) == b"data"
            transport.close()
            await protocol.lost

    run(main)


def test_a_protocol_that_fails_in_connection_lost_is_reported_and_the_socket_closed(
    run: Run,
) -> None:
    async def main() -> None:
        reports = collect_reports()
        failure = LookupError("in the protocol")
        factory = lambda: Failing("connection_lost", failure)  # noqa: E731
        async with connected(factory) as (transport, protocol, peer):
            bare = transport.get_extra_info("socket")
            transport.close()
            await protocol.lost
            assert await receive_until_eof(peer) == b""
            assert bare.fileno() == -1
            assert [report["exception"] for report in reports] == [failure]

    run(main)


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("method", ["connection_made", "data_received", "connection_lost"])
def test_what_ends_the_program_passes_through_a_transport(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    exception: type[BaseException],
    method: str,
) -> None:
    loop = loop_factory()
    ours, peer = tcp_pair()
    protocols: list[Failing] = []

    async def main() -> None:
        def factory() -> Failing:
            protocols.append(Failing(method, exception()))
            return protocols[0]

        await loop.connect_accepted_socket(factory, ours)
        peer.send(b"data")
        peer.shutdown(socket.SHUT_WR)
        await asyncio.Event().wait()

    task = loop.create_task(main())
    with pytest.raises(exception):
        loop.run_until_complete(task)
    task.cancel()
    protocols[0].transport.abort()
    loop.run_until_complete(asyncio.wait([task]))
    peer.close()
    loop.close()


# The kernel has no room for one more watch.


@pytest.fixture
def full_kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def fill() -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(asyncio.get_running_loop(), "watch_reader", refuse)

    return fill


def test_a_connection_that_cannot_be_watched_fails_and_is_closed(
    full_kernel: Callable[[], None],
) -> None:
    async def main() -> None:
        near, far = tcp_pair()
        with far:
            full_kernel()
            with pytest.raises(OSError, match="No space left"):
                await asyncio.get_running_loop().create_connection(Recorder, sock=near)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert near.fileno() == -1

    miniloop.run(main())


def test_a_served_connection_that_cannot_be_watched_is_reported_and_lost(
    full_kernel: Callable[[], None],
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        reports = collect_reports()
        made: list[Recorder] = []

        def factory() -> Recorder:
            full_kernel()
            made.append(Recorder())
            return made[0]

        server = await loop.create_server(factory, "127.0.0.1", 0)
        with socket.create_connection(server.sockets[0].getsockname()) as client:
            client.setblocking(False)
            assert await loop.sock_recv(client, 1) == b""
        assert isinstance(await made[0].lost, OSError)
        assert [report["exception"].errno for report in reports] == [errno.ENOSPC]
        server.close()
        await server.wait_closed()

    miniloop.run(main())
