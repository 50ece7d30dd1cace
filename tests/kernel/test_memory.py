"""How much memory the objects take of which a program has most."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc

import miniloop
from miniloop.kernel.future import Future
from miniloop.kernel.task import Task
from miniloop.net.datagram import DatagramTransport
from miniloop.net.stream import StreamTransport
from miniloop.net.tls_transport import SSLTransport


def test_a_future_takes_no_more_than_its_slots() -> None:
    with asyncio.Runner(loop_factory=miniloop.new_event_loop) as runner:
        loop = runner.get_loop()
        kept: list[asyncio.Future[None] | None] = [None] * 1000
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for place in range(len(kept)):
                kept[place] = loop.create_future()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # From CPython 3.14 on there is a place for one attribute of the program's, too.
        assert (after - before) / len(kept) <= sys.getsizeof(kept[0]) + 32


def test_the_names_that_methods_assign_have_no_place_beside_the_slots() -> None:
    for kind in (Future, Task, StreamTransport, DatagramTransport, SSLTransport):
        assert not vars(kind).get("__static_attributes__")
