"""From records to events: goes through what a recorder noted, and works out what it did not.

For that it knows, at each record, which steps are open (an eager first step is inside of another),
what was delivered last, and of each thing the event that a later one may be caused by.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Sequence
from typing import Any

from miniloop.study.events import KINDS, Events
from miniloop.study.records import BY_EXCEPTION, FIELDS, NAMES, TEXTS, text_of

__all__ = ["Replay"]

(
    TURN, BEGUN, SUSPENDED, ENDED, QUEUED,
    TIMER_SET, TIMER_DUE, TIMER_CANCELLED, SWEPT,
    WAIT, WOKE, READY, FINISHED, CANCEL, HANDED, BUSY, IDLE,
    CREATED, FAILED, SIGNAL, WATCHED, UNWATCHED, UNSEEN,
) = range(len(KINDS))  # fmt: skip


_GIVEN_BY_NOBODY = re.compile(r"Task-\d+")


class Replay:
    """The records of one loop, in their order, become `events`."""

    def __init__(self, events: Events) -> None:
        self.events = events
        self._tables = events.tables
        self._add = events.add
        self._time = 0
        self._things: dict[int, int] = {}  # by the recorder's number
        self._open: list[tuple[int, int]] = []  # steps: the thing, and the event of its begin
        self._delivered = -1  # the descriptor that was found ready last, as an event
        self._queued: dict[int, int] = {}  # by thing: the event by which it was queued last
        self._finished: dict[int, int] = {}
        self._timer_set: dict[int, int] = {}
        self._busy: dict[int, int] = {}
        self._resumes: dict[int, int] = {}  # by thing: the place where it goes on
        self._signals: dict[int, int] = {}
        self._waited = -1
        self._failure: tuple[int, int] | None = None  # of the handle that runs
        self._untimed: list[int] = []  # events whose time is that of the next record
        self._unnamed: set[int] = set()
        self._nameless: set[int] = set()  # numbers of things of which only that is known
        self._handlers: list[Callable[..., None]] = [
            getattr(self, "_on_" + name.lower()) for name in NAMES
        ]

    def run(self, numbers: Sequence[int]) -> None:
        """Go on with a block of records."""
        position, end = 0, len(numbers)
        fields, texts, handlers = FIELDS, TEXTS, self._handlers
        while position < end:
            kind = numbers[position]
            position += 1
            values: Any = numbers[position : position + len(fields[kind])]
            position += len(values)
            if texts[kind]:
                text, position = text_of(numbers, position)
                values = (*values, text)
            handlers[kind](*values)

    def finish(self) -> None:
        """There is no more."""
        self._pass(0)
        self._name_tasks()

    # Time.

    def _pass(self, dt: int, took: int = 0) -> int:
        """Let time pass; what has ended just before ends now. Returns the time."""
        self._time += dt
        if self._untimed:
            time, events = self._time - took, self.events.time
            for event in self._untimed:
                events[event] = time
            self._untimed.clear()
        return self._time

    def _at_end_of_step(self, *event: int, **fields: int) -> int:
        number = self._add(event[0], self._time, *event[1:], **fields)
        self._untimed.append(number)
        return number

    # Things.

    def _thing(self, number: int, kind: str = "handle", what: int = -1) -> int:
        """The thing with this number of the recorder's, made if it is new."""
        if number < 0:
            return -1
        thing = self._things.get(number)
        if thing is None:
            name = self._tables.name_of(what) if what != -1 else kind
            if what == -1 and kind == "handle":
                self._nameless.add(number)
            thing = self._things[number] = self.events.add_thing(kind, name, -1, self._running())
            if kind == "task":
                self._unnamed.add(thing)
            self._resumes[thing] = self._tables.place_of(what)
        elif what != -1 and number in self._nameless:
            # It was begun where the recording begins, or was cut; only now it is told what it is.
            self._nameless.discard(number)
            self.events.thing_name[thing] = self._tables.name_of(what)
        return thing

    def _task(self, number: int, what: int, place: int) -> int:
        thing = self._thing(number, "task", what)
        self.events.thing_place[thing] = place
        return thing

    def _name_tasks(self) -> None:
        """Tasks that nobody has named are called after their coroutine."""
        names = self.events.thing_name
        same: dict[str, list[int]] = {}
        for thing in sorted(self._unnamed):
            same.setdefault(names[thing], []).append(thing)
        for name, things in same.items():
            if len(things) > 1:
                for number, thing in enumerate(things, 1):
                    names[thing] = f"{name} {number}"
        self._unnamed.clear()

    def _running(self) -> int:
        return self._open[-1][0] if self._open else -1

    def _cause(self) -> int:
        """What is behind all that happens just now."""
        return self._open[-1][1] if self._open else self._delivered

    # The turn.

    def _on_turn(self, count: int) -> None:
        self._open.clear()
        self._delivered = -1
        self._at_end_of_step(TURN, extra=count)

    def _on_wait(self, timeout: int, dt: int) -> None:
        self._open.clear()
        self._delivered = -1
        self._waited = self._add(WAIT, self._pass(dt), extra=timeout)

    def _on_woke(self, slept: int, dt: int) -> None:
        self._add(WOKE, self._pass(dt), cause=self._waited, extra=slept)

    def _on_looked(self, took: int, dt: int) -> None:
        self._open.clear()
        self._delivered = -1
        time = self._pass(dt, took)
        waited = self._add(WAIT, time - took, extra=0)
        self._add(WOKE, time, cause=waited, extra=took)

    def _on_ready(self, number: int, bits: int) -> None:
        self._delivered = self._add(
            READY, self._time, self._thing(number, "descriptor"), extra=bits
        )

    def _on_due(self, number: int, what: int, lateness: int, dt: int) -> None:
        thing, time = self._thing(number, "timer", what), self._pass(dt)
        due = self._add(
            TIMER_DUE, time, thing, cause=self._timer_set.get(thing, -1), extra=lateness
        )
        self._queued[thing] = self._add(QUEUED, time, thing, cause=due)

    def _on_rest(self, dt: int) -> None:
        self._pass(dt)
        self._open.clear()
        self._delivered = -1

    # Steps.

    def _on_begun(self, number: int, dt: int) -> None:
        self._pass(dt)
        self._open.clear()
        self._begin(self._thing(number))

    def _begin(self, thing: int) -> None:
        self._failure = None
        event = self._add(
            BEGUN,
            self._time,
            thing,
            place=self._resumes.get(thing, -1),
            cause=self._queued.pop(thing, -1),
        )
        self._open.append((thing, event))

    def _end(self) -> tuple[int, int]:
        """The innermost step is over: its thing and its begin."""
        return self._open.pop() if self._open else (-1, -1)

    def _is_task(self, thing: int) -> None:
        if thing >= 0 and self.events.thing_kind[thing] == "handle":
            self.events.thing_kind[thing] = "task"  # which was not seen to come

    def _on_gave_way(self, place: int) -> None:
        thing, begun = self._end()
        if thing < 0:
            return
        self._is_task(thing)
        self._resumes[thing] = place
        self._at_end_of_step(SUSPENDED, thing, place=place, cause=begun)
        self._queued[thing] = self._at_end_of_step(QUEUED, thing, thing, place, begun)

    def _on_waits(self, place: int, number: int) -> None:
        thing, begun = self._end()
        if thing < 0:
            return
        self._is_task(thing)
        self._resumes[thing] = place
        self._at_end_of_step(SUSPENDED, thing, self._thing(number, "future"), place, begun)

    def _on_task_ended(self, outcome: int, place: int, text: str) -> None:
        thing, begun = self._end()
        if thing < 0:
            return
        self._is_task(thing)
        finished = self._finished.get(thing)
        if finished is None:
            finished = self._at_end_of_step(FINISHED, thing, thing, cause=begun)
            self._finished[thing] = finished
        self.events.extra[finished] = outcome
        self.events.place[finished] = place
        self._at_end_of_step(ENDED, thing, place=place, cause=begun, extra=outcome)
        if outcome == BY_EXCEPTION:
            self._at_end_of_step(
                FAILED, thing, place=place, cause=begun, extra=self.events.string(text)
            )

    def _on_returned(self) -> None:
        thing, begun = self._end()
        if thing >= 0:
            failed, place = self._failure or (0, -1)
            self._at_end_of_step(ENDED, thing, place=place, cause=begun, extra=failed)

    def _on_failed(self, place: int, text: str) -> None:
        self._failure = 1, place
        self._add(
            FAILED,
            self._time,
            self._running(),
            place=place,
            cause=self._cause(),
            extra=self.events.string(text),
        )

    def _on_eager(self, number: int, what: int, place: int, dt: int) -> None:
        time, maker, cause = self._pass(dt), self._running(), self._cause()
        thing = self._task(number, what, place)
        self._queued[thing] = self._add(CREATED, time, thing, maker, place, cause)
        self._begin(thing)

    def _on_current(self, number: int) -> None:
        self._open.clear()
        if number >= 0:
            self._begin(self._thing(number, "task"))

    # Queued.

    def _queue(self, thing: int, place: int, cause: int, other: int | None = None) -> None:
        self._queued[thing] = self._add(
            QUEUED, self._time, thing, self._running() if other is None else other, place, cause
        )

    def _on_called(self, number: int, what: int, place: int, dt: int) -> None:
        self._pass(dt)
        thing = self._thing(number, "handle", what)
        if self.events.thing_place[thing] < 0:
            self.events.thing_place[thing] = place
        self._queue(thing, place, self._cause())

    def _on_created(self, number: int, what: int, place: int, dt: int) -> None:
        time = self._pass(dt)
        maker, cause = self._running(), self._cause()
        thing = self._task(number, what, place)
        self._add(CREATED, time, thing, maker, place, cause)
        self._queue(thing, place, cause)

    def _on_woken(self, number: int, future: int, dt: int) -> None:
        self._pass(dt)
        self._wake(self._thing(number, "task"), future)

    def _on_called_back(self, number: int, what: int, future: int, dt: int) -> None:
        self._pass(dt)
        self._wake(self._thing(number, "handle", what), future)

    def _wake(self, thing: int, number: int) -> None:
        """A future is done for which it has waited."""
        future = self._thing(number, "future")
        finished = self._finished.get(future, -1)
        if finished < 0 and future >= 0:
            # A task that is just coming to its end.
            finished = self._finished[future] = self._add(
                FINISHED, self._time, future, self._running(), cause=self._cause()
            )
        place = self.events.place[finished] if finished >= 0 else -1
        self._queue(thing, place, finished if finished >= 0 else self._cause())

    def _on_found_ready(self, number: int, what: int, dt: int) -> None:
        self._pass(dt)
        thing = self._thing(number, "handle", what)
        if self._delivered >= 0 and self.events.other[self._delivered] < 0:
            self.events.other[self._delivered] = thing
        self._queue(thing, -1, self._delivered, -1)

    def _on_signalled(self, number: int, what: int, which: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(number, "handle", what)
        of = self._signals.get(which)
        if of is None:
            of = self._signals[which] = self.events.add_thing("signal", _signal_name(which))
        self._queue(thing, -1, self._add(SIGNAL, time, of, extra=which), -1)

    def _on_queued(self, number: int, what: int, place: int, dt: int) -> None:
        self._on_called(number, what, place, dt)

    def _on_handed(
        self, number: int, what: int, place: int, thread: int, call: int, after: int
    ) -> None:
        time = self._time + after
        thing, by = self._thing(number, "handle", what), self._thing(thread, "thread")
        self.events.thing_place[thing] = place
        self.events.thing_parent[thing] = by
        cause = self._busy.get(self._things.get(call, -1), -1)
        handed = self._add(HANDED, time, thing, by, place, cause)
        self._queued[thing] = self._add(QUEUED, time, thing, by, place, handed)

    # The rest.

    def _on_timer(self, number: int, what: int, place: int, ahead: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(number, "timer", what)
        self.events.thing_place[thing] = place
        self._set_timer(thing, time, place, ahead)

    def _set_timer(self, thing: int, time: int, place: int, ahead: int) -> None:
        self._timer_set[thing] = self._add(
            TIMER_SET, time, thing, self._running(), place, self._cause(), time + ahead * 1000
        )

    def _on_timer_cancelled(self, number: int, place: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(number, "timer")
        self._add(TIMER_CANCELLED, time, thing, self._running(), place, self._cause())

    def _on_swept(self, number: int) -> None:
        self._add(SWEPT, self._time, self._thing(number, "timer"), cause=self._cause())

    def _on_finished(self, number: int, outcome: int, place: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(number, "future")
        if not self._open and self._delivered >= 0 and self.events.other[self._delivered] < 0:
            self.events.other[self._delivered] = thing
        self._finished[thing] = self._add(
            FINISHED, time, thing, self._running(), place, self._cause(), outcome
        )

    def _on_cancel(self, number: int, place: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(number, "task")
        self._add(CANCEL, time, thing, self._running(), place, self._cause())

    def _on_watched(
        self, number: int, bits: int, entry: int, what: int, place: int, dt: int
    ) -> None:
        time = self._pass(dt)
        descriptor = self._thing(number, "descriptor")
        waiting = self._thing(entry, "future" if what == -1 else "handle", what)
        self._add(WATCHED, time, descriptor, waiting, place, self._cause(), bits)

    def _on_unwatched(self, number: int, bits: int, dt: int) -> None:
        time = self._pass(dt)
        descriptor = self._thing(number, "descriptor")
        self._add(UNWATCHED, time, descriptor, -1, -1, self._cause(), bits)

    def _on_busy(self, call: int, place: int, count: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(call, "future")
        self._busy[thing] = self._add(
            BUSY, time, thing, self._running(), place, self._cause(), count
        )

    def _on_idle(self, call: int, count: int, dt: int) -> None:
        time = self._pass(dt)
        thing = self._thing(call, "future")
        self._add(IDLE, time, thing, cause=self._cause(), extra=count)
        self._busy.pop(thing, None)

    def _on_unseen(self, number: int, text: str) -> None:
        thing = self._thing(number, "future")
        self._add(UNSEEN, self._time, thing, extra=self.events.string(text))

    def _on_clock(self, seconds: int, ns: int) -> None:
        self._pass(seconds * 1_000_000_000 + ns - self._time)

    # Names.

    def _on_named(self, number: int, text: str) -> None:
        thing = self._thing(number, "task")
        if thing < 0:
            return
        if _GIVEN_BY_NOBODY.fullmatch(text):
            # It says nothing by itself, but may stand in a log.
            text = f"{self.events.thing_name[thing]} ({text})"
        self.events.thing_name[thing] = text
        self._unnamed.discard(thing)

    def _on_future(self, number: int, text: str) -> None:
        self._named_thing(number, "future", text)

    def _on_descriptor(self, number: int, fd: int, text: str) -> None:
        self._named_thing(number, "descriptor", text)

    def _on_thread(self, number: int, text: str) -> None:
        self._named_thing(number, "thread", f"thread {text}")

    def _named_thing(self, number: int, kind: str, text: str) -> None:
        thing = self._thing(number, kind)
        self.events.thing_name[thing] = text
        self.events.thing_parent[thing] = -1

    def _on_there(self, number: int, what: int, place: int, future: int) -> None:
        thing = self._thing(number, "task", what)
        self.events.thing_parent[thing] = -1
        if place >= 0:
            self._resumes[thing] = place
        self._add(CREATED, self._time, thing)
        if future >= 0:
            self._add(SUSPENDED, self._time, thing, self._thing(future, "future"), place)
        else:
            self._queued[thing] = self._add(QUEUED, self._time, thing)

    def _on_queued_before(self, number: int, what: int) -> None:
        thing = self._thing(number, "handle", what)
        self.events.thing_parent[thing] = -1
        self._queued[thing] = self._add(QUEUED, self._time, thing)

    def _on_timer_before(self, number: int, what: int, ahead: int) -> None:
        thing = self._thing(number, "timer", what)
        self.events.thing_parent[thing] = -1
        self._set_timer(thing, self._time, -1, ahead)

    def _on_known(self, number: int, what: int) -> None:
        self._thing(number, "task", what)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
