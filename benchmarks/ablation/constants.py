"""Loops that differ by the value of a named constant. Each runs in a process of its own."""

from __future__ import annotations

from miniloop import EventLoop
from miniloop.kernel import scheduler
from miniloop.net import stream

__all__ = [
    "polling_every_100_us",
    "polling_every_250_us",
    "reading_256_kib",
    "visiting_every_turn",
]


def visiting_every_turn() -> EventLoop:
    """A loop that asks the kernel for events on every turn."""
    scheduler.MOST_TURNS = 1
    return EventLoop()


def polling_every_100_us() -> EventLoop:
    """A loop that asks the kernel half as often while turns are short."""
    scheduler.POLL_INTERVAL = 100e-6
    return EventLoop()


def polling_every_250_us() -> EventLoop:
    """A loop that asks it as seldom as rloop does."""
    scheduler.POLL_INTERVAL = 250e-6
    return EventLoop()


def reading_256_kib() -> EventLoop:
    """A loop whose transports read 256 KiB at a time from the start, and always."""
    stream.SMALLEST_READ = stream.LARGEST_READ
    return EventLoop()
