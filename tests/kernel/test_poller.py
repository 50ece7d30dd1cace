"""The table of file descriptors, with every poller that Linux has."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import selectors
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from miniloop.kernel import poller as poller_module
from miniloop.kernel.poller import (
    HANGUP,
    READ,
    URGENT,
    WRITE,
    EpollPoller,
    Poller,
    SelectorPoller,
    default_poller,
)

POLLERS: dict[str, Callable[[], Poller]] = {
    "epoll": EpollPoller,
    "selector-epoll": lambda: SelectorPoller(selectors.EpollSelector()),
    "selector-poll": lambda: SelectorPoller(selectors.PollSelector()),
    "selector-select": lambda: SelectorPoller(selectors.SelectSelector()),
}


@pytest.fixture(params=POLLERS.values(), ids=POLLERS.keys())
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller: Poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


class Waiter:
    """The part of a future that a poller sees."""

    def __init__(self) -> None:
        self.woken = False

    def done(self) -> bool:
        return self.woken

    def set_result(self, result: Any, /) -> None:
        assert not self.woken, "woken twice"
        self.woken = True


def ready(poller: Poller, timeout: float = 0) -> list[Any]:
    """What one visit to the kernel puts into the ready queue."""
    queue: list[Any] = []
    poller.deliver(poller.wait(timeout), queue.append)
    return queue


def fill(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(b"x" * 65536)


def empty(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.recv(65536)


def test_the_bits_are_those_of_epoll() -> None:
    assert select.EPOLLIN == READ
    assert select.EPOLLOUT == WRITE
    assert select.EPOLLPRI == URGENT
    assert select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR == HANGUP
    assert select.EPOLLET == poller_module.EDGE
    everything = select.EPOLLIN | select.EPOLLOUT | select.EPOLLPRI | select.EPOLLRDHUP
    assert everything | select.EPOLLET == poller_module.EDGE_MASK


def test_linux_gets_epoll_itself() -> None:
    poller = default_poller()
    assert type(poller) is EpollPoller
    assert poller.fileno() > 0
    poller.close()


def test_without_epoll_there_are_selectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    poller = default_poller()
    assert type(poller) is SelectorPoller
    poller.close()


def test_a_reader_is_queued_for_as_long_as_there_is_something_to_read(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    poller.watch_reader(left.fileno(), "reader")
    assert ready(poller) == []
    right.send(b"xy")
    assert ready(poller) == ["reader"]
    left.recv(1)
    assert ready(poller) == ["reader"]
    left.recv(1)
    assert ready(poller) == []


def test_a_writer_is_queued_for_as_long_as_there_is_room(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    poller.watch_writer(left.fileno(), "writer")
    assert ready(poller) == ["writer"]
    fill(left)
    assert ready(poller) == []
    empty(right)
    assert ready(poller) == ["writer"]


def test_reader_and_writer_of_one_descriptor_are_independent(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    fd = left.fileno()
    poller.watch_reader(fd, "reader")
    poller.watch_writer(fd, "writer")
    assert ready(poller) == ["writer"]
    right.send(b"x")
    assert sorted(ready(poller)) == ["reader", "writer"]
    assert poller.unwatch_writer(fd) == "writer"
    assert ready(poller) == ["reader"]
    assert poller.unwatch_reader(fd) == "reader"
    assert ready(poller) == []
    assert poller.watches == {}


def test_watching_again_gives_back_what_it_replaces(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    fd = pair[0].fileno()
    assert poller.watch_reader(fd, "first") is None
    assert poller.watch_reader(fd, "second") == "first"
    assert poller.watch_writer(fd, "third") is None
    assert poller.watch_writer(fd, "fourth") == "third"
    assert ready(poller) == ["fourth"]


def test_unwatching_what_is_not_watched_gives_none(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    fd = pair[0].fileno()
    assert poller.unwatch_reader(fd) is None
    assert poller.unwatch_writer(fd) is None
    poller.watch_reader(fd, "reader")
    assert poller.unwatch_writer(fd) is None
    assert poller.unwatch_reader(fd) == "reader"
    assert poller.unwatch_reader(fd) is None


@pytest.mark.parametrize("watch", ["watch_reader", "watch_writer"])
def test_a_descriptor_that_cannot_be_watched_leaves_nothing_in_the_table(watch: str) -> None:
    # A regular file is always ready, and epoll refuses it; select(2) would take it.
    poller = EpollPoller()
    with open(__file__, "rb") as file, pytest.raises(PermissionError):
        getattr(poller, watch)(file.fileno(), "entry")
    assert poller.watches == {}
    poller.close()


def test_the_wait_lasts_no_longer_than_asked(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    poller.watch_reader(pair[0].fileno(), "reader")
    assert ready(poller, timeout=0.005) == []


def test_a_hang_up_concerns_reader_and_writer(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    poller.watch_reader(left.fileno(), "reader")
    poller.watch_writer(left.fileno(), "writer")
    fill(left)
    right.close()
    assert sorted(ready(poller)) == ["reader", "writer"]


def test_the_writer_of_a_pipe_hears_that_nobody_reads_any_more(poller: Poller) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 65536)
    poller.watch_writer(writing, "writer")
    assert ready(poller) == []
    os.close(reading)
    assert ready(poller) == ["writer"]
    poller.unwatch_writer(writing)
    os.close(writing)


def test_an_entry_whose_number_was_reused_behind_the_loops_back_can_be_watched_again(
    poller: Poller,
) -> None:
    left, right = socket.socketpair()
    fd = left.fileno()
    poller.watch_reader(fd, "old")
    left.close()
    right.close()
    left, right = socket.socketpair()  # the lowest free numbers: the same two
    with left, right:
        assert left.fileno() == fd
        assert poller.watch_reader(fd, "new") == "old"
        right.send(b"x")
        assert ready(poller) == ["new"]
        poller.unwatch_reader(fd)


def test_unwatching_a_descriptor_that_was_closed_does_not_fail(poller: Poller) -> None:
    left, right = socket.socketpair()
    fd = left.fileno()
    poller.watch_reader(fd, "reader")
    left.close()
    assert poller.unwatch_reader(fd) == "reader"
    assert poller.watches == {}
    right.close()


def test_a_waiter_is_woken_once(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    left, right = pair
    waiter = Waiter()
    poller.wait_readable(poller.watch_socket(left), waiter)
    ready(poller)
    assert not waiter.woken
    right.send(b"x")
    ready(poller)
    assert waiter.woken
    ready(poller)  # would fail inside if it were woken again


def test_all_waiters_of_one_direction_are_woken_and_none_of_the_other(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    fill(left)
    ready(poller)
    readers, writer = [Waiter() for _ in range(3)], Waiter()
    watch = poller.watch_socket(left)
    for reader in readers:
        poller.wait_readable(watch, reader)
    poller.wait_writable(watch, writer)
    ready(poller)
    if type(poller) is EpollPoller:
        # The first event after registration may tell what was true already; wait once more.
        assert not writer.woken
    right.send(b"x")
    ready(poller)
    assert [reader.woken for reader in readers] == [True, True, True]
    assert not writer.woken
    empty(right)
    ready(poller)
    assert writer.woken


def test_a_hang_up_wakes_all_waiters(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    fill(left)
    reader, writer = Waiter(), Waiter()
    watch = poller.watch_socket(left)
    poller.wait_readable(watch, reader)
    poller.wait_writable(watch, writer)
    ready(poller)
    right.close()
    ready(poller)
    assert reader.woken
    assert writer.woken


def test_a_waiter_that_gave_up_is_not_woken(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    gone, still = Waiter(), Waiter()
    watch = poller.watch_socket(left)
    poller.wait_readable(watch, gone)
    poller.wait_readable(watch, still)
    poller.forget_waiter(watch, gone)
    poller.forget_waiter(watch, gone)  # it may have been forgotten already
    right.send(b"x")
    ready(poller)
    assert still.woken
    assert not gone.woken


def test_a_waiter_that_is_done_already_is_passed_over(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    waiter = Waiter()
    poller.wait_readable(poller.watch_socket(left), waiter)
    waiter.woken = True  # cancelled, and its coroutine has not yet been run
    right.send(b"x")
    ready(poller)


def test_a_waiter_and_a_reader_of_one_descriptor_both_hear(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    fd = left.fileno()
    waiter = Waiter()
    poller.wait_readable(poller.watch_socket(left), waiter)
    poller.watch_reader(fd, "reader")
    right.send(b"x")
    assert ready(poller) == ["reader"]
    assert waiter.woken
    assert ready(poller) == ["reader"]  # level-triggered, as long as it is there
    again = Waiter()
    poller.wait_readable(poller.watch_socket(left), again)
    assert ready(poller) == ["reader"]
    assert again.woken
    poller.unwatch_reader(fd)
    last = Waiter()
    poller.wait_readable(poller.watch_socket(left), last)
    ready(poller)
    assert last.woken  # what is still unread is told when the modes change


def test_a_waiter_hears_with_only_a_writer_beside_it(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    poller.watch_writer(left.fileno(), "writer")
    waiter = Waiter()
    poller.wait_readable(poller.watch_socket(left), waiter)
    assert ready(poller) == ["writer"]
    assert not waiter.woken
    right.send(b"x")
    assert ready(poller) == ["writer"]
    assert waiter.woken
    # Nobody waits to read any more, so what is unread is not worth a visit of its own.
    poller.unwatch_writer(left.fileno())
    assert ready(poller) == []


def test_closing_gives_the_descriptor_back() -> None:
    poller = EpollPoller()
    fd = poller.fileno()
    poller.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    assert poller.watches == {}


@pytest.mark.parametrize("number", [errno.EBADF, errno.ENOENT, errno.ENOMEM, errno.ENOSPC])
def test_only_what_was_closed_is_forgotten_when_all_is_watched_anew(
    number: int, monkeypatch: pytest.MonkeyPatch, pair: tuple[socket.socket, socket.socket]
) -> None:
    poller = default_poller()
    fd = pair[0].fileno()
    poller.watch_reader(fd, "entry")
    with monkeypatch.context() as patch:

        def fail(watch: object) -> None:
            raise OSError(number, "no")

        patch.setattr(poller, "_apply", fail)
        failures = poller.rearm()
    closed = number in (errno.EBADF, errno.ENOENT)
    assert [failure.errno for failure in failures] == ([] if closed else [number])
    assert (fd in poller.watches) is not closed
    poller.close()
