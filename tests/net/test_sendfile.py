"""Files sent by the kernel, and by blocks where it cannot."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import miniloop
from tests.net.certificates import client_context, server_context

Run = Callable[..., Any]

DATA = os.urandom(2_000_000)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """A file of two megabytes."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    with open(path, "rb") as opened:
        yield opened


class InMemory(io.BytesIO):
    """A file of which the kernel knows nothing."""


FILES: dict[str, Callable[[BinaryIO], Any]] = {
    "kernel": lambda file: file,
    "blocks": lambda file: InMemory(file.read()),
}


@pytest.fixture(params=FILES.values(), ids=FILES.keys())
def source(request: pytest.FixtureRequest, file: BinaryIO) -> Any:
    """The same content as a file that the kernel can read, and as one that it cannot."""
    made = request.param(file)
    made.seek(0)
    return made


@contextmanager
def socket_pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield ours, theirs


async def read_all(sock: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    pieces = []
    while piece := await loop.sock_recv(sock, 100_000):
        pieces.append(piece)
    return b"".join(pieces)


class Noted(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.paused = False
        self.lost = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def pause_writing(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_writing(self) -> None:
        assert self.paused
        self.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def open_transport(sock: socket.socket) -> tuple[asyncio.Transport, Noted]:
    loop = asyncio.get_running_loop()
    return await loop.create_unix_connection(Noted, sock=sock)


# Over a socket.


def test_a_whole_file_arrives(run: Run, source: Any) -> None:
    async def main() -> tuple[int, bytes]:
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            sent = await asyncio.get_running_loop().sock_sendfile(ours, source)
            ours.close()
            return sent, await receiving

    assert run(main) == (len(DATA), DATA)
    assert source.tell() == len(DATA)


@pytest.mark.parametrize(
    ("offset", "count", "expected"),
    [
        (0, 1, 1),
        (0, 1_000_000, 1_000_000),
        (1_500_000, None, 500_000),
        (1_500_000, 1_000_000, 500_000),
        (1234, 567, 567),
        (1_999_999, 1, 1),
    ],
)
def test_a_part_of_a_file_arrives(
    run: Run, source: Any, offset: int, count: int | None, expected: int
) -> None:
    async def main() -> tuple[int, bytes]:
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            sent = await asyncio.get_running_loop().sock_sendfile(ours, source, offset, count)
            ours.close()
            return sent, await receiving

    assert run(main) == (expected, DATA[offset : offset + expected])
    assert source.tell() == offset + expected


def test_nothing_is_sent_of_what_lies_beyond_the_end(run: Run, file: BinaryIO) -> None:
    async def main() -> int:
        with socket_pair() as (ours, _):
            return await asyncio.get_running_loop().sock_sendfile(ours, file, 10 * len(DATA))

    assert run(main) == 0
    file.seek(0, os.SEEK_END)  # it may have been anywhere: see the test of positions, below
    assert file.tell() == len(DATA)


def test_nothing_is_sent_of_an_empty_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    async def main() -> int:
        with socket_pair() as (ours, _), open(tmp_path / "empty", "rb") as empty:
            return await asyncio.get_running_loop().sock_sendfile(ours, empty)

    assert run(main) == 0


def test_reading_begins_at_the_offset_wherever_the_position_is(source: Any) -> None:
    # On asyncio only the kernel's way does, if the offset is 0.
    source.seek(777)

    async def main() -> bytes:
        with socket_pair() as (ours, theirs):
            await asyncio.get_running_loop().sock_sendfile(ours, source, 0, 10)
            return theirs.recv(100)

    assert miniloop.run(main()) == DATA[:10]


def test_what_a_buffered_file_has_read_ahead_is_forgotten(file: BinaryIO) -> None:
    # asyncio moves the descriptor under the file, whose buffer then is of another place.
    assert file.read(10) == DATA[:10]  # and some thousands more are in its buffer

    async def main() -> None:
        with socket_pair() as (ours, _):
            await asyncio.get_running_loop().sock_sendfile(ours, file, 20, 30)

    miniloop.run(main())
    assert file.tell() == 50
    assert file.read(10) == DATA[50:60]


def test_ordinary_data_can_go_before_and_after(run: Run, source: Any) -> None:
    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            await loop.sock_sendall(ours, b"before ")
            await loop.sock_sendfile(ours, source)
            await loop.sock_sendall(ours, b" after")
            ours.close()
            return await receiving

    assert run(main) == b"before " + DATA + b" after"


def test_without_the_fall_back_a_file_in_memory_is_refused(run: Run) -> None:
    async def main() -> None:
        with socket_pair() as (ours, _), pytest.raises(asyncio.SendfileNotAvailableError):
            await asyncio.get_running_loop().sock_sendfile(ours, InMemory(DATA), fallback=False)

    run(main)


def test_a_file_that_cannot_seek_is_sent_by_blocks() -> None:
    class Unseekable(InMemory):
        def seekable(self) -> bool:
            return False

        def seek(self, *args: Any) -> int:
            raise io.UnsupportedOperation("seek")

        tell = seek

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            assert await loop.sock_sendfile(ours, Unseekable(DATA)) == len(DATA)
            with pytest.raises(ValueError, match="cannot seek"):
                await loop.sock_sendfile(ours, Unseekable(DATA), 1)
            ours.close()
            return await receiving

    assert miniloop.run(main()) == DATA


def test_a_file_of_the_kernel_that_has_no_size_is_sent_all_the_same() -> None:
    # asyncio believes that it is empty.
    async def main() -> bytes:
        with socket_pair() as (ours, theirs), open("/proc/self/status", "rb") as status:
            receiving = asyncio.create_task(read_all(theirs))
            await asyncio.get_running_loop().sock_sendfile(ours, status)
            ours.close()
            return await receiving

    assert b"Pid:" in miniloop.run(main())


def test_a_cancelled_transfer_says_by_the_position_how_far_it_came(source: Any) -> None:
    # On asyncio the kernel's way says so later, or never.
    async def main() -> int:
        loop = asyncio.get_running_loop()
        with socket_pair() as (ours, theirs):
            sending = asyncio.create_task(loop.sock_sendfile(ours, source))
            first = await loop.sock_recv(theirs, 1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            ours.close()
            return len(first + await read_all(theirs))

    received = miniloop.run(main())
    assert source.tell() == received


class Slow(io.BytesIO):
    """A file whose reads take until they are let go."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0
        self.reading = threading.Event()
        self.go_on = threading.Event()

    def readinto(self, buffer: Any) -> int:
        self.reads += 1
        if self.reads == 2:
            self.reading.set()
            assert self.go_on.wait(10)
        return super().readinto(buffer)


@pytest.mark.parametrize("over", ["socket", "transport"])
def test_a_read_that_goes_on_after_the_end_does_not_move_the_position(over: str) -> None:
    """On asyncio the thread may have the last word."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        slow = Slow(DATA)
        with socket_pair() as (ours, theirs):
            if over == "socket":
                sending = loop.create_task(loop.sock_sendfile(ours, slow, 100))
            else:
                transport, protocol = await open_transport(ours)
                sending = loop.create_task(loop.sendfile(transport, slow, 100))
            receiving = loop.create_task(read_all(theirs))
            await asyncio.to_thread(slow.reading.wait)
            threading.Timer(0.05, slow.go_on.set).start()
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            if over == "transport":
                transport.close()
                await protocol.lost
            ours.close()
            sent = len(await receiving)
            await loop.shutdown_default_executor()
            assert slow.tell() == 100 + sent

    miniloop.run(main())


@pytest.mark.parametrize("offset", [0, 5, len(DATA), 10 * len(DATA)])
def test_the_position_is_set_although_nothing_was_sent(source: Any, offset: int) -> None:
    """On asyncio in newer releases of 3.13 and later."""

    async def nothing_left() -> None:
        with socket_pair() as (ours, theirs):
            loop = asyncio.get_running_loop()
            if offset < len(DATA):
                theirs.close()
                with pytest.raises(ConnectionError):
                    await loop.sock_sendfile(ours, source, offset)
            else:
                assert await loop.sock_sendfile(ours, source, offset) == 0

    source.seek(777)
    miniloop.run(nothing_left())
    assert source.tell() == offset


def test_a_peer_that_goes_away_breaks_the_transfer(run: Run, source: Any) -> None:
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendfile(ours, source))
            await asyncio.get_running_loop().sock_recv(theirs, 1)
            theirs.close()
            with pytest.raises(ConnectionError):
                await sending

    run(main)
    assert 0 < source.tell() < len(DATA)


@pytest.mark.parametrize(
    ("offset", "count", "error"),
    [
        (-1, None, ValueError),
        (0.5, None, TypeError),
        (0, 0, ValueError),
        (0, -1, ValueError),
        (0, 0.5, TypeError),
    ],
)
def test_numbers_out_of_range_are_refused(
    run: Run, file: BinaryIO, offset: Any, count: Any, error: type[Exception]
) -> None:
    async def main() -> None:
        with socket_pair() as (ours, _), pytest.raises(error, match="must be a"):
            await asyncio.get_running_loop().sock_sendfile(ours, file, offset, count)

    run(main)


def test_a_text_file_is_refused(run: Run, file: BinaryIO) -> None:
    async def main() -> None:
        with (
            socket_pair() as (ours, _),
            open(file.name, encoding="latin-1") as text,
            pytest.raises(ValueError, match="binary mode"),
        ):
            await asyncio.get_running_loop().sock_sendfile(ours, text)  # type: ignore[arg-type]

    run(main)


def test_a_datagram_socket_is_refused(run: Run, file: BinaryIO) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            with pytest.raises(ValueError, match="only SOCK_STREAM"):
                await asyncio.get_running_loop().sock_sendfile(sock, file)

    run(main)


def test_the_others_have_their_turns_during_a_transfer(run: Run, source: Any) -> None:
    async def main() -> int:
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            sending = asyncio.create_task(asyncio.get_running_loop().sock_sendfile(ours, source))
            turns = 0
            while not sending.done():
                await asyncio.sleep(0)
                turns += 1
            ours.close()
            await receiving
            return turns

    assert run(main) > 5


# Over a transport.


def test_a_file_follows_what_was_written_and_goes_before_what_will_be(
    run: Run, source: Any
) -> None:
    async def main() -> bytes:
        with socket_pair() as (ours, theirs):
            receiving = asyncio.create_task(read_all(theirs))
            transport, protocol = await open_transport(ours)
            transport.write(b"before " + DATA)
            assert await asyncio.get_running_loop().sendfile(transport, source, 5, 1_000_000) == (
                1_000_000
            )
            transport.write(b" after")
            transport.close()
            await protocol.lost
            return await receiving

    assert run(main) == b"before " + DATA + DATA[5:1_000_005] + b" after"
    assert source.tell() == 1_000_005


def test_nothing_else_can_be_written_during_a_transfer(run: Run, file: BinaryIO) -> None:
    async def main() -> bytes:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, file))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError, match="sendfile is in progress"):
                transport.write(b"in between")
            receiving = asyncio.create_task(read_all(theirs))
            await sending
            transport.close()
            await protocol.lost
            return await receiving

    assert run(main) == DATA


