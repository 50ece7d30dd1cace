"""How another thread, or a signal, interrupts the wait.

A loop that has nothing to do sleeps inside the kernel, in `epoll_wait`, where no Python code can
reach it. So it always watches one file descriptor of its own, the reading end of a socket pair. A
byte written to the other end makes the kernel return: a zero from a thread that has queued a call,
or the number of a signal, which CPython's C-level signal handler writes there
(`signal.set_wakeup_fd`).

It is a socket pair and not an `eventfd`, because the signal handler writes single bytes.

Invariants:

1. No signal is lost, whatever came with it, and wherever Ctrl-C strikes. The C-level handler writes
   a byte for each that comes, until the buffer is full (some 280 bytes on Linux). The Python-level
   handler, which runs a little later, notes the number (`noted`). What was noted and is not among
   the bytes has found the buffer full, or was read by a call that an exception cut short. So of one
   signal as many calls may come as there was room for, but at least one.
2. A wake-up that the kernel refuses is told to the caller, so that the next one tries again.

The trap: writing may fail because the buffer is full. That is no error: the loop has enough to read
to be woken.

Source: the CPython documentation, `signal.set_wakeup_fd`; unix(7).
"""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["Wakeup"]

# How often to ask a kernel that is short of memory, which may be over the next moment.
TRIES = 3


class Wakeup:
    """A file descriptor that turns readable when somebody wants the loop's attention.

    Raises OSError if there are no descriptors for it.
    """

    __slots__ = ("_reader", "_writer", "interrupted", "noted", "on_replaced", "on_signal")

    def __init__(self) -> None:
        self._make_pair()
        # Called with a signal's number; set by whoever handles signals for the loop.
        self.on_signal: Callable[[int], object] | None = None
        # Called when `signal_fd` has changed; set by the same.
        self.on_replaced: Callable[[], object] | None = None
        self.noted: set[int] = set()  # signals whose Python-level handler has run
        self.interrupted = False  # an exception may have struck between reading and passing on

    def _make_pair(self) -> None:
        reader, writer = socket.socketpair()
        try:
            reader.setblocking(False)
            writer.setblocking(False)
        except BaseException:
            reader.close()
            writer.close()
            raise
        self._reader, self._writer = reader, writer

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._reader.fileno()

    def signal_fd(self) -> int:
        """The descriptor to give to `signal.set_wakeup_fd`."""
        return self._writer.fileno()

    def wake(self) -> bool:
        """Make `fileno()` readable. Safe from any thread.

        Returns False if the kernel refused, for want of memory, say.
        """
        for _ in range(TRIES):
            try:
                self._writer.send(b"\0")
            except BlockingIOError:
                return True  # full: the loop has been woken, and is not yet up
            except OSError:
                if self._writer.fileno() == -1:
                    # The loop was closed between the caller's look at it and this call. There is
                    # nobody left to wake.
                    return True
            else:
                return True
        return False

    def drain(self) -> None:
        """Read what was written, and pass on the signals found in it.

        Raises OSError if the descriptor cannot be read any more: then call `replace`.
        """
        try:
            data = self._read()
        except (BlockingIOError, InterruptedError):
            if not self.interrupted:
                return
            data = b""
        lost: set[int] = set()
        if len(data) > 1 or self.interrupted:
            # There may have been more than the buffer could hold.
            while True:
                noted = set(self.noted)  # whose bytes were written, or lost, before this next look
                try:
                    data += self._read()
                except (BlockingIOError, InterruptedError):
                    break
            lost = noted.difference(data)
        known = set(self.noted)
        self._pass_on([*data, *lost])
        self.noted -= known
        self.interrupted = False

    def _read(self) -> bytes:
        tries = TRIES
        while True:
            try:
                data = self._reader.recv(4096)
            except (BlockingIOError, InterruptedError):
                raise
            except OSError:
                tries -= 1
                if not tries:
                    raise
            else:
                break
        if not data:
            raise ConnectionError("the other end of the wake-up socket was closed")
        return data

    def _pass_on(self, numbers: list[int]) -> None:
        if self.on_signal is not None:
            for number in numbers:
                if number:
                    self.on_signal(number)
                    self.noted.discard(number)  # not before, as Ctrl-C may strike

    def replace(self) -> None:
        """Make another pair of sockets, and pass on the signals whose bytes the old one has.

        Raises OSError, and keeps the old one, if there is none.
        """
        reader, writer = self._reader, self._writer
        try:
            self._make_pair()
            if self.on_replaced is not None:
                self.on_replaced()
            reader.close()
            writer.close()
        finally:
            # The bytes are lost, but their numbers were noted.
            noted, self.noted = self.noted, set()
            self._pass_on(list(noted))

    def close(self) -> None:
        """Close both ends."""
        self.on_signal = self.on_replaced = None
        self._reader.close()
        self._writer.close()
