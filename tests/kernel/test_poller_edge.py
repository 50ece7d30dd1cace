"""Edge-triggered registration: what the epoll poller remembers, and when it must not."""

from __future__ import annotations

import array
import gc
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import miniloop
from miniloop.kernel.poller import EDGE, EpollPoller, Watch
from tests.kernel.test_poller import Waiter, empty, fill, ready


class CountedEpoll:
    """An epoll object that counts how often the kernel is told something."""

    def __init__(self, inner: object) -> None:
        self._inner = inner
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> object:
        if name in ("register", "modify", "unregister"):
            self.calls.append(name)
        return getattr(self._inner, name)


@pytest.fixture
def poller() -> Iterator[EpollPoller]:
    poller = EpollPoller()
    yield poller
    poller.close()


@pytest.fixture
def tcp() -> Iterator[tuple[socket.socket, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        left = socket.create_connection(listener.getsockname())
        right, _ = listener.accept()
    left.setblocking(False)
    right.setblocking(False)
    with left, right:
        yield left, right


def list_entries(loop: miniloop.EventLoop) -> None:
    assert len(loop.poller.level_entries()) == 1  # that of the wake-up


def look_for_a_closed_file(loop: miniloop.EventLoop) -> None:
    sock = socket.socket()
    sock.close()
    with pytest.raises(ValueError, match="Invalid file descriptor"):
        loop.remove_reader(sock)


def test_a_socket_is_registered_once_for_all_its_waits(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    left, right = tcp
    counted = CountedEpoll(poller._epoll)
    poller._epoll = counted  # type: ignore[assignment]
    for _ in range(10):
        waiter = Waiter()
        poller.wait_readable(poller.watch_socket(left), waiter)
        right.send(b"x")
        ready(poller, timeout=1)
        assert waiter.woken
        empty(left)
    assert counted.calls == ["register"]


def test_what_was_drained_stays_so_until_an_event(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    left, right = tcp
    watch = poller.watch_socket(left)
    watch.note_drained()
    assert watch.drained
    right.send(b"x")
    ready(poller, timeout=1)
    assert not watch.drained


def test_what_was_full_stays_so_until_an_event(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    left, right = tcp
    watch = poller.watch_socket(left)
    ready(poller)
    fill(left)
    watch.note_full()
    assert watch.full
    while watch.full:
        try:
            right.recv(1 << 20)
        except BlockingIOError:
            pass
        ready(poller, timeout=0.01)
    left.send(b"x")


def test_nothing_is_remembered_of_a_socket_that_has_hung_up(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    # The end may have come in the very event that announced the data before it.
    left, right = tcp
    watch = poller.watch_socket(left)
    right.send(b"x")
    right.shutdown(socket.SHUT_WR)
    while not watch.unsure:
        ready(poller, timeout=1)
    left.recv(10)
    watch.note_drained()
    assert not watch.drained
    assert left.recv(10) == b""


def test_nothing_is_remembered_of_a_socket_with_urgent_data(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    # A read stops short at the urgent byte, though there is more behind it.
    left, right = tcp
    watch = poller.watch_socket(left)
    ready(poller)
    right.send(b"before")
    right.send(b"!", socket.MSG_OOB)
    right.send(b"behind")
    while not watch.unsure:
        ready(poller, timeout=1)
    assert left.recv(100) == b"before"
    watch.note_drained()
    assert not watch.drained
    assert left.recv(1, socket.MSG_OOB) == b"!"
    assert left.recv(100) == b"behind"


def test_nothing_is_remembered_in_level_mode(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    left, _ = tcp
    watch = poller.watch_socket(left)
    watch.note_drained()
    watch.note_full()
    assert watch.drained
    assert watch.full
    poller.watch_reader(left.fileno(), "reader")
    assert not watch.mask & EDGE
    assert not watch.drained
    assert not watch.full
    watch.note_drained()
    watch.note_full()
    assert not watch.drained
    assert not watch.full
    poller.unwatch_reader(left.fileno())
    assert watch.mask & EDGE


def test_going_back_to_edge_mode_tells_what_is_there_already(
    poller: EpollPoller, tcp: tuple[socket.socket, socket.socket]
) -> None:
    left, right = tcp
    poller.watch_socket(left)
    poller.watch_reader(left.fileno(), "reader")
    right.send(b"x")
    assert ready(poller, timeout=1) == ["reader"]
    poller.unwatch_reader(left.fileno())
    waiter = Waiter()
    poller.wait_readable(poller.watch_socket(left), waiter)
    ready(poller)
    assert waiter.woken


def test_the_watch_of_a_closed_socket_is_not_taken_for_that_of_its_successor(
    poller: EpollPoller,
) -> None:
    left, right = socket.socketpair()
    fd = left.fileno()
    old = poller.watch_socket(left)
    old.note_drained()
    closed = left  # still referred to, so that no collection cleans up
    left.close()
    right.close()
    left, right = socket.socketpair()
    with left, right:
        assert left.fileno() == fd
        assert poller.known(left) is None
        new = poller.watch_socket(left)
        assert new is not old
        assert not new.drained
        waiter = Waiter()
        poller.wait_readable(new, waiter)
        right.send(b"x")
        ready(poller)
        assert waiter.woken
        assert poller.known(left) is new
    assert closed.fileno() == -1


def test_the_watch_of_a_closed_socket_is_not_taken_for_a_bare_number(poller: EpollPoller) -> None:
    left, right = socket.socketpair()
    fd = left.fileno()
    poller.wait_readable(poller.watch_socket(left), Waiter())
    left.close()
    right.close()
    left, right = socket.socketpair()
    with left, right:
        assert left.fileno() == fd
        poller.watch_reader(fd, "reader")
        right.send(b"x")
        assert ready(poller) == ["reader"]
        assert poller.unwatch_reader(fd) == "reader"


def test_a_collected_socket_leaves_the_table(poller: EpollPoller) -> None:
    left, right = socket.socketpair()
    poller.watch_socket(left)
    assert len(poller.watches) == 1
    left.close()
    del left
    gc.collect()
    assert poller.watches == {}
    right.close()


def test_a_collected_socket_does_not_take_its_successor_from_the_table(
    poller: EpollPoller,
) -> None:
    left, right = socket.socketpair()
    poller.watch_socket(left)
    left.close()
    right.close()
    successor, other = socket.socketpair()
    with successor, other:
        watch = poller.watch_socket(successor)
        del left
        gc.collect()
        assert poller.known(successor) is watch


@pytest.mark.parametrize("look", [list_entries, look_for_a_closed_file])
def test_a_socket_may_be_collected_while_somebody_goes_through_the_table(
    mini: miniloop.EventLoop, look: Callable[[miniloop.EventLoop], object]
) -> None:
    pairs = [socket.socketpair() for _ in range(3)]

    class Collects(Watch):
        """At the first look at it a socket goes, as if the collector had just found it."""

        __slots__ = ()

        def __getattribute__(self, name: str) -> Any:
            if name in ("reader", "file") and closed:
                pairs.clear()
            return super().__getattribute__(name)

    closed = False
    mini.poller.watch_class = Collects
    for pair in pairs:
        mini.poller.watch_socket(pair[0])
    for pair in pairs:
        pair[0].close()
        pair[1].close()
    del pair
    closed = True
    look(mini)
    assert len(mini.poller.watches) == 1  # that of the wake-up


def test_a_detached_socket_whose_descriptor_lives_on_can_be_watched_again(
    poller: EpollPoller,
) -> None:
    left, right = socket.socketpair()
    poller.watch_socket(left)
    taken_over = socket.socket(fileno=left.detach())  # the kernel still knows the descriptor
    with taken_over, right:
        del left
        gc.collect()
        waiter = Waiter()
        poller.wait_readable(poller.watch_socket(taken_over), waiter)
        right.send(b"x")
        ready(poller)
        assert waiter.woken


def test_a_duplicate_keeps_the_closed_socket_in_the_kernel_and_does_no_harm(
    poller: EpollPoller,
) -> None:
    # epoll(7), Q6: a closed descriptor stays registered while a duplicate of it is open.
    left, right = socket.socketpair()
    duplicate = left.dup()
    fd = left.fileno()
    poller.watch_socket(left)
    left.close()
    successor, other = socket.socketpair()
    with duplicate, right, successor, other:
        assert successor.fileno() == fd
        watch = poller.watch_socket(successor)
        waiter = Waiter()
        poller.wait_readable(watch, waiter)
        right.send(b"for the duplicate")
        ready(poller)  # a false alarm at most
        other.send(b"x")
        ready(poller)
        assert waiter.woken
        assert successor.recv(1) == b"x"


def test_a_message_with_descriptors_splits_the_stream_but_not_the_news(
    poller: EpollPoller,
) -> None:
    # A read on a Unix socket stops short behind a message with descriptors, so that the next read
    # must be tried without waiting for an event: there will be none.
    left, right = socket.socketpair()
    with left, right:
        left.setblocking(False)
        watch = poller.watch_socket(left)
        passed = array.array("i", [right.fileno()])
        right.sendmsg([b"with"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
        right.send(b"plain")
        ready(poller)
        data, ancillary, _, _ = left.recvmsg(100, 1024)
        assert data == b"with"
        socket.socket(fileno=array.array("i", ancillary[0][2])[0]).close()
        assert not watch.drained
        assert ready(poller) == []
        assert left.recv(100) == b"plain"


def test_waiters_of_a_socket_whose_number_has_a_new_owner_are_forgotten_quietly(
    poller: EpollPoller,
) -> None:
    left, right = socket.socketpair()
    old, waiter = poller.watch_socket(left), Waiter()
    poller.wait_readable(old, waiter)
    left.close()
    right.close()
    successor, other = socket.socketpair()
    with successor, other:
        new = poller.watch_socket(successor)
        poller.forget_waiter(old, waiter)  # its coroutine was cancelled in the end
        assert poller.known(successor) is new