def test_what_the_peer_sends_meanwhile_is_read_afterwards(run: Run, source: Any) -> None:
    async def main() -> bytes:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            theirs.send(b"by the way")
            receiving = asyncio.create_task(read_all(theirs))
            await asyncio.get_running_loop().sendfile(transport, source)
            while not protocol.data:
                await asyncio.sleep(0)
            assert transport.is_reading()
            assert transport.get_protocol() is protocol
            transport.close()
            await receiving
            return bytes(protocol.data)

    assert run(main) == b"by the way"


def test_a_paused_transport_stays_paused(run: Run, source: Any) -> None:
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            transport.pause_reading()
            receiving = asyncio.create_task(read_all(theirs))
            await asyncio.get_running_loop().sendfile(transport, source)
            assert not transport.is_reading()
            transport.close()
            await protocol.lost
            await receiving

    run(main)


def test_a_protocol_knows_afterwards_whether_it_may_write() -> None:
    # On asyncio it is not told of pauses during a transfer, and of a resumption without a pause.
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            transport.write(DATA)
            assert protocol.paused
            sending = asyncio.create_task(
                asyncio.get_running_loop().sendfile(transport, InMemory(DATA))
            )
            receiving = asyncio.create_task(read_all(theirs))
            assert await sending == len(DATA)
            transport.close()
            await protocol.lost
            assert not protocol.paused
            assert await receiving == DATA + DATA

    miniloop.run(main())


