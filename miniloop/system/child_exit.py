"""How the loop learns that a child process has ended, and with which exit status.

A child that has ended stays behind as a *zombie* until its parent asks for its exit status; that is
called reaping it. From then on its process id is free, and may soon be somebody else's.

Linux has descriptors for processes (`pidfd_open`), which turn readable when the process ends: then
a child is one more descriptor in the poller's table. Elsewhere a thread for each child waits in the
kernel. There is no `SIGCHLD` handler: it would tie children to the main thread, and would have to
be shared with all other code that has children in this process.

Invariants:

1. `on_exit` is called once, in the loop's thread, and never after `close`.
2. A child is reaped in the loop's thread, so that a signal sent from there reaches the child or its
   zombie, never another process that got its number. (The thread that waits does not reap:
   `WNOWAIT`. Where the system cannot do that, it must.)

The trap: somebody else may reap our child: a program that ignores `SIGCHLD` lets the kernel do it,
and a call of `os.waitpid(-1, 0)` takes whichever child it gets. The status is lost then.

Source: pidfd_open(2), waitid(2); the CPython documentation, `os.waitstatus_to_exitcode`.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Callable
from typing import Protocol

from miniloop.kernel.contract import Loop
from miniloop.kernel.handle import repeatable
from miniloop.kernel.report import logger

__all__ = ["ExitWatch", "PidfdWatch", "ThreadWatch", "watch_exit"]

# What asyncio reports, too, for a child whose exit status somebody else has taken.
STATUS_LOST = 255


class ExitWatch(Protocol):
    """Something that waits for the end of a child."""

    def close(self) -> None:
        """Stop waiting. The child is not touched."""


def watch_exit(
    loop: Loop, process: subprocess.Popen[bytes], on_exit: Callable[[int], object]
) -> ExitWatch:
    """Call `on_exit(returncode)` in the loop when the process has ended, and reap it.

    The code is that of `subprocess.Popen.returncode`: the exit status, or the negative number of
    the signal that ended it.
    """
    if hasattr(os, "pidfd_open"):
        try:
            return PidfdWatch(loop, process, on_exit)
        except OSError:
            # An old kernel, a sandbox that forbids the call, no descriptor left, or a child that
            # somebody has reaped: a thread finds out in every case.
            pass
    return ThreadWatch(loop, process, on_exit)


class PidfdWatch:
    """Waits for a descriptor of the process to turn readable. Raises OSError if there is none."""

    __slots__ = ("_fd", "_loop", "_on_exit", "_process")

    _fd: int

    def __init__(
        self, loop: Loop, process: subprocess.Popen[bytes], on_exit: Callable[[int], object]
    ) -> None:
        self._fd = -1
        self._loop = loop
        self._process = process
        self._on_exit = on_exit
        self._fd = os.pidfd_open(process.pid)
        loop.watch_reader(self._fd, self._ended)

    def _ended(self) -> None:
        # In this order: as long as the descriptor is open, we are called again, and so nothing is
        # lost if Ctrl-C strikes in between.
        try:
            self._on_exit(reap(self._process))
        except Exception:
            self.close()  # it would fail again
            raise
        self.close()

    def close(self) -> None:
        """Stop waiting, and give the descriptor back."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            try:
                self._loop.unwatch_reader(fd)
            finally:
                os.close(fd)

    def __del__(self) -> None:
        # The loop was closed before the child ended, and its poller held the last reference. (The
        # transport may be collected at the same time, and call `close` after this.)
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class ThreadWatch:
    """Waits in a thread."""

    __slots__ = ("_closed", "_loop", "_on_exit", "_process")

    def __init__(
        self, loop: Loop, process: subprocess.Popen[bytes], on_exit: Callable[[int], object]
    ) -> None:
        self._loop = loop
        self._process = process
        self._on_exit = on_exit
        self._closed = False
        # A daemon, because a child that outlives the program must not keep it from ending.
        thread = threading.Thread(
            target=self._wait, name=f"miniloop-waits-for-{process.pid}", daemon=True
        )
        thread.start()

    def _wait(self) -> None:
        """In the thread: block until the child has ended, and tell the loop."""
        if hasattr(os, "waitid"):
            try:
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                pass  # reaped by somebody else; `reap` will find out, and say so
        else:
            reap(self._process)
        try:
            self._loop.call_soon_threadsafe(self._ended)
        except RuntimeError:
            if not self._loop.is_closed():
                raise
            reap(self._process)  # nobody waits for the result, but the child must be reaped

    @repeatable
    def _ended(self) -> None:
        if not self._closed:
            self._on_exit(reap(self._process))
            self._closed = True

    def close(self) -> None:
        """Stop waiting; the thread stays until the child ends."""
        self._closed = True


def reap(process: subprocess.Popen[bytes]) -> int:
    """Take the exit status of a child that has ended, unless its Popen object has it already."""
    if process.returncode is None:
        try:
            _, status = os.waitpid(process.pid, 0)
        except ChildProcessError:
            logger.warning(
                "the exit status of child process %d was taken by other code in this process, or "
                "SIGCHLD is ignored: reporting %d",
                process.pid,
                STATUS_LOST,
            )
            process.returncode = STATUS_LOST
        else:
            process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode
