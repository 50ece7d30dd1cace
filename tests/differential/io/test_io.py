"""miniloop and asyncio do the same with sockets, pipes and processes, whatever the program."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from miniloop.kernel.poller import Poller
from miniloop.net.descriptor_transport import WritableTransport
from miniloop.net.sock import Sockets
from miniloop.net.stream import StreamTransport
from miniloop.testing.both_loops import compare_loops
from tests.builds import pure_only
from tests.differential.io.comparing import Difference, differences
from tests.differential.io.known import KNOWN, ROWS

PAGE = Path(__file__).parents[3] / "docs" / "differences.md"

# Each Python has programs of its own: together they are some two thousand.
FIRST = sys.version_info.minor * 100_000
IN_A_RUN = 350

SOAK = 1_000_000
IN_A_PART = 500
NEVER_SEEN = 10**9


def no_difference(found: list[Difference]) -> None:
    assert not found, str(found[0].smallest())


@pytest.mark.timeout(120)
def test_random_programs_do_the_same_on_both_loops() -> None:
    no_difference(differences(range(FIRST, FIRST + IN_A_RUN)))


def forget_the_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StreamTransport, "_eof_received", StreamTransport.close)


def lose_the_last_byte(patch: pytest.MonkeyPatch) -> None:
    send = StreamTransport.write
    patch.setattr(StreamTransport, "write", lambda self, data: send(self, data[:-1]))


def never_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(WritableTransport, "set_write_buffer_limits", lambda self, high=None, low=None: 0)


def end_late(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(StreamTransport, "write_eof", lambda self: None)


def read_one_byte_less(patch: pytest.MonkeyPatch) -> None:
    receive = Sockets.recv

    async def recv(self: Sockets, sock: Any, size: int) -> bytes:
        return (await receive(self, sock, size))[1:]

    patch.setattr(Sockets, "recv", recv)


def forget_writers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Poller, "wait_writable", lambda self, watch, waiter: None)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "fault",
    [
        forget_the_end,
        lose_the_last_byte,
        never_pause,
        end_late,
        read_one_byte_less,
        pytest.param(forget_writers, marks=pure_only),
    ],
)
def test_a_fault_is_found_out(
    fault: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch)
    assert any(differences([seed]) for seed in range(150))


def test_each_known_difference_has_its_row_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert ROWS.keys() == KNOWN.keys()
    for name, row in ROWS.items():
        assert row in page, f"{name}: docs/differences.md does not say {row!r}"


def test_programs_of_ones_own_can_be_compared() -> None:
    async def same(note: Callable[..., None]) -> int:
        note("a", 1)
        await asyncio.sleep(0)
        return 2

    async def different(note: Callable[..., None]) -> None:
        asyncio.get_running_loop().call_soon(int, "x")
        note(type(asyncio.get_running_loop()).__module__)

    assert compare_loops(same) == []
    first, *_ = compare_loops(different)
    assert first.number == 0
    assert first.miniloop == ("miniloop.loop",)


def _part(seeds: range) -> list[Difference]:
    gc.freeze()  # each program collects: what was imported need not be looked at each time
    return differences(seeds)


@pytest.mark.soak
def test_a_million_random_programs_do_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    first = random.SystemRandom().randrange(NEVER_SEEN, 2 * NEVER_SEEN)
    parts = [range(seed, seed + IN_A_PART) for seed in range(first, first + SOAK, IN_A_PART)]
    with capsys.disabled(), multiprocessing.get_context("spawn").Pool() as pool:
        print(f"\nprograms {first} to {first + SOAK - 1}", flush=True)
        for number, found in enumerate(pool.imap(_part, parts), start=1):
            no_difference(found)
            if number % 20 == 0:
                print(f"{number * IN_A_PART} without a difference", flush=True)
