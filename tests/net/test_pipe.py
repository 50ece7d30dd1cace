"""Pipe transports: pipes, FIFOs, terminals and sockets, each in one direction."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import tty
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import miniloop

Run = Callable[..., Any]


class Reader(asyncio.Protocol):
    """Notes what it is told, and keeps what it is sent."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.events: list[str] = []
        self.changed = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.changed.set()

    def eof_received(self) -> None:
        self.events.append("eof")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)

    async def received(self, size: int) -> bytes:
        while len(self.data) < size:
            self.changed.clear()
            await self.changed.wait()
        return bytes(self.data)


class Writer(asyncio.BaseProtocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.resumed = asyncio.Event()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.events.append("made")

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")
        self.resumed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")
        self.lost.set_result(exc)


def readable(fd: int) -> BinaryIO:
    return open(fd, "rb", 0)


def writable(fd: int) -> BinaryIO:
    return open(fd, "wb", 0)


def pipe_files() -> tuple[BinaryIO, BinaryIO]:
    reader, writer = os.pipe()
    return readable(reader), writable(writer)


async def connect_reader(pipe: Any) -> tuple[asyncio.ReadTransport, Reader]:
    return await asyncio.get_running_loop().connect_read_pipe(Reader, pipe)


async def connect_writer(pipe: Any) -> tuple[asyncio.WriteTransport, Writer]:
    return await asyncio.get_running_loop().connect_write_pipe(Writer, pipe)


# Reading.


def test_a_reader_receives_until_the_end_of_file(run: Run) -> None:
    async def main() -> None:
        ours, theirs = pipe_files()
        transport, protocol = await connect_reader(ours)
        assert protocol.events == ["made"]
        assert transport.is_reading()
        theirs.write(b"first")
        assert await protocol.received(5) == b"first"
        theirs.write(b" second")
        assert await protocol.received(12) == b"first second"
        theirs.close()
        assert await protocol.lost is None
        assert protocol.events == ["made", "eof", "lost"]
        assert transport.is_closing()
        assert not transport.is_reading()
        assert ours.closed

    run(main)


def test_reading_can_be_paused_and_resumed(run: Run) -> None:
    async def main() -> None:
        ours, theirs = pipe_files()
        transport, protocol = await connect_reader(ours)
        transport.pause_reading()
        transport.pause_reading()
        assert not transport.is_reading()
        theirs.write(b"held back")
        other_ours, other_theirs = pipe_files()
        other, heard = await connect_reader(other_ours)
        other_theirs.write(b"!")
        await heard.received(1)  # by now the loop has looked at both
        assert protocol.data == b""
        transport.resume_reading()
        transport.resume_reading()
        assert await protocol.received(9) == b"held back"
        transport.close()
        other.close()
        transport.resume_reading()
        transport.pause_reading()
        await asyncio.gather(protocol.lost, heard.lost)
        theirs.close()
        other_theirs.close()

    run(main)


def test_a_protocol_that_pauses_at_once_is_sent_nothing(run: Run) -> None:
    class Pauses(Reader):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            assert isinstance(transport, asyncio.ReadTransport)
            transport.pause_reading()

    async def main() -> None:
        ours, theirs = pipe_files()
        theirs.write(b"too early")
        transport, protocol = await asyncio.get_running_loop().connect_read_pipe(Pauses, ours)
        await asyncio.sleep(0)
        assert protocol.data == b""
        transport.resume_reading()
        await protocol.received(9)
        transport.close()
        await protocol.lost
        theirs.close()

    run(main)


def test_a_terminal_can_be_read_until_it_is_closed(run: Run) -> None:
    async def main() -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        transport, protocol = await connect_reader(readable(master))
        os.write(slave, b"typed")
        assert await protocol.received(5) == b"typed"
        os.close(slave)
        # A terminal says EIO for the end; it is no error, and nothing is logged.
        await protocol.lost
        transport.close()

    run(main)


def test_a_fifo_can_be_read(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main() -> None:
        ours = readable(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        with open(path, "wb", 0) as theirs:
            _, protocol = await connect_reader(ours)
            theirs.write(b"through a FIFO")
            await protocol.received(14)
        await protocol.lost

    run(main)


def test_a_socket_can_be_read(run: Run) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        _, protocol = await connect_reader(ours.makefile("rb", 0))
        ours.close()  # the file has a descriptor of its own, as it were
        theirs.send(b"from a socket")
        await protocol.received(13)
        theirs.close()
        await protocol.lost

    run(main)


# Writing.


def test_what_is_written_arrives(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        for data in (b"bytes ", bytearray(b"bytearray "), memoryview(b"memoryview")):
            transport.write(data)
        transport.write(b"")
        transport.writelines([b" and", b" lines"])
        assert transport.get_write_buffer_size() == 0
        assert theirs.read(1000) == b"bytes bytearray memoryview and lines"
        assert transport.can_write_eof()
        transport.write_eof()
        assert transport.is_closing()
        assert await protocol.lost is None
        assert theirs.read(1) == b""
        theirs.close()

    run(main)


def test_what_a_pipe_has_no_room_for_is_kept_and_its_writer_held_up(run: Run) -> None:
    data = os.urandom(1_000_000)

    async def main() -> None:
        theirs, ours = pipe_files()
        writing, writer = await connect_writer(ours)
        writing.write(data[:600_000])
        mutable = bytearray(data[600_000:])
        writing.write(mutable)
        mutable[:] = bytes(len(mutable))  # it must have been copied
        assert writer.events == ["made", "pause"]
        kept = writing.get_write_buffer_size()
        assert 0 < kept < 1_000_000
        writing.close()  # when all is written
        _, reader = await connect_reader(theirs)
        await reader.lost
        assert reader.data == data
        assert writer.events == ["made", "pause", "resume", "lost"]

    run(main)


def test_what_is_written_to_is_not_read_from(run: Run) -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", 0):
            transport, _ = await asyncio.get_running_loop().connect_write_pipe(
                asyncio.Protocol, os.fdopen(writing, "wb", 0)
            )
            assert isinstance(transport, asyncio.Transport)
            for method in ("pause_reading", "resume_reading", "is_reading"):
                with pytest.raises(NotImplementedError):
                    getattr(transport, method)()
            with open(__file__, "rb") as file, pytest.raises(RuntimeError, match="not supported"):
                await asyncio.get_running_loop().sendfile(transport, file)
            transport.close()
            await asyncio.sleep(0)

    run(main)


def test_the_water_marks_can_be_set(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        assert transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        transport.set_write_buffer_limits(high=0)
        transport.write(bytes(1_000_000))
        assert protocol.events == ["made", "pause"]
        with pytest.raises(ValueError, match="high"):
            transport.set_write_buffer_limits(high=1, low=2)
        _, reader = await connect_reader(theirs)
        await protocol.resumed.wait()
        assert transport.get_write_buffer_size() == 0
        transport.close()
        await reader.lost

    run(main)


def test_a_writer_with_nothing_to_write_hears_that_its_reader_is_gone(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        theirs.close()
        assert await protocol.lost is None
        assert transport.is_closing()

    run(main)


def test_a_writer_with_data_left_hears_of_a_broken_pipe(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        transport.write(bytes(1_000_000))
        theirs.close()
        assert isinstance(await protocol.lost, BrokenPipeError)
        assert transport.get_write_buffer_size() == 0

    run(main)


def test_a_write_that_fails_ends_the_transport(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        theirs.close()
        transport.write(b"into the void")
        assert transport.is_closing()
        assert isinstance(await protocol.lost, BrokenPipeError)

    run(main)


def test_writes_after_the_end_are_dropped_and_in_the_end_warned_of(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        transport.close()
        for _ in range(5):
            transport.write(b"late")
        assert not caplog.records
        transport.write(b"late")
        assert "pipe closed by peer" in caplog.text
        await protocol.lost
        assert theirs.read() == b""
        theirs.close()

    run(main)


def test_abort_drops_what_is_left(run: Run) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        transport.write(bytes(1_000_000))
        transport.abort()
        assert transport.get_write_buffer_size() == 0
        assert await protocol.lost is None
        assert len(theirs.read()) < 1_000_000
        theirs.close()

    run(main)


def test_a_terminal_can_be_written_to(run: Run) -> None:
    async def main() -> None:
        master, slave = os.openpty()
        tty.setraw(slave)
        transport, protocol = await connect_writer(writable(slave))
        transport.write(b"on the screen")
        assert os.read(master, 100) == b"on the screen"
        transport.close()
        await protocol.lost
        os.close(master)

    run(main)


def test_a_socket_can_be_written_to_and_its_end_is_noticed(run: Run) -> None:
    async def main() -> None:
        ours, theirs = socket.socketpair()
        _, protocol = await connect_writer(writable(ours.detach()))
        theirs.close()
        assert await protocol.lost is None

    run(main)


def test_a_socket_whose_peer_talks_is_not_taken_for_one_whose_peer_is_gone() -> None:
    # asyncio takes it for closed.
    async def main() -> None:
        ours, theirs = socket.socketpair()
        theirs.send(b"talking")
        transport, protocol = await connect_writer(writable(ours.detach()))
        transport.write(b"still here")
        listening = asyncio.get_running_loop()
        theirs.setblocking(False)
        assert await listening.sock_recv(theirs, 100) == b"still here"
        assert not protocol.lost.done()
        theirs.close()
        transport.write(b"is anybody there?")
        assert isinstance(await protocol.lost, OSError)

    miniloop.run(main())


def test_a_fifo_that_is_open_in_both_directions_can_be_written_to(tmp_path: Path) -> None:
    # asyncio closes it when its own data are readable.
    path = tmp_path / "fifo"
    os.mkfifo(path)

    async def main() -> None:
        transport, protocol = await connect_writer(writable(os.open(path, os.O_RDWR)))
        transport.write(b"hello")
        await asyncio.sleep(0)
        await asyncio.to_thread(int)  # the loop has slept, and so looked at all descriptors
        assert not transport.is_closing()
        with readable(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as reader:
            assert reader.read(5) == b"hello"
        transport.close()
        await protocol.lost

    miniloop.run(main())


@pytest.mark.parametrize("data", ["text", None, 5, [b"list"]])
def test_only_bytes_can_be_written(data: Any) -> None:
    async def main() -> None:
        theirs, ours = pipe_files()
        transport, protocol = await connect_writer(ours)
        with pytest.raises(TypeError, match="must be a bytes-like object"):
            transport.write(data)
        transport.close()
        await protocol.lost
        theirs.close()

    miniloop.run(main())


# Both.


def test_a_regular_file_is_refused(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        with open(tmp_path / "file", "w+b") as file:
            with pytest.raises(ValueError, match="Pipe transport is"):
                await connect_reader(file)
            with pytest.raises(ValueError, match="Pipe transport is"):
                await connect_writer(file)

    run(main)


def test_the_descriptor_does_not_block(run: Run) -> None:
    async def main() -> None:
        ours, theirs = pipe_files()
        reading, reader = await connect_reader(ours)
        writing, writer = await connect_writer(theirs)
        assert not os.get_blocking(ours.fileno())
        assert not os.get_blocking(theirs.fileno())
        assert reading.get_extra_info("pipe") is ours
        assert writing.get_extra_info("pipe") is theirs
        writing.close()
        await asyncio.gather(reader.lost, writer.lost)

    run(main)


def test_another_protocol_can_take_over(run: Run) -> None:
    async def main() -> None:
        ours, theirs = pipe_files()
        reading, first_reader = await connect_reader(ours)
        writing, first_writer = await connect_writer(theirs)
        reader, writer = Reader(), Writer()
        assert reading.get_protocol() is first_reader
        reading.set_protocol(reader)
        writing.set_protocol(writer)
        assert writing.get_protocol() is writer
        writing.set_write_buffer_limits(high=1)
        writing.write(bytes(500_000))
        assert writer.events == ["pause"]
        writing.close()
        await asyncio.gather(reader.lost, writer.lost)
        assert len(reader.data) == 500_000
        assert first_reader.events == first_writer.events == ["made"]

    run(main)


def test_streams_can_be_put_on_pipes(run: Run) -> None:
    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()
        ours, theirs = pipe_files()
        reader = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), ours)
        transport, protocol = await loop.connect_write_pipe(
            asyncio.streams.FlowControlMixin, theirs
        )
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        writer.write(b"one\ntwo\n")
        await writer.drain()
        transport.close()
        return [line async for line in reader]

    assert run(main) == [b"one\n", b"two\n"]


def test_an_exception_of_the_protocol_is_reported(run: Run) -> None:
    class Fails(Reader):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            raise ZeroDivisionError

    async def main() -> None:
        loop = asyncio.get_running_loop()
        reported: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: reported.append(context))
        ours, theirs = pipe_files()
        transport, protocol = await loop.connect_read_pipe(Fails, ours)
        theirs.write(b"data")
        await protocol.received(4)
        theirs.close()
        await protocol.lost
        assert isinstance(reported[0]["exception"], ZeroDivisionError)
        transport.close()

    run(main)


def test_a_transport_that_was_not_closed_is_reported_by_name() -> None:
    loop = miniloop.new_event_loop()
    ours, theirs = pipe_files()

    async def main() -> None:
        await connect_reader(ours)
        await connect_writer(theirs)

    loop.run_until_complete(main())
    gc.collect()  # as long as the loop watches them they are in use
    with warnings.catch_warnings(record=True, category=ResourceWarning, action="always") as caught:
        loop.close()
        gc.collect()
    messages = sorted(str(warning.message) for warning in caught)
    assert "unclosed transport <ReadPipeTransport open fd=" in messages[0]
    assert "unclosed transport <WritePipeTransport open fd=" in messages[1]
    assert ours.closed
    assert theirs.closed


def test_a_transport_can_be_closed_after_its_loop() -> None:
    loop = miniloop.new_event_loop()
    ours, theirs = pipe_files()

    async def main() -> tuple[Any, Any]:
        return (await connect_reader(ours))[0], (await connect_writer(theirs))[0]

    reading, writing = loop.run_until_complete(main())
    loop.close()
    reading.close()
    writing.close()
    assert ours.closed
    assert theirs.closed
    assert "closed" in repr(reading)


def test_a_connection_that_is_cancelled_closes_the_pipe(run: Run) -> None:
    async def main() -> None:
        ours, theirs = pipe_files()
        for connect, pipe in ((connect_reader, ours), (connect_writer, theirs)):
            connecting: asyncio.Task[Any] = asyncio.ensure_future(connect(pipe))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            while not pipe.closed:
                await asyncio.sleep(0)

    run(main)
