"""Who could wake a loop that sleeps without a timer.

* A reader or writer, or a waiter of `sock_*`, of any descriptor but the loop's own.
* A call that `run_in_executor` has handed to a thread and that has not come back.
* Any other thread that is not an idle one of a pool: it may call `call_soon_threadsafe`.
* A handler that was added by `add_signal_handler`. A handler of the `signal` module does not count:
  it may not use the loop (CPython documentation, `loop.add_signal_handler`).
"""

from __future__ import annotations

import signal
import sys
import threading
from concurrent.futures import thread as pools

from miniloop.loop import EventLoop

__all__ = ["descriptors", "other_threads", "signal_handlers", "threads_at_work"]

_IDLE_WORKER = vars(pools)["_worker"].__code__


def descriptors(loop: object) -> list[str]:
    """The descriptors that somebody waits for, in words."""
    if not isinstance(loop, EventLoop) or loop.is_closed():
        return []
    own = loop.wakeup.fileno()
    numbers = [
        watch.fd
        for watch in list(loop.poller.watches.values())
        if watch.fd != own
        and (watch.reader or watch.writer or watch.read_waiters or watch.write_waiters)
    ]
    return [f"descriptor {number}" for number in sorted(numbers)]


def signal_handlers(loop: object) -> list[str]:
    """The signals that have a handler in the loop, in words."""
    if not isinstance(loop, EventLoop) or loop.is_closed():
        return []
    return [f"a handler of {signal.Signals(number).name}" for number in loop._signals.handlers]


def threads_at_work(loop: object) -> list[str]:
    """The threads that may yet hand something to the loop."""
    if not isinstance(loop, EventLoop):
        return []
    calls = loop.calls_in_threads
    return [
        *([f"{calls} calls in threads"] if calls > 1 else ["a call in a thread"] if calls else []),
        *(f"thread {thread.name!r}" for thread in other_threads() if not _is_idle(thread)),
    ]


def other_threads() -> list[threading.Thread]:
    """All threads but the one that asks."""
    me = threading.get_ident()
    return [thread for thread in threading.enumerate() if thread.ident != me]


def _is_idle(thread: threading.Thread) -> bool:
    """Whether it is a worker of a `ThreadPoolExecutor` that waits, and no call is queued for it."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None or frame.f_code is not _IDLE_WORKER:
        return False
    local = frame.f_locals
    return local["work_queue"].empty() and local.get("work_item") is None
