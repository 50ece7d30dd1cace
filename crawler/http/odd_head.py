"""The heads that are not as plain as most: what h11 makes of them, mended where they must be.

Such a head may come in any number of pieces, with interim replies (1xx) before it, and in a form
that h11 refuses and :mod:`.head` puts right.
"""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

import h11

from .errors import ProtocolError
from .head import BadHead, may_be_head, mend
from .request import MAX_HEAD
from .url import URL

# The most interim replies (1xx) that may come before the reply.
MAX_INTERIM = 100
CHANGE = "the server changes to another protocol (101), which is not followed"


class OddHead(NamedTuple):
    """A head as h11 takes it, the state machine to ask for the body, and if it was mended."""

    event: h11.Response
    http: h11.Connection
    mended: bool


async def read_odd_head(
    url: URL,
    received: bytes,
    http: h11.Connection,
    machine: Callable[[], h11.Connection],
    more: Callable[[], Awaitable[bytes]],
    interim: Callable[[int, bool], None],
) -> OddHead:
    """Read the head that begins with ``received``; raises ProtocolError, and what ``more`` does.

    ``http`` knows of the request, and has been given nothing of the reply; ``machine`` makes
    another like it. ``more`` reads on. ``interim`` is told the status of each interim reply, and
    whether something has come of what follows it.
    """
    http.receive_data(received)
    mended = False
    count = 0
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            received = _mended(url, received, error)
            mended = True
            http = machine()
            if received:
                http.receive_data(received)
            continue
        if isinstance(event, h11.Response):
            return OddHead(event, http, mended)
        if event is h11.NEED_DATA:
            if not may_be_head(received):
                raise ProtocolError(url.href, _no_head(received))
            data = await more()
            http.receive_data(data)
            received += data
        elif isinstance(event, h11.InformationalResponse):
            count += 1
            if count > MAX_INTERIM:
                raise ProtocolError(url.href, "interim replies without an end")
            received, _ = http.trailing_data
            interim(event.status_code, bool(received))
        else:
            raise ProtocolError(url.href, CHANGE)


def _mended(url: URL, received: bytes, error: h11.RemoteProtocolError) -> bytes:
    """``received`` as h11 will take it; raises ProtocolError if that cannot be."""
    try:
        mended = mend(received)
    except BadHead as bad:
        raise ProtocolError(url.href, str(bad)) from error
    if mended == received:
        raise ProtocolError(url.href, _why(received, error)) from error
    return mended


def _why(received: bytes, error: h11.RemoteProtocolError) -> str:
    """What is wrong with what h11 refuses, in our words where its own are about itself."""
    if not may_be_head(received):
        return _no_head(received)
    if received.split(None, 2)[1:2] == [b"101"]:
        return CHANGE
    if error.error_status_hint == 431:
        return f"a head of more than {MAX_HEAD:,} bytes"
    return str(error)


def _no_head(received: bytes) -> str:
    return f"expected HTTP/1.1, got {bytes(received[:60])!r}"
