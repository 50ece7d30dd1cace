"""The policy door: how programs chose their loop before loop factories.

`asyncio.set_event_loop_policy(miniloop.EventLoopPolicy())`, or `miniloop.install()`, makes every
later `asyncio.run` and `asyncio.new_event_loop` of the process use miniloop. Deprecated since
Python 3.14 and gone in 3.16: new programs use `loop_factory=miniloop.new_event_loop`.
"""

from __future__ import annotations

import asyncio
import warnings

from miniloop.loop import EventLoop, new_event_loop

__all__ = ["EventLoopPolicy", "install"]

with warnings.catch_warnings():
    # Looking the class up is what warns from 3.14 on; the user who asked for it knows.
    warnings.simplefilter("ignore", DeprecationWarning)
    _DefaultPolicy = asyncio.DefaultEventLoopPolicy


class EventLoopPolicy(_DefaultPolicy):
    """The default policy, with miniloops for loops."""

    def new_event_loop(self) -> EventLoop:
        """A new loop."""
        return new_event_loop()


def install() -> None:
    """Use miniloop wherever this process makes an event loop from now on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.set_event_loop_policy(EventLoopPolicy())
