"""TLS: a protocol to the transport below, and a transport to the protocol above.

          application protocol
      data_received ▲    │ write
               SSLTransport          (tls_transport.py)
                    │    ▼
               TLSProtocol           (tls_protocol.py) OpenSSL between two buffers in memory
      buffer_updated ▲   │ write
         any asyncio.Transport       a socket's, or another SSLTransport: TLS inside of TLS

OpenSSL never sees a socket. It reads from one memory BIO, into which we put what the transport
received (tls_inbox.py), and writes into another, `_outgoing`, what the transport is to send. What
it is asked to do it does at once, or says that it must read more before (SSLWantReadError). Key
updates, renegotiations and session tickets are by-products of reading, so after each call there may
be something in `_outgoing`, and every path below ends by sending it.

The states, and what leads from one to the next, are in tls_states.py. Rules:

1. What the application writes is encrypted in OPEN and FLUSHING only; before, it waits.
2. The application hears `connection_made` on the way to OPEN (unless it was connected before, as
   with `start_tls`), data in OPEN only, `eof_received` at most once, as the last thing in OPEN and
   only if it was the peer who ended, and `connection_lost` once, after everything else.
3. The end is said by a close_notify alert (RFC 8446, section 6.1), and answered by one. A peer that
   closes its socket without a word is taken to mean the same, as asyncio does, and gets no answer:
   HTTP and others have ends of their own; those that have none cannot tell a cut from an end.
4. After our close_notify, what the peer still sends is decrypted and dropped until its own comes.
   To ask OpenSSL for the shutdown again instead, as one might, makes it fail on such data.
5. Nothing is unbounded. Towards the peer: what is encrypted waits in the transport below, to its
   high-water mark; what is not, in `outbox`, to the application's. Towards the application: while
   it pauses reading, the first 256 KiB that arrive are kept, as by asyncio, and then the transport
   below is paused. Until then a connection that breaks is noticed.
6. What is written has left, if there is room for it, when `write` returns. A program may block
   after that, or abort.

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
import ssl
from typing import Any

from miniloop.kernel.contract import Loop
from miniloop.net.tls_protocol import TLSProtocol
from miniloop.net.unread import take_from_stream_reader

__all__ = ["TLSProtocol", "start_tls"]


async def start_tls(
    loop: Loop,
    transport: Any,
    protocol: asyncio.BaseProtocol,
    sslcontext: ssl.SSLContext,
    *,
    server_side: bool = False,
    server_hostname: str | None = None,
    ssl_handshake_timeout: float | None = None,
    ssl_shutdown_timeout: float | None = None,
) -> asyncio.Transport:
    """Speak TLS on a connection that is open. Returns the transport to use from now on.

    `protocol` hears nothing of the handshake. Timeouts are in seconds. What a server's StreamReader
    has received and nobody has read counts as the beginning of the handshake.

    Raises TypeError for a wrong context or transport, ValueError for a timeout that is not
    positive, ssl.SSLError (a certificate: ssl.SSLCertVerificationError) if there is no agreement,
    ConnectionAbortedError if the handshake takes too long, ConnectionResetError if the connection
    is closed or the peer hangs up, be it before or now. The transport is closed then, as it is if
    the caller is cancelled.
    """
    if not isinstance(sslcontext, ssl.SSLContext):
        raise TypeError(f"sslcontext must be an instance of ssl.SSLContext, got {sslcontext!r}")
    if not getattr(transport, "_start_tls_compatible", False):
        raise TypeError(f"transport {transport!r} is not supported by start_tls()")
    if transport.is_closing():
        raise ConnectionResetError(f"cannot start TLS on {transport!r}: it is closing or closed")
    waiter = loop.create_future()
    tls = TLSProtocol(
        loop,
        protocol,
        sslcontext,
        waiter,
        server_side=server_side,
        server_hostname=server_hostname,
        call_connection_made=False,
        handshake_timeout=ssl_handshake_timeout,
        shutdown_timeout=ssl_shutdown_timeout,
    )
    upgraded: asyncio.Transport = tls.transport
    if server_side:
        tls.put_back(take_from_stream_reader(protocol))
    try:
        # Whoever upgrades may have paused, so that no ciphertext would reach the protocol before.
        # If not, we do: it is after a pause that a transport tells a new protocol of an old EOF.
        transport.pause_reading()
        transport.set_protocol(tls)
        tls.connection_made(transport)
        transport.resume_reading()
        await waiter
    except BaseException:
        waiter.cancel()  # if it was a write that failed, nobody waits
        transport.close()
        raise
    finally:
        del waiter  # it holds the exception, whose traceback holds this frame
    return upgraded
