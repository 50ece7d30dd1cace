"""The scheduler: one turn of the loop, over and over.

A turn has four phases, always in this order:

1. **wait**: ask the kernel what has happened, and sleep there if there is nothing else to do;
2. **deliver** what happened: queue readers and writers, wake those who wait on a socket;
3. **timers**: queue those that are due;
4. **run** exactly the entries that were ready when this phase began. What they add to the queue
   runs in the next turn, so that a task that never stops yielding cannot keep the kernel waiting.

An entry is a `Handle` or a `Task`; both are run by `_run()`.

While entries are ready there is nothing to sleep for, and the first two phases (a *poll*) cost a
system call that mostly brings nothing. So a poll is followed by several turns without one: at most
`MOST_TURNS`, and none that begins later than `POLL_INTERVAL` after the poll. The clock is read
after each turn, so one slow turn ends the series, whatever the turns before it took.

Two times follow from a poll. At `next_poll` the kernel is polled again. A timer that is due after
`timer_limit` can wait for that poll; earlier ones are looked at on every turn.

Invariants:

1. `enqueue` is the one way into the ready queue for the loop's own thread.
2. `asleep` is true whenever the loop is in the kernel, or about to be, with nothing ready. Another
   thread first enqueues, then looks at `asleep`; the loop first sets `asleep`, then looks at the
   queue. One of them sees the other.
3. Everything but `call_soon_threadsafe` (and `stop`, `is_running`, `is_closed`, `time`) belongs to
   the thread that runs the loop.
4. A timer is served after the turn in which it falls due. A descriptor is served after the turn in
   which it turns ready, or after at most `POLL_INTERVAL` of turns and the one turn that was begun
   within it.
5. An exception that leaves `run_turns` (Ctrl-C, mostly) leaves nothing behind half done: see
   `recovery`.

The trap: `clock() <= deadline` is not enough to know that a timer is due. The kernel's timeout is
rounded, and a wait may end slightly before the deadline. Without the clock's resolution as a margin
the loop would spin for the rest of the time.
"""

from __future__ import annotations

import threading
import time
from asyncio import events
from collections import deque
from collections.abc import Callable, Iterable, Iterator, MutableSet
from contextvars import Context, copy_context
from itertools import islice, repeat
from math import inf
from typing import TYPE_CHECKING, Any, TypeVarTuple

from miniloop.kernel.clock import monotonic
from miniloop.kernel.eager import new_eager_task
from miniloop.kernel.future import Future, new_future
from miniloop.kernel.handle import (
    Handle,
    TimerHandle,
    new_handle,
    new_shared_handle,
    new_timer,
    passes_on,
    repeatable,
)
from miniloop.kernel.joints import Joints, Observer
from miniloop.kernel.last_words import OutlivingTasks
from miniloop.kernel.poller import Poller, default_poller
from miniloop.kernel.recovery import recover
from miniloop.kernel.registry import register_loop
from miniloop.kernel.report import logger
from miniloop.kernel.task import Task, new_task
from miniloop.kernel.timers import TimerQueue
from miniloop.kernel.wakeup import Wakeup

if TYPE_CHECKING:
    # A scheduler is the hot half of an event loop. The other half is written in `EventLoop`, which
    # no part of the kernel may import; for type checkers every scheduler has it.
    from asyncio import AbstractEventLoop as _Base
else:
    _Base = object

__all__ = ["Scheduler"]

Ts = TypeVarTuple("Ts")

# The most turns in a row without a poll: a poll takes 300 ns, which is 5 ns for each of 64 turns.
# I/O that arrives during such a series of the shortest turns waits for up to 20 µs.
MOST_TURNS = 64

# Seconds. It bounds how long I/O waits, and another thread for the interpreter, while turns are
# short; a poll once in this time takes less than 1 % of it.
POLL_INTERVAL = 50e-6

# Beyond so many entries in a turn, an iterator that counts them costs less than counting here:
# see docs/decisions/hot_paths.py.
MANY = 8

# `epoll_wait` takes milliseconds in a C int; a day is well within it, and a loop that wakes up
# once a day for nothing is idle enough.
LONGEST_WAIT = 24 * 3600.0


