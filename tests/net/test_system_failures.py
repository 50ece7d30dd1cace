"""System calls that fail at a bad moment: nothing is wedged, nothing leaks, it is said once."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import os
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import miniloop
from tests.net.connected import tcp_pair, unix_pair
from tests.net.recording_protocol import Recorder


def failure(code: int) -> OSError:
    return OSError(code, os.strerror(code))


class Kernel:
    """Lets the loop's registrations fail, and collects what is reported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.loop: Any = asyncio.get_running_loop()
        self.reports: list[BaseException] = []
        self.loop.set_exception_handler(lambda _, told: self.reports.append(told["exception"]))

    @asynccontextmanager
    async def failing(self) -> AsyncIterator[None]:
        """Let it fail until the end of the block: each call after the state was changed."""

        apply = self.loop.poller._apply

        def refuse(watch: Any) -> None:
            if watch.reader is watch.writer is None:
                apply(watch)  # what is not watched any more can always be forgotten
            else:
                raise failure(errno.ENOMEM)

        with self._patch.context() as patch:
            patch.setattr(self.loop.poller, "_apply", refuse)
            yield


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Kernel]:
    return lambda: Kernel(monkeypatch)


async def open_stream() -> tuple[Any, Recorder, socket.socket]:
    ours, peer = unix_pair()
    transport, protocol = await asyncio.get_running_loop().create_unix_connection(
        Recorder, sock=ours
    )
    return transport, protocol, peer


MUCH = bytes(1 << 22)

# After each of them the transport would never be told to go on.
FATAL: dict[str, Callable[[Any], object]] = {
    "write": lambda transport: transport.write(MUCH),
    "writelines": lambda transport: transport.writelines([MUCH, MUCH]),
    "resume_reading": lambda transport: transport.resume_reading(),
}


@pytest.mark.parametrize("action", FATAL.values(), ids=FATAL.keys())
def test_a_stream_that_cannot_be_watched_is_lost(kernel: Any, action: Any) -> None:
    async def main() -> None:
        refusing = kernel()
        transport, protocol, peer = await open_stream()
        with peer:
            transport.pause_reading()
            async with refusing.failing():
                action(transport)
            assert transport.is_closing()
            assert transport.get_write_buffer_size() == 0
            transport.close()  # a second time, so to speak
            lost = await protocol.lost
            assert isinstance(lost, OSError)
            assert lost.errno == errno.ENOMEM
            assert protocol.calls.count("connection_lost") == 1
        assert not refusing.reports

    miniloop.run(main())


@pytest.mark.parametrize("action", ["pause_reading", "close"])
def test_a_stream_whose_watch_cannot_be_changed_is_lost(kernel: Any, action: str) -> None:
    async def main() -> None:
        refusing = kernel()
        transport, protocol, peer = await open_stream()
        with peer:
            transport.write(MUCH)
            async with refusing.failing():
                getattr(transport, action)()
            assert isinstance(await protocol.lost, OSError)
        assert not refusing.reports

    miniloop.run(main())


def test_a_sendfile_that_cannot_wait_for_room_ends(kernel: Any, tmp_path: Any) -> None:
    async def main() -> None:
        refusing = kernel()
        transport, protocol, peer = await open_stream()
        (tmp_path / "file").write_bytes(MUCH)
        with peer, open(tmp_path / "file", "rb") as file:
            transport.pause_reading()
            async with refusing.failing():
                with pytest.raises(ConnectionError):
                    await asyncio.get_running_loop().sendfile(transport, file)
                assert isinstance(await protocol.lost, OSError)

    miniloop.run(main())


def test_an_endpoint_that_cannot_be_watched_is_lost(kernel: Any) -> None:
    class Endpoint(Recorder, asyncio.DatagramProtocol):
        pass

    async def main() -> None:
        refusing = kernel()
        ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with peer:
            transport, protocol = await refusing.loop.create_datagram_endpoint(Endpoint, sock=ours)
            transport.pause_reading()
            async with refusing.failing():
                while not transport.is_closing():
                    transport.sendto(bytes(50_000))
            assert transport.get_write_buffer_size() == 0
            assert isinstance(await protocol.lost, OSError)
        assert not refusing.reports

    miniloop.run(main())


def test_a_pipe_that_cannot_be_watched_is_lost(kernel: Any) -> None:
    async def main() -> None:
        refusing = kernel()
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", 0):
            transport, protocol = await refusing.loop.connect_write_pipe(
                Recorder, os.fdopen(writing, "wb", 0)
            )
            async with refusing.failing():
                transport.write(MUCH)
            assert transport.get_write_buffer_size() == 0
            assert isinstance(await protocol.lost, OSError)
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb", 0):
            transport, protocol = await refusing.loop.connect_read_pipe(
                Recorder, os.fdopen(reading, "rb", 0)
            )
            transport.pause_reading()
            async with refusing.failing():
                transport.resume_reading()
            assert isinstance(await protocol.lost, OSError)
        assert not refusing.reports

    miniloop.run(main())


def open_pipe(loop: Any) -> Any:
    reading, writing = os.pipe()
    os.close(writing)
    return loop.connect_read_pipe(Recorder, os.fdopen(reading, "rb", 0))


def open_endpoint(loop: Any) -> Any:
    return loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0))


