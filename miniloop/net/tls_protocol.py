"""TLSProtocol: the state machine of a TLS connection.

OpenSSL never sees a socket. It reads from one memory BIO, into which we put what the transport
below received, and writes into another, `_outgoing`, what that transport is to send. Whatever
OpenSSL is asked to do it does at once, or it says that it must read more first (SSLWantReadError).
Reading may produce something to send: key updates, renegotiations, session tickets. So after each
call of OpenSSL there may be something in `_outgoing`, and every path below ends by sending it.

The states are in tls_states.py: what leads from one to the next, and what else may be true in each.
Rules:

1. What the application writes is encrypted from OPEN to ANSWERING. Before, it waits in `outbox`.
2. The application is told `connection_made` on the way to OPEN (unless it was connected before, as
   with `start_tls`), and data in OPEN only. It is told `eof_received` in TOLD, so at most once, and
   only if it is the peer who ends first. It is told `connection_lost` once, as the last thing.
3. Each side ends by a close_notify alert (RFC 8446, section 6.1), and answers that of the other. If
   the peer closes its socket without one, that is taken to mean the same, as asyncio does, but gets
   no answer. HTTP and others mark the end of their messages themselves; those that do not cannot
   tell a connection that was cut from one that ended.
4. After our close_notify, what the peer still sends is decrypted and dropped until its own comes.
   (Asking OpenSSL for the shutdown again, which would be simpler, fails on such data.)
5. Nothing grows without bound. Towards the peer: what is encrypted waits in the transport below, up
   to its high-water mark; what is not, in `outbox`, up to the application's. Towards the
   application: while it pauses reading, the first 256 KiB that arrive are kept, as by asyncio, and
   then the transport below is paused. Until then a connection that breaks is noticed.
6. When `write` returns, what was written has been sent, if there was room for it. The program may
   block after that, or abort.

The trap: every call to the application may close, abort, pause, write, or replace the protocol, and
nearly every call to the transport below may call back. After each, look at the state again.

The cost: a message passes with as few copies and calls as the interface permits. One read of the
socket brings many records, which are decrypted into one buffer and handed over in one piece. What
`writelines` is given, and what has to wait, is joined into full records (tls_outbox.py).

Source: the CPython documentation, "Transports and Protocols" and `ssl` on memory BIOs; SSL_read(3),
SSL_shutdown(3); RFC 8446.
"""

from __future__ import annotations

