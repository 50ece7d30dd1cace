"""The differential test finds bugs: it is given a miniloop with one, and has to report it."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import sys
from collections.abc import Callable
from typing import Any

import pytest

from miniloop.kernel import eager, scheduler, task
from miniloop.kernel.asyncgens import AsyncGenerators
from miniloop.kernel.future import Future
from miniloop.kernel.handle import Handle, TimerHandle
from miniloop.kernel.scheduler import Scheduler
from miniloop.kernel.task import Task, new_task
from miniloop.kernel.timers import TimerQueue
from tests.builds import pure_only
from tests.differential import clocks, comparison
from tests.differential.comparison import first_difference
from tests.differential.language import TICK

pytestmark = pure_only

# As many as every run has. Most take fewer than a hundred.
MOST_PROGRAMS = 10_000

MUTANTS: list[Any] = []


def mutant(make: Callable[[Any], None]) -> Callable[[Any], None]:
    """Registers a way to break miniloop; it is given pytest's `monkeypatch.setattr`."""
    MUTANTS.append(pytest.param(make, id=make.__name__.replace("_", " ")))
    return make


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mutate", MUTANTS)
def test_a_bug_is_found(mutate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mutate(monkeypatch.setattr)
    difference = first_difference(range(MOST_PROGRAMS))
    assert difference is not None, f"{MOST_PROGRAMS} programs did not find it"


# ---- cancelling ------------------------------------------------------------------------------


@mutant
def the_message_of_a_cancelled_future_is_lost(patch: Any) -> None:
    cancel = Future.cancel
    patch(Future, "cancel", lambda self, msg=None: cancel(self))


@mutant
def the_message_of_a_cancelled_task_is_lost(patch: Any) -> None:
    cancel = Task.cancel
    patch(Task, "cancel", lambda self, msg=None: cancel(self))


@mutant
def uncancel_forgets_to_count(patch: Any) -> None:
    patch(Task, "uncancel", lambda self: self.cancelling())


@mutant
def uncancel_counts_below_zero(patch: Any) -> None:
    def uncancel(self: Task[Any]) -> int:
        self._cancel_requests -= 1
        return self._cancel_requests

    patch(Task, "uncancel", uncancel)


@mutant
def uncancel_is_that_of_another_python(patch: Any) -> None:
    patch(task, "_UNCANCEL_RESCINDS", sys.version_info < (3, 13))


@mutant
def a_cancelled_task_does_not_cancel_what_it_awaits(patch: Any) -> None:
    cancel = Task.cancel

    def cancel_alone(self: Task[Any], msg: Any = None) -> bool:
        awaited, self._fut_waiter = self._fut_waiter, None
        try:
            return cancel(self, msg)
        finally:
            self._fut_waiter = awaited

    patch(Task, "cancel", cancel_alone)


@mutant
def a_task_that_is_about_to_run_cannot_be_cancelled(patch: Any) -> None:
    cancel = Task.cancel

    def forget(self: Task[Any], msg: Any = None) -> bool:
        result = cancel(self, msg)
        if self._fut_waiter is None:
            self._must_cancel = False
        return result

    patch(Task, "cancel", forget)


@mutant
def a_task_can_be_cancelled_once_only(patch: Any) -> None:
    cancel = Task.cancel
    patch(
        Task,
        "cancel",
        lambda self, msg=None: False if self.cancelling() else cancel(self, msg),
    )


@mutant
def whoever_asks_first_does_not_get_the_message(patch: Any) -> None:
    wake = Task._wake

    def wake_with_error(self: Task[Any], future: Future[Any]) -> None:
        wake(self, future)
        if self._throw is future:
            self._throw = future._failure()

    patch(Task, "_wake", wake_with_error)


@mutant
def a_failed_future_forgets_its_exception_when_asked_for_another(patch: Any) -> None:
    make = Future._make_cancelled_error

    def make_and_forget(self: Future[Any]) -> Any:
        error = make(self)
        self._exception = None
        return error

    patch(Future, "_make_cancelled_error", make_and_forget)


# ---- waking ----------------------------------------------------------------------------------


@mutant
def the_last_one_to_wait_is_woken_first(patch: Any) -> None:
    wake = Future._wake_waiting

    def wake_reversed(self: Future[Any]) -> None:
        if type(self._waiting) is list:
            self._waiting.reverse()
        wake(self)

    patch(Future, "_wake_waiting", wake_reversed)


@mutant
def a_task_wakes_a_turn_late(patch: Any) -> None:
    wake = Task._wake
    patch(Task, "_wake", lambda self, future: self._loop.call_soon(wake, self, future))


@mutant
def a_callback_of_a_future_wakes_a_turn_late(patch: Any) -> None:
    wake = Handle._wake
    patch(Handle, "_wake", lambda self, future: self._loop.call_soon(wake, self, future))


@mutant
def a_callback_of_a_done_future_is_called_at_once(patch: Any) -> None:
    add = Future.add_done_callback

    def call_now(self: Future[Any], fn: Any, *, context: Any = None) -> None:
        if self.done():
            fn(self)
        else:
            add(self, fn, context=context)

    patch(Future, "add_done_callback", call_now)


@mutant
def a_removed_callback_stays(patch: Any) -> None:
    patch(Future, "remove_done_callback", lambda self, fn: 0)


@mutant
def a_second_result_is_accepted(patch: Any) -> None:
    set_result = Future.set_result
    patch(
        Future,
        "set_result",
        lambda self, result: None if self.done() else set_result(self, result),
    )


@mutant
def a_task_waits_for_a_future_that_was_done_on_its_way(patch: Any) -> None:
    wait = Task._wait_for_foreign

    def wait_for_ever(self: Task[Any], awaited: Any) -> None:
        if type(awaited) is Future and awaited.done():
            self._fut_waiter = awaited
        else:
            wait(self, awaited)

    patch(Task, "_wait_for_foreign", wait_for_ever)


# ---- failing ---------------------------------------------------------------------------------


@mutant
def a_failing_callback_is_not_reported(patch: Any) -> None:
    patch(Handle, "_report", lambda self, error: None)


@mutant
def an_exception_that_nobody_saw_is_not_reported(patch: Any) -> None:
    set_exception = Future.set_exception

    def set_quietly(self: Future[Any], error: Any) -> None:
        set_exception(self, error)
        self._log_traceback = False

    patch(Future, "set_exception", set_quietly)


@mutant
def an_exception_that_was_seen_is_reported_all_the_same(patch: Any) -> None:
    exception = Future.exception

    def ask(self: Future[Any]) -> Any:
        unseen, self._unseen = self._unseen, None
        error = exception(self)
        self._unseen = unseen
        return error

    patch(Future, "exception", ask)


@mutant
def system_exit_does_not_leave_a_callback(patch: Any) -> None:
    run = Handle._run

    def run_on(self: Handle) -> None:
        try:
            run(self)
        except SystemExit as error:
            self._report(error)

    patch(Handle, "_run", run_on)


# ---- the loop --------------------------------------------------------------------------------


@mutant
def the_ready_queue_is_a_stack(patch: Any) -> None:
    class Stack(clocks.ReadyQueue):
        def popleft(self) -> Any:
            return self.pop()

    def on_a_stack(clock: clocks.Clock, ready: clocks.ReadyQueue) -> Any:
        return clocks.virtual_miniloop(clock, Stack())

    patch(comparison, "LOOPS", dict(clocks.LOOPS, miniloop=on_a_stack))


@mutant
def call_soon_comes_before_what_is_ready(patch: Any) -> None:
    def call_first(self: Scheduler, callback: Any, *args: Any, context: Any = None) -> Handle:
        handle = call_soon(self, callback, *args, context=context)
        self._ready.rotate(1)
        return handle

    call_soon = Scheduler.call_soon
    patch(Scheduler, "call_soon", call_first)


@mutant
def the_context_given_to_a_callback_is_ignored(patch: Any) -> None:
    call_soon = Scheduler.call_soon
    patch(
        Scheduler,
        "call_soon",
        lambda self, callback, *args, context=None: call_soon(self, callback, *args),
    )


@mutant
def a_call_from_another_thread_wakes_nobody(patch: Any) -> None:
    patch(Scheduler, "call_soon_threadsafe", lambda self, *args, **kwargs: None)


@mutant
def a_cancelled_handle_is_called(patch: Any) -> None:
    patch(Handle, "cancel", lambda self: None)


@mutant
def a_cancelled_timer_fires(patch: Any) -> None:
    patch(TimerHandle, "cancel", lambda self: None)


@mutant
def of_timers_with_one_deadline_the_last_fires_first(patch: Any) -> None:
    init = TimerQueue.__init__

    def count_down(self: TimerQueue) -> None:
        init(self)
        self._sequence = itertools.count(0, -1)

    patch(TimerQueue, "__init__", count_down)


@mutant
def a_timer_fires_early(patch: Any) -> None:
    pop = TimerQueue.pop_due
    patch(TimerQueue, "pop_due", lambda self, now, enqueue: pop(self, now + TICK, enqueue))


@mutant
def the_deadline_of_a_timer_is_off(patch: Any) -> None:
    call_at = Scheduler.call_at

    def call_late(self: Scheduler, when: float, callback: Any, *args: Any, **kwargs: Any) -> Any:
        return call_at(self, when + TICK, callback, *args, **kwargs)

    patch(Scheduler, "call_at", call_late)


@mutant
def due_timers_come_before_what_is_ready(patch: Any) -> None:
    pop = TimerQueue.pop_due

    def pop_first(self: TimerQueue, now: float, enqueue: Any) -> None:
        ready = enqueue.__self__
        waiting = list(ready)
        ready.clear()
        pop(self, now, enqueue)
        ready.extend(waiting)

    patch(TimerQueue, "pop_due", pop_first)


@mutant
def stop_takes_a_turn_longer(patch: Any) -> None:
    stop = Scheduler.stop

    def stop_later(self: Scheduler) -> None:
        if self.is_running() and self._ready:
            self.call_soon(stop, self)
        else:
            stop(self)

    patch(Scheduler, "stop", stop_later)


# ---- tasks -----------------------------------------------------------------------------------


@mutant
def a_task_does_not_see_the_variables_of_its_maker(patch: Any) -> None:
    shared = contextvars.copy_context()
    patch(task, "copy_context", lambda: shared.copy())


@mutant
def the_name_of_a_task_is_lost(patch: Any) -> None:
    patch(Task, "get_name", lambda self: "Task-0")


@mutant
def an_eager_task_leaves_nobody_as_the_current_task(patch: Any) -> None:
    if sys.version_info < (3, 12):
        pytest.skip("asyncio has no eager tasks before 3.12")

    def make_and_forget(loop: Any, *args: Any) -> Any:
        made = eager.new_eager_task(loop, *args)
        current = asyncio.current_task(loop)
        if current is not None:
            asyncio.tasks._leave_task(loop, current)
        return made

    patch(scheduler, "new_eager_task", make_and_forget)


@mutant
def an_eager_task_waits_for_its_turn(patch: Any) -> None:
    if sys.version_info < (3, 12):
        pytest.skip("asyncio has no eager tasks before 3.12")
    patch(scheduler, "new_eager_task", new_task)


@mutant
def a_dropped_generator_is_not_closed(patch: Any) -> None:
    patch(AsyncGenerators, "_dropped", lambda self, generator: self._alive.pop(id(generator)))
