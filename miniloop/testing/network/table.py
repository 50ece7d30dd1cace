"""The table of simulated sockets: their numbers, and which of them may have events.

A poller asks for the events of sockets at every poll. Not every socket is asked, only those with
which something has changed, and which have had events at every poll since.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from miniloop.kernel.poller import Watch
from miniloop.testing.network.contract import ERROR, HANGUP, KnownSocket, Station

__all__ = ["FIRST_NUMBER", "Table"]

# Above the descriptors of every real file.
FIRST_NUMBER = 1 << 30


class Table:
    """The open sockets of a network, by number, and those that may have events."""

    def __init__(self, resolve: Callable[[Any, str, int], str]) -> None:
        self.addresses_of = resolve
        self._numbers = count(FIRST_NUMBER)
        self._sockets: weakref.WeakValueDictionary[int, KnownSocket] = weakref.WeakValueDictionary()
        self._news: dict[int, None] = {}  # a set that keeps its order

    def add(self, sock: KnownSocket) -> int:
        """Its number from now on."""
        number = next(self._numbers)
        self._sockets[number] = sock
        return number

    def remove(self, number: int) -> None:
        """It was closed."""
        self._sockets.pop(number, None)
        self._news.pop(number, None)

    def changed(self, number: int) -> None:
        """Something may be possible with that socket that was not."""
        self._news[number] = None

    def events(self, watches: Mapping[int, Watch]) -> list[tuple[int, int]]:
        """What is possible now with the sockets that somebody watches."""
        found = []
        for number in list(self._news):
            sock, watch = self._sockets.get(number), watches.get(number)
            events = 0
            if sock is not None and watch is not None:
                events = sock.events() & (watch.mask | ERROR | HANGUP)
            if events:
                found.append((number, events))
            else:
                del self._news[number]
        return found

    def of(self, machine: Station) -> list[KnownSocket]:
        """The open sockets of a machine."""
        return [sock for _, sock in sorted(self._sockets.items()) if sock.machine is machine]
