"""Stream transports: writing, flow control and half-close."""

from __future__ import annotations

import array
import asyncio
import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

import miniloop
from tests.net.connected import (
    connected,
    receive_exactly,
    receive_until_eof,
    tcp_pair,
    unix_pair,
)
from tests.net.recording_protocol import Recorder

Run = Callable[..., Any]

PAIRS = pytest.mark.parametrize("pair", [tcp_pair, unix_pair], ids=["tcp", "unix"])

LARGE = bytes(range(256)) * 20_000  # 5 MB: more than a kernel buffer takes


@PAIRS
def test_small_writes_arrive_in_their_order(run: Run, pair: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, pair) as (transport, _, peer):
            for number in range(1000):
                transport.write(b"%d " % number)
            transport.close()
            expected = b"".join(b"%d " % number for number in range(1000))
            assert await receive_until_eof(peer) == expected

    run(main)


@PAIRS
def test_a_huge_write_arrives_whole_at_a_slow_reader(run: Run, pair: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, pair) as (transport, protocol, peer):
            transport.write(LARGE)
            transport.write(b"the end")
            received = bytearray()
            while len(received) < len(LARGE) + 7:
                received += await receive_exactly(peer, min(50_000, len(LARGE) + 7 - len(received)))
                await asyncio.sleep(0)
            assert received == LARGE + b"the end"
            assert transport.get_write_buffer_size() == 0
            assert protocol.calls == ["connection_made", "pause_writing", "resume_writing"]

    run(main)


@PAIRS
def test_lines_arrive_in_their_order(run: Run, pair: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, pair) as (transport, _, peer):
            pieces = [b"%d," % number * (number % 50) for number in range(3000)]
            transport.writelines(pieces)
            transport.write(b"in between")
            transport.writelines(iter(pieces))
            transport.close()
            expected = b"".join(pieces) + b"in between" + b"".join(pieces)
            assert await receive_until_eof(peer) == expected

    run(main)


def test_empty_lines_are_nothing() -> None:
    # Ours alone: from CPython 3.12 on asyncio waits for room to send them, for ever.
    async def main() -> None:
        async with connected(Recorder) as (transport, _, peer):
            transport.writelines([])
            transport.writelines([b"", b""])
            transport.writelines([b"", b"x", b""])
            transport.writelines([])
            transport.close()
            assert await receive_until_eof(peer) == b"x"

    miniloop.run(main())


@PAIRS
def test_huge_lines_mixed_with_writes_arrive_whole(run: Run, pair: Any) -> None:
    async def main() -> None:
        async with connected(Recorder, pair) as (transport, _, peer):
            pieces = [LARGE[:100_000], b"small", LARGE[:1_000_000]] * 5
            reading = asyncio.ensure_future(receive_until_eof(peer))
            for piece in pieces:
                transport.write(piece)
            transport.writelines(pieces)
            transport.close()
            assert await reading == b"".join(pieces) * 2

    run(main)


@pytest.mark.parametrize(
    "data",
    [
        b"bytes",
        bytearray(b"bytearray"),
        memoryview(b"memoryview"),
        memoryview(array.array("I", range(100))),
        memoryview(array.array("I", range(2_000_000))),
        memoryview(b"abcdefgh")[2:5],
    ],
    ids=["bytes", "bytearray", "memoryview", "items", "many items", "slice"],
)
def test_all_kinds_of_bytes_can_be_written(run: Run, data: Any) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, _, peer):
            reading = asyncio.ensure_future(receive_until_eof(peer))
            transport.write(data)
            transport.writelines([data])
            transport.close()
            assert await reading == bytes(data) * 2

    if len(data) > 1000:
        # Ours alone: asyncio mistakes the number of items for the number of bytes.
        miniloop.run(main())
    else:
        run(main)


@pytest.mark.parametrize("wrong", ["text", 42, None, [1, 2]], ids=repr)
def test_what_is_not_bytes_is_refused_and_nothing_is_sent(run: Run, wrong: Any) -> None:
    async def main() -> None:
        if sys.version_info >= (3, 14) and not isinstance(
            asyncio.get_running_loop(), miniloop.EventLoop
        ):
            pytest.skip("asyncio of CPython 3.14 takes None, and sends what comes before the rest")
        async with connected(Recorder) as (transport, _, peer):
            with pytest.raises(TypeError):
                transport.write(wrong)
            with pytest.raises(TypeError):
                transport.writelines([b"begins well", wrong])
            transport.write(b"and goes on")
            transport.close()
            assert await receive_until_eof(peer) == b"and goes on"

    run(main)


