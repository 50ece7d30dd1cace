"""Signals: handlers that run in the loop, where they may do anything.

A signal interrupts a program between any two instructions, where almost nothing is safe. So only
one thing is done there: CPython's C-level handler writes the signal's number to a file descriptor
(`signal.set_wakeup_fd`), the loop's wake-up socket. The loop reads it, like any other input, and
queues the handler.

A signal that has only a C-level default, such as SIGTERM, would still end the process, so it gets a
Python-level handler as well. That one notes the number, for when the socket's buffer was full.

Invariants:

1. The process has one wake-up descriptor. The loop that added a handler last has it, hears of all
   signals, and gives it up with its last handler.
2. All of it belongs to the main thread of the main interpreter; CPython refuses it elsewhere.

The trap: removing a handler does not bring back what was there before, it brings back the default.
That is what asyncio does, and programs rely on Ctrl-C working again afterwards.

Source: the CPython documentation, `loop.add_signal_handler`, `signal.set_wakeup_fd`; signal(7).
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import signal
import sys
import warnings
import weakref
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, ClassVar

from miniloop.kernel.contract import Loop
from miniloop.kernel.report import logger

__all__ = ["SignalHandlers"]


class SignalHandlers:
    """The signal handlers of one loop."""

    __slots__ = ("_loop", "handlers")

    # The loop that has the wake-up descriptor of the process, or had it last.
    _owner: ClassVar[Callable[[], Any]] = staticmethod(lambda: None)

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.handlers: dict[int, Any] = {}  # signal number: the handle that is queued for it
        loop.wakeup.on_signal = self.deliver
        loop.wakeup.on_replaced = self._take_wakeup_fd

    def add(self, sig: int, callback: Any, args: tuple[Any, ...]) -> None:
        """Call `callback(*args)` in the loop whenever the process gets the signal.

        Raises TypeError for what is no number or no plain function, ValueError for a number that is
        no signal, RuntimeError for a signal that cannot be caught and outside the main thread.
        """
        if asyncio.iscoroutine(callback) or inspect.iscoroutinefunction(callback):
            raise TypeError(
                f"coroutines cannot be used with add_signal_handler(), got {callback!r}"
            )
        check_signal(sig)
        if self._loop.is_closed():
            raise RuntimeError("Event loop is closed")
        handle = self._loop.make_handle(callback, args, self._loop, copy_context())
        try:
            # Before anything is changed, because it is refused outside the main thread. A
            # full buffer loses no signal, so no warning is needed: see `Wakeup`.
            signal.set_wakeup_fd(self._loop.wakeup.signal_fd(), warn_on_full_buffer=False)
        except (ValueError, OSError) as exc:
            raise RuntimeError(str(exc)) from exc
        SignalHandlers._owner = weakref.ref(self._loop)
        self.handlers[sig] = handle
        try:
            signal.signal(sig, _note)
            # Let the kernel restart the system calls of other code that the signal interrupts.
            signal.siginterrupt(sig, False)
        except OSError as exc:
            del self.handlers[sig]
            self._give_back()
            _explain(exc, sig)
            raise

    def remove(self, sig: int) -> bool:
        """Go back to the signal's default action. Returns False if it had no handler here.

        The default of SIGINT is Python's own: it raises KeyboardInterrupt. Raises what `add` does.
        """
        check_signal(sig)
        if self.handlers.pop(sig, None) is None:
            return False
        default = signal.default_int_handler if sig == signal.SIGINT else signal.SIG_DFL
        try:
            signal.signal(sig, default)
        except OSError as exc:
            _explain(exc, sig)
            raise
        self._give_back()
        return True

    def deliver(self, sig: int) -> None:
        """Queue the handler of a signal that has arrived."""
        handle = self.handlers.get(sig)
        # None if it was removed since, or belongs to somebody who uses the signal module directly.
        if handle is not None:
            self._loop.enqueue(handle)

    def close(self) -> None:
        """Remove every handler. Must be called before the wake-up descriptor is closed."""
        if not self.handlers:
            return
        if sys.is_finalizing():
            # The signal module may be half torn down, and the process ends anyway.
            warnings.warn(
                f"Closing the loop {self._loop!r} on interpreter shutdown stage, "
                "skipping signal handlers removal",
                ResourceWarning,
                stacklevel=2,
                source=self._loop,
            )
            self.handlers.clear()
            return
        for sig in list(self.handlers):
            self.remove(sig)

    def _take_wakeup_fd(self) -> None:
        """The wake-up has other sockets now; hear of signals by them, if we did before."""
        if not self.handlers or SignalHandlers._owner() is not self._loop:
            return
        try:
            signal.set_wakeup_fd(self._loop.wakeup.signal_fd(), warn_on_full_buffer=False)
        except (ValueError, OSError) as exc:
            logger.warning("signals do not reach %r any more: %s", self._loop, exc)

    def _give_back(self) -> None:
        """Give up the wake-up descriptor, once it serves no handler, unless another loop has it."""
        if self.handlers or SignalHandlers._owner() is not self._loop:
            return
        try:
            signal.set_wakeup_fd(-1)
        except (ValueError, OSError) as exc:
            logger.info("set_wakeup_fd(-1) failed: %s", exc)


def _note(number: int, frame: object) -> None:
    """The handler that Python itself calls: the work is done in the loop."""
    loop = SignalHandlers._owner()
    if loop is not None:
        loop.wakeup.noted.add(number)


def check_signal(sig: Any) -> None:
    """Raise TypeError unless it is a number, ValueError unless the number is that of a signal."""
    if not isinstance(sig, int):
        raise TypeError(f"sig must be an int, not {sig!r}")
    if sig not in signal.valid_signals():
        raise ValueError(f"invalid signal number {sig}")


def _explain(error: OSError, sig: int) -> None:
    """Raise in clearer words what the kernel says of SIGKILL and SIGSTOP."""
    if error.errno == errno.EINVAL:
        raise RuntimeError(f"sig {sig} cannot be caught") from error
