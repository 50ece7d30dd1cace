"""Keeping the bytes of requests and replies, for an archive of them.

The client's streams are wrapped (``Client(around=Taped)``), and what goes through one is added to
the exchange that the task which reads or writes is at. Where one exchange ends and the next begins
is known from the client's trace. So a client whose bytes nobody wants is as it always was.
"""

import time
from collections.abc import Mapping
from typing import Any

from .fetching import add_timing, current_exchanges
from .http.errors import ConnectionLost, FetchTimeout, TooLarge
from .http.stream import Stream
from .output import Exchange

# Until it is known better. That we stopped reading what is no page has no word of its own.
_UNSPECIFIED = "unspecified"
_REASONS: dict[type[BaseException], str] = {
    FetchTimeout: "time",
    TooLarge: "length",
    ConnectionLost: "disconnect",
}


def keep_exchanges(event: str, info: Mapping[str, Any]) -> None:
    """A trace for the client: keeps the timings, and tells exchanges apart."""
    if "seconds" in info:
        add_timing(event.partition(".")[0], info["seconds"])
    if event == "send_request.started":
        if (exchanges := current_exchanges()) is not None:
            exchanges.append(Exchange(info["url"], time.time(), "", truncated=_UNSPECIFIED))
    elif event == "receive_body.complete":
        if info["reply"].complete and (exchanges := current_exchanges()):
            exchanges[-1].truncated = ""
    elif (event == "receive_body.failed") and (exchanges := current_exchanges()):
        for kind, reason in _REASONS.items():
            if isinstance(info["error"], kind):
                exchanges[-1].truncated = reason


class Taped:
    """A stream (:class:`crawler.http.stream.Stream`) that keeps what goes through it."""

    __slots__ = ("_peer", "_stream")

    def __init__(self, stream: Stream, direct: bool) -> None:
        self._stream = stream
        self._peer = stream.peer if direct else ""

    @property
    def peer(self) -> str:
        """The address of the server, if we know it."""
        return self._peer

    @property
    def truncated(self) -> bool:
        """Whether TCP was closed without the TLS farewell."""
        return self._stream.truncated

    @property
    def session(self) -> Any:
        """What a later connection can resume, of a stream with TLS."""
        return getattr(self._stream, "session", None)

    async def recv(self) -> bytes:
        """Read, and keep what came."""
        data = await self._stream.recv()
        if exchanges := current_exchanges():
            exchanges[-1].received += data
        return data

    async def send_all(self, data: bytes) -> None:
        """Write, and keep what went."""
        if exchanges := current_exchanges():
            exchanges[-1].sent += data
            exchanges[-1].address = self._peer
        await self._stream.send_all(data)

    def readable(self) -> bool:
        """Look whether there is something to read."""
        return self._stream.readable()

    def abort(self) -> None:
        """End both directions."""
        self._stream.abort()

    def discard(self) -> None:
        """Forget what waits."""
        self._stream.discard()

    def close(self) -> None:
        """Close."""
        self._stream.close()
