"""How another thread, or a signal, interrupts the wait.

A loop that has nothing to do sleeps inside the kernel, in `epoll_wait`, where no Python code can
reach it. So it always watches one file descriptor of its own, the reading end of a socket pair. A
byte written to the other end makes the kernel return: a zero from a thread that has queued a call,
or the number of a signal, which CPython's C-level signal handler writes there
(`signal.set_wakeup_fd`).

It is a socket pair and not an `eventfd`, because the signal handler writes single bytes.

The trap: writing may fail because the buffer is full. That is no error: a full buffer is already
more than enough to wake the loop.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

__all__ = ["Wakeup"]


class Wakeup:
    """A file descriptor that turns readable when somebody wants the loop's attention."""

    __slots__ = ("_reader", "_writer", "on_signal")

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        try:
            self._reader.setblocking(False)
            self._writer.setblocking(False)
        except BaseException:
            self._reader.close()
            self._writer.close()
            raise
        # Called with a signal's number; set by whoever handles signals for the loop.
        self.on_signal: Callable[[int], object] | None = None

    def fileno(self) -> int:
        """The descriptor to watch for reading."""
        return self._reader.fileno()

    def signal_fd(self) -> int:
        """The descriptor to give to `signal.set_wakeup_fd`."""
        return self._writer.fileno()

    def wake(self) -> None:
        """Make `fileno()` readable. Safe from any thread."""
        try:
            self._writer.send(b"\0")
        except BlockingIOError:
            pass  # full: the loop has been woken, and is not yet up
        except OSError:
            # The loop was closed between the caller's look at it and this call. There is nobody
            # left to wake; a write to a socket that is still open does not fail otherwise.
            if self._writer.fileno() != -1:
                raise

    def drain(self) -> None:
        """Read what was written, and pass on the signals found in it."""
        # Once is enough: what comes meanwhile, or did not fit, makes the poller say so again.
        try:
            data = self._reader.recv(4096)
        except (BlockingIOError, InterruptedError):
            return
        if self.on_signal is not None:
            for number in data:
                if number:
                    self.on_signal(number)

    def close(self) -> None:
        """Close both ends."""
        self.on_signal = None
        self._reader.close()
        self._writer.close()