@pytest.mark.parametrize("opens", [open_pipe, open_endpoint])
def test_a_start_that_cannot_be_watched_raises_and_closes(kernel: Any, opens: Any) -> None:
    async def main() -> None:
        refusing = kernel()
        async with refusing.failing():
            with pytest.raises(OSError, match="Cannot allocate memory"):
                await opens(refusing.loop)
            await asyncio.sleep(0)
        assert not refusing.reports

    miniloop.run(main())
    gc.collect()  # a descriptor that was left open would be told of


# Closing.


class Broken(socket.socket):
    """A socket about whose closing something is said."""

    def close(self) -> None:
        if self.fileno() >= 0:
            super().close()
            raise failure(errno.EIO)


@pytest.mark.parametrize("protocol_fails", [False, True])
def test_a_socket_that_fails_to_close_is_closed_and_said_so_once(
    kernel: Any, protocol_fails: bool
) -> None:
    class Failing(Recorder):
        def connection_lost(self, exc: BaseException | None) -> None:
            super().connection_lost(exc)
            if protocol_fails:
                raise ZeroDivisionError

    async def main() -> None:
        refusing = kernel()
        server = await refusing.loop.create_server(lambda: None, "127.0.0.1", 0)
        left, peer = tcp_pair()
        with peer:
            ours = Broken(fileno=left.detach())
            transport, protocol = await refusing.loop.connect_accepted_socket(Failing, ours)
            server.attach(transport)
            transport._server = server
            server.close()
            transport.close()
            await protocol.lost
            await asyncio.wait_for(server.wait_closed(), 10)
            assert ours.fileno() == -1
            assert transport.get_protocol() is None
        kinds = [type(report) for report in refusing.reports]
        assert kinds == ([OSError, ZeroDivisionError] if protocol_fails else [OSError])

    miniloop.run(main())


def test_a_pipe_that_fails_to_close_is_closed_and_said_so_once(kernel: Any) -> None:
    class BrokenFile(io.FileIO):
        def close(self) -> None:
            if not self.closed:
                super().close()
                raise failure(errno.EIO)

    async def main() -> None:
        refusing = kernel()
        reading, writing = os.pipe()
        transport, protocol = await refusing.loop.connect_write_pipe(
            Recorder, BrokenFile(writing, "wb")
        )
        transport.close()
        await protocol.lost
        await asyncio.sleep(0)
        os.close(reading)
        assert [type(report) for report in refusing.reports] == [OSError]

    miniloop.run(main())


class BrokenTwice(Broken):
    """It cannot be connected or bound either."""

    def connect(self, _: Any) -> None:
        raise failure(errno.ENETUNREACH)

    def bind(self, _: Any) -> None:
        raise failure(errno.EACCES)


def test_what_went_wrong_is_not_hidden_by_a_socket_that_fails_to_close(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", BrokenTwice)
            with pytest.raises(OSError, match="unreachable"):
                await loop.create_connection(Recorder, "127.0.0.1", 9)
            with pytest.raises(OSError, match="unreachable"):
                await loop.create_unix_connection(Recorder, tmp_path / "s")
            with pytest.raises(OSError, match="denied"):
                await loop.create_server(Recorder, "127.0.0.1", 0)
            with pytest.raises(OSError, match="denied"):
                await loop.create_unix_server(Recorder, tmp_path / "s")
            with pytest.raises(OSError, match="denied"):
                await loop.create_datagram_endpoint(Recorder, local_addr=("127.0.0.1", 0))
            with pytest.raises(OSError, match="unreachable"):
                await loop.create_datagram_endpoint(Recorder, remote_addr=("127.0.0.1", 9))

    miniloop.run(main())


# What was begun and given up.


def test_a_factory_that_fails_leaves_no_endpoint() -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(ZeroDivisionError):
            await loop.create_datagram_endpoint(fail, local_addr=("127.0.0.1", 0))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        miniloop.run(main())
        gc.collect()


@pytest.mark.parametrize("turns", range(4))
def test_a_unix_endpoint_that_is_given_up_leaves_no_file(turns: int, tmp_path: Any) -> None:
    path = tmp_path / "socket"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(
            loop.create_datagram_endpoint(Recorder, local_addr=str(path), family=socket.AF_UNIX)
        )
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        try:
            transport, _ = await task
        except asyncio.CancelledError:
            assert not path.exists()
        else:
            transport.close()
        await asyncio.sleep(0)

    miniloop.run(main())


def test_a_unix_endpoint_that_cannot_be_connected_leaves_no_file(tmp_path: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with pytest.raises(FileNotFoundError):
            await loop.create_datagram_endpoint(
                Recorder,
                local_addr=str(tmp_path / "ours"),
                remote_addr=str(tmp_path / "nobody"),
                family=socket.AF_UNIX,
            )

    miniloop.run(main())
    assert not list(tmp_path.iterdir())


def test_a_half_close_that_fails_later_ends_the_connection(kernel: Any) -> None:
    class CannotShutDown(socket.socket):
        def shutdown(self, how: int) -> None:
            raise failure(errno.ENOTCONN)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        left, peer = unix_pair()
        with peer:
            ours = CannotShutDown(fileno=left.detach())
            transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
            with pytest.raises(OSError, match="not connected"):
                transport.write_eof()
            transport.abort()
            await protocol.lost
        left, peer = unix_pair()
        with peer:
            ours = CannotShutDown(fileno=left.detach())
            transport, protocol = await loop.create_unix_connection(Recorder, sock=ours)
            transport.write(MUCH)
            transport.write_eof()
            while not protocol.lost.done():
                await loop.sock_recv(peer, len(MUCH))
            assert isinstance(protocol.lost.result(), OSError)

    miniloop.run(main())
