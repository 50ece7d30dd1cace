"""The simulated network: when nobody can wake anybody, and schedules and faults over it."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from pathlib import Path
from typing import Any

import pytest

from miniloop.testing import EverybodyWaits, find_failure, run
from miniloop.testing.network import Faults, Link, Network
from tests.builds import pure_only
from tests.testing.network_pairs import Pair, closed, now
from tests.testing.network_programs import echo, served


def test_nobody_can_wake_a_reader_whose_peer_is_silent() -> None:
    async def visit() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        try:
            await reader.read(1)
        finally:
            await closed(writer)

    with pytest.raises(EverybodyWaits):
        Pair().run(visit)


def test_that_nobody_can_wake_anybody_is_found_out_at_once() -> None:
    """What was planned for the case that nobody answers is no reason to wait."""

    async def main() -> None:
        server = await asyncio.start_server(echo, "127.0.0.1", 7)
        reader, writer = await asyncio.open_connection("127.0.0.1", 7)
        try:
            await reader.read(1)
        finally:
            begun.append(now())
            await closed(writer)
            server.close()

    begun: list[float] = []
    with pytest.raises(EverybodyWaits):
        run(main(), network=Network(), until=5)
    assert begun == [0.0]


def test_unix_sockets_are_refused_by_name(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(OSError, match="no AF_UNIX sockets"):
            await asyncio.open_unix_connection(tmp_path / "socket")

    run(main(), network=Network())


def test_options_that_make_no_sense_are_named() -> None:
    network = Network()
    with pytest.raises(ValueError, match="latency"):
        Network(latency=-1)
    with pytest.raises(ValueError, match="loss"):
        Network(loss=2)
    with pytest.raises(ValueError, match="bandwidth"):
        Link(bandwidth=0)
    with pytest.raises(ValueError, match="'other'"):
        network.partition(["other"])
    network.host("twice", "10.0.0.9")
    with pytest.raises(ValueError, match="belongs to"):
        network.host("again", "10.0.0.9")


@pure_only
def test_schedules_are_explored_over_a_network() -> None:
    """A lost update between two clients of a server, found and told with its seed."""
    network = Network(latency=0.01)
    server = network.host("server")

    async def scenario() -> int:
        total = 0

        async def add(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal total
            seen = total
            await reader.read(1)
            total = seen + 1
            writer.close()
            await writer.wait_closed()

        async def start() -> Any:
            return await asyncio.start_server(add, "0.0.0.0", 7)

        async def visit(after: float) -> None:
            await asyncio.sleep(after)
            reader, writer = await asyncio.open_connection("server", 7)
            writer.write(b"x")
            assert await reader.read() == b""
            await closed(writer)

        async with served(server, start):
            await asyncio.gather(visit(0), visit(0.05))
            await asyncio.sleep(10)  # the server's side ends, however late it is
        return total

    assert run(scenario(), network=network) == 2
    failure = find_failure(scenario, network=network, expect=2, save=False, schedules=200)
    assert failure is not None
    assert find_failure(scenario, network=network, expect=2, save=False, strategy="fifo") is None


def test_faults_of_connections_strike_where_there_are_some() -> None:
    pair = Pair(latency=0.01, faults=Faults(kinds=["reset", "half-close"], after=1))
    for number in range(20):
        pair.network.host(f"idle-{number}")

    async def visit() -> None:
        reader, writer = await asyncio.open_connection("server", 7)
        with contextlib.suppress(ConnectionResetError):
            await reader.read()
        await closed(writer)

    pair.run(visit)
    ((_, what),) = pair.network.log
    assert what.endswith("connections: 1")


def test_the_same_seed_does_the_same_down_to_each_fault() -> None:
    network = Network(
        latency=0.01,
        jitter=0.01,
        faults=Faults(count=6, every=2, lasting=(0.1, 3), hosts=["one", "two"]),
    )
    one, two = network.host("one"), network.host("two")

    async def program() -> None:
        async with await asyncio.start_server(echo, "0.0.0.0", 7) as listening:
            await listening.serve_forever()

    async def talk(story: list[Any]) -> None:
        while now() < 30:
            try:
                async with asyncio.timeout(1):
                    reader, writer = await asyncio.open_connection("one", 7)
                    try:
                        writer.write(b"hello")
                        story.append((now(), await reader.read(5)))
                    finally:
                        await closed(writer)
            except OSError as exc:
                story.append((now(), type(exc).__name__))
            await asyncio.sleep(0.3)

    async def scenario() -> list[Any]:
        story: list[Any] = []
        one.start(program)
        two.start(lambda: talk(story))
        await asyncio.sleep(40)
        return [*story, *network.log]

    told = [run(scenario(), network=network, seed=seed) for seed in (5, 5, 6)]
    log = list(network.log)
    run(asyncio.sleep(40), network=network, seed=6, start=1e6)
    assert [what for _, what in network.log][:1] == [what for _, what in log][:1]
    assert network.log[0][0] == pytest.approx(log[0][0], abs=1e-6)
    gc.collect()
    assert told[0] == told[1] != told[2]
    assert len(network.log) >= 6
