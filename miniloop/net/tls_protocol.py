"""TLSProtocol: the state machine of a TLS connection. `miniloop.net.tls` has its rules."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.report import logger
from miniloop.net.tls_inbox import Inbox
from miniloop.net.tls_outbox import LARGEST_BATCH, RECORD, Outbox
from miniloop.net.tls_settings import (
    HANDSHAKE_TIMEOUT,
    SHUTDOWN_TIMEOUT,
    context_from,
    seconds,
)
from miniloop.net.tls_states import (
    CLOSED,
    CLOSING,
    FLUSHING,
    HANDSHAKE,
    NEW,
    OPEN,
    TRANSITIONS,
    Event,
)
from miniloop.net.tls_transport import SSLTransport

__all__ = ["TLSProtocol"]

# Bytes of ciphertext that are kept while the application pauses reading.
MOST_KEPT = 256 * 1024


class TLSProtocol(asyncio.BufferedProtocol):
    """One TLS connection. `transport` is the application's end of it.

    Make it the protocol of a transport, and `waiter` (a future, or None) is finished when the
    handshake is, or gets the exception with which it failed. `sslcontext` may be True for a client
    with default settings. `server_hostname` is what the certificate must be for, and is sent by SNI
    (RFC 6066). `session` is that of an earlier connection to the same server, to resume it; get one
    from `transport.get_extra_info("ssl_object").session`. Timeouts are in seconds.

    With `call_connection_made` false the application is told neither of the connection, which it
    has already, nor of the handshake.

    Raises ValueError for a timeout that is not positive, or a server without a context; TypeError
    for a context that is none.
    """

    __slots__ = (
        "__weakref__",
        "_below_eof",
        "_below_full",
        "_below_paused",
        "_caught_up_late",
        "_failure",
        "_handshake_timeout",
        "_inbox",
        "_left_at_timeout",
        "_loop",
        "_outgoing",
        "_peer_done",
        "_shutdown_timeout",
        "_state",
        "_timer",
        "_waiter",
        "agreed",
        "below",
        "context",
        "outbox",
        "ssl_object",
        "transport",
    )

    def __init__(
        self,
        loop: Loop,
        app_protocol: asyncio.BaseProtocol,
        sslcontext: ssl.SSLContext | bool | None,
        waiter: Any,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        call_connection_made: bool = True,
        handshake_timeout: float | None = None,
        shutdown_timeout: float | None = None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._handshake_timeout = seconds("handshake", handshake_timeout, HANDSHAKE_TIMEOUT)
        self._shutdown_timeout = seconds("shutdown", shutdown_timeout, SHUTDOWN_TIMEOUT)
        self.context = context_from(sslcontext, server_side, server_hostname)
        incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.ssl_object = self.context.wrap_bio(
            incoming,
            self._outgoing,
            server_side=server_side,
            server_hostname=None if server_side else server_hostname or None,
            session=session,
        )
        self._loop = loop
        self._state = NEW
        self._waiter = waiter
        self._timer: Any = None  # of the handshake, later of the shutdown
        self._failure: BaseException | None = None
        self.agreed = False
        self._peer_done = False
        # The transport below.
        self.below: Any = None
        self._below_eof = False  # it has received all it ever will
        self._below_full = False  # it is not to be written to
        self._below_paused = False  # we have paused it
        self._caught_up_late = False  # the application read on when it was closing already
        # What has come from there, what is to go there, and the application above.
        self._inbox = Inbox(loop, self.ssl_object, incoming)
        self.outbox = Outbox()
        self.transport: Any = SSLTransport(loop, self, app_protocol, not call_connection_made)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.describe()}>"

    def describe(self) -> str:
        """The state, the version of TLS and the transport below, for a `repr`."""
        version = f" {self.ssl_object.version()}" if self.agreed else ""
        below = "" if self.below is None else f" over {self.below!r}"
        return f"{self._state.value}{version}{below}"

    @property
    def _sslcontext(self) -> ssl.SSLContext:
        """The context, by the name under which programs look for it in asyncio's TLS."""
        return self.context

    def _move(self, event: Event) -> None:
        self._state = TRANSITIONS[self._state][event]

    # The beginning.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport below is there: begin the handshake."""
        self.below = transport
        if self._state is CLOSED:
            self.below.abort()  # given up before it began
            return
        self._move(Event.CONNECTED)
        self._timer = self._loop.call_later(self._handshake_timeout, self._handshake_timed_out)
        self._advance_handshake()

    def _advance_handshake(self) -> None:
        try:
            self.ssl_object.do_handshake()
        except ssl.SSLWantReadError:
            self._send_outgoing()
        except Exception as exc:
            self.fail(exc, "TLS handshake failed")
        else:
            self._handshake_done()

    def _handshake_done(self) -> None:
        self._move(Event.AGREED)
        self.agreed = True
        self._stop_timer()
        # The last part of the handshake leaves with what `connection_made` writes, in one send.
        self.transport.tell_connected()
        self._finish_waiter(None)
        self.flush()
        if self._inbox.holds_something():
            self._deliver()

    def _handshake_timed_out(self) -> None:
        message = (
            f"SSL handshake over {self.below!r} is taking longer than "
            f"{self._handshake_timeout} seconds: the connection is aborted"
        )
        self.fail(ConnectionAbortedError(message), "TLS handshake timed out")

    def _finish_waiter(self, exc: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if exc is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(exc)

    # From the peer to the application.

    def put_back(self, data: bytes) -> None:
        """Before the beginning: `data` came from the transport below before we were there."""
        self._inbox.put_back(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the transport below shall put what it receives; it is full for a moment only."""
        return self._inbox.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """The transport below has put `nbytes` of ciphertext into our buffer."""
        self._inbox.feed(nbytes)
        state = self._state
        if state is OPEN:
            if self.transport.reading_paused:
                self._keep()
            else:
                self._deliver()
        elif state is HANDSHAKE:
            self._advance_handshake()
        elif not self._peer_done and state is not CLOSED:
            self._discard()
            self.flush()

    def eof_received(self) -> bool:
        """The peer has closed its side of the connection below. True if we still need ours."""
        self._below_eof = True
        if self._state is HANDSHAKE:
            exc = ConnectionResetError("the peer closed the connection during the TLS handshake")
            self.fail(exc, "TLS handshake failed")
        elif self._state is not OPEN:
            self._note_peer_done()
        elif not self.transport.reading_paused:
            # What was kept during a pause comes first, if nobody has been told of it yet.
            if self._inbox.holds_something():
                self._deliver()
            else:
                self._peer_ends()
        return self._state is not CLOSED

    def _deliver(self) -> None:
        """Tell the application of all that has come, and send what OpenSSL says to that."""
        inbox, transport = self._inbox, self.transport
        while self._state is OPEN and not transport.reading_paused:
            transport.deliver(inbox)
            if not inbox.more:
                break
        if inbox.failure is not None:
            self._fail_to_read()
        elif (inbox.ended or self._below_eof) and not transport.reading_paused:
            self._peer_ends()
        elif self.outbox.size or self._outgoing.pending:
            self.flush()

    def _peer_ends(self) -> None:
        """The peer is done and the application has all that came: tell it, and end ourselves."""
        if self._state is not OPEN:
            return
        self._peer_done = True
        self.transport.tell_end_of_file()
        if self._state is OPEN:
            self._begin_ending(Event.PEER_DONE)

    def resume_delivery(self) -> None:
        """The application reads again: see `SSLTransport.resume_reading`."""
        if self._below_paused or self._below_eof or self._inbox.holds_something():
            self._loop.call_soon(self._catch_up)

    def _catch_up(self) -> None:
        if self.transport is None:
            return  # it was lost meanwhile
        # The end of what is below may be queued behind us: see `connection_lost`.
        self._caught_up_late = self.below is not None and self.below.is_closing()
        if self._state is OPEN and not self.transport.reading_paused:
            self._deliver()
        if not self.transport.reading_paused:
            self._resume_below()

    def _keep(self) -> None:
        """Leave what has come where it is until the application reads again.

        The transport below goes on reading for a while: it would not notice a reset otherwise.
        """
        if not self._below_paused and self._inbox.pending() >= MOST_KEPT:
            self._below_paused = True
            self.below.pause_reading()
        # In a renegotiation what the application has written waits for what has just come.
        if self.outbox.size:
            self.flush()

    def _resume_below(self) -> None:
        if self._below_paused and self.below is not None:
            self._below_paused = False
            self.below.resume_reading()

    # From the application to the peer.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send `data`, which is not empty, now or as soon as there is room."""
        if type(data) is not bytes:
            if len(data) > RECORD:
                self._write_much(data)
                return
            data = bytes(data)
        outbox = self.outbox
        if (
            self._state is OPEN
            and not self._below_full
            and not outbox.size
            and len(data) <= LARGEST_BATCH
        ):
            # Nearly always there is nothing to join, to cut or to keep.
            try:
                done = self.ssl_object.write(data)
                self.below.write(self._outgoing.read())
                if done == len(data):
                    return
                data = data[done:]
            except ssl.SSLWantReadError:
                pass  # the peer must speak first
            except Exception as exc:
                self.fail(exc, "TLS connection is broken")
                return
        self._write_much(data)

    def _write_much(self, data: bytes | bytearray | memoryview) -> None:
        if self.transport.is_closing():
            self.transport.count_lost_write()  # the transport below is, and we do not know yet
            return
        outbox = self.outbox
        if type(data) is bytes:
            outbox.add(data)
            self._encrypt()
        else:
            # It is not ours to keep. As much of it as there is room for is encrypted where it lies;
            # the rest is copied before anybody is told of it, who could write more.
            outbox.lend(data)
            self._encrypt()
            outbox.own()
        self._note_what_is_left()

    def flush(self) -> None:
        """Encrypt and send what was written, for as long as the transport below has room."""
        self._encrypt()
        self._note_what_is_left()

    def _encrypt(self) -> None:
        if self._state is OPEN or self._state is FLUSHING:
            outbox, below = self.outbox, self.below
            closing = below.is_closing()  # somebody has closed it, but it sends what we have
            try:
                while outbox.size and not self._below_full:
                    outbox.encrypt(self.ssl_object.write)
                    below.write(self._outgoing.read())
                    if outbox.size and not closing and below.is_closing():
                        outbox.clear()  # it has failed; one write of the application's is lost
            except ssl.SSLWantReadError:
                pass  # the peer must speak first; when it has, we are called again
            except Exception as exc:
                self.fail(exc, "TLS connection is broken")

    def _note_what_is_left(self) -> None:
        """Tell the application, which may call back, of what could not be encrypted yet."""
        if self._state is OPEN or self._state is FLUSHING:
            outbox, marks = self.outbox, self.transport.marks
            marks.grown(outbox.size)
            marks.shrunk(outbox.size)
            if self._state is FLUSHING and not outbox.size:
                self._say_goodbye()
        self._send_outgoing()

    def _send_outgoing(self) -> None:
        if self._outgoing.pending and self._state is not CLOSED:
            self.below.write(self._outgoing.read())

    def pause_writing(self) -> None:
        """The transport below is full."""
        self._below_full = True

    def resume_writing(self) -> None:
        """The transport below has room again."""
        self._below_full = False
        self.flush()

    # The end.

    def close(self) -> None:
        """The application wants to end: see `SSLTransport.close`."""
        if self._state is OPEN:
            self._begin_ending(Event.CLOSE)
        elif self._state is NEW or self._state is HANDSHAKE:
            self.abort()

    def _begin_ending(self, event: Event) -> None:
        self._move(event)
        self.transport.note_closing()
        self._start_shutdown_timer()
        self._resume_below()
        if not self._peer_done:
            self._discard()
        if self._below_eof:
            self._note_peer_done()  # it hung up without a word, while the application paused
        self.flush()

    def _discard(self) -> None:
        """Drop what has come, up to the peer's close_notify."""
        self._inbox.discard()
        if self._inbox.failure is not None:
            self._fail_to_read()
        elif self._inbox.ended:
            self._note_peer_done()

    def _say_goodbye(self) -> None:
        """Send our close_notify, and be done if the peer is."""
        self._move(Event.FLUSHED)
        if self._inbox.ended or not self._below_eof:
            try:
                self.ssl_object.unwrap()
            except ssl.SSLWantReadError:
                pass  # ours is written, and the peer's is not there
            except Exception as exc:
                self.fail(exc, "TLS shutdown failed")
                return
            self._send_outgoing()
        if self._peer_done:
            self._note_peer_done()

    def _note_peer_done(self) -> None:
        self._peer_done = True
        if self._state is CLOSING:
            self._move(Event.PEER_DONE)
            # The timer goes on: what is still to be sent may be more than the peer ever reads.
            # The last data and the end may come at once, and who is woken by the data shall have a
            # turn before it is too late to answer.
            self._loop.call_soon(self._close_below)

    def _close_below(self) -> None:
        if self.below is not None:
            self.below.close()

    def _start_shutdown_timer(self) -> None:
        self._left_at_timeout = self._left_to_send()
        self._timer = self._loop.call_later(self._shutdown_timeout, self._shutdown_timed_out)

    def _left_to_send(self) -> int:
        size: int = self.outbox.size + self.below.get_write_buffer_size()
        return size

    def _shutdown_timed_out(self) -> None:
        # A peer that reads slowly is not one that is gone: it gets what is meant for it.
        if self._left_to_send() < self._left_at_timeout:
            self._start_shutdown_timer()
            return
        message = f"SSL shutdown timed out: no answer in {self._shutdown_timeout} seconds"
        exc = TimeoutError(message)
        if self._state is CLOSED:
            self.abort(exc)
        else:
            self.fail(exc, "TLS shutdown timed out")

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _fail_to_read(self) -> None:
        # The exception's traceback leads to the inbox: it must not stay there.
        failure, self._inbox.failure = self._inbox.failure, None
        assert failure is not None
        self.fail(failure, "TLS connection is broken")

    def fail(self, exc: BaseException, message: str) -> None:
        """End because of an error. If it was the peer's, OpenSSL has written an alert about it."""
        if self._state is CLOSED:
            return
        if isinstance(exc, OSError):
            # A connection that breaks is everyday life; the application is told, that is enough.
            if self._loop.get_debug():
                logger.debug("%r: %s", self, message, exc_info=exc)
        else:
            self._loop.call_exception_handler(
                {
                    "message": message,
                    "exception": exc,
                    "transport": self.transport,
                    "protocol": self.transport.get_protocol(),
                }
            )
        self._send_outgoing()
        self.abort(exc)
        self._finish_waiter(exc)

    def abort(self, exc: BaseException | None = None) -> None:
        """End at once, because of `exc` if there is one: see `SSLTransport.abort`."""
        self._failure = self._failure or exc
        if self._state is CLOSED:
            if self.below is not None:
                self.below.abort()  # it may still be sending
            return
        self._move(Event.BROKEN)
        self._stop_timer()
        self.outbox.clear()
        self.transport.note_closing()
        if self.below is not None:
            self.below.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport below is gone, by our will or without it."""
        if self._state is not CLOSED:
            self._move(Event.BROKEN)
        self._stop_timer()
        self.outbox.clear()
        failure = self._failure or exc
        transport = self.transport
        # Those that are above and below refer to us, and the failure to our frames.
        self._failure = self.transport = self.below = None
        self._finish_waiter(
            failure or ConnectionAbortedError("the connection was closed during the TLS handshake")
        )
        if self._caught_up_late:
            # Who was woken by the last data shall take them before the end is told: a StreamReader
            # forgets whoever is on the way, and would let him wait for ever.
            self._loop.call_soon(transport.tell_lost, failure)
        else:
            transport.tell_lost(failure)
