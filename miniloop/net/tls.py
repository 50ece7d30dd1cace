"""TLS: where it stands between a transport and a protocol, and how an open connection gets it.

          application protocol
      data_received ▲    │ write
               SSLTransport          (tls_transport.py) what the application may do
                    │    ▼
               TLSProtocol           (tls_protocol.py) the rules, and OpenSSL between two buffers
      buffer_updated ▲   │ write     (tls_states.py) its states, as a table
         any asyncio.Transport       a socket's, or another SSLTransport: TLS inside of TLS

What has come and is not delivered is in tls_inbox.py, what was written and is not sent in
tls_outbox.py; what the `ssl...` arguments of a call mean is in tls_settings.py. How a connection
ends is decided in tls_protocol.py, below "The end.". Begin to read at the top of that file.

Source: the CPython documentation, `loop.start_tls`.
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
        # The caller may have paused, so that no ciphertext reaches the old protocol. If not, we
        # pause: only after a pause does a transport tell its new protocol of an earlier EOF.
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
