"""The poller: the table of file descriptors, and the one call in which a loop sleeps.

For each descriptor that is watched there is a `Watch`. There are two kinds of interest:

*Level*: `reader` and `writer` are entries for the ready queue, queued on every turn for as long as
the descriptor is ready. This is `add_reader`/`add_writer`, and what transports use.

*Edge*: futures in `read_waiters` and `write_waiters` that want to be woken once. This is what
`sock_recv` and its family use. They try first and wait only when the kernel says "would block",
so the poller need only tell them when that changes.

With `epoll` a descriptor that is only waited for in the second way is registered once,
edge-triggered, in both directions, and stays registered until it is closed: no system call for
each wait. The watch then remembers what it was last told (`drained`, `full`), so that a caller
does not even have to ask the kernel whether there is something to read.

Invariants:

1. `watches[fd]` exists if and only if we believe the descriptor to be registered with the kernel,
   with the events of `watch.mask`.
2. `drained` and `full` are only ever set where the kernel will report the next change: in edge
   mode, after a call that did less than it was asked for, or nothing. A peer that hangs up, or
   sends urgent data, may have done so in the very event that we have just used up. From then on
   (`unsure`) the only way to know is to try.

The trap: descriptors are small numbers that are used again. When a socket is closed behind the
loop's back, the kernel silently forgets it, and the next socket may get its number. So an edge
watch holds on (weakly) to the socket *object*, and is void when another one comes with that number.
For a bare number there is no object to ask, so level registration always asks the kernel: it
modifies, and registers afresh when the kernel does not know the descriptor.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

__all__ = ["EpollPoller", "Poller", "SelectorPoller", "Watch", "default_poller"]

# The bits of epoll_ctl(2), so that what the kernel reports needs no translation. They are written
# out because `select` has their names only on Linux; a test compares them.
READ = 0x001  # EPOLLIN
WRITE = 0x004  # EPOLLOUT
URGENT = 0x002  # EPOLLPRI: out-of-band data
HALF_CLOSED = 0x2000  # EPOLLRDHUP
HANGUP = HALF_CLOSED | 0x010 | 0x008  # EPOLLHUP, EPOLLERR
EDGE = 0x80000000  # EPOLLET

EDGE_MASK = READ | WRITE | URGENT | HALF_CLOSED | EDGE

# What concerns a writer, and what a reader: an error or a hang-up concerns both, as the next
# attempt will get the error.
NOT_READ = ~READ
NOT_WRITE = ~WRITE


# What the kernel says of a descriptor that was closed, or whose number is in use again.
_CLOSED = (errno.EBADF, errno.ENOENT)


class Waiter(Protocol):
    """What waits once: the part of a future that a poller uses."""

    def done(self) -> bool: ...

    def set_result(self, result: Any, /) -> None: ...


class Watch:
    """Who is interested in one file descriptor, and what is known of it."""

    __slots__ = (
        "drained",
        "fd",
        "file",
        "full",
        "mask",
        "read_waiters",
        "reader",
        "socket",
        "unsure",
        "write_waiters",
        "writer",
    )

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.file: Any = None  # whose descriptor it is, if a reader or writer came with it
        self.mask = 0
        self.reader: Any = None
        self.writer: Any = None
        self.read_waiters: list[Waiter] = []
        self.write_waiters: list[Waiter] = []
        self.socket: weakref.ref[socket.socket] | None = None
        self.drained = False  # nothing to read until the next event
        self.full = False  # no room to write until the next event
        self.unsure = False  # a hang-up, an error or urgent data has been reported

    def note_drained(self) -> None:
        """A read has emptied the buffer, or found it empty: wait for an event before the next."""
        self.drained = bool(self.mask & EDGE) and not self.unsure

    def note_full(self) -> None:
        """A write has filled the buffer, or found it full: likewise."""
        self.full = bool(self.mask & EDGE) and not self.unsure

    def socket_is_open(self) -> bool:
        """True if we know the socket object, and it still has this number."""
        owner = None if self.socket is None else self.socket()
        return owner is not None and owner.fileno() == self.fd

    def level_mask(self) -> int:
        """The events that readers, writers and waiters need when told on every turn."""
        mask = READ if self.reader is not None or self.read_waiters else 0
        return mask | WRITE if self.writer is not None or self.write_waiters else mask


class Poller:
    """The table of watches. A subclass talks to the kernel."""

    def __init__(self) -> None:
        self.watches: dict[int, Watch] = {}
        # `net.sock` puts a class here that notes more. All watches are of one class: CPython makes
        # a line of code fast if it sees objects of one class only, and `deliver` sees them all.
        self.watch_class: type[Watch] = Watch

    # What a subclass provides.

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """Sleep until something happens, for `timeout` seconds at most (None: for ever).

        Gives pairs of a file descriptor and what happened to it, in the bits above.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the kernel's object back."""
        raise NotImplementedError

    def _apply(self, watch: Watch) -> None:
        """Make the kernel's registration fit what the watch needs, or drop both."""
        raise NotImplementedError

    def _unregister(self, fd: int) -> None:
        """Have the kernel forget the descriptor, which it may have done by itself."""
        raise NotImplementedError

    # Delivery: phase two of a turn.

    def deliver(self, events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]) -> None:
        """Queue the entries, and wake the waiters, that these events concern."""
        watches = self.watches
        for fd, event in events:
            watch = watches.get(fd)
            if watch is None:
                self._unregister(fd)  # registered when Ctrl-C struck, and never noted here
                continue
            if event & NOT_WRITE and watch.reader is not None:
                enqueue(watch.reader)
            if event & NOT_READ and watch.writer is not None:
                enqueue(watch.writer)
            if watch.socket is not None:
                self._deliver_once(watch, event)

    def _deliver_once(self, watch: Watch, event: int) -> None:
        if event & (HANGUP | URGENT):
            watch.unsure = True
        woken = False
        # They are taken off only when all have been told: Ctrl-C may strike between two.
        if event & NOT_WRITE:
            watch.drained = False
            if watch.read_waiters:
                for waiter in watch.read_waiters:
                    if not waiter.done():
                        waiter.set_result(None)
                watch.read_waiters = []
                woken = True
        if event & NOT_READ:
            watch.full = False
            if watch.write_waiters:
                for waiter in watch.write_waiters:
                    if not waiter.done():
                        waiter.set_result(None)
                watch.write_waiters = []
                woken = True
        if woken and not watch.mask & EDGE:
            self._apply(watch)

    # Level: `add_reader`, `add_writer`, transports.

    def watch_reader(self, fd: int, entry: Any) -> Any:
        """Queue `entry` on every turn on which `fd` is readable. Returns the entry it replaces."""
        watch = self._watch_number(fd)
        replaced, watch.reader = watch.reader, entry
        try:
            self._apply(watch)
        except BaseException:
            watch.reader = replaced
            raise
        return replaced

    def watch_writer(self, fd: int, entry: Any) -> Any:
        """Queue `entry` on every turn on which `fd` is writable. Returns the entry it replaces."""
        watch = self._watch_number(fd)
        replaced, watch.writer = watch.writer, entry
        try:
            self._apply(watch)
        except BaseException:
            watch.writer = replaced
            raise
        return replaced

    def unwatch_reader(self, fd: int) -> Any:
        """Stop watching `fd` for reading. Returns the entry that did, or None."""
        watch = self.watches.get(fd)
        if watch is None or watch.reader is None:
            return None
        entry, watch.reader = watch.reader, None
        if watch.writer is None:
            watch.file = None
        self._apply(watch)
        return entry

    def unwatch_writer(self, fd: int) -> Any:
        """Stop watching `fd` for writing. Returns the entry that did, or None."""
        watch = self.watches.get(fd)
        if watch is None or watch.writer is None:
            return None
        entry, watch.writer = watch.writer, None
        if watch.reader is None:
            watch.file = None
        self._apply(watch)
        return entry

    def forget(self, fd: int) -> tuple[Any, Any]:
        """Stop watching `fd`, which is about to be closed, in any way.

        Returns the entries of its reader and its writer, or None in their place.
        """
        watch = self.watches.get(fd)
        if watch is None:
            return None, None
        entries = watch.reader, watch.writer
        watch.reader = watch.writer = watch.file = watch.socket = None
        self._apply(watch)
        return entries

    def _watch_number(self, fd: int) -> Watch:
        watch = self.watches.get(fd)
        if watch is None or (watch.socket is not None and not watch.socket_is_open()):
            return self.watch_class(fd)  # what we knew was of a socket that is gone
        return watch

    # Edge: the `sock_*` methods.

    def known(self, sock: socket.socket) -> Watch | None:
        """The watch of this very socket, if it has one."""
        watch = self.watches.get(sock.fileno())
        if watch is None or watch.socket is None or watch.socket() is not sock:
            return None
        return watch

    def watch_socket(self, sock: socket.socket) -> Watch:
        """The watch of this very socket, made if need be, for waiting on it."""
        watch = self.known(sock)
        if watch is None:
            watch = self._watch_number(sock.fileno())
            watch.socket = weakref.ref(sock, self._forgetter(watch))
            self._apply(watch)
        return watch

    def wait_readable(self, watch: Watch, waiter: Waiter) -> None:
        """Finish `waiter` at the next sign that reading may succeed."""
        watch.read_waiters.append(waiter)
        if not watch.mask & EDGE:
            self._apply(watch)

    def wait_writable(self, watch: Watch, waiter: Waiter) -> None:
        """Finish `waiter` at the next sign that writing may succeed."""
        watch.write_waiters.append(waiter)
        if not watch.mask & EDGE:
            self._apply(watch)

    def forget_waiter(self, watch: Watch, waiter: Waiter) -> None:
        """Take back a waiter that was given up before anything happened."""
        for waiters in (watch.read_waiters, watch.write_waiters):
            if waiter in waiters:
                waiters.remove(waiter)
        if not watch.mask & EDGE and self.watches.get(watch.fd) is watch:
            self._apply(watch)

    # Recovery: see `recovery`.

    def rearm(self) -> list[OSError]:
        """Have the kernel report again all that is ready now, also what it reports only once.

        A descriptor that was closed is forgotten. Gives the errors of others.
        """
        failures: list[OSError] = []
        for watch in list(self.watches.values()):
            watch.drained = watch.full = False
            try:
                self._apply(watch)
            except OSError as exc:
                if exc.errno in _CLOSED:
                    # The kernel did not tell us: there is nothing left to be reported.
                    self._drop(watch)
                else:
                    failures.append(exc)
        return failures

    def level_entries(self) -> list[Any]:
        """The entries of all readers and writers."""
        watches = list(self.watches.values())  # a copy: see `_forgetter`
        entries = [*(watch.reader for watch in watches), *(watch.writer for watch in watches)]
        return [entry for entry in entries if entry is not None]

    def _drop(self, watch: Watch) -> None:
        if self.watches.pop(watch.fd, None) is not None:
            self._unregister(watch.fd)

    def _forgetter(self, watch: Watch) -> Callable[[object], None]:
        """What cleans the table when a socket has been collected.

        The garbage collector may call it between any two lines, so whoever goes through the table
        goes through a copy of it.
        """
        watches, fd = self.watches, watch.fd

        def forget(_: object) -> None:
            if watches.get(fd) is watch and watch.reader is None and watch.writer is None:
                del watches[fd]

        return forget


