"""Noticing that a loop is about to sleep for ever, with tasks pending that nobody can wake.

    miniloop.study.detect_deadlock(loop)
    asyncio.Runner(loop_factory=miniloop.study.deadlock_detecting_loop)
    python -m miniloop --deadlock script.py

A loop that has no timer asks its poller to wait without an end. That is the moment to ask who could
still end the wait: a descriptor that somebody watches, a thread, a handler of a signal. If there is
none, `EverybodyWaits` is raised, with who waits for whom. It comes out of `run_forever` or
`run_until_complete`; the loop and its tasks are as they were. `asyncio.Runner` then cancels the
tasks, as after any failure, and so their clean-up runs.

It is an observer at the joint of that wait; a loop without one pays nothing.

`wakers` says what counts as able to wake it.

The trap: a thread may end without telling the loop. So while only a thread could wake it, the wait
is cut into slices.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable

from miniloop.kernel.joints import Joints
from miniloop.loop import EventLoop
from miniloop.study.waits import EverybodyWaits
from miniloop.study.wakers import (
    descriptors,
    other_threads,
    signal_handlers,
    threads_at_work,
)

__all__ = ["deadlock_detecting_loop", "detect_deadlock"]

# Seconds: the first and the longest slice of a wait in which only a thread could wake the loop.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 0.5

Wait = Callable[[float | None], Iterable[tuple[int, int]]]


def deadlock_detecting_loop() -> EventLoop:
    """A new loop that raises `EverybodyWaits` instead of sleeping for ever: a loop factory."""
    loop = EventLoop()
    detect_deadlock(loop)
    return loop


def detect_deadlock(loop: EventLoop) -> None:
    """Have `loop` raise `EverybodyWaits` instead of sleeping for ever while tasks are pending."""
    loop.observe(Guard(loop))


class Guard:
    """An observer: before a wait without an end, it asks who could end it."""

    def __init__(self, loop: EventLoop) -> None:
        self._loop = loop

    def join(self, joints: Joints) -> Joints:
        """See `joints.Observer`."""
        return joints._replace(wait=functools.partial(self._wait, joints.wait))

    def run_ended(self) -> None:
        """See `joints.Observer`."""

    def _wait(self, wait: Wait, timeout: float | None) -> Iterable[tuple[int, int]]:
        if timeout is not None:
            return wait(timeout)
        loop = self._loop
        pause = FIRST_PAUSE
        while loop.tasks and not descriptors(loop) and not signal_handlers(loop):
            hopeful = threads_at_work(loop)
            # Where there are threads we look twice: one may just have handed over what it had.
            arrived = wait(pause if hopeful or other_threads() else 0)
            if arrived or not loop.asleep or loop._ready:
                return arrived
            if not hopeful and not threads_at_work(loop):
                raise EverybodyWaits(loop)
            pause = min(2 * pause, LONGEST_PAUSE)
        return wait(None)