class Scheduler(_Base):
    """Runs entries when they are ready, timers when they are due, and waits when there is neither.

    `poller` finds out about file descriptors; `clock` tells the time in seconds and must never go
    backwards; `ready` is the queue of what is to run, so that a subclass of `deque` can look on, or
    choose another order.
    """

    __slots__ = (
        "__weakref__",
        "_begin_turn",
        "_clock",
        "_clock_may_leap",
        "_closed",
        "_observers",
        "_ready",
        "_rejoining",
        "_resolution",
        "_stopping",
        "_thread_id",
        "asleep",
        "enqueue",
        "hand_over",
        "handle_type",
        "make_eager_task",
        "make_future",
        "make_handle",
        "make_shared_handle",
        "make_task",
        "make_timer",
        "needs_recovery",
        "next_poll",
        "poller",
        "tasks",
        "timer_limit",
        "timers",
        "wakeup",
    )

    def __init__(
        self,
        *,
        poller: Poller | None = None,
        clock: Callable[[], float] = monotonic,
        ready: deque[Any] | None = None,
    ) -> None:
        self._ready: deque[Any] = deque() if ready is None else ready
        self.enqueue: Callable[[Any], object] = self._ready.append
        self.hand_over: Callable[[Any], object] = self._ready.append
        # Gives how many entries the next turn is to run. A queue may decide that itself.
        self._begin_turn: Callable[[deque[Any]], int] = getattr(type(ready), "begin_turn", len)
        self.make_eager_task: Callable[..., Task[Any]] = new_eager_task
        self._observers: tuple[Observer, ...] = ()
        self._rejoining = False  # `run_turns` is to end, and to be called again: parts have changed
        self.timers = TimerQueue()
        # All tasks that are not done. There may be no other reference to them.
        self.tasks: MutableSet[Task[Any]] = set()
        register_loop(self)
        self.use_makers(Handle, new_handle, new_timer, new_future, new_task)
        self.asleep = False
        self.use_clock(clock)
        self._resolution = time.get_clock_info("monotonic").resolution
        self._thread_id: int | None = None
        self._stopping = False
        self._closed = False
        self.needs_recovery = False  # an exception has interrupted the loop's own code
        # Last: these take file descriptors, which must be closed if something fails.
        self.poller = default_poller() if poller is None else poller
        try:
            self.wakeup = Wakeup()
            try:
                self._watch_wakeup()
            except BaseException:
                self.wakeup.close()
                raise
        except BaseException:
            if poller is None:
                self.poller.close()
            raise

    def _watch_wakeup(self) -> None:
        drain = new_handle(self._drain_wakeup, (), self, Context())
        self.poller.watch_reader(self.wakeup.fileno(), drain)

    @passes_on
    @repeatable
    def _drain_wakeup(self) -> None:
        try:
            self.wakeup.drain()
        except OSError as error:
            self._replace_wakeup(error)

    def _replace_wakeup(self, error: OSError) -> None:
        """The wake-up descriptor is broken, and would be reported as readable on every turn."""
        message = "the wake-up descriptor of the loop failed and was replaced"
        self.poller.forget(self.wakeup.fileno())
        try:
            self.wakeup.replace()
            self._watch_wakeup()
        except OSError as problem:
            problem.__cause__, error = error, problem
            message = "the wake-up descriptor of the loop failed: threads cannot wake it any more"
        self.call_exception_handler({"message": message, "exception": error})

    def use_makers(
        self,
        handle_type: type[Handle],
        handle: Callable[..., Handle],
        timer: Callable[..., TimerHandle],
        future: Callable[[Any], Future[Any]],
        task: Callable[..., Task[Any]],
        shared_handle: Callable[..., Handle] = new_shared_handle,
    ) -> None:
        """Set what makes handles, timers, futures and tasks: the joint that debug mode uses.

        `call_soon` makes its handles itself, of `handle_type`; `enqueue` can do more to them.
        `shared_handle` makes those of `call_soon_threadsafe`.
        """
        self.handle_type = handle_type
        self.make_handle = handle
        self.make_shared_handle = shared_handle
        self.make_timer = timer
        self.make_future = future
        self.make_task = task

    def use_clock(self, clock: Callable[[], float]) -> None:
        """Set the clock, in seconds: the joint for virtual clocks.

        Such a clock may leap between two turns, so every timer is looked at on every turn, unless
        the clock is the system's own.
        """
        self._clock = clock
        self._clock_may_leap = clock is not monotonic
        # Both were times of the old clock: poll after this turn, look at every timer until then.
        self.next_poll = -inf
        self.timer_limit = inf

    def observe(self, observer: Observer) -> None:
        """Put an observer in, round those that are in: see `joints`. Also while the loop runs.

        Raises RuntimeError if the loop is closed.
        """
        self._check_closed()
        self._observers = (*self._observers, observer)
        self._rejoin()

    def unobserve(self, observer: Observer) -> None:
        """Take an observer out again. Raises ValueError if it is not in."""
        kept = list(self._observers)
        kept.remove(observer)
        self._observers = tuple(kept)
        self._rejoin()

    def _rejoin(self) -> None:
        """Call from now on what the observers want to be called."""
        if not self._closed:
            self.use_joints(self._join())
        if self.is_running() and not self._stopping:
            self._rejoining = self._stopping = True

    def use_joints(self, joints: Joints) -> None:
        """Use those joints that `run_turns` does not look up itself."""
        self.enqueue = joints.append
        self.hand_over = joints.hand_over
        self.make_eager_task = joints.make_eager_task

    def _join(self) -> Joints:
        ready, poller = self._ready, self.poller
        joints = Joints(
            append=ready.append,
            hand_over=ready.append,
            wait=poller.wait,
            deliver=poller.deliver,
            begin_turn=self._begin_turn,
            before_taking=None,
            take=type(ready).popleft,
            make_eager_task=new_eager_task,
        )
        for observer in self._observers:
            joints = observer.join(joints)
        return joints

    # Scheduling.

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """Call `callback(*args)` on the next turn, after whatever is ready already.

        Raises RuntimeError if the loop is closed.
        """
        # As `new_handle` does, without the call, which takes a tenth of the time of this.
        handle = self.handle_type()
        handle._callback = callback
        handle._args = args
        handle._loop = self
        handle._context = copy_context() if context is None else context
        self.enqueue(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> Handle:
        """Like `call_soon`, from any thread; wakes the loop if it sleeps.

        Raises RuntimeError if the loop is closed.
        """
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = self.make_shared_handle(
            callback, args, self, copy_context() if context is None else context
        )
        self.hand_over(handle)  # not `enqueue`, which belongs to the loop's thread
        if self.asleep:
            self.asleep = False  # one wake-up is enough for everybody
            if not self.wakeup.wake():
                self.asleep = True  # so that the next caller tries again
                logger.warning("%r could not be woken: %r waits for what wakes it", self, handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Call `callback(*args)` in `delay` seconds."""
        if delay is None:
            raise TypeError("delay must be a number of seconds, got None")
        if self._closed:
            raise RuntimeError("Event loop is closed")
        when = self._clock() + delay
        handle = self.make_timer(
            when, callback, args, self, copy_context() if context is None else context
        )
        soon = delay < POLL_INTERVAL  # first of all, as it fails for what is no number
        self.timers.add(handle)
        if soon:
            # It may be due before the next poll.
            self.timer_limit = max(self.timer_limit, when)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        """Call `callback(*args)` when `loop.time()` reaches `when` (seconds)."""
        if when is None:
            raise TypeError("when must be a time in seconds on the loop's clock, got None")
        if self._closed:
            raise RuntimeError("Event loop is closed")
        handle = self.make_timer(
            when, callback, args, self, copy_context() if context is None else context
        )
        soon = when - self._clock() < POLL_INTERVAL
        self.timers.add(handle)
        if soon:
            self.timer_limit = max(self.timer_limit, when)
        return handle

    def create_future(self) -> Future[Any]:
        """A future that belongs to this loop."""
        return self.make_future(self)

    def watch_reader(
        self,
        fd: int,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        """Call `callback(*args)` on every turn on which `fd` is readable, until `unwatch_reader`.

        For transports: `add_reader` is the user's door, and keeps users off transports' sockets.
        """
        self._check_closed()
        handle = self.make_handle(
            callback, args, self, copy_context() if context is None else context
        )
        replaced = self.poller.watch_reader(fd, handle)
        if replaced is not None:
            replaced.cancel()
        return handle

    def watch_writer(
        self,
        fd: int,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        """Call `callback(*args)` on every turn on which `fd` is writable; like `watch_reader`."""
        self._check_closed()
        handle = self.make_handle(
            callback, args, self, copy_context() if context is None else context
        )
        replaced = self.poller.watch_writer(fd, handle)
        if replaced is not None:
            replaced.cancel()
        return handle

    def unwatch_reader(self, fd: int) -> bool:
        """Stop watching `fd` for reading; a call that is queued already does not happen.

        Returns False if it was not watched.
        """
        if self._closed:
            return False
        entry = self.poller.unwatch_reader(fd)
        if entry is None:
            return False
        entry.cancel()
        return True

    def unwatch_writer(self, fd: int) -> bool:
        """Stop watching `fd` for writing; like `unwatch_reader`."""
        if self._closed:
            return False
        entry = self.poller.unwatch_writer(fd)
        if entry is None:
            return False
        entry.cancel()
        return True

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd` in both directions: its owner is about to close it."""
        if not self._closed:
            for entry in self.poller.forget(fd):
                if entry is not None:
                    entry.cancel()

    def time(self) -> float:
        """The loop's clock, in seconds from an arbitrary start; it never goes backwards."""
        return self._clock()

    # Running.

    def run_turns(self) -> None:
        """Turn until told to stop. The turn in which the stop arrives is finished.

        To run one turn by hand, stop first: `loop.stop(); loop.run_forever()`.

        This is the hottest function of the package, and so one function: a call for each phase
        would cost an idle turn a fifth of its time.
        """
        ready = self._ready
        poller = self.poller
        wait: Callable[[float | None], Iterable[tuple[int, int]]] = poller.wait
        deliver: Callable[[Iterable[tuple[int, int]], Callable[[Any], object]], object]
        deliver = poller.deliver
        begin_turn = self._begin_turn
        # Takes from the queue without a call, in which Ctrl-C could strike: an entry that was taken
        # is in `entry` and nowhere else. It is also faster in short turns.
        taken = map(type(ready).popleft, repeat(ready))
        if self._observers:
            joints = self._join()
            wait = joints.wait
            deliver = joints.deliver
            begin_turn = joints.begin_turn
            chosen: Iterator[deque[Any]] = repeat(ready)
            if joints.before_taking is not None:
                chosen = map(joints.before_taking, chosen)
            taken = map(joints.take, chosen)
        entry = None
        timers = self.timers
        entries = timers.entries
        enqueue = self.enqueue
        resolution = self._resolution
        turns = range(MOST_TURNS)

        try:
            if self.needs_recovery:
                recover(self, None, KeyboardInterrupt())
            while True:
                # 1. Wait.
                if ready or self._stopping:
                    arrived = wait(0)
                else:
                    timeout = None
                    if entries and (deadline := timers.next_deadline()) is not None:
                        timeout = min(max(0.0, deadline - self._clock()), LONGEST_WAIT)
                    self.asleep = True
                    # A thread may have enqueued before it could see that we are asleep.
                    arrived = wait(0 if ready else timeout)
                    self.asleep = False
                now = self._clock()
                self.next_poll = next_poll = now + POLL_INTERVAL
                self.timer_limit = inf if self._clock_may_leap else next_poll
                # 2. Deliver.
                if arrived:
                    deliver(arrived, enqueue)
                for _ in turns:
                    # 3. Timers. Those due after the limit can wait for the next poll.
                    # (Not `<=`: a timer at NaN is due at once, and must not hold up others.)
                    if entries and not entries[0][0] > self.timer_limit:
                        timers.pop_due(self._clock() + resolution, enqueue)
                    # 4. Run.
                    count = begin_turn(ready)
                    if count > MANY:
                        for entry in islice(taken, count):
                            entry._run()
                    elif count:
                        for entry in taken:
                            entry._run()
                            count -= 1
                            if not count:
                                break
                    entry = None  # so that it can be collected now
                    if self._stopping:
                        return
                    if not ready or self._clock() > self.next_poll:
                        break
        except BaseException as error:
            recover(self, entry, error)
            raise

    def run_forever(self) -> None:
        """Run until `stop` is called.

        Raises RuntimeError if the loop is closed, runs already, or another one runs in this thread.
        """
        self._check_closed()
        self._check_can_run()
        try:
            self._thread_id = threading.get_ident()
            events._set_running_loop(self)
            self.run_turns()
            while self._rejoining:
                self._rejoining = self._stopping = False
                self.run_turns()
        finally:
            self.asleep = False
            self._rejoining = self._stopping = False
            for observer in self._observers:
                observer.run_ended()
            self._thread_id = None
            events._set_running_loop(None)  # none ran before: see `_check_can_run`

    def stop(self) -> None:
        """Stop `run_forever` at the end of this turn, or of its first one if it is not running."""
        self._stopping = True
        self._rejoining = False

    def is_running(self) -> bool:
        """True while `run_forever` is on some thread's stack."""
        return self._thread_id is not None

    def is_closed(self) -> bool:
        """True once `close` was called."""
        return self._closed

    def close(self) -> None:
        """Drop what is queued and give the kernel's objects back. Doing it twice does nothing.

        Raises RuntimeError if the loop is running.
        """
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self._closed:
            return
        self._closed = True
        self.enqueue = self.hand_over = _refuse
        self._ready.clear()
        self.timers.clear()
        self.tasks = OutlivingTasks(self.tasks)  # there is nothing left to hold them for
        self.poller.unwatch_reader(self.wakeup.fileno())
        self.poller.close()
        self.wakeup.close()

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Handle an exception that nothing else can catch."""
        raise NotImplementedError

    def _check_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    def _check_can_run(self) -> None:
        if self.is_running():
            raise RuntimeError("This event loop is already running")
        if events._get_running_loop() is not None:
            raise RuntimeError("Cannot run the event loop while another loop is running")


def _refuse(entry: Any) -> None:
    """The `enqueue` of a closed loop."""
    raise RuntimeError("Event loop is closed")