class EpollPoller(Poller):
    """Linux: `select.epoll` itself, without the key object per event of `selectors`."""

    def __init__(self) -> None:
        super().__init__()
        self._epoll = select.epoll()
        self.wait = self._epoll.poll  # type: ignore[method-assign]  # no frame between us and it

    def fileno(self) -> int:
        """The descriptor of the epoll object."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Close the epoll object; what is registered with it is forgotten."""
        self._epoll.close()
        self.watches.clear()

    def _apply(self, watch: Watch) -> None:
        fd = watch.fd
        if watch.reader is not None or watch.writer is not None:
            mask = watch.level_mask()
        elif watch.socket_is_open():
            mask = EDGE_MASK
        else:
            self._drop(watch)
            return
        if not mask & EDGE:
            watch.drained = watch.full = False
        # Ask the kernel and not the table, which cannot know that a number was closed and reused.
        try:
            if self.watches.get(fd) is watch:
                self._epoll.modify(fd, mask)
            else:
                self._epoll.register(fd, mask)
        except FileNotFoundError:
            self._epoll.register(fd, mask)
        except FileExistsError:
            self._epoll.modify(fd, mask)
        watch.mask = mask
        self.watches[fd] = watch

    def _unregister(self, fd: int) -> None:
        try:
            self._epoll.unregister(fd)
        except OSError:
            # Closed already (EBADF), or closed and reopened (ENOENT): the kernel has forgotten it.
            pass


