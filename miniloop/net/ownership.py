"""Who owns a descriptor: at most one transport, or one server.

The poller has room for one reader and one writer of each descriptor. With two owners the first
would get no events, so the second is refused. The table is `loop.transports`. Its references are
weak: an owner that was dropped without closing warns about it, and owns nothing any more.

An owner that is closing does not count. It reads no more, and its descriptor is about to be closed.
"""

from __future__ import annotations

import contextlib
import weakref
from typing import Any

from miniloop.kernel.contract import CompleteLoop

__all__ = ["discard", "refuse_owned", "take"]


def refuse_owned(loop: CompleteLoop, fd: int, file: Any) -> None:
    """Raise RuntimeError if `fd`, the descriptor of `file`, has an owner."""
    known = loop.transports.get(fd)
    owner = None if known is None else known()
    if owner is not None and not owner.is_closing():
        raise RuntimeError(f"File descriptor {file!r} is used by transport {owner!r}")


def take(loop: CompleteLoop, fd: int, owner: Any) -> None:
    """Make `owner` the only owner of `fd`.

    A task that waits in a `sock_*` method is woken, and refused when it tries again.
    """
    loop.transports[fd] = weakref.ref(owner)
    watch = loop.poller.watches.get(fd)
    if watch is not None and watch.socket_is_open():
        for waiter in watch.read_waiters + watch.write_waiters:
            loop.poller.forget_waiter(watch, waiter)
            if not waiter.done():
                waiter.set_result(None)
        # What those methods know of the socket will be wrong from now on.
        watch.socket = None
        watch.drained = watch.full = False


def discard(sock: Any) -> None:
    """Close a socket because of an error. That one matters, so errors of closing are not raised."""
    with contextlib.suppress(OSError):
        sock.close()