def test_a_cancelled_transfer_gives_the_transport_back(run: Run, source: Any) -> None:
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, source))
            await asyncio.get_running_loop().sock_recv(theirs, 1)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            receiving = asyncio.create_task(read_all(theirs))
            transport.write(b"never mind")
            transport.close()
            await protocol.lost
            assert (await receiving).endswith(b"never mind")

    run(main)


@pytest.mark.parametrize("end", ["abort", "close"])
def test_a_transport_that_is_closed_during_a_transfer_breaks_it(end: str, source: Any) -> None:
    # On asyncio the transfer may hang for ever.
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, source))
            loop = asyncio.get_running_loop()
            await loop.sock_recv(theirs, 1)
            getattr(transport, end)()
            if end == "close" and isinstance(source, InMemory):
                theirs.close()  # what is in its buffer would have to go first
            with pytest.raises(ConnectionError):
                await sending
            await protocol.lost

    miniloop.run(main())


def test_a_transfer_that_is_broken_by_its_only_write_says_so() -> None:
    # Ours alone: asyncio's has nothing more to do then, and may not look.
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            transport.pause_reading()
            theirs.close()
            with pytest.raises(ConnectionError):
                await asyncio.get_running_loop().sendfile(transport, io.BytesIO(b"hello"))
            await protocol.lost

    miniloop.run(main())