def test_nothing_is_written_without_a_system_call(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.write(b"")
            peer.close()
            await protocol.lost
            transport.write(b"")  # no error, though nobody is there any more

    run(main)


@pytest.mark.parametrize("verb", ["write", "writelines"])
@pytest.mark.parametrize("view", [False, True], ids=["bytearray", "view"])
def test_a_bytearray_may_be_changed_as_soon_as_it_is_written(verb: str, view: bool) -> None:
    # Ours alone: before CPython 3.12 asyncio keeps a copy, and from then on the very object.
    async def main() -> None:
        async with connected(Recorder) as (transport, _, peer):
            buffer = bytearray(LARGE)
            for data in (buffer, bytearray(b"second piece")):
                given = memoryview(data) if view else data
                getattr(transport, verb)(given if verb == "write" else [given])
                if view:
                    given.release()  # type: ignore[union-attr]
                data[:] = b"x" * len(data)
                data.clear()  # and so may its size
            transport.close()
            assert await receive_until_eof(peer) == LARGE + b"second piece"

    miniloop.run(main())


def test_a_view_of_anything_that_can_change_is_copied() -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, _, peer):
            numbers = array.array("B", LARGE)
            transport.write(memoryview(numbers))
            for index in range(0, len(numbers), 1000):
                numbers[index] = 77
            transport.close()
            assert await receive_until_eof(peer) == LARGE

    miniloop.run(main())


# Flow control.


def test_the_protocol_is_paused_above_the_high_mark_and_resumed_at_the_low(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=200_000, low=100_000)
            while not protocol.full:
                transport.write(b"x" * 50_000)
            size = transport.get_write_buffer_size()
            assert 200_000 < size <= 250_000
            assert protocol.calls == ["connection_made", "pause_writing"]
            transport.write(b"x" * 50_000)  # it is allowed to go on all the same
            while protocol.full:
                assert transport.get_write_buffer_size() > 100_000
                await receive_exactly(peer, 10_000)
            assert transport.get_write_buffer_size() <= 100_000
            assert protocol.calls == ["connection_made", "pause_writing", "resume_writing"]

    run(main)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, (16 * 1024, 64 * 1024)),
        ({"high": 400}, (100, 400)),
        ({"low": 100}, (100, 400)),
        ({"high": 400, "low": 400}, (400, 400)),
        ({"high": 0}, (0, 0)),
    ],
    ids=str,
)
def test_marks_that_are_not_given_follow_from_those_that_are(
    run: Run, given: dict[str, int], expected: tuple[int, int]
) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, _, _):
            transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == expected

    run(main)


@pytest.mark.parametrize("given", [{"high": 1, "low": 2}, {"high": -1}, {"low": -1}], ids=str)
def test_marks_that_make_no_sense_are_refused(run: Run, given: dict[str, int]) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, _, _):
            before = transport.get_write_buffer_limits()
            with pytest.raises(ValueError, match=r"must be >= "):
                transport.set_write_buffer_limits(**given)
            assert transport.get_write_buffer_limits() == before

    run(main)


def test_lowering_the_marks_below_the_buffer_pauses_at_once(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, _):
            transport.set_write_buffer_limits(high=100_000_000)
            transport.write(LARGE)
            assert not protocol.full
            transport.set_write_buffer_limits(high=10)
            assert protocol.full

    run(main)


def test_a_high_mark_of_zero_pauses_whenever_anything_waits(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=0)
            transport.write(b"fits into the kernel")
            assert not protocol.full
            transport.write(LARGE)
            assert protocol.full
            reading = asyncio.ensure_future(receive_exactly(peer, len(LARGE) + 20))
            await protocol.room()
            assert transport.get_write_buffer_size() == 0
            await reading

    run(main)


def test_a_protocol_may_write_in_resume_writing(run: Run) -> None:
    class Refilling(Recorder):
        refills = 3

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.refills:
                self.refills -= 1
                self.transport.write(LARGE)

    async def main() -> None:
        async with connected(Refilling) as (transport, protocol, peer):
            transport.write(LARGE)
            assert await receive_exactly(peer, 4 * len(LARGE)) == LARGE * 4
            assert protocol.refills == 0
            assert protocol.calls == ["connection_made"] + ["pause_writing", "resume_writing"] * 4

    run(main)