class SelectorPoller(Poller):
    """Anywhere: a `selectors` selector, always level-triggered (kqueue, poll, select, devpoll)."""

    def __init__(self, selector: selectors.BaseSelector | None = None) -> None:
        super().__init__()
        self._selector = selectors.DefaultSelector() if selector is None else selector

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Sleep until something happens: see `Poller.wait`."""
        events = []
        for key, mask in self._selector.select(timeout):
            event = READ if mask & selectors.EVENT_READ else 0
            events.append((key.fd, event | WRITE if mask & selectors.EVENT_WRITE else event))
        return events

    def close(self) -> None:
        """Close the selector; what is registered with it is forgotten."""
        self._selector.close()
        self.watches.clear()

    def _apply(self, watch: Watch) -> None:
        fd, mask = watch.fd, watch.level_mask()
        if fd in self.watches:
            # Away and back again: the number may stand for another file than it did.
            del self.watches[fd]
            self._unregister(fd)
        if mask:
            events = (selectors.EVENT_READ if mask & READ else 0) | (
                selectors.EVENT_WRITE if mask & WRITE else 0
            )
            self._selector.register(fd, events)
            self.watches[fd] = watch
        watch.mask = mask

    def _unregister(self, fd: int) -> None:
        try:
            self._selector.unregister(fd)
        except (KeyError, ValueError, OSError):
            pass  # as for epoll; a selector that does not know the number raises KeyError


def default_poller() -> Poller:
    """The best poller of this platform."""
    return EpollPoller() if hasattr(select, "epoll") else SelectorPoller()
