"""Other ways to ask the kernel what has happened."""

from __future__ import annotations

from miniloop import EventLoop
from miniloop.kernel.poller import EpollPoller, SelectorPoller, Watch

__all__ = ["registering_each_wait", "with_selectors"]


class UnlazyPoller(EpollPoller):
    """Epoll, but a socket is registered for each wait and forgotten after it, as asyncio does."""

    def _apply(self, watch: Watch) -> None:
        mask = watch.level_mask()
        if not mask:
            self._drop(watch)
            watch.mask = 0
            return
        known = watch.fd in self.watches
        (self._epoll.modify if known else self._epoll.register)(watch.fd, mask)
        watch.mask = mask
        self.watches[watch.fd] = watch


def with_selectors() -> EventLoop:
    """A loop on `selectors.EpollSelector`; it has no lazy registration either."""
    return EventLoop(poller=SelectorPoller())


def registering_each_wait() -> EventLoop:
    """A loop that registers a socket anew for each `sock_recv` that has to wait."""
    return EventLoop(poller=UnlazyPoller())
