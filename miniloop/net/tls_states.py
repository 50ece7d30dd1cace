"""The states of a TLS connection, and what leads from one to the next.

`miniloop.net.tls` says what is done on the way; this table says which ways there are. An event that
a state has no entry for cannot happen in it, so that a mistake is a KeyError and not a surprise.

    NEW ── CONNECTED ──▶ HANDSHAKE ── AGREED ──▶ OPEN ── CLOSE, PEER_DONE ──▶ FLUSHING
                                      CLOSED ◀── PEER_DONE ── CLOSING ◀── FLUSHED ──┘
"""

from __future__ import annotations

import enum

__all__ = ["CLOSED", "CLOSING", "FLUSHING", "HANDSHAKE", "NEW", "OPEN", "TRANSITIONS"]
__all__ += ["Event", "State"]


class State(enum.Enum):
    """Where a connection stands."""

    NEW = "new"
    HANDSHAKE = "in handshake"
    OPEN = "open"
    FLUSHING = "flushing"  # the application writes no more; what it has written is being sent
    CLOSING = "closing"  # our close_notify is sent, and the peer's awaited
    CLOSED = "closed"  # the transport below is told to close, or gone


class Event(enum.Enum):
    """What happens to a connection."""

    CONNECTED = enum.auto()  # the transport below is there
    AGREED = enum.auto()  # the handshake is done
    CLOSE = enum.auto()  # the application wants to end
    PEER_DONE = enum.auto()  # the peer will send no more, and the application has all it sent
    FLUSHED = enum.auto()  # the last byte of the application is encrypted
    BROKEN = enum.auto()  # an error, an abort, a timeout, or the transport below is gone


# By these names they are a global's look-up away, on paths that every message takes.
NEW, HANDSHAKE, OPEN, FLUSHING, CLOSING, CLOSED = State

TRANSITIONS: dict[State, dict[Event, State]] = {
    NEW: {Event.CONNECTED: HANDSHAKE, Event.BROKEN: CLOSED},
    HANDSHAKE: {Event.AGREED: OPEN, Event.BROKEN: CLOSED},
    OPEN: {Event.CLOSE: FLUSHING, Event.PEER_DONE: FLUSHING, Event.BROKEN: CLOSED},
    FLUSHING: {Event.FLUSHED: CLOSING, Event.BROKEN: CLOSED},
    CLOSING: {Event.PEER_DONE: CLOSED, Event.BROKEN: CLOSED},
    CLOSED: {},
}
