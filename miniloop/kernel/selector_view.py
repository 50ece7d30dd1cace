"""What asyncio keeps in `loop._selector`, for programs that look there which files are watched.

It can only be looked at. This loop does not wait by a selector, so a program that replaces
`select`, as virtual clocks for asyncio do, or registers a file would change nothing; it gets an
AttributeError and not silence. (docs/decisions/types-that-libraries-check.md)

Invariant: the view shows the poller as it is now, and keeps nothing of its own.

The trap: another thread may look while the loop runs, so the poller's table is copied first.
"""

from __future__ import annotations

import selectors
from typing import Any

from miniloop.kernel.poller import Poller

__all__ = ["SelectorView"]


class SelectorView:
    """The files that are watched, as `selectors.BaseSelector` shows them."""

    __slots__ = ("_poller",)

    def __init__(self, poller: Poller) -> None:
        self._poller = poller

    def get_map(self) -> dict[int, selectors.SelectorKey]:
        """By descriptor: the file, what is awaited of it, and the handles of reader and writer."""
        found = {}
        # Another thread may ask while the loop runs; `dict` copies in one step.
        for fd, watch in dict(self._poller.watches).items():
            reading = watch.reader is not None or watch.read_waiters
            writing = watch.writer is not None or watch.write_waiters
            events = (selectors.EVENT_READ if reading else 0) | (
                selectors.EVENT_WRITE if writing else 0
            )
            if events:
                file = fd if watch.file is None else watch.file
                found[fd] = selectors.SelectorKey(file, fd, events, (watch.reader, watch.writer))
        return found

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        """The entry of a file or descriptor. Raises KeyError if it is not watched."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        try:
            return self.get_map()[fd]
        except KeyError:
            raise KeyError(f"{fileobj!r} is not registered") from None
