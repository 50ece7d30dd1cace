"""How much memory the objects take of which a program has most."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from collections.abc import Callable

import miniloop
from miniloop.kernel.future import Future
from miniloop.kernel.task import Task
from miniloop.net.datagram import DatagramTransport
from miniloop.net.stream import StreamTransport
from miniloop.net.tls_transport import SSLTransport


def bytes_taken_by(make: Callable[[], object]) -> float:
    """Bytes for each object: the least of three rounds, as Python allocates more in the first."""
    count, least = 1000, float("inf")
    for _ in range(3):
        kept: list[object] = [None] * count
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for place in range(count):
                kept[place] = make()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        least = min(least, (after - before) / count)
    return least


def test_a_future_takes_no_more_than_its_slots() -> None:
    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        loop = runner.get_loop()
        # From CPython 3.14 on there is a place for one attribute of the program's, too.
        limit = sys.getsizeof(loop.create_future()) + 32
        assert bytes_taken_by(loop.create_future) <= limit


def test_the_names_that_methods_assign_have_no_place_beside_the_slots() -> None:
    for kind in (Future, Task, StreamTransport, DatagramTransport, SSLTransport):
        assert not vars(kind).get("__static_attributes__")
