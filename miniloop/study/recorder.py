"""The recorder: notes what one loop does, as an observer of its joints.

It notes numbers in a list, and `reading` makes sense of them later: see `records`. The program
waits while this code runs, so the most frequent step of all, that of a task which yields, takes two
calls.

Rules:

1. Nothing that is observed may change by it: no object is kept alive that would be gone, no
   attribute of the program's objects is asked for, no name is given to a task.
2. A record is written in one call, `put`, which no other thread and no signal interrupts.
3. Why an entry is queued is known by which function calls `enqueue`: see `queueing`.

A step has no end of its own that could be observed. It is over when the next entry is about to be
taken, or when the turn is; nothing of the program can come in between.

The trap: a recorder that is put in by a running entry does not see which entries run in the rest of
that turn, as they are taken from the queue without it. Until the next turn begins it asks the loop
which task runs.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from time import perf_counter_ns
from types import CoroutineType, FrameType
from typing import Any

from miniloop.kernel.contract import Joints
from miniloop.kernel.future import PENDING
from miniloop.kernel.registry import current_tasks
from miniloop.kernel.task import Task
from miniloop.loop import EventLoop
from miniloop.study.descriptors import ready_for
from miniloop.study.eager_steps import make_eagerly
from miniloop.study.ends import note_end_of_step
from miniloop.study.existing import note_what_is_there
from miniloop.study.log import BLOCK, Log, Write
from miniloop.study.numbering import Numbers, is_task, nanoseconds
from miniloop.study.places import SLEEP, Places
from miniloop.study.queueing import note_handed_over, note_why_queued
from miniloop.study.records import (
    BEGUN,
    CLOCK,
    CURRENT,
    GAVE_WAY,
    LOOKED,
    READY,
    REST,
    RETURNED,
    SWEPT,
    TIMER,
    TURN,
    WAIT,
    WOKE,
)
from miniloop.study.timers import ObservedTimers

__all__ = ["Recorder"]

_getframe = sys._getframe


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
        "_hand_over",
        "_in_ring",
        "_last",
        "_log",
        "_make_eager_task",
        "_origin",
        "_partial",
        "_seen_current",
        "_sleeps",
        "_take",
        "_turn",
        "_wait",
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
        write: Write,
        *,
        origin: int,
        most_turns: int | None = None,
    ) -> None:
        self.loop = loop
        self.places = places
        self._origin = origin
        self._in_ring = most_turns is not None  # blocks may be dropped
        self._log = Log(write, loop, now=origin, most_turns=most_turns)
        self.put = self._log.put
        self.numbers = Numbers(loop, places, self._log.numbers)
        self._by_address = self.numbers.by_address
        self._last = origin
        self._sleeps = places.sleeps
        self._turn = 0  # how many entries are run in a turn that is not yet noted
        self._entry: Any = None  # whose step is not over
        self.finished = -1  # the future that is just being finished
        self._partial = False  # see the trap
        self._seen_current: Any = None

    # Putting in and taking out.

    def put_in(self) -> None:
        """Begin."""
        loop = self.loop
        self._last = self._origin
        note_what_is_there(loop, self.numbers, self.places, self.put)
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
        """Have its own methods called; each does its noting, then calls what it was given."""
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
        if self._log.is_late(now):
            self.flush()

    # Steps.

    def before_taking(self, ready: deque[Any]) -> deque[Any]:
        """The entry at the head is about to run, and the one before it has finished its step."""
        done = self._entry
        entry = ready[0]
        if (
            type(done) is Task
            and type(entry) is Task
            and done._fut_waiter is None
            and done._state is PENDING
            and (number := self._by_address.get(id(entry))) is not None
        ):
            # The code below, and `Places.of_coroutine`, written out for the most frequent case of
            # all, a task that yields. Each call saved is a twentieth of the recorder's cost.
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
                note_end_of_step(self, entry)
            else:
                self.put((RETURNED,))

    def is_under_way(self, task: Any) -> bool:
        """Whether the step that was begun last is one of this task."""
        return self._entry is task

    def count_step(self) -> None:
        """Count an eager step: those of the queue are counted as their turn begins."""
        self._log.steps += 1

    def make_eager_task(self, *args: Any) -> Any:
        """A task that takes its first step inside of the step of whoever makes it."""
        return make_eagerly(self, self._make_eager_task, *args)

    # The queue.

    def append(self, entry: Any) -> None:
        """Note which entry is queued, and why; then queue it."""
        # A task that is queued in its own step yields: the end of the step says so.
        if entry is not self._entry or type(entry) is not Task:
            self._note_queued(entry, _getframe(1))
        self._append(entry)

    def _note_queued(self, entry: Any, frame: FrameType) -> None:
        if self._partial:
            self._check_current()
        note_why_queued(self, entry, frame)

    def hand_over(self, entry: Any) -> None:
        """Note what a thread, or the loop's own, hands over; then queue it."""
        note_handed_over(self, entry, _getframe(1))
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
        if self._log.is_late(before):
            self.flush()
        events = self._wait(timeout)
        now = perf_counter_ns()
        self.put((WOKE, now - before, now - self._last))
        self._last = now
        return events

    def deliver(
        self, events: Iterable[tuple[int, int]], enqueue: Callable[[Any], object]
    ) -> object:
        """Note which descriptors are ready, each followed by what it causes."""
        for event in events:
            fd, bits = event
            self.put((READY, self.numbers.of_descriptor(fd), ready_for(fd, bits, self.loop)))
            self._deliver((event,), enqueue)
        return None

    def begin_turn(self, ready: deque[Any]) -> int:
        """A turn begins. It is noted with its first step."""
        count = self._begin_turn(ready)
        log = self._log
        if len(log.numbers) > BLOCK or log.turns >= log.most_turns:
            self.close_step()
            self.flush()
        self._turn = count
        log.turns += 1
        log.steps += count
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

    def since_last(self) -> int:
        """Nanoseconds since the last record with a time, for one that does not count as such."""
        return max(0, perf_counter_ns() - self._last)

    def note(self, *record: int) -> None:
        """A record that ends with the time."""
        if self._partial:
            self._check_current()
        now = perf_counter_ns()
        self.put((*record, now - self._last))
        self._last = now

    # Who runs while that cannot be seen: see the trap.

    def _check_current(self) -> None:
        current = current_tasks.get(self.loop)
        if current is not self._seen_current:
            self._seen_current = current
            number = -1 if current is None else self._by_address.get(id(current), -1)
            self.put((CURRENT, number))

    # Writing.

    def flush(self) -> None:
        """Write the records that there are."""
        self._log.flush(self._begin_block)

    def _begin_block(self) -> None:
        if self._in_ring:
            self.put((CLOCK, *divmod(self._last - self._origin, 1_000_000_000)))
            self.numbers.tell_again()
