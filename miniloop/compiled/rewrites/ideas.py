"""The ideas of the table: what each rewrite is for, and what a build without it does instead."""

from __future__ import annotations

__all__ = [
    "AWAIT",
    "BYTES",
    "CALL",
    "CLOCK",
    "CURRENT",
    "EVENT",
    "IDEAS",
    "LATE",
    "OBJECTS",
    "PARENT",
    "PLACE",
    "RUN",
    "STEP",
    "TYPES",
    "WAKE",
]


STEP = "a step of a coroutine"
CALL = "a callback, called in its context"
TYPES = "types that the compiler knows"
OBJECTS = "objects made without their class"
AWAIT = "await a future without a generator"
WAKE = "whoever waits is told by a C method"
EVENT = "what the kernel reports, in numbers of C"
CURRENT = "who is running now, without a method"
RUN = "an entry is run by a C method"
CLOCK = "the clock of the system, without an object"
PARENT = "a method of the parent, without `super()`"
PLACE = "slots of a transport, where they lie"
BYTES = "recv and send of C"

LATE = "an object's dictionary made late"  # by `build.polish`

# Those that a build can do without, each with what it is instead.
IDEAS = {
    STEP: "`Context.run`, a bound `send` and a StopIteration at the end of a task",
    CALL: "`Context.run` of a callback",
    CURRENT: "a method of the table of current tasks",
    OBJECTS: "`__new__` looked up and called, and a type called to make a handle",
    AWAIT: "a generator for each `await` of a future",
    WAKE: "`_wake` looked up by its name",
    EVENT: "events and masks as Python's integers",
    RUN: "`_run` looked up by its name, and `islice` over the queue",
    CLOCK: "`time.monotonic` called, and floats made, once a poll",
    PARENT: "an object for each `super()`, and a look through the classes",
    PLACE: "a slot asked for by its name",
    BYTES: "methods of the socket, and 16 KiB for each read",
    LATE: "a dictionary made with each future and task",
}