import asyncio
import errno
import ssl
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.kernel.exits import EXITS, raise_exit, was_told
from miniloop.kernel.handle import repeatable
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
    ANSWERING,
    CLOSED,
    CLOSING,
    ENDING,
    FLUSHING,
    HANDSHAKE,
    NEW,
    OPEN,
    SENDING,
    TOLD,
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
        "_caught_up_late",
        "_failure",
        "_handshake_timeout",
        "_left_at_timeout",
        "_loop",
        "_outgoing",
        "_shutdown_timeout",
        "_state",
        "_timer",
        "_waiter",
        "agreed",
        "below",
        "below_eof",
        "below_full",
        "below_paused",
        "context",
        "inbox",
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
        # The transport below.
        self.below: Any = None
        self.below_eof = False  # it has received all it ever will
        self.below_full = False  # it is not to be written to
        self.below_paused = False  # we have paused it
        self._caught_up_late = False  # the application read on when it was closing already
        # What has come from there, what is to go there, and the application above.
        self.inbox = Inbox(loop, self.ssl_object, incoming)
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

    @repeatable
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The transport below is there: begin the handshake."""
        try:
            self.below = transport
            if self._state is CLOSED:
                self.below.abort()  # given up before it began
            elif self._state is NEW:
                self._move(Event.CONNECTED)
                self._timer = self._loop.call_later(
                    self._handshake_timeout, self._handshake_timed_out
                )
                self._advance_handshake()
        except EXITS as exc:
            self._interrupted(exc)
            raise

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
        self._stop_timer()
        # The last part of the handshake leaves with what `connection_made` writes, in one send.
        try:
            self.agreed = True
            self.transport.tell_connected()
        except EXITS as exc:
            self.agreed = was_told(exc, self.transport.get_protocol())
            raise
        self._finish_waiter(None)
        self.flush()
        if self.inbox.holds_something():
            self._deliver()

    @repeatable
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
        self.inbox.put_back(data)

    def get_buffer(self, sizehint: int) -> memoryview:
        """The buffer for the transport below to receive into. It is emptied at once."""
        return self.inbox.scratch

    def buffer_updated(self, nbytes: int) -> None:
        """The transport below has put `nbytes` of ciphertext into our buffer."""
        try:
            self.inbox.feed(nbytes)
            state = self._state
            if state is OPEN:
                if self.transport.reading_paused:
                    self._keep()
                else:
                    self._deliver()
            elif state is HANDSHAKE:
                self._advance_handshake()
            elif state is FLUSHING or state is CLOSING:
                self._discard()
                self.flush()
        except EXITS as exc:
            self._interrupted(exc)
            raise

    def eof_received(self) -> bool:
        """The peer has closed its side of the connection below. True if we still need ours."""
        try:
            self.below_eof = True
            if self._state is HANDSHAKE:
                message = "the peer closed the connection during the TLS handshake"
                self.fail(ConnectionResetError(message), "TLS handshake failed")
            elif self._state is FLUSHING or self._state is CLOSING:
                self._note_peer_done()
            elif self._state is OPEN and not self.transport.reading_paused:
                # What was kept during a pause comes first, if nobody has been told of it yet.
                if self.inbox.holds_something():
                    self._deliver()
                else:
                    self._peer_ends()
        except EXITS as exc:
            self._interrupted(exc)
            raise
        return self._state is not CLOSED

    def _deliver(self) -> None:
        """Tell the application of all that has come, and send what OpenSSL says to that."""
        inbox, transport = self.inbox, self.transport
        while self._state is OPEN and not transport.reading_paused:
            transport.deliver(inbox)
            if not inbox.more:
                break
        if inbox.failure is not None:
            self._fail_to_read()
        elif (inbox.ended or self.below_eof) and not transport.reading_paused:
            self._peer_ends()
        elif self.outbox.size or self._outgoing.pending:
            self.flush()

    def _peer_ends(self) -> None:
        """The peer is done and the application has all that came: tell it, and end ourselves."""
        if self._state is OPEN:
            self._move(Event.PEER_DONE)
            self.transport.tell_end_of_file()
            if self._state is TOLD:
                self._begin_ending()

    def resume_delivery(self) -> None:
        """The application reads again: see `SSLTransport.resume_reading`."""
        if self.below_paused or self.below_eof or self.inbox.holds_something():
            self._loop.call_soon(self._catch_up)

    def _may_deliver(self) -> bool:
        """Whether there may be something to tell, and the application reads."""
        return not self.transport.reading_paused and (
            self.below_eof or self.inbox.holds_something()
        )

    @repeatable
    def _catch_up(self) -> None:
        """Do what is left to do: after a pause, or after an exit of the application's."""
        transport = self.transport
        if transport is None:
            return  # it was lost meanwhile
        # The end of what is below may be queued behind us: see `connection_lost`.
        self._caught_up_late = self.below is not None and self.below.is_closing()
        try:
            if self.agreed:
                self._finish_waiter(None)
            if self._state is TOLD:
                self._begin_ending()
            elif self._state is OPEN and self._may_deliver():
                self._deliver()
            self.flush()
            if not transport.reading_paused:
                self._resume_below()
        except EXITS as exc:
            self._interrupted(exc)
            raise

    def _keep(self) -> None:
        """Leave what has come where it is until the application reads again.

        The transport below goes on reading for a while: it would not notice a reset otherwise.
        """
        if not self.below_paused and self.inbox.pending() >= MOST_KEPT:
            self.below_paused = True
            self.below.pause_reading()
        # In a renegotiation what the application has written waits for what has just come.
        if self.outbox.size:
            self.flush()

    def _resume_below(self) -> None:
        if self.below_paused and self.below is not None:
            self.below_paused = False
            self.below.resume_reading()

    # From the application to the peer.

    def write(self, data: bytes | bytearray | memoryview) -> bool:
        """Encrypt and send `data`, which is not empty, now or as soon as there is room.

        False if it is too late for that.
        """
        if type(data) is not bytes:
            if len(data) > RECORD:
                try:
                    return self._write_much(data)
                except EXITS as exc:
                    self._interrupted(exc)
                    raise
            data = bytes(data)
        outbox = self.outbox
        try:
            if (
                self._state is OPEN
                and not self.below_full
                and not outbox.size
                and len(data) <= LARGEST_BATCH
            ):
                # Nearly always there is nothing to join, to cut or to keep.
                try:
                    done = self.ssl_object.write(data)
                    self.below.write(self._outgoing.read())
                    if done == len(data):
                        return True
                    data = data[done:]
                except ssl.SSLWantReadError:
                    pass  # the peer must speak first
                except Exception as exc:
                    self.fail(exc, "TLS connection is broken")
                    return True
            return self._write_much(data)
        except EXITS as exc:
            self._interrupted(exc)
            raise

    def _write_much(self, data: bytes | bytearray | memoryview) -> bool:
        if self.is_closing():
            return False
        outbox = self.outbox
        if type(data) is bytes:
            outbox.add(data)
            self._encrypt()
        else:
            # The caller may change it later. As much of it as there is room for is encrypted where
            # it lies; the rest is copied before anybody is told, who could write more.
            outbox.lend(data)
            self._encrypt()
            outbox.own()
        self._note_what_is_left()
        return True

    def flush(self) -> None:
        """Encrypt and send what was written, for as long as the transport below has room."""
        try:
            self._encrypt()
            self._note_what_is_left()
        except EXITS as exc:
            self._interrupted(exc)
            raise

    def _encrypt(self) -> None:
        if self._state in SENDING:
            outbox, below = self.outbox, self.below
            closing = below.is_closing()  # somebody has closed it, but it sends what we have
            try:
                while outbox.size and not self.below_full:
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
        if self._state in SENDING:
            outbox, marks = self.outbox, self.transport.marks
            marks.grown(outbox.size)
            marks.shrunk(outbox.size)
            if (self._state is FLUSHING or self._state is ANSWERING) and not outbox.size:
                self._send_close_notify()
        self._send_outgoing()

    def _send_outgoing(self) -> None:
        if self._outgoing.pending and self._state is not CLOSED:
            self.below.write(self._outgoing.read())

    def pause_writing(self) -> None:
        """The transport below is full."""
        self.below_full = True

    def resume_writing(self) -> None:
        """The transport below has room again."""
        self.below_full = False
        self.flush()

    # The end.

    def is_ending(self) -> bool:
        """True once it is too late to write."""
        return self._state in ENDING

    def is_closing(self) -> bool:
        """True once the connection is closing or closed, by either side."""
        # The transport below may be closing, and we have not been told yet.
        below = self.below
        return self._state in ENDING or (below is not None and bool(below.is_closing()))

    def close(self) -> None:
        """The application wants to end: see `SSLTransport.close`."""
        if self._state is OPEN or self._state is TOLD:
            try:
                self._begin_ending()
            except EXITS as exc:
                self._interrupted(exc)
                raise
        elif self._state is NEW or self._state is HANDSHAKE:
            self.abort()

    def _begin_ending(self) -> None:
        self._move(Event.CLOSE)
        self.transport.reading_paused = False
        self._start_shutdown_timer()
        self._resume_below()
        if self._state is FLUSHING:
            self._discard()
        if self.below_eof:
            self._note_peer_done()  # it hung up without close_notify while the application paused
        self.flush()

    def _discard(self) -> None:
        """Drop what has come, up to the peer's close_notify."""
        self.inbox.discard()
        if self.inbox.failure is not None:
            self._fail_to_read()
        elif self.inbox.ended:
            self._note_peer_done()

    def _send_close_notify(self) -> None:
        """Send our close_notify, and be done if the peer is."""
        if self.inbox.ended or not self.below_eof:
            try:
                self.ssl_object.unwrap()
            except ssl.SSLWantReadError:
                pass  # ours is written, and the peer's is not there
            except Exception as exc:
                self.fail(exc, "TLS shutdown failed")
                return
            self._send_outgoing()
        self._move(Event.FLUSHED)
        self._close_below_if_done()

    def _note_peer_done(self) -> None:
        """The peer will send no more, and we have begun to end before."""
        if self._state is FLUSHING or self._state is CLOSING:
            self._move(Event.PEER_DONE)
            self._close_below_if_done()

    def _close_below_if_done(self) -> None:
        if self._state is CLOSED:
            # The timer goes on: what is still to be sent may be more than the peer ever reads.
            # The last data and the end may come at once. A task woken by the data must have a
            # turn before it is too late to answer.
            self._loop.call_soon(self._close_below)

    @repeatable
    def _close_below(self) -> None:
        if self.below is not None:
            self.below.close()

    def _start_shutdown_timer(self) -> None:
        self._stop_timer()  # if it was interrupted
        self._left_at_timeout = self._left_to_send()
        self._timer = self._loop.call_later(self._shutdown_timeout, self._shutdown_timed_out)

    def _left_to_send(self) -> int:
        size: int = self.outbox.size + self.below.get_write_buffer_size()
        return size

    @repeatable
    def _shutdown_timed_out(self) -> None:
        # A peer that reads slowly is still there: it gets all that was written.
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
        failure, self.inbox.failure = self.inbox.failure, None
        assert failure is not None
        self.fail(failure, "TLS connection is broken")

    def fail(self, exc: BaseException, message: str) -> None:
        """End because of an error. If it was the peer's, OpenSSL has written an alert about it.

        Exits are raised again.
        """
        raise_exit(exc)
        if self._state is CLOSED:
            return
        if isinstance(exc, OSError):
            # Connections break all the time. The application is told; no need to log it.
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
        # First of all: if Ctrl-C strikes from here on, `connection_lost` does the rest.
        if self.below is not None:
            self.below.abort()  # in CLOSED as well, where it may still be sending
        if self._state is not CLOSED:
            self._move(Event.BROKEN)
            self._stop_timer()
            self.outbox.clear()
            self.transport.reading_paused = False

    def _interrupted(self, error: BaseException) -> None:
        """`error` leaves a call of ours: an exit of the application's, or one that struck us.

        The application knows what it was told, and what else there was to do is done on the next
        turn. But if it struck us, something that OpenSSL or the transport below has returned may be
        lost, be it plaintext or ciphertext: there is no way to go on.
        """
        if self.transport is not None and was_told(error, self.transport.get_protocol()):
            self._loop.call_soon(self._catch_up)
            return
        reason = ConnectionAbortedError(errno.ECONNABORTED, "the TLS connection was interrupted")
        self.abort(reason)
        self._finish_waiter(reason)

    @repeatable
    def connection_lost(self, exc: BaseException | None) -> None:
        """The transport below is closed, whether by us or not."""
        transport = self.transport
        if transport is None:
            return
        if self._state is not CLOSED:
            self._move(Event.BROKEN)
        self._stop_timer()
        self.outbox.clear()
        transport.reading_paused = False
        failure = self._failure or exc
        self._finish_waiter(
            failure or ConnectionAbortedError("the connection was closed during the TLS handshake")
        )
        if self._caught_up_late:
            # A task that was woken by the last data must take them before the end is told: the
            # StreamReader does not know that it was woken, and it would wait for ever.
            self._loop.call_soon(transport.tell_lost, failure)
            self._failure = self.transport = self.below = None
            return
        try:
            transport.tell_lost(failure)
        finally:
            # Those that are above and below refer to us, and the failure to our frames.
            if transport.get_protocol() is None:
                self._failure = self.transport = self.below = None
