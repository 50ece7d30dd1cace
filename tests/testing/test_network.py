"""The simulated network: what programs see of it, and each fault."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import socket
from typing import Any

import pytest

from miniloop.testing import run
from miniloop.testing.network import Host, Network, current_host
from tests.net.certificates import client_context, server_context
from tests.testing.network_pairs import Pair, closed, now
from tests.testing.network_programs import echo, served


def test_a_round_trip_takes_two_latencies_and_connecting_one_more() -> None:
    async def visit() -> list[float]:
        reader, writer = await asyncio.open_connection("server", 7)
        times = [now()]
        for _ in range(2):
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            times.append(now())
        await closed(writer)
        return times

    assert Pair(latency=0.25).run(visit) == pytest.approx([0.5, 1.0, 1.5])


def test_bandwidth_limits_what_all_connections_of_a_link_carry() -> None:
    pair = Pair(latency=0)
    pair.network.link("client", "server", bandwidth=1000.0, both=False)

    async def send() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(bytes(5000))
        await reader.readexactly(5000)
        await closed(writer)

    async def visit() -> float:
        await asyncio.gather(send(), send())
        return now()

    assert 10 <= pair.run(visit) < 11  # 10,000 bytes and some headers, one way


def test_jitter_is_drawn_from_the_seed() -> None:
    network = Network(jitter=0.1)
    server = network.host("server")

    async def visit() -> list[float]:
        async def start() -> Any:
            return await asyncio.start_server(echo, "0.0.0.0", 7)

        async with served(server, start):
            reader, writer = await asyncio.open_connection("server", 7)
            times = []
            for _ in range(5):
                writer.write(b"x")
                await reader.readexactly(1)
                times.append(now())
            await closed(writer)
        return times

    first, again, other = (run(visit(), network=network, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_peer_that_does_not_read_stops_the_writer() -> None:
    network = Network(latency=0.01)

    async def main() -> int:
        arrived = asyncio.Event()

        async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            arrived.set()
            await asyncio.sleep(100)
            writer.transport.abort()

        server = await asyncio.start_server(ignore, "127.0.0.1", 7)
        _, writer = await asyncio.open_connection("127.0.0.1", 7)
        await arrived.wait()
        writer.transport.set_write_buffer_limits(high=0)
        writer.write(bytes(1_000_000))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(50):
                await writer.drain()
        kept = writer.transport.get_write_buffer_size()
        with pytest.raises(ConnectionResetError):
            await writer.drain()
        server.close()
        return 1_000_000 - kept

    assert run(main(), network=network) == 2 * 64 * 1024  # both buffers


def test_a_slow_reader_slows_the_writer_down() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> float:
        pair.server.read_slowly(10_000)
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(bytes(300_000))
        await reader.readexactly(300_000)
        await closed(writer)
        return now()

    assert 29 < pair.run(visit) < 31
    assert pair.network.log == [(0, "reads 10000 bytes a second: server")]


def test_half_close_leaves_the_other_direction_open() -> None:
    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"all of it")
        writer.write_eof()
        data = await reader.read()
        await closed(writer)
        return data

    assert Pair().run(visit) == b"all of it"


def test_streams_over_tls_and_start_tls() -> None:
    pair = Pair(latency=0.1)
    pair.network.name("localhost.", pair.server)

    async def visit() -> tuple[bytes, float]:
        reader, writer = await asyncio.open_connection(
            "server", 7, ssl=client_context(), server_hostname="localhost"
        )
        begun = now()
        writer.write(b"x" * 100_000)
        data = await reader.readexactly(100_000)
        await closed(writer)
        return data, begun

    data, begun = pair.run(visit, ssl=server_context())
    assert data == b"x" * 100_000
    assert begun >= 0.4  # TCP, and a handshake of TLS 1.3


def test_a_port_where_nobody_listens_refuses_after_a_round_trip() -> None:
    async def visit() -> float:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("server", 8)
        return now()

    assert Pair(latency=0.5).run(visit) == pytest.approx(1.0)


def test_an_address_that_nobody_has_is_unreachable_and_a_name_is_unknown() -> None:
    async def visit() -> None:
        with pytest.raises(OSError, match=r"10\.9\.9\.9") as caught:
            await asyncio.open_connection("10.9.9.9", 7)
        assert caught.value.errno == errno.EHOSTUNREACH
        with pytest.raises(socket.gaierror) as unknown:
            await asyncio.open_connection("nowhere", 7)
        assert unknown.value.errno == socket.EAI_NONAME

    Pair().run(visit)


def test_a_full_backlog_lets_the_next_one_try_again() -> None:
    network = Network(latency=0.001)
    server = network.host("server")

    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def start() -> Any:
            sock = loop.make_socket(socket.AF_INET, socket.SOCK_STREAM)  # type: ignore[attr-defined]
            sock.setblocking(False)
            sock.bind(("0.0.0.0", 7))
            sock.listen(0)
            return sock

        listener = await server.run(start())
        first = await asyncio.open_connection("server", 7)
        late = asyncio.create_task(asyncio.open_connection("server", 7))
        await asyncio.sleep(2)
        assert not late.done()
        one, _ = await loop.sock_accept(listener)
        _, writer = await late
        then = now()
        two, _ = await loop.sock_accept(listener)
        for thing in (first[1], writer):
            await closed(thing)
        for sock in (one, two, listener):
            sock.close()
        return then

    assert 3 <= run(main(), network=network) < 3.1  # tried again after one second and three


def test_what_is_written_during_a_partition_arrives_after_it() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> float:
        reader, writer = await asyncio.open_connection("server", 7)
        pair.network.partition(["server"], ["client"])
        writer.write(b"late")
        pair.network.at(now() + 10, pair.network.heal)
        assert await reader.readexactly(4) == b"late"
        await closed(writer)
        return now()

    assert 10 < pair.run(visit) < 20.1
    assert [what.split(":")[0] for _, what in pair.network.log] == ["partition", "heal"]


def test_a_partition_that_lasts_ends_the_connection_of_who_writes() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> float:
        reader, writer = await asyncio.open_connection("server", 7)
        pair.network.partition(["server"], ["client"])
        writer.write(b"lost")
        with pytest.raises(TimeoutError):
            await reader.read()
        await closed(writer)
        then = now()
        with pytest.raises(TimeoutError):
            await asyncio.open_connection("server", 7)
        assert now() - then == pytest.approx(127)
        pair.network.heal()
        return then

    assert pair.run(visit) == pytest.approx(924.6, abs=1)


def test_one_way_may_be_cut_alone() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        pair.network.cut("server", "client")
        writer.write(b"heard")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await reader.read(5)
        pair.network.heal()
        assert await reader.read(5) == b"heard"
        await closed(writer)

    pair.run(visit)


def test_a_reset_is_heard_by_both_and_what_had_arrived_can_be_read() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"before")
        await asyncio.sleep(1)
        assert pair.network.reset("server", "client") == 1
        assert await reader.readexactly(6) == b"before"
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        await closed(writer)

    pair.run(visit)


def test_something_on_the_way_may_end_one_direction() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert pair.network.half_close("server", "client") == 1
        data = await reader.read()
        await closed(writer)
        return data

    assert pair.run(visit) == b""


def test_a_host_that_crashed_is_silent_and_resets_once_it_is_back() -> None:
    network = Network(latency=0.01)
    server, client = network.host("server"), network.host("client")
    starts: list[float] = []

    async def program() -> None:
        starts.append(now())
        async with await asyncio.start_server(echo, "0.0.0.0", 7) as listening:
            await listening.serve_forever()

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        server.crash()
        assert server.is_down
        with pytest.raises(RuntimeError, match="down"):
            server.create_task(program())
        writer.write(b"anybody?")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await reader.read(1)
        server.restart()
        with pytest.raises(ConnectionResetError):
            await reader.read(1)
        await closed(writer)
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"back")
        assert await reader.read(4) == b"back"
        await closed(writer)

    async def main() -> None:
        first = server.start(program)
        await asyncio.sleep(1)
        await client.run(visit())
        assert first.cancelled()
        await asyncio.sleep(1)
        server.crash()

    run(main(), network=network)
    assert len(starts) == 2


def test_names_may_fail_and_be_slow() -> None:
    pair = Pair()

    async def visit() -> float:
        loop = asyncio.get_running_loop()
        pair.network.fail_names("server")
        with pytest.raises(socket.gaierror) as caught:
            await loop.getaddrinfo("server", 7)
        assert caught.value.errno == socket.EAI_AGAIN
        pair.network.restore_names("server")
        begun = now()
        pair.network.delay_names(3.0)
        found = await loop.getaddrinfo("server", "http", type=socket.SOCK_STREAM)
        assert found == [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("10.0.0.2", 80))
        ]
        assert await loop.getnameinfo(("10.0.0.2", 80)) == ("server", "80")
        return now() - begun

    assert pair.run(visit) == pytest.approx(3.0)
    assert [what for _, what in pair.network.log][2:] == ["names take 3 s: all"]


def test_happy_eyeballs_between_two_families() -> None:
    network = Network(latency=0.01)
    server = network.host("server", "fd00::1", "10.1.0.1")
    client = network.host("client", "fd00::2", "10.1.0.2")

    async def start() -> Any:
        return await asyncio.start_server(echo, ["0.0.0.0", "::"], 7)

    async def visit() -> list[Any]:
        names = []
        for _ in range(2):
            _, writer = await asyncio.open_connection("server", 7, happy_eyeballs_delay=0.25)
            names.append(writer.get_extra_info("peername")[0])
            await closed(writer)
            network.name("server", "fd00::99", server.addresses[1])
        return names

    async def main() -> list[Any]:
        async with served(server, start):
            return await client.run(visit())

    assert run(main(), network=network) == ["fd00::1", "10.1.0.1"]


class Collect(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.errors: list[Exception] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.append(data)

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)


def datagrams(seed: int = 0, **how: float) -> list[bytes]:
    """What arrives of a hundred."""
    network = Network(**how)
    server = network.host("server")

    async def main() -> list[bytes]:
        loop = asyncio.get_running_loop()

        async def start() -> Any:
            return await loop.create_datagram_endpoint(Collect, local_addr=("0.0.0.0", 53))

        listening, collected = await server.run(start())
        sending, _ = await loop.create_datagram_endpoint(Collect, remote_addr=("server", 53))
        for number in range(100):
            sending.sendto(b"%d" % number)
            await asyncio.sleep(0.001)
        await asyncio.sleep(10)
        for transport in (sending, listening):
            transport.close()
        await asyncio.sleep(0)
        return collected.got

    return run(main(), network=network, seed=seed)


def test_datagrams_are_lost_doubled_and_reordered_by_the_seed() -> None:
    sent = [b"%d" % number for number in range(100)]
    assert datagrams() == sent
    lost = datagrams(loss=0.2)
    assert 60 < len(lost) < 95
    assert set(lost) < set(sent)
    doubled = datagrams(duplicates=0.2)
    assert 105 < len(doubled) < 140
    assert set(doubled) == set(sent)
    mixed = datagrams(reordering=0.2)
    assert sorted(mixed) == sorted(sent)
    assert mixed != sent
    assert datagrams(3, loss=0.2) == datagrams(3, loss=0.2) != lost


def test_a_datagram_to_nobody_is_told_to_a_connected_endpoint() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> list[Exception]:
        loop = asyncio.get_running_loop()
        transport, told = await loop.create_datagram_endpoint(Collect, remote_addr=("server", 9))
        transport.sendto(b"hello?")
        await asyncio.sleep(1)
        transport.close()
        await asyncio.sleep(0)
        return told.errors

    (error,) = pair.run(visit)
    assert isinstance(error, ConnectionRefusedError)


def test_the_calls_for_bare_sockets_and_a_socket_that_a_library_makes() -> None:
    pair = Pair(latency=0.01)

    async def visit() -> None:
        loop = asyncio.get_running_loop()
        assert socket.gethostname() == "client"
        assert socket.getaddrinfo("server", 7, type=socket.SOCK_STREAM)[0][4] == ("10.0.0.2", 7)
        with socket.socket() as sock:
            assert isinstance(sock, socket.socket)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("server", 7))
            assert sock.getsockname()[0] == pair.client.address
            await loop.sock_sendall(sock, b"hello")
            buffer = bytearray(9)
            assert await loop.sock_recv_into(sock, buffer) == 5
            assert await loop.sock_sendfile(sock, io.BytesIO(b"a file")) == 6
            assert await loop.sock_recv(sock, 99) == b"a file"
        one, other = socket.socketpair()  # which stays that of the system
        for real in (one, other):
            assert isinstance(real, socket.socket)
            real.close()

    pair.run(visit)
    with socket.socket() as real:
        assert real.fileno() < 1 << 30


def test_a_call_that_would_block_is_refused_in_words() -> None:
    async def visit() -> None:
        with pytest.raises(io.UnsupportedOperation, match="would block"):
            socket.create_connection(("server", 7), timeout=5)

    Pair().run(visit)


def test_a_socket_that_nobody_closes_is_reported() -> None:
    async def main() -> None:
        socket.socket()

    def leave_one() -> None:
        run(main(), network=Network())
        gc.collect()

    with pytest.warns(ResourceWarning, match="unclosed <SimulatedSocket"):
        leave_one()


def test_a_port_that_is_taken_is_refused_and_free_again_once_closed() -> None:
    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 7)
        with pytest.raises(OSError, match="in use"):
            await asyncio.start_server(echo, "0.0.0.0", 7)
        with pytest.raises(OSError, match=r"could not bind|not available"):
            await asyncio.start_server(echo, "10.9.9.9", 7)
        server.close()
        (await asyncio.start_server(echo, "0.0.0.0", 7)).close()

    run(main(), network=Network())


def test_a_task_belongs_to_the_host_of_who_started_it() -> None:
    network = Network()
    one = network.host("one")
    seen: list[Host | None] = []

    async def inner() -> None:
        seen.append(current_host())

    async def outer() -> None:
        await asyncio.create_task(inner())
        seen.append(current_host())

    async def main() -> None:
        await one.run(outer())
        await inner()

    run(main(), network=network)
    assert seen == [one, one, None]


def test_two_runs_know_nothing_of_each_other() -> None:
    network = Network()
    server = network.host("server")

    async def main() -> None:
        assert not server.is_down
        network.partition([server])
        server.crash()

    run(main(), network=network)
    run(main(), network=network)
    assert len(network.log) == 2
