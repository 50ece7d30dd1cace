"""The wake-up descriptor alone."""

from __future__ import annotations

import select
from collections.abc import Iterator

import pytest

from miniloop.kernel.wakeup import Wakeup


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    wakeup = Wakeup()
    yield wakeup
    wakeup.close()


def is_readable(wakeup: Wakeup) -> bool:
    return bool(select.select([wakeup], [], [], 0)[0])


def test_it_is_readable_from_the_wake_to_the_drain(wakeup: Wakeup) -> None:
    assert not is_readable(wakeup)
    wakeup.wake()
    assert is_readable(wakeup)
    wakeup.drain()
    assert not is_readable(wakeup)


def test_draining_takes_everything(wakeup: Wakeup) -> None:
    for _ in range(10_000):
        wakeup.wake()
    wakeup.drain()
    assert not is_readable(wakeup)


def test_waking_never_blocks_nor_fails_when_the_buffer_is_full(wakeup: Wakeup) -> None:
    for _ in range(100_000):  # many times what the kernel keeps
        wakeup.wake()
    assert is_readable(wakeup)
    wakeup.drain()
    assert not is_readable(wakeup)


def test_signal_numbers_are_passed_on_and_wake_ups_are_not(wakeup: Wakeup) -> None:
    heard: list[int] = []
    wakeup.on_signal = heard.append
    wakeup.wake()
    wakeup._writer.send(bytes([2, 0, 15]))
    wakeup.wake()
    wakeup.drain()
    assert heard == [2, 15]


def test_signal_numbers_are_dropped_when_nobody_listens(wakeup: Wakeup) -> None:
    wakeup._writer.send(bytes([2]))
    wakeup.drain()
    assert not is_readable(wakeup)


def test_waking_a_closed_one_does_nothing() -> None:
    wakeup = Wakeup()
    wakeup.close()
    wakeup.wake()
    assert wakeup.fileno() == -1


def test_the_signal_end_is_non_blocking_and_another_descriptor(wakeup: Wakeup) -> None:
    assert wakeup.signal_fd() != wakeup.fileno()
    assert not wakeup._writer.getblocking()
    assert not wakeup._reader.getblocking()
