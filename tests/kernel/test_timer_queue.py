"""The timer queue alone, against a model that is slow and obviously right."""

from __future__ import annotations

import sys
from contextvars import Context
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from miniloop.kernel.handle import TimerHandle, new_timer
from miniloop.kernel.timers import SWEEP_MINIMUM, TimerQueue
from tests.builds import pure_only

# Few different deadlines, so that ties are common.
DEADLINES = st.one_of(st.integers(0, 5).map(float), st.floats(0, 10))


def make_timer(queue: TimerQueue, when: float, name: object = None) -> TimerHandle:
    """A timer in the queue, without a loop around it."""
    loop: Any = SimpleNamespace(timers=queue)
    handle = new_timer(when, print, (name,), loop, Context())
    queue.add(handle)
    return handle


def count_cancelled(queue: TimerQueue) -> int:
    return sum(handle.cancelled() for _, _, handle in queue.entries)


class TimerQueueMachine(RuleBasedStateMachine):
    """Adds, cancels and fires; the model is a list that is sorted whenever it is looked at."""

    @initialize()
    def begin(self) -> None:
        self.queue = TimerQueue()
        self.model: list[tuple[float, int, TimerHandle]] = []
        self.made: list[TimerHandle] = []

    @rule(when=DEADLINES)
    def add(self, when: float) -> None:
        handle = make_timer(self.queue, when)
        self.model.append((when, len(self.made), handle))
        self.made.append(handle)

    @rule(when=DEADLINES, amount=st.integers(50, 150))
    def add_many(self, when: float, amount: int) -> None:
        for _ in range(amount):
            self.add(when)

    @precondition(lambda self: self.made)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self._cancel(data.draw(st.sampled_from(self.made)))

    @precondition(lambda self: self.made)
    @rule(step=st.integers(1, 4), start=st.integers(0, 3))
    def cancel_many(self, step: int, start: int) -> None:
        for handle in self.made[start::step]:
            self._cancel(handle)

    def _cancel(self, handle: TimerHandle) -> None:
        handle.cancel()  # perhaps for the second time, perhaps after it fired
        self.model = [entry for entry in self.model if entry[2] is not handle]

    @rule(deadline=DEADLINES)
    def fire(self, deadline: float) -> None:
        fired: list[TimerHandle] = []
        self.queue.pop_due(deadline, fired.append)
        due = sorted(entry[:2] for entry in self.model if entry[0] <= deadline)
        # Compared by identity: timers with one deadline are equal to each other.
        assert list(map(id, fired)) == [id(self.made[number]) for _, number in due]
        self.model = [entry for entry in self.model if entry[0] > deadline]

    @rule()
    def ask(self) -> None:
        expected = min((entry[0] for entry in self.model), default=None)
        assert self.queue.next_deadline() == expected

    @rule()
    def clear(self) -> None:
        self.queue.clear()
        self.model.clear()

    @invariant()
    def cancelled_is_counted_exactly(self) -> None:
        assert self.queue.cancelled == count_cancelled(self.queue)

    @invariant()
    def nothing_is_lost_and_nothing_is_kept_twice(self) -> None:
        live = [id(handle) for _, _, handle in self.queue.entries if not handle.cancelled()]
        assert sorted(live) == sorted(id(handle) for _, _, handle in self.model)

    @invariant()
    def the_handles_know_whether_they_are_queued(self) -> None:
        queued = {id(handle) for _, _, handle in self.queue.entries}
        assert all((id(handle) in queued) is handle._scheduled for handle in self.made)

    @invariant()
    def the_dead_are_never_many_and_the_majority(self) -> None:
        dead = self.queue.cancelled
        assert dead <= SWEEP_MINIMUM or dead * 2 <= len(self.queue)


TestTimerQueueMachine = TimerQueueMachine.TestCase
TestTimerQueueMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.lists(DEADLINES, max_size=60))
def test_timers_come_out_sorted_and_ties_in_the_order_of_arrival(deadlines: list[float]) -> None:
    queue = TimerQueue()
    handles = [make_timer(queue, when, number) for number, when in enumerate(deadlines)]
    fired: list[TimerHandle] = []
    queue.pop_due(float("inf"), fired.append)
    expected = [number for _, number in sorted(zip(deadlines, range(len(handles)), strict=True))]
    assert [handle._args[0] for handle in fired] == expected


def test_a_sweep_happens_at_the_exact_moment() -> None:
    queue = TimerQueue()
    handles = [make_timer(queue, 1.0) for _ in range(2 * SWEEP_MINIMUM)]
    for handle in handles[:SWEEP_MINIMUM]:
        handle.cancel()
    assert len(queue) == 2 * SWEEP_MINIMUM  # a hundred dead, but not more, and not the majority
    handles[SWEEP_MINIMUM].cancel()
    assert len(queue) == SWEEP_MINIMUM - 1
    assert queue.cancelled == 0


def test_no_sweep_while_the_dead_are_a_minority() -> None:
    queue = TimerQueue()
    handles = [make_timer(queue, 1.0) for _ in range(10 * SWEEP_MINIMUM)]
    for handle in handles[: 5 * SWEEP_MINIMUM]:
        handle.cancel()
    assert len(queue) == 10 * SWEEP_MINIMUM
    assert queue.cancelled == 5 * SWEEP_MINIMUM


def test_a_handle_that_was_swept_out_or_has_fired_is_not_counted_when_cancelled_again() -> None:
    queue = TimerQueue()
    fired = make_timer(queue, 1.0)
    queue.pop_due(2.0, lambda _: None)
    fired.cancel()
    assert queue.cancelled == 0
    cleared = make_timer(queue, 1.0)
    queue.clear()
    cleared.cancel()
    assert queue.cancelled == 0


def test_asking_for_the_next_deadline_drops_the_dead_at_the_top() -> None:
    queue = TimerQueue()
    for handle in [make_timer(queue, float(number)) for number in range(10)]:
        handle.cancel()
    make_timer(queue, 20.0)
    assert queue.next_deadline() == 20.0
    assert (len(queue), queue.cancelled) == (1, 0)


@pure_only
def test_a_sweep_that_ctrl_c_interrupts_counts_right() -> None:
    def strike(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_return" and getattr(argument, "__name__", "") == "heapify":
            sys.setprofile(None)
            raise KeyboardInterrupt

    queue = TimerQueue()
    handles = [make_timer(queue, number) for number in range(2 * SWEEP_MINIMUM)]
    for handle in handles[:SWEEP_MINIMUM]:
        handle.cancel()
    sys.setprofile(strike)
    try:
        with pytest.raises(KeyboardInterrupt):
            handles[-1].cancel()
    finally:
        sys.setprofile(None)
    assert queue.cancelled == count_cancelled(queue)
    queue.pop_due(1e9, lambda handle: None)
    assert queue.cancelled == len(queue) == 0