@pytest.mark.parametrize("end", ["close", "abort", "write_eof"])
def test_a_protocol_may_end_the_transport_in_resume_writing(run: Run, end: str) -> None:
    class Ending(Recorder):
        def resume_writing(self) -> None:
            super().resume_writing()
            getattr(self.transport, end)()

    async def main() -> None:
        async with connected(Ending) as (transport, protocol, peer):
            transport.set_write_buffer_limits(high=0)
            transport.write(LARGE)
            assert await receive_until_eof(peer) == LARGE
            if end == "write_eof":
                transport.close()
            assert await protocol.lost is None

    run(main)


def test_a_protocol_may_end_the_transport_in_pause_writing(run: Run) -> None:
    class Ending(Recorder):
        def pause_writing(self) -> None:
            super().pause_writing()
            self.transport.abort()

    async def main() -> None:
        async with connected(Ending) as (transport, protocol, _):
            transport.write(LARGE)
            transport.write(LARGE)
            assert transport.get_write_buffer_size() == 0
            assert await protocol.lost is None

    run(main)


def test_the_protocol_that_is_there_at_the_time_is_told_to_resume(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, first, peer):
            transport.write(LARGE)
            assert first.full
            second = Recorder()
            second.full = True  # it has to know; nobody tells it
            transport.set_protocol(second)
            await receive_exactly(peer, len(LARGE))
            await second.room()
            assert first.calls == ["connection_made", "pause_writing"]
            assert second.calls == ["resume_writing"]

    run(main)


# Half-close.


@PAIRS
def test_the_writing_half_can_be_closed_alone(run: Run, pair: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder, pair) as (transport, protocol, peer):
            assert transport.can_write_eof()
            transport.write(b"question")
            transport.write_eof()
            transport.write_eof()
            assert await receive_until_eof(peer) == b"question"
            assert not transport.is_closing()
            await loop.sock_sendall(peer, b"answer")
            assert await protocol.received(6) == b"answer"
            peer.close()
            assert await protocol.lost is None

    run(main)


def test_the_half_close_waits_for_the_buffer(run: Run) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with connected(Recorder) as (transport, protocol, peer):
            transport.write(LARGE)
            transport.write_eof()
            assert transport.get_write_buffer_size() > 0
            assert await receive_until_eof(peer) == LARGE
            await loop.sock_sendall(peer, b"answer")
            assert await protocol.received(6) == b"answer"

    run(main)


def test_nothing_can_be_written_after_the_half_close(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, _, _):
            transport.write_eof()
            with pytest.raises(RuntimeError, match=r"Cannot call write\(\) after write_eof\(\)"):
                transport.write(b"more")
            with pytest.raises(RuntimeError, match=r"Cannot call \w+\(\) after write_eof\(\)"):
                transport.writelines([b"more"])

    run(main)


def test_the_half_close_of_a_closing_transport_does_nothing(run: Run) -> None:
    async def main() -> None:
        async with connected(Recorder) as (transport, protocol, peer):
            transport.write(LARGE)
            transport.close()
            transport.write_eof()
            assert await receive_until_eof(peer) == LARGE
            assert await protocol.lost is None

    run(main)


def test_both_halves_close_in_either_order(run: Run) -> None:
    class KeepOpen(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            return True

    async def main() -> None:
        for ours_first in (True, False):
            async with connected(KeepOpen) as (transport, protocol, peer):
                if ours_first:
                    transport.write_eof()
                    assert await receive_until_eof(peer) == b""
                    peer.shutdown(socket.SHUT_WR)
                    await protocol.eof
                else:
                    peer.shutdown(socket.SHUT_WR)
                    await protocol.eof
                    transport.write_eof()
                    assert await receive_until_eof(peer) == b""
                assert not transport.is_closing()
                transport.close()
                assert await protocol.lost is None

    run(main)


def test_streams_of_the_standard_library_work_on_top(run: Run) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async for line in reader:
            writer.write(line.upper())
            await writer.drain()
        writer.write_eof()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            lines = [b"line %d\n" % number for number in range(2000)]

            async def send() -> None:
                for start in range(0, len(lines), 100):
                    writer.writelines(lines[start : start + 100])
                    await writer.drain()
                writer.write_eof()

            sending = asyncio.ensure_future(send())
            assert await reader.read() == b"".join(lines).upper()
            await sending
            writer.close()
            await writer.wait_closed()

    run(main)
