"""What a peer has sent on a TLS connection: ciphertext in, plaintext out.

One read of the socket may bring a part of a record, or many. So there are three answers to "give me
what there is": some bytes; nothing, until more has come; and nothing any more, because the peer has
said that it is done. The last is `ended`; an error is kept in `failure` until what came before it
has been taken, since a broken record does not undo those before.

OpenSSL hands out one record for each call, and says that there is none by an exception, which takes
2 µs. But it reads no further ahead than the record that it works on. So with no bytes left in
`_incoming`, and room for a whole record when we last asked, there is nothing left, and we need not
ask. (Nor do we ask for one large bytes object, to have all in one call: one of 256 KiB takes 12 µs
to allocate, even for a message of ten bytes.)
"""

from __future__ import annotations

import ssl
import weakref
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.net.tls_outbox import RECORD

__all__ = ["LARGEST_READ", "Inbox"]

# The most bytes that are taken from the transport below, and decrypted, at once. Twice as many
# make bulk transfers 5 % faster, half as many 25 % slower; and once that much has come, the BIO in
# which it lay keeps a third more than that for as long as the connection lives.
LARGEST_READ = 128 * 1024

# With less space than this left a record might be read in two parts.
_ALMOST_FULL = LARGEST_READ - RECORD


class Inbox:
    """The receiving half of a TLS connection. `ssl_object` reads from the BIO `incoming`."""

    __slots__ = ("_incoming", "_ssl_object", "ended", "failure", "more", "scratch")

    def __init__(self, loop: Loop, ssl_object: ssl.SSLObject, incoming: ssl.MemoryBIO) -> None:
        # Typed as the C code is: with a buffer, read returns a count.
        self._ssl_object: Any = ssl_object
        self._incoming = incoming
        self.scratch = _scratch_of(loop)
        self.ended = False  # the peer's close_notify has been read
        self.more = False  # the last call stopped for want of space
        self.failure: Exception | None = None

    def feed(self, nbytes: int) -> None:
        """The first `nbytes` of `scratch` are ciphertext from the transport below."""
        self._incoming.write(self.scratch[:nbytes])

    def put_back(self, data: bytes) -> None:
        """`data` is ciphertext that somebody else had received."""
        self._incoming.write(data)

    def pending(self) -> int:
        """How many bytes of ciphertext nobody has asked for yet."""
        return self._incoming.pending

    def holds_something(self) -> bool:
        """True if there may be something to take, or to be told."""
        return bool(self._incoming.pending or self._ssl_object.pending() or self.ended)

    def take(self) -> bytes:
        """All that has come, but not much more than `LARGEST_READ` at once; b"" if nothing has."""
        read, incoming, scratch = self._ssl_object.read, self._incoming, self.scratch
        size = 0
        self.more = False
        try:
            while True:
                count = read(LARGEST_READ, scratch[size:] if size else scratch)
                size += count
                if not count:
                    self.ended = True
                    break
                if not incoming.pending:
                    break
                if size > _ALMOST_FULL:
                    self.more = True
                    break
        except ssl.SSLWantReadError:
            pass
        except Exception as exc:
            self.failure = exc
        return bytes(scratch[:size])

    def fill(self, buffer: memoryview) -> int:
        """As much of it as fits in `buffer`. Returns the number of bytes."""
        read, incoming = self._ssl_object.read, self._incoming
        room = len(buffer)
        size = 0
        self.more = False
        try:
            while True:
                count = read(room - size, buffer[size:] if size else buffer)
                size += count
                if not count:
                    self.ended = True
                    break
                # A buffer of the application's may have ended in the middle of a record.
                if not incoming.pending and not self._ssl_object.pending():
                    break
                if size == room:
                    self.more = True
                    break
        except ssl.SSLWantReadError:
            pass
        except Exception as exc:
            self.failure = exc
        return size

    def discard(self) -> None:
        """Drop all that has come; see whether the peer has ended, or broken the rules."""
        try:
            while self._ssl_object.read(LARGEST_READ, self.scratch):
                pass
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True  # OpenSSL says it in this way when we have ended before
        except Exception as exc:
            self.failure = exc


# One buffer for each loop, as one for each connection would be kept as long as the connection. A
# transport fills it and calls `buffer_updated` at once. When that returns, OpenSSL or the
# application has all that was in it, so there is never anything that could be overwritten.
_scratches: weakref.WeakKeyDictionary[Any, memoryview] = weakref.WeakKeyDictionary()


def _scratch_of(loop: Loop) -> memoryview:
    scratch = _scratches.get(loop)
    if scratch is None:
        scratch = _scratches[loop] = memoryview(bytearray(LARGEST_READ))
    return scratch
