"""Files sent over a transport, TLS included: what was written before, after and meanwhile."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

import pytest

import miniloop
from tests.net.certificates import client_context, server_context
from tests.net.sending_files import DATA, InMemory, open_transport, read_all, socket_pair

Run = Callable[..., Any]


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
