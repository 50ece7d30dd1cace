"""TCP, as far as a program can notice it: what a kernel keeps of a connection.

    fresh --listen--> listening
    fresh --connect--> connecting --answer--> open --both sides finished--> over
                          |                     |
                          +--refused, timeout---+--reset, timeout--> over, with an error

An `End` is one side of a connection. What is written to it waits in the outbox, as long as the peer
has room, and travels in segments. What arrives waits in the inbox until it is read; then the peer
learns that there is room again. Both have a limit, so a peer that does not read stops the writer.

Rules, each of which a program notices:

1. Bytes arrive in order and once, or the connection ends with an error.
2. An end that closes with data unread, or gets data after closing, sends a reset (RFC 2525, 2.17).
3. What had arrived before a reset can still be read; then ECONNRESET is told once.
4. Two full buffers hold what `SO_SNDBUF` and `SO_RCVBUF` say, 64 KiB each unless told otherwise.

What is not here: congestion control, the Nagle algorithm, keep-alive, TIME_WAIT, urgent data.

Source: RFC 9293; tcp(7), socket(7).
"""

from __future__ import annotations

import errno
from collections import deque
from functools import partial
from typing import Any

from miniloop.kernel.poller import HALF_CLOSED, READ, WRITE
from miniloop.testing.network.contract import ERROR, HANGUP, Address, Station
from miniloop.testing.network.socket_errors import PendingError, error_of, would_block
from miniloop.testing.network.wire import Flight, Passage

__all__ = ["BUFFER_SIZE", "End", "Queue"]

# Bytes, of each buffer.
BUFFER_SIZE = 64 * 1024

# Bytes that travel together. Fewer events, and still several for a long message.
SEGMENT = 16 * 1024
HEADER = 40

# Seconds, after the first try to connect: the further ones, and when to give up. Linux, with
# tcp_syn_retries = 6.
SYN_RETRIES = (1.0, 3.0, 7.0, 15.0, 31.0, 63.0)
SYN_TIMEOUT = 127.0

# Seconds until a host that nobody has is found not to answer: ARP, on Linux.
UNREACHABLE_AFTER = 3.0


class Queue:
    """A listening port: connections that nobody has accepted yet."""

    def __init__(self, backlog: int, notify: Any) -> None:
        self.backlog = backlog
        self.notify = notify
        self.ready: deque[End] = deque()
        self.on_the_way = 0  # answered, and not complete

    def is_full(self) -> bool:
        """Whether a further one is turned away. As Linux counts: one more than was asked for."""
        return len(self.ready) + self.on_the_way > self.backlog

    def events(self) -> int:
        """What poll(2) would say, in the bits of epoll."""
        return READ if self.ready else 0


