"""The poller of a loop under test: instead of sleeping it has time jump, where it can.

The rule: the clock jumps to the next deadline when, and only when, nothing else can happen. That is
when the queue is empty, no socket has anything to tell, and no thread is at work. Then what is next
is the earliest of the timers' deadlines and of what is under way in the simulated network. If there
is neither, nothing can ever wake a task: `verdict` is set, and the loop is stopped.

It jumps to the deadline itself. Adding up timeouts would round, and at times counted from 1970 the
error is larger than the clock's resolution, by which a deadline may be missed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from miniloop.kernel.poller import Poller, Watch, default_poller
from miniloop.loop import EventLoop
from miniloop.study.waits import EverybodyWaits
from miniloop.testing.clock import VirtualClock
from miniloop.testing.errors import TooLong
from miniloop.testing.outside import Outside, refuse
from miniloop.testing.threads import Threads

__all__ = ["VirtualPoller"]

# While the loop has work, what threads have handed over is delivered after this many polls only: a
# program that spins until a thread is done must come to an end.
MOST_LOOKS = 100

# How many real seconds the kernel has, with real I/O, before time jumps.
PATIENCE = 0.05


class VirtualPoller(Poller):
    """Tells of a simulated network, of threads and, with `real_io`, of the kernel."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        outside: Outside | None = None,
        real_io: bool = False,
        until: float | None = None,
    ) -> None:
        super().__init__()
        self.clock = clock
        self.verdict: Callable[[], BaseException] | None = (
            None  # why the run was stopped, if it was
        )
        self.until = until
        self._outside = outside
        self._real_io = real_io
        self.patience = PATIENCE
        self._kernel: Poller | None = None
        self._loop: Any = None  # the `LoopUnderTest` that is made with this poller
        self._looks = 0
        self.threads = Threads(self._nudge)
        # The entries in the queue that came from outside, if the queue keeps such a set: it removes
        # each when it takes the entry.
        self._arrived: set[int] | None = None

    def attach(self, loop: EventLoop) -> None:
        """Serve this loop, which was made with this poller."""
        self._loop = loop
        self._arrived = getattr(loop._ready, "arrived", None)

    # Waiting.

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """What has happened; if nothing has, let time pass until something does."""
        if self._loop is None:
            return []
        while True:
            events = self._look(timeout == 0)
            if events or timeout == 0 or self._loop._ready or self._loop._stopping:
                return events
            if self.threads.busy and self._wait_for_threads():
                continue
            moment = self.next_moment()
            if self._wait_outside(moment):
                continue
            last = moment is None
            if self.threads.has_others() and self.threads.wait_for_other_threads(last):
                continue
            if moment is None:
                self.stop_with(lambda: EverybodyWaits(self._loop))
                return []
            if self.until is not None and moment > self.until:
                self.stop_with(self._too_long)
                return []
            self.clock.now = max(self.clock.now, moment)
            deadline = self._loop.timers.next_deadline()
            if deadline is not None and not deadline > self.clock.now:
                return []

    def _too_long(self) -> TooLong:
        return TooLong(f"still running after {self.until:g} seconds of virtual time")

    def _look(self, in_passing: bool) -> list[tuple[int, int]]:
        """What has happened, without waiting; `in_passing`: the loop has other work."""
        events: list[tuple[int, int]] = []
        if self._outside is not None:
            self._outside.advance(self.clock.now)
            events += self._outside.events(self.watches)
        if self._kernel is not None:
            events += self._kernel.wait(0)
        if self.threads.inbox:
            self._looks += 1
            if not in_passing or self._looks > MOST_LOOKS:
                self._looks = 0
                self.threads.settle()
                for entry in self.threads.take():
                    self._arrive(entry)
        return events

    def _arrive(self, entry: Any) -> None:
        if self._arrived is not None:
            self._arrived.add(id(entry))
        self._loop._ready.append(entry)

    def next_moment(self) -> float | None:
        """When the next timer is due, or something arrives from the simulated network."""
        moments = [self._loop.timers.next_deadline()]
        if self._outside is not None:
            moments.append(self._outside.next_event())
        return min((moment for moment in moments if moment is not None), default=None)

    def _wait_for_threads(self) -> bool:
        if self._kernel is None:
            return self.threads.wait()
        # One of them may want something of the kernel that another one waits for.
        self._hear(self._kernel, self.patience)
        return True

    def _wait_outside(self, moment: float | None) -> bool:
        """Give the kernel a chance to tell of real I/O before time jumps."""
        if self._kernel is None or not self._someone_listens():
            return False
        patience = None
        if moment is not None:
            patience = min(self.patience, max(0.0, moment - self.clock.now))
        return self._hear(self._kernel, patience)

    def _hear(self, kernel: Poller, patience: float | None) -> bool:
        events = list(kernel.wait(patience))
        if events:
            self.deliver(events, self._loop.enqueue)
        return bool(events)

    def _someone_listens(self) -> bool:
        own = self._loop.wakeup.fileno()
        return any(fd != own for fd in self.watches) or bool(self._loop._signal_handlers)

    def stop_with(self, verdict: Callable[[], BaseException]) -> None:
        """End the run: the loop stops after this turn, and then raises what `verdict` gives."""
        if self.verdict is None:
            self.verdict = verdict
        self._loop.stop()

    # Delivering.

    def deliver(self, events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]) -> None:
        """Queue the entries that are concerned, unless they are queued already, being held back."""
        arrived = self._arrived
        if arrived is None:
            super().deliver(events, enqueue)
            return
        queued = set(map(id, self._loop._ready))
        fresh = [event for event in events if not self._is_queued(event, queued)]
        super().deliver(fresh, enqueue)
        arrived.update(set(map(id, self._loop._ready)) - queued)

    def _is_queued(self, event: tuple[int, int], queued: set[int]) -> bool:
        watch = self.watches.get(event[0])
        return watch is not None and (id(watch.reader) in queued or id(watch.writer) in queued)

    # Registering.

    def listen_to_the_kernel(self) -> None:
        """Ask the kernel too from now on: for real I/O, and for signals."""
        if self._kernel is None:
            self._kernel = default_poller()
            self._kernel.watches = self.watches
            for watch in list(self.watches.values()):
                if self._outside is None or not self._outside.owns(watch.fd):
                    self._register(watch)

    def _register(self, watch: Watch) -> None:
        assert self._kernel is not None
        self.watches.pop(watch.fd, None)  # the kernel has not heard of it yet
        self._kernel._apply(watch)

    def _nudge(self) -> None:
        if self._kernel is not None and not self._loop.is_closed():
            self._loop.wakeup.wake()

    def _apply(self, watch: Watch) -> None:
        if self._outside is not None and self._outside.owns(watch.fd):
            watch.mask = watch.level_mask()
            if watch.mask:
                self.watches[watch.fd] = watch
            else:
                self.watches.pop(watch.fd, None)
            self._outside.changed(watch)
        elif self._kernel is not None:
            self._kernel._apply(watch)
        elif self._loop is None:  # the loop's own wake-up, while the loop is made
            self.watches[watch.fd] = watch
        elif watch.level_mask() == 0:
            self.watches.pop(watch.fd, None)
        elif self._real_io:
            self.listen_to_the_kernel()
            self._register(watch)
        elif watch.fd == self._loop.wakeup.fileno():
            self.watches[watch.fd] = watch
        else:
            refuse(f"watching descriptor {watch.fd}", "the kernel to tell of it")

    def _unregister(self, fd: int) -> None:
        if self._kernel is not None:
            self._kernel._unregister(fd)

    def close(self) -> None:
        """Close the kernel's poller, if there is one, and forget everybody."""
        self.watches.clear()
        if self._kernel is not None:
            self._kernel.close()
