"""The wake-up descriptor alone."""

from __future__ import annotations

import errno
import select
import socket
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


class Refusing:
    """A socket whose first sends fail, as the kernel's do when it is short of memory."""

    def __init__(self, sock: socket.socket, error: OSError, times: int) -> None:
        self.sock = sock
        self.error = error
        self.times = times

    def send(self, data: bytes) -> int:
        if self.times:
            self.times -= 1
            raise self.error
        return self.sock.send(data)

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()


@pytest.mark.parametrize("number", [errno.ENOBUFS, errno.ENOMEM])
def test_a_wake_up_that_is_refused_once_is_tried_again(wakeup: Wakeup, number: int) -> None:
    wakeup._writer = Refusing(wakeup._writer, OSError(number, "refused"), 1)  # type: ignore[assignment]
    assert wakeup.wake() is True
    assert is_readable(wakeup)


def test_a_wake_up_that_is_refused_for_good_is_told_to_the_caller(wakeup: Wakeup) -> None:
    error = OSError(errno.ENOBUFS, "refused")
    wakeup._writer = Refusing(wakeup._writer, error, 10**6)  # type: ignore[assignment]
    assert wakeup.wake() is False
    assert not is_readable(wakeup)


def test_a_signal_that_found_the_buffer_full_is_passed_on_if_it_was_noted(wakeup: Wakeup) -> None:
    heard: list[int] = []
    wakeup.on_signal = heard.append
    sent = 0
    try:
        while True:
            wakeup._writer.send(bytes([10]))
            wakeup.noted.add(10)
            sent += 1
    except BlockingIOError:
        wakeup.noted.add(15)  # its byte did not fit
    wakeup.drain()
    assert heard == [10] * sent + [15]
    wakeup.drain()
    assert len(heard) == sent + 1


def test_a_signal_is_not_passed_on_twice_because_its_handler_ran_late(wakeup: Wakeup) -> None:
    heard: list[int] = []
    wakeup.on_signal = heard.append
    wakeup._writer.send(bytes([15]))
    wakeup.drain()
    wakeup.noted.add(15)  # only now does the Python-level handler run
    wakeup.wake()
    wakeup.drain()
    assert heard == [15]
    wakeup._writer.send(bytes([10, 10]))
    wakeup.drain()
    assert heard == [15, 10, 10]


def test_it_can_be_replaced_and_tells_so(wakeup: Wakeup) -> None:
    told: list[int] = []
    wakeup.on_replaced = lambda: told.append(wakeup.signal_fd())
    before = wakeup.fileno()
    wakeup.replace()
    assert wakeup.fileno() != before
    assert told == [wakeup.signal_fd()]
    wakeup.wake()
    assert is_readable(wakeup)


def test_draining_one_that_is_broken_says_so(wakeup: Wakeup) -> None:
    wakeup._writer.close()
    with pytest.raises(ConnectionError, match="wake-up"):
        wakeup.drain()
