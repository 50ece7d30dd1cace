"""The records of a running loop: what the recorder notes, in numbers, as it happens.

A record is a kind and the numbers that go with it. All records lie one behind the other; a text
follows its record as a length in bytes and as many numbers of 32 bits as hold them. What can be
derived later is not noted: that a task which yields is queued again, what caused what, and where a
task resumes. `reading` works that out, when the program does not have to wait for it.

In the fields, `dt` is the number of nanoseconds since the last record that had one, and `after` is
one that no later `dt` counts from, as another thread has measured it. `thing` is a number that the
recorder has given to an entry, a future, a descriptor or a thread. `what` is what a callback or a
coroutine is: a place, or -2 and below for a name that has none. `place` is a line of the program,
or -1.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

__all__ = ["FIELDS", "NAMES", "TEXTS", "text_of", "text_to_numbers"]

# Each record: its name, its fields, and whether a text follows.
_TABLE: list[tuple[str, tuple[str, ...], bool]] = [
    # The turn.
    ("TURN", ("count",), False),
    ("WAIT", ("timeout", "dt"), False),  # ns; -1: for ever
    ("WOKE", ("slept", "dt"), False),
    ("LOOKED", ("took", "dt"), False),  # a wait that was not to sleep
    ("READY", ("thing", "bits"), False),
    ("DUE", ("thing", "what", "lateness", "dt"), False),
    # A step.
    ("BEGUN", ("thing", "dt"), False),
    ("GAVE_WAY", ("place",), False),
    ("WAITS", ("place", "thing"), False),
    ("TASK_ENDED", ("outcome", "place"), True),  # the text: of its exception
    ("RETURNED", (), False),  # a handle
    ("FAILED", ("place",), True),  # a handle
    ("EAGER", ("thing", "what", "place", "dt"), False),  # a first step inside of another step
    ("CURRENT", ("thing",), False),  # who runs, if that was not seen to begin; -1: who knows
    ("REST", ("dt",), False),  # `run_forever` ends
    # Queued.
    ("CALLED", ("thing", "what", "place", "dt"), False),  # by call_soon
    ("CREATED", ("thing", "what", "place", "dt"), False),
    ("WOKEN", ("thing", "future", "dt"), False),
    ("CALLED_BACK", ("thing", "what", "future", "dt"), False),  # by a future that is done
    ("FOUND_READY", ("thing", "what", "dt"), False),  # by a descriptor
    ("SIGNALLED", ("thing", "what", "number", "dt"), False),
    ("QUEUED", ("thing", "what", "place", "dt"), False),  # in any other way
    ("HANDED", ("thing", "what", "place", "thread", "call", "after"), False),  # from a thread
    # The rest.
    ("TIMER", ("thing", "what", "place", "ahead", "dt"), False),  # due in so many µs
    ("TIMER_CANCELLED", ("thing", "place", "dt"), False),
    ("SWEPT", ("thing",), False),
    ("FINISHED", ("thing", "outcome", "place", "dt"), False),
    ("CANCEL", ("thing", "place", "dt"), False),
    ("WATCHED", ("thing", "bits", "entry", "what", "place", "dt"), False),
    ("UNWATCHED", ("thing", "bits", "dt"), False),
    ("BUSY", ("call", "place", "count", "dt"), False),
    ("IDLE", ("call", "count", "dt"), False),
    ("UNSEEN", ("thing",), True),  # an exception that nobody has looked at
    ("CLOCK", ("seconds", "ns"), False),  # since the start, where what came before may be dropped
    # Names, and what was there when the recorder was put in.
    ("NAMED", ("thing",), True),
    ("FUTURE", ("thing",), True),  # one of another kind than the usual
    ("DESCRIPTOR", ("thing", "fd"), True),
    ("THREAD", ("thing",), True),
    ("THERE", ("thing", "what", "place", "future"), False),  # a task; -1: it is queued
    ("QUEUED_BEFORE", ("thing", "what"), False),  # a handle
    ("TIMER_BEFORE", ("thing", "what", "ahead"), False),
    ("KNOWN", ("thing", "what"), False),  # a task, once more, as what came before may be dropped
]

NAMES: list[str] = [name for name, _, _ in _TABLE]
FIELDS: list[tuple[str, ...]] = [fields for _, fields, _ in _TABLE]
TEXTS: list[bool] = [text for _, _, text in _TABLE]

(
    TURN, WAIT, WOKE, LOOKED, READY, DUE,
    BEGUN, GAVE_WAY, WAITS, TASK_ENDED, RETURNED, FAILED, EAGER, CURRENT, REST,
    CALLED, CREATED, WOKEN, CALLED_BACK, FOUND_READY, SIGNALLED, QUEUED, HANDED,
    TIMER, TIMER_CANCELLED, SWEPT, FINISHED, CANCEL, WATCHED, UNWATCHED, BUSY, IDLE, UNSEEN, CLOCK,
    NAMED, FUTURE, DESCRIPTOR, THREAD, THERE, QUEUED_BEFORE, TIMER_BEFORE, KNOWN,
) = range(len(_TABLE))  # fmt: skip

# What ends a step that has begun, a task or a future.
BY_RESULT, BY_EXCEPTION, BY_CANCEL = range(3)


def text_to_numbers(text: str) -> tuple[int, ...]:
    """A text as its record has it: its length in bytes, and the bytes, four in a number."""
    data = text.encode("utf-8", "replace")
    count = (len(data) + 3) // 4
    return (len(data), *struct.unpack(f"<{count}i", data.ljust(4 * count, b"\0")))


def text_of(numbers: Sequence[int], start: int) -> tuple[str, int]:
    """The text that begins at this index, and the index of what follows it."""
    size = numbers[start]
    end = start + 1 + (size + 3) // 4
    data = struct.pack(f"<{end - start - 1}i", *numbers[start + 1 : end])
    return data[:size].decode("utf-8", "replace"), end
