"""What lies outside of a loop under test: a simulated network, or nothing at all.

A world is *closed* by default: time jumps, and a real peer could not follow. So the loop of a
closed world has a network that refuses everything, and if a program makes a socket by itself, the
poller refuses it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, Protocol

from miniloop.kernel.contract import CompleteLoop, Network
from miniloop.kernel.origin import entrance
from miniloop.kernel.poller import Watch
from miniloop.testing.errors import OutsideWorld

__all__ = ["ClosedNetwork", "Outside", "refuse"]


class Outside(Network, Protocol):
    """A simulated network, as seen by a run: it makes sockets, and says when they act.

    One object may serve many runs, one after the other.
    """

    def begin(self, loop: CompleteLoop, clock: Callable[[], float], seed: int, /) -> None:
        """A run begins: start afresh. All randomness comes from `seed`."""

    def next_event(self) -> float | None:
        """When (loop time, seconds) something happens next by itself; None: nothing is under way.

        Nothing that is due already counts once `advance` was called.
        """

    def advance(self, now: float, /) -> None:
        """Let happen all that is due at `now`."""

    def events(self, watches: Mapping[int, Watch], /) -> Iterable[tuple[int, int]]:
        """The numbers that are ready and watched for it, each with the bits of `kernel.poller`."""

    def owns(self, fd: int, /) -> bool:
        """Whether this number stands for one of its sockets."""

    def changed(self, watch: Watch, /) -> None:
        """The interest in one of its sockets has changed."""

    def end(self) -> None:
        """The run is over, whether it failed or not."""


def refuse(call: str, wants: str) -> NoReturn:
    """Say that a closed world has no such thing, and what to use. Raises OutsideWorld."""
    raise OutsideWorld(
        f"{call} wants {wants}, and the world of this test is closed: "
        "give it a simulated network (network=miniloop.testing.Network()), "
        "or let it out (real_io=True)"
    )


class ClosedNetwork:
    """The network of a closed world: it has no sockets, and knows no names."""

    __slots__ = ()

    def make_socket(self, family: int, kind: int, proto: int) -> socket.socket:
        """Refuse. Raises OutsideWorld."""
        refuse(f"{entrance()[1] or 'make_socket'}()", "a real socket")

    async def getaddrinfo(
        self, loop: CompleteLoop, host: Any, port: Any, **options: int
    ) -> list[Any]:
        """Refuse. Raises OutsideWorld."""
        refuse(f"getaddrinfo({host!r}, {port!r})", "a real name server")

    async def getnameinfo(self, loop: CompleteLoop, sockaddr: Any, flags: int) -> tuple[str, str]:
        """Refuse. Raises OutsideWorld."""
        refuse(f"getnameinfo({sockaddr!r})", "a real name server")