def test_a_peer_that_goes_away_breaks_the_transfer_and_the_transport(run: Run, source: Any) -> None:
    async def main() -> None:
        with socket_pair() as (ours, theirs):
            transport, protocol = await open_transport(ours)
            sending = asyncio.create_task(asyncio.get_running_loop().sendfile(transport, source))
            loop = asyncio.get_running_loop()
            await loop.sock_recv(theirs, 1)
            theirs.close()
            with pytest.raises(ConnectionError):
                await sending
            await protocol.lost

    run(main)
    assert 0 < source.tell() < len(DATA)


def test_a_closing_transport_is_refused(run: Run, file: BinaryIO) -> None:
    async def main() -> None:
        with socket_pair() as (ours, _):
            transport, protocol = await open_transport(ours)
            transport.close()
            with pytest.raises(RuntimeError, match="is closing"):
                await asyncio.get_running_loop().sendfile(transport, file)
            await protocol.lost

    run(main)


def test_without_the_fall_back_a_transport_sends_no_file_in_memory(run: Run) -> None:
    async def main() -> None:
        with socket_pair() as (ours, _):
            transport, protocol = await open_transport(ours)
            with pytest.raises(asyncio.SendfileNotAvailableError):
                await asyncio.get_running_loop().sendfile(transport, InMemory(DATA), fallback=False)
            assert transport.is_reading()
            transport.close()
            await protocol.lost

    run(main)


def test_transports_that_are_no_streams_are_refused(run: Run, file: BinaryIO) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        with pytest.raises(RuntimeError, match="sendfile is not supported"):
            await loop.sendfile(transport, file)  # type: ignore[arg-type]
        transport.close()
        reader, writer = os.pipe()
        pipe, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, open(writer, "wb", 0))  # noqa: SIM115
        with pytest.raises(RuntimeError, match="sendfile is not supported"):
            await loop.sendfile(pipe, file)
        pipe.close()
        os.close(reader)
        await asyncio.sleep(0)

    run(main)


def test_a_file_goes_through_tls(run: Run, source: Any) -> None:
    async def main() -> bytes:
        received = asyncio.get_running_loop().create_future()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            received.set_result(await reader.read())
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context())
        async with server:
            port = server.sockets[0].getsockname()[1]
            _, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client_context(), server_hostname="localhost"
            )
            loop = asyncio.get_running_loop()
            writer.write(b"before ")
            with pytest.raises(RuntimeError, match="fallback is disabled"):
                await loop.sendfile(writer.transport, source, fallback=False)
            assert await loop.sendfile(writer.transport, source, 10) == len(DATA) - 10
            writer.write(b" after")
            writer.close()
            await writer.wait_closed()
            return await received

    assert run(main) == b"before " + DATA[10:] + b" after"
    assert source.tell() == len(DATA)
