"""The recorder: notes what one loop does, as an observer of its joints.

It notes numbers in a list, and leaves it to the reader to make sense of them: see `records`.
The program waits for each line of this file, so the most frequent step of all, that of a task which
gives way, takes two calls.

Rules:

1. Nothing that is observed may change by it: no object is kept alive that would be gone, no
   attribute of the program's objects is asked for, no name is given to a task.
2. A record is written in one call, `put`, which no other thread and no signal interrupts.
3. Why an entry is queued is seen from who calls `enqueue`.

A step has no end of its own that could be observed. It is over when the next entry is about to be
taken, or when the turn is; nothing of the program can come in between.

The trap: a recorder that is put in by a running entry does not see which entries run in the rest of
that turn, as they are taken from the queue without it. Until the next turn begins it asks who runs.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from types import CoroutineType, FrameType, MethodType
from typing import Any
from weakref import finalize

from miniloop.kernel.contract import Joints
from miniloop.kernel.future import CANCELLED, PENDING
from miniloop.kernel.poller import READ, WRITE
from miniloop.kernel.registry import current_tasks
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop
from miniloop.study.numbering import Numbers, describe_error, is_task, nanoseconds
from miniloop.study.places import SLEEP, Places
from miniloop.study.queueing import note_why_queued
from miniloop.study.records import (
    BEGUN,
    BY_CANCEL,
    BY_EXCEPTION,
    BY_RESULT,
    CALLED,
    CLOCK,
    CURRENT,
    EAGER,
    GAVE_WAY,
    HANDED,
    LOOKED,
    QUEUED_BEFORE,
    READY,
    REST,
    RETURNED,
    SWEPT,
    TASK_ENDED,
    THERE,
    TIMER,
    TIMER_BEFORE,
    TURN,
    WAIT,
    WAITS,
    WOKE,
)
from miniloop.study.timers import ObservedTimers
from miniloop.system.executor import CallInThread

__all__ = ["Recorder"]

_getframe = sys._getframe

# A block of so many numbers is written when a turn begins.
BLOCK = 1 << 14

# Nanoseconds. A sleep finds on disk what has happened before it, unless the last time was later.
WRITE_EVERY = 100_000_000


class Recorder:
    """Notes what `loop` does.

    `write(records, turns, steps)` is given the records, a block of them at a time; `places` numbers
    the lines of the program. Times are nanoseconds since `origin`, a time of
    `perf_counter_ns`. A block has no more than `most_turns` turns.
    """

    __slots__ = (
        "__weakref__",
        "_append",
        "_before_taking",
        "_begin_turn",
        "_by_address",
        "_deliver",
        "_entry",
        "_flushing",
        "_hand_over",
        "_in_ring",
        "_last",
        "_log",
        "_make_eager_task",
        "_most_turns",
        "_origin",
        "_partial",
        "_seen_current",
        "_sleeps",
        "_steps",
        "_take",
        "_turn",
        "_turns",
        "_wait",
        "_write",
        "_written",
        "finished",
        "loop",
        "numbers",
        "places",
        "put",
    )

    def __init__(
        self,
        loop: EventLoop,
        places: Places,
        write: Callable[[list[int], int, int], object],
        *,
        origin: int,
        most_turns: int | None = None,
    ) -> None:
        self.loop = loop
        self.places = places
        self._write = write
        self._origin = origin
        self._most_turns = sys.maxsize if most_turns is None else most_turns
        self._in_ring = most_turns is not None  # blocks may be dropped
        self._flushing = False
        self._log: list[int] = []
        self.put: Callable[[tuple[int, ...]], object] = self._log.extend
        self.numbers = Numbers(loop, places, self._log)
        self._by_address = self.numbers.by_address
        self._last = origin
        self._sleeps = places.sleeps
        self._turn = 0  # how many entries are run in a turn that is not yet noted
        self._turns = self._steps = 0  # in this block
        self._written = origin
        self._entry: Any = None  # whose step is not over
        self.finished = -1  # the future that is just being finished
        self._partial = False  # see the trap
        self._seen_current: Any = None
        # What is not written when the loop is collected.
        finalize(loop, _write_rest, self._log, write).atexit = False

    # Putting in and taking out.

    def put_in(self) -> None:
        """Begin."""
        loop = self.loop
        self._note_what_is_there()
        if not isinstance(loop.timers, ObservedTimers):
            loop.timers = ObservedTimers(loop.timers)
        loop.timers.listeners.append(self)
        self._partial = loop.is_running()
        loop.observe(self)

    def take_out(self) -> None:
        """End, and write what is not written."""
        loop = self.loop
        timers = loop.timers
        if isinstance(timers, ObservedTimers):
            timers.listeners.remove(self)
            if not timers.listeners:
                loop.timers = timers.inner
        loop.unobserve(self)
        if not loop.is_running():  # else the step that is under way ends later
            self.close_step()
        self.flush()

    def join(self, joints: Joints) -> Joints:
        """What it has called instead; and it calls what it was given last."""
        self._append = joints.append
        self._hand_over = joints.hand_over
        self._wait = joints.wait
        self._deliver = joints.deliver
        self._begin_turn = joints.begin_turn
        self._before_taking = joints.before_taking
        self._take = joints.take
        self._make_eager_task = joints.make_eager_task
        before_taking, take = joints.before_taking, joints.take
        if take is not deque.popleft:
            take = self._take_and_note  # the queue chooses by itself
        elif before_taking is None:
            before_taking = self.before_taking
        else:
            before_taking = self._choose_and_note
        return Joints(
            append=self.append,
            hand_over=self.hand_over,
            wait=self.wait,
            deliver=self.deliver,
            begin_turn=self.begin_turn,
            before_taking=before_taking,
            take=take,
            make_eager_task=self.make_eager_task,
        )

    def run_ended(self) -> None:
        """No entry runs any more."""
        self.close_step()
        self._partial = False
        self._seen_current = None
        now = perf_counter_ns()
        self.put((REST, now - self._last))
        self._last = now
        self.numbers.let_go()
        self._write_in_time(now)

    # Steps.

    def before_taking(self, ready: deque[Any]) -> deque[Any]:
        """The entry at the head is about to run, and the one before it is through."""
        done = self._entry
        entry = ready[0]
        if (
            type(done) is Task
            and type(entry) is Task
            and done._fut_waiter is None
            and done._state is PENDING
            and (number := self._by_address.get(id(entry))) is not None
        ):
            # What is below, and `Places.of_coroutine`, written out for the most frequent case of
            # all, a task that gives way. Each call the less is a twentieth of the recorder's price.
            coro: Any = done._coro
            if (
                type(coro) is not CoroutineType
                or type(inner := coro.cr_await) is not CoroutineType
                or inner.cr_code is not SLEEP
                or (frame := coro.cr_frame) is None
                or (place := self._sleeps.get(id(frame.f_code) + frame.f_lasti)) is None
            ):
                place = self.places.of_coroutine(coro)
            now = perf_counter_ns()
            if self._turn:
                self.put((GAVE_WAY, place, TURN, self._turn, BEGUN, number, now - self._last))
                self._turn = 0
            else:
                self.put((GAVE_WAY, place, BEGUN, number, now - self._last))
            self._last = now
            self._entry = entry
            return ready
        if done is not None:
            self.close_step()
        self._begin(entry)
        return ready

    def _choose_and_note(self, ready: deque[Any]) -> deque[Any]:
        assert self._before_taking is not None
        return self.before_taking(self._before_taking(ready))

    def _take_and_note(self, ready: deque[Any]) -> Any:
        self.close_step()
        entry = self._take(ready)
        self._begin(entry)
        return entry

    def _begin(self, entry: Any) -> None:
        steps = self.numbers.steps
        if steps and (task := steps.pop(id(entry), None)) is not None:
            entry = task() or entry
        if type(entry) is Task or is_task(entry):
            number = self._by_address.get(id(entry))
        else:
            number = self._by_address.pop(id(entry), None)
        if number is None:
            number = self.numbers.unexpected(entry)
        self._entry = entry
        now = perf_counter_ns()
        if self._turn:
            self.put((TURN, self._turn, BEGUN, number, now - self._last))
            self._turn = 0
        else:
            self.put((BEGUN, number, now - self._last))
        self._last = now

    def close_step(self) -> None:
        """The step that was begun last is over: note how it ended."""
        entry, self._entry = self._entry, None
        if entry is not None:
            self.numbers.eager.clear()
            if is_task(entry):
                self._close_task(entry)
            else:
                self.put((RETURNED,))

    def is_under_way(self, task: Any) -> bool:
        """Whether the step that was begun last is one of this task."""
        return self._entry is task

    def _close_task(self, task: Any) -> None:
        if task._state != PENDING:
            self._end_task(task)
            return
        place = self.places.of_coroutine(task._coro)
        waiter = task._fut_waiter
        if waiter is None:
            self.put((GAVE_WAY, place))
        else:
            self.put((WAITS, place, self.numbers.of_future(waiter)))

    def _end_task(self, task: Any) -> None:
        number = self._by_address.pop(id(task), -1)
        self.numbers.tell_name(number, task)
        error = task._exception
        if task._state == CANCELLED:
            self.put((TASK_ENDED, BY_CANCEL, -1, 0))
        elif error is None:
            self.put((TASK_ENDED, BY_RESULT, -1, 0))
        else:
            self.numbers.remember_failure(number, error)
            place = self.places.of_failure(error, getattr(task, "_traceback", None))
            self.put((TASK_ENDED, BY_EXCEPTION, place, *describe_error(error)))

    # Eager steps.

    def make_eager_task(self, *args: Any) -> Any:
        """A task that takes its first step inside of the step of whoever makes it."""
        coro = args[1]
        if type(coro) is not CoroutineType or self.loop._thread_id is None:
            return self._make_eager_task(*args)  # which makes it as its class does
        self._begin_eagerly(coro, None)
        try:
            task = self._make_eager_task(*args)
        except BaseException:
            self.end_eagerly(None)
            raise
        self.end_eagerly(task)
        return task

    def begin_eagerly(self, task: Any) -> None:
        """The same for a task that its class begins: see `probing`."""
        self._begin_eagerly(task._coro, task)

    def _begin_eagerly(self, coro: Any, task: Any) -> None:
        if self._partial:
            self._check_current()
        number = self.numbers.new()
        if task is not None:
            self._by_address[id(task)] = number
        what, place = self.numbers.what(coro), self.places.of_caller(_getframe(1))
        self.numbers.eager.append((number, task))
        self._steps += 1
        now = perf_counter_ns()
        self.put((EAGER, number, what, place, now - self._last))
        self._last = now

    def end_eagerly(self, task: Any) -> None:
        """A first step is over, of this task, or of the one that was begun last."""
        if not self.numbers.eager:
            return
        number, begun = self.numbers.eager.pop()
        task = begun if task is None else task
        if is_task(task):
            self._by_address[id(task)] = number
            self._close_task(task)
        else:
            self.put((TASK_ENDED, BY_RESULT, -1, 0))

    # The queue.

    def append(self, entry: Any) -> None:
        """Note who is queued, and why; then queue it."""
        # A task that is queued in its own step gives way: the end of the step tells that.
        if entry is not self._entry or type(entry) is not Task:
            self._note_queued(entry, _getframe(1))
        self._append(entry)

    def _note_queued(self, entry: Any, frame: FrameType) -> None:
        if self._partial:
            self._check_current()
        note_why_queued(self, entry, frame)

    def hand_over(self, entry: Any) -> None:
        """Note what a thread hands over, or the loop's own; then queue it."""
        callback = entry._callback
        what, place = self.numbers.what(callback), self.places.of_caller(_getframe(1))
        thread = threading.get_ident()
        if self.loop._thread_id in (None, thread):
            if self._partial:
                self._check_current()
            number = self.numbers.of_new_handle(entry)
            now = perf_counter_ns()
            self.put((CALLED, number, what, place, now - self._last))
            self._last = now
        else:
            call = -1
            if type(callback) is MethodType and type(callback.__self__) is CallInThread:
                call = self.numbers.calls.get(id(callback.__self__), -1)
            by = self.numbers.of_thread(thread)
            number = self._by_address[id(entry)] = self.numbers.new()
            after = max(0, perf_counter_ns() - self._last)
            self.put((HANDED, number, what, place, by, call, after))
        self._hand_over(entry)

    # The turn.

    def wait(self, timeout: float | None) -> Iterable[tuple[int, int]]:
        """Note how long the loop wants to sleep, and how long it slept."""
        self.close_step()
        self._partial = False
        self._seen_current = None
        before = perf_counter_ns()
        if timeout == 0:
            events = self._wait(timeout)
            now = perf_counter_ns()
            self.put((LOOKED, now - before, now - self._last))
            self._last = now
            return events
        asked = -1 if timeout is None else nanoseconds(timeout)
        self.put((WAIT, asked, before - self._last))
        self._last = before
        self._write_in_time(before)
        events = self._wait(timeout)
        now = perf_counter_ns()
        self.put((WOKE, now - before, now - self._last))
        self._last = now
        return events

    def deliver(
        self, events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]
    ) -> object:
        """Note which descriptors are ready; what each of them brings about comes right after it."""
        for event in events:
            fd, bits = event
            self.put((READY, self.numbers.of_descriptor(fd), self._for_what(fd, bits)))
            self._deliver((event,), enqueue)
        return None

    def _for_what(self, fd: int, bits: int) -> int:
        """1 for reading, 2 for writing. A hang-up or an error concerns whoever watches."""
        ready = (1 if bits & READ else 0) | (2 if bits & WRITE else 0)
        watch = self.loop.poller.watches.get(fd)
        if watch is not None and bits & ~(READ | WRITE):
            ready |= 1 if watch.reader is not None or watch.read_waiters else 0
            ready |= 2 if watch.writer is not None or watch.write_waiters else 0
        return ready or 3

    def begin_turn(self, ready: deque[Any]) -> int:
        """A turn begins: its first step will tell."""
        count = self._begin_turn(ready)
        if len(self._log) > BLOCK or self._turns >= self._most_turns:
            self.close_step()
            self.flush()
        self._turn = count
        self._turns += 1
        self._steps += count
        self._partial = False
        return count

    # Timers: see `ObservedTimers`.

    def timer_set(self, handle: Any) -> None:
        """It has been put into the heap."""
        if self._partial:
            self._check_current()
        number = self._by_address[id(handle)] = self.numbers.new()
        what, place = self.numbers.what(handle._callback), self.places.of_caller(_getframe(1))
        now = perf_counter_ns()
        ahead = nanoseconds(handle._when - self.loop.time()) // 1000
        self.put((TIMER, number, what, place, ahead, now - self._last))
        self._last = now

    def timers_left(self) -> None:
        """Some that were cancelled have left the heap."""
        for number in self.numbers.timers_gone():
            self.put((SWEPT, number))

    # For others who have something to note.

    def note(self, *record: int) -> None:
        """A record that ends with the time."""
        if self._partial:
            self._check_current()
        now = perf_counter_ns()
        self.put((*record, now - self._last))
        self._last = now

    # What was there before, and who runs while that cannot be seen.

    def _note_what_is_there(self) -> None:
        loop, numbers, put = self.loop, self.numbers, self.put
        self._last = self._origin
        current = current_tasks.get(loop) if loop.is_running() else None
        tasks = [task for task in list(loop.tasks) if is_task(task)]
        for task in tasks:
            self._by_address[id(task)] = numbers.new()
        for task in tasks:
            place = -1 if task is current else self.places.of_coroutine(task._coro)
            waiter = task._fut_waiter
            future = -1 if waiter is None else numbers.of_future(waiter)
            number = self._by_address[id(task)]
            put((THERE, number, numbers.what(task._coro), place, future))
        for entry in list(loop._ready):
            if not is_task(entry):
                number = numbers.of_new_handle(entry)
                put((QUEUED_BEFORE, number, numbers.what(entry._callback)))
        for when, _, timer in list(loop.timers.entries):
            if timer._callback is not None:
                number = self._by_address[id(timer)] = numbers.new()
                ahead = nanoseconds(when - loop.time()) // 1000
                put((TIMER_BEFORE, number, numbers.what(timer._callback), ahead))

    def _check_current(self) -> None:
        current = current_tasks.get(self.loop)
        if current is not self._seen_current:
            self._seen_current = current
            number = -1 if current is None else self._by_address.get(id(current), -1)
            self.put((CURRENT, number))

    # Writing.

    def _write_in_time(self, now: int) -> None:
        if now - self._written > WRITE_EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the records that there are."""
        if self._flushing:
            return  # a signal's handler has come in between
        self._flushing = True
        try:
            self._written = perf_counter_ns()
            turns, self._turns = self._turns, 0
            steps, self._steps = self._steps, 0
            _write_rest(self._log, self._write, turns, steps)
            if self._in_ring:
                self.put((CLOCK, *divmod(self._last - self._origin, 1_000_000_000)))
                self.numbers.tell_again()
        finally:
            self._flushing = False


def _write_rest(
    log: list[int], write: Callable[[list[int], int, int], object], turns: int = 0, steps: int = 0
) -> None:
    size = len(log)
    if size:
        data = log[:size]
        del log[:size]
        write(data, turns, steps)
