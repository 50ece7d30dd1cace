"""The pieces of a body as it was sent, up to its end: by its chunks, or as h11 finds it.

``more`` reads on, and gives ``b""`` when the server has closed.
"""

from collections.abc import Awaitable, Callable

import h11

from .chunks import BadChunk, Chunks
from .endings import cut_short
from .errors import ProtocolError
from .url import URL

More = Callable[[], Awaitable[bytes]]


async def next_in_chunks(url: URL, chunks: Chunks, data: bytes, more: More) -> bytes | None:
    """What ``data``, or what comes next, holds of a chunked body; None at its end."""
    while not chunks.ended:
        if not data:
            data = await more()
            if not data:
                if chunks.end():
                    break
                raise cut_short(url)
        try:
            content = chunks.feed(data)
        except BadChunk as error:
            raise ProtocolError(url.href, str(error)) from error
        if content:
            return content
        data = b""
    return None


async def next_by_h11(url: URL, http: h11.Connection, more: More) -> bytes | bytearray | None:
    """The next bytes of a body that has a length, or ends with the connection; None at its end."""
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            _, closed_by_server = http.trailing_data
            if closed_by_server:
                raise cut_short(url) from error
            raise ProtocolError(url.href, str(error)) from error
        if type(event) is h11.Data:
            return event.data
        if type(event) is h11.EndOfMessage:
            return None
        if event is not h11.NEED_DATA:
            raise ProtocolError(url.href, f"expected the end of the body, got {event!r}")
        http.receive_data(await more())
