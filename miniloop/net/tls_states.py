"""The states of a TLS connection: what leads from one to the next, and what may be true in each.

`miniloop.net.tls_protocol` says what is done at each transition; this file says which there are. An
event for which a state has no entry cannot happen in that state: if it does, that is a KeyError.

    NEW ─ CONNECTED ─▶ HANDSHAKE ─ AGREED ─▶ OPEN ─── CLOSE ──▶ FLUSHING ── FLUSHED ─▶ CLOSING
                                               │                    │                     │
                                           PEER_DONE            PEER_DONE             PEER_DONE
                                               ▼                    ▼                     ▼
                                             TOLD ─── CLOSE ──▶ ANSWERING ─ FLUSHED ─▶ CLOSED

From left to right our side ends, from top to bottom the peer's. BROKEN leads from every other state
to CLOSED. A test reads this drawing and compares it with the table.
"""

from __future__ import annotations

import enum

__all__ = ["ENDING", "FLAGS", "SENDING", "TRANSITIONS", "Event", "State"]
__all__ += ["ANSWERING", "CLOSED", "CLOSING", "FLUSHING", "HANDSHAKE", "NEW", "OPEN", "TOLD"]


class State(enum.Enum):
    """Where a connection stands."""

    NEW = "new"
    HANDSHAKE = "in handshake"
    OPEN = "open"
    TOLD = "told of the end"  # the peer will send no more; the application is being told
    FLUSHING = "flushing"  # the application writes no more; what it has written is being sent
    ANSWERING = "answering"  # the same, and the peer will send no more
    CLOSING = "closing"  # our close_notify is sent, and the peer's awaited
    CLOSED = "closed"  # the transport below is to close, or gone


class Event(enum.Enum):
    """What happens to a connection."""

    CONNECTED = enum.auto()  # the transport below is there
    AGREED = enum.auto()  # the handshake is done
    CLOSE = enum.auto()  # the application wants to end, or has been told that the peer does
    PEER_DONE = enum.auto()  # the peer will send no more, and the application has all it sent
    FLUSHED = enum.auto()  # the last byte of the application is encrypted, and our close_notify
    BROKEN = enum.auto()  # an error, an abort, a timeout, or the transport below is gone


# As globals they are found faster, on paths that every message takes.
NEW, HANDSHAKE, OPEN, TOLD, FLUSHING, ANSWERING, CLOSING, CLOSED = State

TRANSITIONS: dict[State, dict[Event, State]] = {
    NEW: {Event.CONNECTED: HANDSHAKE, Event.BROKEN: CLOSED},
    HANDSHAKE: {Event.AGREED: OPEN, Event.BROKEN: CLOSED},
    OPEN: {Event.CLOSE: FLUSHING, Event.PEER_DONE: TOLD, Event.BROKEN: CLOSED},
    TOLD: {Event.CLOSE: ANSWERING, Event.BROKEN: CLOSED},
    FLUSHING: {Event.FLUSHED: CLOSING, Event.PEER_DONE: ANSWERING, Event.BROKEN: CLOSED},
    ANSWERING: {Event.FLUSHED: CLOSED, Event.BROKEN: CLOSED},
    CLOSING: {Event.PEER_DONE: CLOSED, Event.BROKEN: CLOSED},
    CLOSED: {},
}

# Groups of states. What is written is encrypted in the first; it is too late to write in the other.
SENDING = (OPEN, TOLD, FLUSHING, ANSWERING)
ENDING = (FLUSHING, ANSWERING, CLOSING, CLOSED)

# What else may be true of a connection, by the attribute of `TLSProtocol` that says so, and in
# which states it may be. Between two calls it is true in no other: tests look after each call.
FLAGS: dict[str, tuple[State, ...]] = {
    # The handshake was done. True in all these, but in CLOSED only if OPEN came before.
    "agreed": (OPEN, TOLD, FLUSHING, ANSWERING, CLOSING, CLOSED),
    # The peer's close_notify has been read, or the transport below has received its last byte. In
    # OPEN only while the application pauses reading: it is told when it reads again.
    "inbox.ended": (OPEN, TOLD, ANSWERING, CLOSED),
    "below_eof": (OPEN, TOLD, ANSWERING, CLOSED),
    # The application pauses reading.
    "transport.reading_paused": (NEW, HANDSHAKE, OPEN, TOLD),
    # We have paused the transport below, since much has come meanwhile.
    "below_paused": (OPEN, TOLD, CLOSED),
    # The transport below has more than it wants to send; what is written waits in `outbox`.
    "below_full": (HANDSHAKE, OPEN, TOLD, FLUSHING, ANSWERING, CLOSING, CLOSED),
}
