"""Files sent over a socket by the kernel, and by blocks where it cannot."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import miniloop
from tests.net.sending_files import DATA, InMemory, open_transport, read_all, socket_pair

Run = Callable[..., Any]


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