class End(PendingError):
    """One side of a connection, as its kernel has it."""

    def __init__(self, machine: Station, local: Address, remote: Address) -> None:
        super().__init__()
        self.machine = machine
        self.local, self.remote = local, remote
        self.peer: End | None = None
        self.state = "connecting"
        self.notify: Any = _nobody
        # Receiving.
        self.inbox = bytearray()
        self.receive_size = BUFFER_SIZE
        self.peer_done = False
        self.read_shut = False
        # Sending.
        self._outbox = bytearray()
        self.send_size = BUFFER_SIZE
        self._unacknowledged = 0
        self._credit = 0  # how much more the peer has room for
        self._done = False  # nothing more will be written
        self._done_sent = False
        self._done_acknowledged = False
        self.orphaned = False  # the program has closed it
        self._passage: Passage | None = None
        self._wakes_at = 0.0  # a slow reader looks again then
        self._later: list[Flight] = []  # further tries to connect, and the end of them

    # Connecting.

    def connect(self) -> None:
        """Send the first packet."""
        wire = self.machine.wire
        target = self.machine.find(self.remote[0])
        if target is None:
            self._later = [wire.after(UNREACHABLE_AFTER, lambda: self._refused(errno.EHOSTUNREACH))]
            return
        self._later = [wire.after(delay, lambda: self._knock(target)) for delay in SYN_RETRIES]
        self._later.append(wire.after(SYN_TIMEOUT, lambda: self._refused(errno.ETIMEDOUT)))
        self._knock(target)

    def _answer_is_here(self) -> None:
        """Nothing is tried any more."""
        for flight in self._later:
            flight.cancel()
        self._later = []

    def _knock(self, target: Station) -> None:
        if self.state != "connecting" or self.peer is not None:
            return
        road = self.machine.road_to(target)
        self.machine.wire.at(road.arrival(HEADER), lambda: self._knocked(target))

    def _knocked(self, target: Station) -> None:
        if self.state != "connecting" or self.peer is not None:
            return
        if self.machine.road_to(target).obstacles:
            return  # lost; there are further tries
        back = target.road_to(self.machine)
        queue = target.listening(self.remote)
        if queue is None:
            target.wire.at(back.arrival(HEADER), lambda: self._answered(back, errno.ECONNREFUSED))
            return
        if queue.is_full():
            return  # dropped, as Linux does: a later try may find room
        peer = End(target, self.remote, self.local)
        peer.peer, self.peer = self, peer
        peer.state = "open"
        peer._passage = Passage(back, peer._timed_out)
        peer._credit = self.receive_size
        queue.on_the_way += 1
        peer._passage.send(HEADER, lambda: self._welcomed(queue), insist=True)

    def _answered(self, back: Any, error: int) -> None:
        if not back.obstacles:
            self._refused(error)

    def _welcomed(self, queue: Queue) -> None:
        peer = self.peer
        assert peer is not None
        queue.on_the_way -= 1
        self._answer_is_here()
        if self.state != "connecting":  # closed meanwhile
            peer.state = "over"
            return
        self.state = "open"
        self._passage = Passage(self.machine.road_to(peer.machine), self._timed_out)
        self._credit = peer.receive_size
        self.machine.ends[self.local, self.remote] = self
        self._passage.send(HEADER, lambda: peer._complete(queue), insist=True)
        self.notify()
        self._pump()

    def _complete(self, queue: Queue) -> None:
        if self.state == "over" or self.machine.listening(self.local) is not queue:
            self.reset()
            return
        self.machine.ends[self.local, self.remote] = self
        queue.ready.append(self)
        queue.notify()

    def _refused(self, error: int) -> None:
        if self.state == "connecting":
            self._fail(error)

    # What a program may ask.

    def events(self) -> int:
        """What poll(2) would say, in the bits of epoll."""
        if self.state == "connecting":
            return 0
        found = 0
        no_more = self.peer_done or self.read_shut or self.state == "over"
        if no_more:
            found |= READ | HALF_CLOSED
        elif self.readable():
            found |= READ
        if self.state == "over" or self._done or 2 * self._room() >= self._used():
            found |= WRITE
        if self.state == "over" or (no_more and self._done):
            found |= HANGUP
        if self.error:
            found |= ERROR | READ | WRITE
        return found

    def readable(self) -> int:
        """How many bytes can be read now."""
        if not self.inbox:
            return 0
        allowed = self.machine.reading.allowed()
        if allowed is None:
            return len(self.inbox)
        if allowed < 1:
            self._look_again()
        return min(len(self.inbox), allowed)

    def _look_again(self) -> None:
        wire = self.machine.wire
        if self._wakes_at <= wire.clock():
            self._wakes_at = self.machine.reading.next_time(len(self.inbox))
            wire.at(self._wakes_at, lambda: self.notify())

    def receive(self, size: int, *, peek: bool = False) -> bytes:
        """Up to `size` bytes; none at the end. Raises OSError; BlockingIOError if none are here."""
        if size == 0:
            return b""
        if not self.inbox:
            if self.peer_done:
                return b""
            self.raise_error()
            if self.read_shut or self.state == "over":
                return b""
            raise would_block()
        count = min(size, self.readable())
        if not count:
            raise would_block()
        data = bytes(self.inbox[:count])
        if not peek:
            del self.inbox[:count]
            self.machine.reading.took(count)
            peer = self.peer
            if self.state == "open" and peer is not None and self._passage is not None:
                self._passage.send(HEADER, lambda: peer._may_send(count), insist=False)
        return data

    def send(self, data: memoryview) -> int:
        """Take as much as there is room for. Raises OSError; BlockingIOError if there is none."""
        self.raise_error()
        if self._done or self.state == "over":
            raise error_of(errno.EPIPE)
        count = min(len(data), self._room())
        if not count and len(data):
            raise would_block()
        self._outbox += data[:count]
        self._pump()
        return count

    def finish(self) -> None:
        """`shutdown(SHUT_WR)`: the peer is told of the end, once it has all the rest."""
        if not self._done:
            self._done = True
            self._pump()

    def finish_reading(self) -> None:
        """`shutdown(SHUT_RD)`: as on Linux, what comes all the same can be read."""
        self.read_shut = True
        self.notify()

    def close(self, *, at_once: bool = False) -> None:
        """The program closes it. What was written is still sent, unless something is unread."""
        self.orphaned = True
        self.notify = _nobody
        if self.state == "connecting":
            self.state = "over"
            self._answer_is_here()
            self.machine.release(self)
        elif self.state == "open":
            if self.inbox or at_once:
                self.reset()
            else:
                self.finish()
                self._perhaps_over()

    def reset(self) -> None:
        """End the connection; the peer is told so by a reset."""
        peer = self.peer
        if peer is not None and self._passage is not None:
            self._passage.send(HEADER, peer.was_reset, insist=False)
        self._end()

    # What happens on the network.

    def _used(self) -> int:
        return len(self._outbox) + self._unacknowledged

    def _room(self) -> int:
        return max(0, self.send_size - self._used())

    def _pump(self) -> None:
        """Send what there is, as far as the peer has room."""
        peer, passage = self.peer, self._passage
        if peer is None or passage is None or self.state != "open":
            return
        while self._outbox and self._credit > 0:
            count = min(len(self._outbox), self._credit, SEGMENT)
            segment = bytes(self._outbox[:count])
            del self._outbox[:count]
            self._credit -= count
            self._unacknowledged += count
            passage.send(HEADER + count, partial(peer._arrived, segment), insist=True)
        if self._done and not self._done_sent and not self._outbox:
            self._done_sent = True
            passage.send(HEADER, peer._peer_finished, insist=True)
            self.notify()

    def _arrived(self, segment: bytes) -> None:
        peer, passage = self.peer, self._passage
        assert peer is not None
        if self.state == "over" or self.orphaned or passage is None:
            self._answer_by_reset()
            return
        if self.read_shut and self._done_sent:  # nobody could ever use it, or answer
            passage.send(HEADER, peer.was_reset, insist=False)
            self.was_reset()
            return
        self.inbox += segment
        count = len(segment)
        passage.send(HEADER, lambda: peer._acknowledged(count), insist=False)
        self.notify()

    def _answer_by_reset(self) -> None:
        if self.state != "over":
            self.reset()
        elif self.peer is not None:
            # By whoever has our address now: we may have crashed, and been started again.
            answer = Passage(self.machine.road_to(self.peer.machine), _nobody)
            answer.send(HEADER, self.peer.was_reset, insist=False)

    def _acknowledged(self, count: int) -> None:
        self._unacknowledged = max(0, self._unacknowledged - count)
        self.notify()
        self._perhaps_over()

    def _may_send(self, count: int) -> None:
        self._credit += count
        self._pump()
        self.notify()

    def _peer_finished(self) -> None:
        if self.state == "over":
            self._answer_by_reset()
            return
        self.peer_done = True
        peer, passage = self.peer, self._passage
        if peer is not None and passage is not None:
            passage.send(HEADER, peer._end_acknowledged, insist=False)
        self.notify()
        self._perhaps_over()

    def _end_acknowledged(self) -> None:
        self._done_acknowledged = True
        self._perhaps_over()

    def hear_end(self) -> None:
        """Something between the two has told this side that the other has finished."""
        if self.state == "open":
            self.peer_done = True
            self.notify()

    def was_reset(self) -> None:
        """The peer, or something on the way, has broken the connection."""
        if self.state != "over":
            # An end that has read the end of file, and has not finished, gets EPIPE.
            in_half = self.peer_done and not self._done_sent
            self._fail(errno.EPIPE if in_half else errno.ECONNRESET)

    def _timed_out(self) -> None:
        self._fail(errno.ETIMEDOUT)

    def vanish(self) -> None:
        """The machine has lost its power: nobody is told."""
        if self._passage is not None:
            self._passage.close()
        self.inbox.clear()
        self._fail(errno.ENETDOWN)

    def _fail(self, error: int) -> None:
        if self.state != "over":
            self.error = error
            self._end()

    def _end(self) -> None:
        self.state = "over"
        self._answer_is_here()
        self._outbox.clear()
        self._unacknowledged = 0
        self.machine.release(self)
        self.notify()

    def _perhaps_over(self) -> None:
        if self.peer_done and self._done_acknowledged and self.state == "open":
            self._end()


def _nobody() -> None:
    """Whom to tell of changes when the program has closed it."""
