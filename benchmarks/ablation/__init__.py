"""What each trick buys: the same rows, with one of miniloop's tricks taken out at a time.

``python -m benchmarks --ablation`` runs `ROWS` on the whole loop and on each loop of `TRICKS`, and
prints how much longer the work takes *without* the trick. The loops are made by putting another
part in the place of the usual one: a poller, a timer queue, a maker of tasks or handles, or another
value of a named constant. The loop's own code is the same in all of them.

Two things to know when reading the table. A part that is swapped in may itself cost something that
the trick does not save: where that is so, its docstring says it. And tricks overlap: without two of
them the loop is not slower by the sum.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "TRICKS", "Trick"]


@dataclass(frozen=True)
class Trick:
    """One idea, and a loop that does without it."""

    name: str
    about: str
    module: str
    factory: str


TRICKS = (
    Trick(
        "raw epoll",
        "epoll is called directly; without: through `selectors`, a key object for each event",
        "benchmarks.ablation.pollers",
        "with_selectors",
    ),
    Trick(
        "lazy registration",
        "a socket stays registered between waits; without: two system calls for each wait",
        "benchmarks.ablation.pollers",
        "registering_each_wait",
    ),
    Trick(
        "poll skipping",
        "while work is ready the kernel is visited every few turns; without: on every turn",
        "benchmarks.ablation.constants",
        "visiting_every_turn",
    ),
    Trick(
        "tasks as their own entries",
        "the ready queue holds the task itself; without: a new Handle for each step",
        "benchmarks.ablation.entries",
        "with_handles_for_steps",
    ),
    Trick(
        "futures that wake tasks",
        "a future holds the waiting task itself; without: a callback and its Handle",
        "benchmarks.ablation.entries",
        "with_callbacks_for_tasks",
    ),
    Trick(
        "making without classes",
        "handles, futures and tasks are filled in by one function; without: made by their class",
        "benchmarks.ablation.entries",
        "with_constructors",
    ),
    Trick(
        "futures of our own",
        "futures that know our tasks; without: asyncio's, written in C",
        "benchmarks.ablation.entries",
        "with_asyncio_futures",
    ),
    Trick(
        "tasks of our own",
        "tasks that the ready queue runs itself; without: asyncio's, written in C",
        "benchmarks.ablation.entries",
        "with_asyncio_tasks",
    ),
    Trick(
        "timers as tuples",
        "the heap holds tuples, compared in C; without: objects, compared by a method",
        "benchmarks.ablation.timers",
        "with_objects_in_the_heap",
    ),
    Trick(
        "adaptive reads",
        "reads begin at 16 KiB and grow when they are filled; without: always 256 KiB",
        "benchmarks.ablation.constants",
        "reading_256_kib",
    ),
    Trick(
        "wake-ups only when asleep",
        "threads write to the wake-up socket only if the loop sleeps; without: for each call",
        "benchmarks.ablation.wakeups",
        "waking_each_time",
    ),
    Trick(
        "a short way for literals",
        "127.0.0.1 is taken apart here; without: by getaddrinfo in the executor",
        "benchmarks.ablation.wakeups",
        "resolving_literals",
    ),
    # Not a trick: what the loop would gain if it kept none of its promises.
    Trick(
        "promises",
        "Ctrl-C loses nothing, timers are on time, misuse is told; without: the happy path alone",
        "benchmarks.ablation.promises",
        "happy_path",
    ),
)

# Enough to see each trick where it matters, and where it does not.
ROWS = (
    "callbacks/call-soon-chain",
    "callbacks/call-soon-threadsafe",
    "callbacks/thread-wakes-loop",
    "callbacks/timer-fired",
    "callbacks/sleep-0/1",
    "callbacks/sleep",
    "callbacks/spawn-and-await",
    "callbacks/gather",
    "callbacks/future-ping-pong",
    "sockets/protocol/1KiB-x10",
    "sockets/sock/1KiB-x10",
    "sockets/connect",
    "sockets/getaddrinfo-literal",
)
