"""Schedules over a simulated network: packets are another time under way in other runs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from miniloop.testing import Faults, Network, check_determinism, explore, find_failure, replay
from tests.builds import pure_only

pytestmark = pure_only

PORT = 7000

NETWORK = Network(latency=0.01, jitter=0.005)
SERVER = NETWORK.host("server")
CLIENTS = {"first": NETWORK.host("first"), "second": NETWORK.host("second")}


async def orders() -> list[str]:
    """Two clients send a line each, one of them three milliseconds later."""
    order: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        order.append((await reader.readline()).decode().strip())
        writer.close()
        await writer.wait_closed()

    async def serve() -> None:
        async with await asyncio.start_server(answer, "0.0.0.0", PORT) as server:
            await server.serve_forever()

    async def send(name: str, after: float) -> None:
        await asyncio.sleep(after)
        reader, writer = await asyncio.open_connection("server", PORT)
        writer.write(name.encode() + b"\n")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    SERVER.start(serve)
    await asyncio.gather(
        CLIENTS["first"].run(send("first", 0.001)), CLIENTS["second"].run(send("second", 0.004))
    )
    return order


async def in_order() -> None:
    assert await orders() == ["first", "second"]


async def both_arrive() -> None:
    assert sorted(await orders()) == ["first", "second"]


def test_another_world_has_packets_overtake(tmp_path: Path) -> None:
    failure = find_failure(
        in_order, network=NETWORK, strategy="random", lateness=0.0, save_to=tmp_path
    )
    assert failure is not None
    assert failure.verdict == "lateness"
    assert (len(failure.departures), failure.schedule.world > 0) == (0, True)
    assert "In the network of world" in failure.story
    assert failure.replay_file is not None
    again = replay(failure.replay_file, in_order, network=NETWORK)
    assert isinstance(again.error, AssertionError)
    assert again.diverged is None


def test_a_correct_program_passes_in_every_world() -> None:
    assert explore(both_arrive, network=NETWORK, schedules=60, save=False).schedules == 60


def test_runs_over_a_network_are_deterministic() -> None:
    check_determinism(both_arrive, network=NETWORK, schedules=4)


def test_the_story_tells_what_happened_to_the_network() -> None:
    network = Network(latency=0.01, faults=Faults(kinds=["crash"], hosts=["server"], after=1))
    host = network.host("server")

    async def is_up() -> None:
        host.create_task(asyncio.sleep(100))
        await asyncio.sleep(60)
        assert not [what for _, what in network.log if what.startswith("crash")]

    failure = find_failure(is_up, network=network, save=False)
    assert failure is not None
    told = failure.story.partition("What happened to the network:\n")[2].splitlines()
    assert re.fullmatch(r"  at \d\.\d+ s  crash: server", told[0])
    assert re.fullmatch(r"  at [\d.]+ s  restart: server", told[1])
    assert replay(failure, is_up, network=network).story == failure.story
