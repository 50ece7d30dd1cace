"""Loops that differ by the value of a named constant. Each runs in a process of its own."""

from __future__ import annotations

from miniloop import EventLoop
from miniloop.kernel import scheduler
from miniloop.net import stream

__all__ = ["reading_256_kib", "visiting_every_turn"]


def visiting_every_turn() -> EventLoop:
    """A loop that asks the kernel for events on every turn."""
    scheduler.MOST_TURNS = 1
    return EventLoop()


def reading_256_kib() -> EventLoop:
    """A loop whose transports read 256 KiB at a time from the start, and always."""
    stream.SMALLEST_READ = stream.LARGEST_READ
    return EventLoop()
